/**
 * Host names of an expression on the command line: from the system's files, and as tcpdump does, from DNS what is not
 * in them. That is done before anything is compiled, takes LOOKUP_MS at most, and leaves the compiler nothing to wait
 * for. A name without a dot is none of DNS, and one that is that of a file here is no host.
 */
import { Resolver as DnsResolver } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import { compileFilter } from '../../../vm/compiler/index.ts';
import type { Resolver } from '../../../vm/index.ts';
import { SYSTEM_NAMES } from '../../control/system-names.ts';

/** The longest that all names of an expression may take together. */
const LOOKUP_MS = 5000;
/** One attempt; there are two. */
const ATTEMPT_MS = 1500;
/** Names of one expression that are asked for; the others count as unknown. */
const MAX_LOOKUPS = 64;
/** For the run that only collects names: no address that a packet has. */
const ANY_ADDRESS: readonly string[] = ['192.0.2.1', '2001:db8::1'];

/** A resolver that knows the hosts which `expression` names, as far as anybody does. Never rejects. */
export async function resolverFor(expression: string, files: Resolver = SYSTEM_NAMES): Promise<Resolver> {
  const names = namesToAskFor(expression, files);
  if (names.length === 0) return files;
  const found = await lookUp(names);
  const host = (name: string): readonly string[] | undefined => files.host?.(name) ?? found.get(name);
  return {
    ...files,
    host,
    searched: { ...files.searched, host: `${files.searched?.host ?? 'files'} or in DNS` },
  };
}

function namesToAskFor(expression: string, files: Resolver): string[] {
  const names = new Set<string>();
  const host = (name: string): readonly string[] => {
    const known = files.host?.(name);
    if (known !== undefined) return known;
    if (/[^.]\.[^.]/.test(name) && names.size < MAX_LOOKUPS && !existsSync(name)) names.add(name);
    return ANY_ADDRESS;
  };
  try {
    compileFilter(expression, { dialect: 'linux', optimize: false, resolver: { ...files, host } });
  } catch {
    // It is compiled in earnest later, and what is wrong with it said then.
  }
  return [...names];
}

async function lookUp(names: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const resolver = new DnsResolver({ timeout: ATTEMPT_MS, tries: 2 });
  const found = new Map<string, string[]>();
  const ask = async (name: string): Promise<void> => {
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) found.set(name, addresses);
  };
  const timer = setTimeout(() => resolver.cancel(), LOOKUP_MS);
  await Promise.all(names.map(ask));
  clearTimeout(timer);
  return found;
}
