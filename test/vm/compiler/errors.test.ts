/** Errors: where, what was expected, which word was probably meant; in bounded time whatever the input. */

import { describe, expect, test } from 'vitest';
import { type CompileOptions, compileFilter, FilterSyntaxError } from '../../../vm/compiler/index.ts';

function errorOf(expression: string, options: CompileOptions = {}): FilterSyntaxError {
  try {
    compileFilter(expression, options);
  } catch (error) {
    if (error instanceof FilterSyntaxError) return error;
    throw error;
  }
  throw new Error(`'${expression.slice(0, 60)}' compiled`);
}

const rows: readonly (readonly [expression: string, position: number, message: RegExp])[] = [
  // Words.
  [
    'tcp prot 80',
    4,
    /expected 'and', 'or' or the end of the expression, found 'prot', did you mean 'port'\?/,
  ],
  ['tcp port 80 ad udp', 12, /found 'ad', did you mean 'and'\?/],
  ['tpc', 0, /expected a filter primitive, found 'tpc', did you mean 'tcp'\?/],
  ['tcp port htp', 9, /unknown service 'htp', did you mean 'http'\?/],
  ['ip proto ospff', 9, /unknown protocol 'ospff', did you mean 'ospf'\?/],
  ['ether proto arpp', 12, /unknown protocol 'arpp', did you mean 'arp'\?/],
  ['TCP', 0, /did you mean 'tcp'\?/],
  ['constructor', 0, /expected a filter primitive/],
  ['port __proto__', 5, /the character '_' has no meaning/],
  // Structure.
  ['tcp and', 7, /expected a filter primitive, found the end of the expression/],
  ['(tcp', 4, /expected '\)' to close the parenthesis, found the end/],
  ['tcp)', 3, /expected 'and', 'or' or the end of the expression, found '\)'/],
  ['host', 4, /expected a value: a number, a name or an address, found the end/],
  ['src or host 1.2.3.4', 7, /expected 'dst' after 'src or', found 'host'/],
  ['ip proto tcp', 9, /the keyword 'tcp' as a value is written '\\tcp'/],
  ['1.2.3.4', 0, /'1.2.3.4' stands alone: say what it is, as in 'host 1.2.3.4'/],
  ['tcp and 80', 8, /80 stands alone: say what it is, as in 'port 80'/],
  ['(port 80) or 81', 13, /81 stands alone/],
  ['host 1.2.3.4 or (5.6.7.8 and tcp)', 29, /expected a value/],
  ['dst proto 6', 4, /after 'dst'/],
  ['vlan any', 5, /found 'any'/],
  ['net 10 mask 255.0.0.0', 7, /found 'mask'/],
  ['net 10.0.0.0 mask 255', 18, /expected a dotted netmask after 'mask'/],
  ['net 10/8', 6, /found '\/'/],
  ['len', 3, /expected a comparison such as '='/],
  ['ip[0', 4, /expected '\]' to close 'ip\[', found the end/],
  ['link[0:3] = 1', 7, /the size of the data is 3: it must be 1, 2 or 4/],
  ['byte 1 >= 2', 7, /expected one of '=', '<', '>', '&', '\|'/],
  ['tcp @ udp', 4, /the character '@' has no meaning in a filter/],
  ['type mgt', 0, /found 'type', which is for 802.11 link types only/],
  // Values.
  ['host 1.2.3.300', 5, /'1.2.3.300' is not an IPv4 address/],
  ['net 10.0.0.1/8', 4, /'10.0.0.1\/8' has bits set beyond its mask/],
  ['net 10.0.0.0/33', 4, /the prefix length 33 is greater than 32/],
  ['net fe80::/129', 4, /the prefix length 129 is greater than 128/],
  ['ip6 host fe80::1::2', 9, /'fe80::1::2' is neither an IPv6 nor an Ethernet address/],
  ['tcp port 65536', 9, /the port 65536 is greater than 65535/],
  ['port 4294967296', 5, /'4294967296' does not fit in 32 bits/],
  ['port 08', 5, /'08' starts with 0, so it is octal/],
  ['ip proto 256', 9, /the protocol number 256 is greater than 255/],
  ['vlan 4096', 5, /the VLAN identifier 4096 is greater than 4095/],
  ['mpls 1048576', 5, /the MPLS label 1048576 is greater than 1048575/],
  ['byte 1 = 256', 9, /the value 256 does not fit in a byte/],
  ['llc foo', 4, /unknown LLC type 'foo': use one of i, s, u/],
  ['ip[0] / 0 = 1', 8, /'\/ 0' divides by zero/],
  ['ip[0] % (3 - 3) = 1', 9, /'% 0' divides by zero/],
  ['ip[0] << 32 = 1', 9, /'<< 32' shifts by more than 31 bits/],
  // Qualifiers that do not go together.
  ['tcp host 1.2.3.4', 0, /'tcp host' does not apply to the IPv4 address 1.2.3.4/],
  ['tcp and arp host fe80::1', 8, /'arp host' does not apply to the IPv6 address fe80::1: use 'ip6'/],
  ['ip6 host 1.2.3.4', 0, /'ip6 host' does not apply to the IPv4 address 1.2.3.4: use 'ip'/],
  ['host 10.0.0.0/8', 0, /'host' does not apply to the IPv4 network 10.0.0.0\/8: use 'net'/],
  ['host 1:2:3:4:5:6', 0, /does not apply to the Ethernet address 1:2:3:4:5:6: use 'ether host'/],
  ['icmp port 80', 0, /'icmp port' does not apply to anything: only tcp, udp and sctp have ports/],
  ['tcp proto 6', 0, /'tcp' carries no numbered protocols/],
  ['port 1.2.3.4', 0, /'port' does not apply to the IPv4 address 1.2.3.4/],
  ['gateway 1.2.3.4', 0, /a gateway is given by name/],
  ['ether', 0, /'link' is not a test by itself/],
  ['ah[0] = 1', 0, /the data of 'ah' cannot be read with an index/],
  ['udp port ssh', 9, /the service 'ssh' has no udp port/],
  ['host example.org', 5, /unknown host 'example.org': names are not resolved; give an address/],
  ['tcp or ether host foo', 18, /unknown Ethernet host 'foo': names are not resolved/],
  ['gateway foo', 8, /unknown Ethernet host 'foo'/],
  ['net example', 4, /unknown network 'example': names are not resolved/],
  ['decnet host 64.1', 12, /'64.1' is not a DECnet address/],
  ['vxlan 16777216', 6, /the VNI 16777216 is greater than 16777215/],
  ['vlan (4096)', 5, /the VLAN identifier 4096/],
  ['mpls and arp', 9, /after mpls only IPv4 and IPv6 can be told apart/],
  ['mpls and vlan', 9, /'vlan' cannot be recognised after 'mpls'/],
  ['ip broadcast', 0, /'ip broadcast' needs the netmask/],
  [
    'tcp and inbound',
    8,
    /'inbound' is not in frames of link type EN10MB: it needs the metadata of dialect 'linux'/,
  ],
];

describe('errors say where and what', () => {
  test.each(rows)('%j', (expression, position, message) => {
    const error = errorOf(expression);
    expect(error.message).toMatch(message);
    expect(error.position).toBe(position);
  });

  test.each([
    ['ether host 1:2:3:4:5:6', /'ether host' is for Ethernet, not for link type RAW/],
    ['vlan', /'vlan' is for Ethernet, not for link type RAW/],
    ['broadcast', /'broadcast' is for Ethernet/],
    ['llc', /'llc' is for Ethernet/],
    ['mpls', /'mpls' is for Ethernet/],
  ])('%j does not apply to raw IP', (expression, message) => {
    expect(errorOf(expression, { linkType: 'RAW' }).message).toMatch(message);
  });
});

/** Arithmetic that needs `depth` intermediate results at once. */
function balanced(depth: number): string {
  return depth === 0 ? 'ip[ip[0]]' : `(${balanced(depth - 1)} - ${balanced(depth - 1)})`;
}

const MEGABYTE = 0x100000;
const huge: readonly (readonly [description: string, expression: string, message: RegExp])[] = [
  ['1 MB of one word', 'x'.repeat(MEGABYTE), /more than the limit of 131072/],
  ['1 MB of parentheses', '('.repeat(MEGABYTE), /more than the limit of 131072/],
  ['parentheses too deep', `${'('.repeat(50_000)}tcp${')'.repeat(50_000)}`, /nests deeper than 256 levels/],
  ['indexes too deep', 'ip['.repeat(40_000), /nests deeper than 256 levels/],
  ['minus signs too many', `${'-'.repeat(100_000)}1 = 1`, /nests deeper than 256 levels/],
  ['numbers nested too deep', `vlan ${'('.repeat(1000)}5`, /nests deeper than 256 levels/],
  ['a sum too long', `${'1+'.repeat(50_000)}1 = ip[0]`, /more than 256 operators/],
  ['intermediate results too many', `${'geneve and '.repeat(4)}${balanced(5)} = 1`, /scratch memory/],
  ['a word of half-words', 'a-'.repeat(60_000), /expected a filter primitive/],
  ['an address of colons', '1:'.repeat(60_000), /neither an IPv6 nor an Ethernet address/],
  ['a host name too long', `host ${'a.'.repeat(60_000)}b`, /unknown host 'a\.a\..*\.\.\.'/],
  ['names that do not resolve', `${'host nosuch or '.repeat(8000)}tcp`, /unknown host 'nosuch'/],
  ['tunnels too many', `${'geneve and '.repeat(10)}ip`, /too many tunnels inside each other/],
  [
    'a program too long',
    `${'vlan and '.repeat(9000)}ip`,
    /instructions, more than the 4096 a program may have/,
  ],
];

describe('bad input meets a limit', () => {
  test.each(huge)('%s', (_, expression, message) => {
    const started = performance.now();
    const error = errorOf(expression);
    expect(error.message).toMatch(message);
    expect(error.message.length).toBeLessThan(300);
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  test('what is long but harmless compiles', () => {
    const alternating = `tcp${Array.from({ length: 6000 }, (_, i) => (i % 2 ? ' and udp' : ' or ip')).join('')}`;
    expect(compileFilter(alternating).length).toBeLessThan(20);
    expect(compileFilter(`${'not '.repeat(30_000)}tcp`).instructions).toEqual(
      compileFilter('tcp').instructions,
    );
    expect(compileFilter(`${'('.repeat(200)}tcp${')'.repeat(200)}`).instructions).toEqual(
      compileFilter('tcp').instructions,
    );
  });
});
