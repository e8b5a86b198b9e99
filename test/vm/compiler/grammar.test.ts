/** The grammar: spellings that mean the same compile to the same program. */

import { describe, expect, test } from 'vitest';
import { type CompileOptions, compileFilter } from '../../../vm/compiler/index.ts';

const rows: readonly (readonly [expression: string, same: string])[] = [
  // Values without qualifiers inherit those of the value before.
  ['tcp port 22 or 80', 'tcp port 22 or tcp port 80'],
  ['port 22 or 80', 'port (22 or 80)'],
  ['port ((22) or (80))', 'port 22 or port 80'],
  ['host 1.2.3.4 and not 5.6.7.8', 'host 1.2.3.4 and not host 5.6.7.8'],
  ['src host 1.2.3.4 or 5.6.7.8', 'src host 1.2.3.4 or src host 5.6.7.8'],
  ['src net 10.0.0.0/8 or dst port 80 or 443', 'src net 10.0.0.0/8 or dst port 80 or dst port 443'],
  ['ip host 1.2.3.4 or (5.6.7.8 or 9.9.9.9)', 'ip host 1.2.3.4 or ip host 5.6.7.8 or ip host 9.9.9.9'],
  ['udp and host 1.2.3.4 or ((tcp) or 5.6.7.8)', 'udp and host 1.2.3.4 or (tcp or host 5.6.7.8)'],
  ['ip proto (\\tcp or \\udp)', 'ip proto 6 or ip proto 17'],
  // `and` and `or` bind equally and to the left; `not` binds tighter.
  ['tcp or udp and port 53', '(tcp or udp) and port 53'],
  ['tcp and ip or udp', '(tcp and ip) or udp'],
  ['not tcp and udp', '(not tcp) and udp'],
  ['not not tcp', 'tcp'],
  ['not (not tcp or udp)', 'tcp and not udp'],
  // Other spellings.
  ['tcp && !udp || icmp', 'tcp and not udp or icmp'],
  ['src 1.2.3.4', 'src host 1.2.3.4'],
  ['dst or src port 53', 'port 53'],
  ['ether host 1:2:3:4:5:6', 'ether host 01-02-03-04-05-06'],
  ['ether host 0102.0304.0506', 'link host 010203040506'],
  ['ip proto tcp-fin', 'ip proto 1'],
  ['ether proto \\ip', 'ip'],
  ['ether proto 0x86dd', 'ip6'],
  ['proto \\icmp', 'proto 1'],
  ['net 10', 'net 10.0.0.0/8'],
  ['net 192.168', 'net 192.168.0.0 mask 255.255.0.0'],
  ['net 10.1.2', 'net 10.1.2.0/24'],
  ['ip host 0x01020304', 'ip host 1.2.3.4'],
  ['ip host 0100401404', 'ip host 1.2.3.4'],
  ['ip6 host ::ffff:1.2.3.4', 'ip6 host ::ffff:102:304'],
  ['portrange 80-20', 'portrange 20-80'],
  ['portrange 25-smtp', 'tcp port 25 or udp port 25 or sctp port 25'],
  ['portrange 80', 'port 80'],
  ['port http', 'tcp port 80'],
  ['port domain', 'port 53'],
  ['tcp port domain', 'tcp port 53'],
  ['ip[0] - ip[1] - ip[2] = 0', '(ip[0] - ip[1]) - ip[2] = 0'],
  ['vlan (5)', 'vlan 5'],
  ['less 100', 'len <= 100'],
  ['greater 100', 'length >= 100'],
  ['es-is', 'esis'],
  ['is-is', 'isis'],
  ['llc RR', 'llc rr'],
  ['link broadcast', 'broadcast'],
  ['byte 6 = 2', 'ether[6] = 2'],
  ['byte 6 & 2', 'ether[6] & 2 != 0'],
  // Arithmetic.
  ['ip[0] == 1', 'ip[0:1] = 1'],
  ['tcp[tcpflags] & (tcp-syn|tcp-ack) != 0', 'tcp[13] & 0x12 != 0'],
  ['icmp[icmptype] = icmp-echoreply', 'icmp[0] = 0'],
  ['icmp6[icmp6type] = icmp6-neighborsolicit', 'icmp6[0] = 135'],
  ['1 + 2 * 3 << 1 = ip[0]', 'ip[0] = 14'],
  ['ip[0] = 1 | 6 & 4', 'ip[0] = 5'],
  ['ip[0] = 3 ^ 1 | 4', 'ip[0] = 6'],
  ['ip[0] = 10 - 3 - 2', 'ip[0] = 5'],
  ['ip[0] = 9 - 7 % 4', 'ip[0] = 6'],
  ['ip[0] = - 1 + 6', 'ip[0] = 5'],
  ['5 > ip[0]', 'ip[0] < 5'],
  ['ip[0] + 4 = 9', 'ip[0] = 5'],
  ['(ip[2:2]) = ((7))', 'ip[2:2] = 7'],
  ['port 80 or (80 + 1 = ip[0])', 'port 80 or ip[0] = 81'],
  ['ip[2 + 2:2] = 1', 'ip[4:2] = 1'],
  // White space of every kind.
  ['\ttcp\n\tand\r\n udp ', 'tcp and udp'],
  ['ip[0]=1&&(tcp)', 'ip[0] = 1 and tcp'],
];

describe('expressions that mean the same', () => {
  test.each(rows)('%j is %j', (expression, same) => {
    expect(compileFilter(expression).instructions).toEqual(compileFilter(same).instructions);
  });
});

const spellings: readonly (readonly [description: string, options: CompileOptions, same: CompileOptions])[] =
  [
    ['a netmask is dotted or a number', { netmask: '255.255.255.0' }, { netmask: 0xffffff00 }],
    ['Ethernet is the default', {}, { linkType: 'EN10MB' }],
    ['programs are optimised by default', {}, { optimize: true }],
    ['262144 is the default snap length', {}, { snapLength: 262144 }],
  ];

describe('options', () => {
  test.each(spellings)('%s', (_, options, same) => {
    const expression = options.netmask === undefined ? 'tcp port 80' : 'ip broadcast';
    expect(compileFilter(expression, options).instructions).toEqual(
      compileFilter(expression, same).instructions,
    );
  });

  test('the snap length is what an accepted packet returns', () => {
    expect(compileFilter('', { snapLength: 96 }).instructions).toEqual([{ code: 6, jt: 0, jf: 0, k: 96 }]);
  });

  test.each([
    [{ snapLength: 0 }, /snapLength is 0/],
    [{ snapLength: 1.5 }, /snapLength is 1.5/],
    [{ netmask: '255.255' }, /netmask is '255.255'/],
    [{ netmask: -1 }, /netmask is '-1'/],
    [{ linkType: 'FDDI' as 'RAW' }, /unknown link type 'FDDI': use one of EN10MB, RAW/],
  ])('%j is refused', (options, message) => {
    expect(() => compileFilter('tcp', options)).toThrow(RangeError);
    expect(() => compileFilter('tcp', options)).toThrow(message);
  });
});
