/**
 * Which user namespace this process runs in, from /proc/self/uid_map (user_namespaces(7)).
 */
import { readFileSync } from 'node:fs';

type Mapping = { readonly inside: number; readonly outside: number; readonly count: number };

function mappings(): Mapping[] {
  let text: string;
  try {
    text = readFileSync('/proc/self/uid_map', 'utf8');
  } catch {
    // Not Linux, or a kernel without user namespaces.
    return [];
  }
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
      return { inside, outside, count };
    });
}

/** The user id as the parent namespace sees it, so that a process and its child under unshare(1) agree on paths. */
export function outerUid(): number {
  const uid = process.getuid?.() ?? 0;
  const mapping = mappings().find(({ inside, count }) => uid >= inside && uid < inside + count);
  return mapping === undefined ? uid : mapping.outside + uid - mapping.inside;
}

/** True unless user ids are what they are on the whole system. */
export function isInUserNamespace(): boolean {
  const [first] = mappings();
  return first !== undefined && !(first.inside === 0 && first.outside === 0 && first.count === 4_294_967_295);
}
