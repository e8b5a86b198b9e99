/** Parses the value of a match: a number, a name, or an address with its prefix length or mask. */

import { quote } from './errors.ts';
import type { Token } from './scanner.ts';
import type { Value } from './syntax-tree.ts';
import type { TokenStream } from './token-stream.ts';

/** A value after its qualifiers. */
export function parseValue(stream: TokenStream): Value {
  const token = stream.next;
  switch (token.kind) {
    case 'number':
      stream.advance();
      return { kind: 'number', value: token.value, text: token.text, start: token.start, end: token.end };
    case 'name':
      stream.advance();
      return { kind: 'name', name: token.name, text: token.name, start: token.start, end: token.end };
    case 'mac':
      stream.advance();
      return { kind: 'mac', text: token.text, start: token.start, end: token.end };
    case 'ipv4':
    case 'ipv6':
      return parseNetwork(stream, token);
    case 'protocol':
    case 'word':
      if (/^[a-z]/.test(token.text)) {
        return stream.fail(
          `a value (the keyword ${quote(token.text)} as a value is written '\\${token.text}')`,
        );
      }
      return stream.fail('a value: a number, a name or an address');
    default:
      return stream.fail('a value: a number, a name or an address');
  }
}

/** An address with an optional `/length`, or, for IPv4, `mask m`. */
function parseNetwork(stream: TokenStream, token: Token): Value {
  stream.advance();
  const address = token.text;
  let prefix: number | undefined;
  let mask: string | undefined;
  if (stream.acceptPunctuation('/')) {
    prefix = stream.expectNumber("a prefix length after '/'");
  } else if (token.kind === 'ipv4' && stream.acceptWord('mask')) {
    const maskToken = stream.next;
    if (maskToken.kind !== 'ipv4') return stream.fail("a dotted netmask after 'mask'");
    stream.advance();
    mask = maskToken.text;
  }
  const span = stream.spanFrom(token.start);
  const suffix = prefix === undefined ? (mask === undefined ? '' : ` mask ${mask}`) : `/${prefix}`;
  return {
    kind: token.kind === 'ipv4' ? 'ipv4' : 'ipv6',
    address,
    text: address + suffix,
    ...(prefix !== undefined && { prefix }),
    ...(mask !== undefined && { mask }),
    ...span,
  };
}
