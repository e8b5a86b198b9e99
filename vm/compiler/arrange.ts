/**
 * Puts tests of the same data next to each other: `ip[0] = 1 or ip[1] = 2 or ip[0] = 3` loads `ip[0]` once.
 *
 * Operands of one operator may change places freely: what they decide together is the same, only a packet too short
 * for one of them may be rejected at another place. libpcap does this in its optimizer (or_pullup, and_pullup); done
 * here, optimised and unoptimised programs agree on short packets too.
 */

import type { Predicate } from './predicate.ts';

/** Members nested deeper than this count as unlike any other. */
const DEEPEST = 4;

/** The members, those that test the same data brought together where the first of them stands. */
export function arrange(members: readonly Predicate[]): readonly Predicate[] {
  if (members.length < 3) return members;
  const groups = new Map<string, Predicate[]>();
  for (const [index, member] of members.entries()) {
    const key = loadsOf(member, DEEPEST) ?? `unlike any other: ${index}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [member]);
    else group.push(member);
  }
  return groups.size === members.length ? members : [...groups.values()].flat();
}

/** Equal for predicates that differ only in what the last value they load is compared with. */
function loadsOf(predicate: Predicate, depth: number): string | undefined {
  switch (predicate.kind) {
    case 'test':
      return predicate.statements.map(({ code, k }) => `${code},${k}`).join(';');
    case 'not':
      return loadsOf(predicate.member, depth);
    case 'all':
    case 'any': {
      if (depth === 0) return undefined;
      const parts: string[] = [];
      for (const [index, member] of predicate.members.entries()) {
        const loads = loadsOf(member, depth - 1);
        if (loads === undefined) return undefined;
        const isLast = index === predicate.members.length - 1;
        parts.push(isLast ? loads : `${loads}?${comparisonOf(member)}`);
      }
      return `${predicate.kind}(${parts.join('|')})`;
    }
    default:
      return undefined;
  }
}

function comparisonOf(predicate: Predicate): string {
  if (predicate.kind === 'not') return `!${comparisonOf(predicate.member)}`;
  if (predicate.kind !== 'test') return '';
  return `${predicate.comparison.jump},${predicate.comparison.k}`;
}
