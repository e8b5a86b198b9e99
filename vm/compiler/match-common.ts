/** What the lowering of all qualified values shares: the match itself, and the words for one that means nothing. */

import type { Context } from './context.ts';
import { quote } from './errors.ts';
import type { Condition, Qualifiers, Value } from './syntax-tree.ts';

export type Match = Condition & { readonly kind: 'match' };

/** `'aarp host' does not apply to ...`. */
export function misapplied(context: Context, qualifiers: Qualifiers, what: string, hint = ''): never {
  const { protocol, direction, type } = qualifiers;
  const words = [protocol === 'link' ? 'ether' : protocol, direction, type].filter(
    (word) => word !== undefined,
  );
  context.span = qualifiers;
  return context.fail(`'${words.join(' ')}' does not apply to ${what}${hint}`);
}

/** A value as an error message names it. */
export function describeValue(value: Value): string {
  switch (value.kind) {
    case 'number':
      return `the number ${value.text}`;
    case 'name':
      return `the name ${quote(value.text)}`;
    case 'ipv4':
      return `the IPv4 ${value.prefix === undefined && value.mask === undefined ? 'address' : 'network'} ${value.text}`;
    case 'ipv6':
      return `the IPv6 ${value.prefix === undefined ? 'address' : 'network'} ${value.text}`;
    case 'mac':
      return `the Ethernet address ${value.text}`;
  }
}
