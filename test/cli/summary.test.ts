import { expect, test } from 'vitest';
import { summarize } from '../../src/cli/summary.ts';

const ETHERNET = 1;
const RAW = 101;
const MACS = '020000000002020000000001';

/** An IPv4 packet from 198.18.0.1 to 198.18.0.2; `fragment` is the field of flags and offset. */
function ipv4(protocol: number, payload: string, fragment = '4000'): string {
  const length = (20 + payload.length / 2).toString(16).padStart(4, '0');
  const hex = protocol.toString(16).padStart(2, '0');
  return `4500${length}0000${fragment}40${hex}0000c6120001c6120002${payload}`;
}

/** An IPv6 packet from fe80::1 to ff02::2. */
function ipv6(nextHeader: number, payload: string): string {
  const length = (payload.length / 2).toString(16).padStart(4, '0');
  const [source, target] = [`fe80${'0'.repeat(26)}01`, `ff02${'0'.repeat(26)}02`];
  return `60000000${length}${nextHeader.toString(16).padStart(2, '0')}ff${source}${target}${payload}`;
}

const syn = '9c400050000003e8000000005002faf000000000';
const hosts = '198.18.0.1 > 198.18.0.2';

test.each([
  [
    'ARP request',
    `${MACS}08060001080006040001020000000001c6120001000000000000c6120002`,
    'ARP who-has 198.18.0.2 tell 198.18.0.1',
  ],
  [
    'ARP reply',
    `${MACS}08060001080006040002020000000001c6120001020000000002c6120002`,
    'ARP 198.18.0.1 is-at 02:00:00:00:00:01',
  ],
  [
    'TCP SYN',
    `${MACS}0800${ipv4(6, syn)}`,
    'IP 198.18.0.1.40000 > 198.18.0.2.80: tcp [S] seq 1000 win 64240 length 0',
  ],
  [
    'TCP data',
    `${MACS}0800${ipv4(6, '9c400050000003e8000000075018faf00000000061626364')}`,
    'IP 198.18.0.1.40000 > 198.18.0.2.80: tcp [P.] seq 1000 ack 7 win 64240 length 4',
  ],
  [
    'padding is not data',
    `${MACS}0800${ipv4(6, syn)}000000000000`,
    'IP 198.18.0.1.40000 > 198.18.0.2.80: tcp [S] seq 1000 win 64240 length 0',
  ],
  ['UDP', `${MACS}0800${ipv4(17, '1f900035000c000061626364')}`, 'IP 198.18.0.1.8080 > 198.18.0.2.53: udp 4'],
  ['ICMP echo', `${MACS}0800${ipv4(1, '0800000012340005')}`, `IP ${hosts}: icmp echo request id 4660 seq 5`],
  ['ICMP error', `${MACS}0800${ipv4(1, '0301000000000000')}`, `IP ${hosts}: icmp unreachable, code 1`],
  ['a later fragment', `${MACS}0800${ipv4(17, '61626364', '00b9')}`, `IP ${hosts}: udp fragment at 1480`],
  [
    'a first fragment',
    `${MACS}0800${ipv4(17, '1f900035000c000061626364', '2000')}`,
    'IP 198.18.0.1.8080 > 198.18.0.2.53: udp 4, more fragments',
  ],
  ['another protocol', `${MACS}0800${ipv4(132, '00000000')}`, `IP ${hosts}: SCTP 4`],
  [
    'IPv6 neighbor solicitation',
    `${MACS}86dd${ipv6(58, `870000000000000020010db8${'0'.repeat(22)}05`.padEnd(48, '0'))}`,
    'IP6 fe80::1 > ff02::2: icmp6 neighbor solicitation 2001:db8::5',
  ],
  [
    'IPv6 behind hop-by-hop options',
    `${MACS}86dd${ipv6(0, '3a000502000001008f00000000000000')}`,
    'IP6 fe80::1 > ff02::2: icmp6 multicast listener report',
  ],
  [
    'IPv6 fragment',
    `${MACS}86dd${ipv6(44, '110005a900000001')}`,
    'IP6 fe80::1 > ff02::2: udp fragment at 1448',
  ],
  [
    'VLAN tag',
    `${MACS}8100000a0800${ipv4(17, '1f90003500080000')}`,
    'vlan 10, IP 198.18.0.1.8080 > 198.18.0.2.53: udp 0',
  ],
  ['LLDP', `${MACS}88cc0000`, '02:00:00:00:00:01 > 02:00:00:00:00:02: LLDP'],
  ['an unknown type', `${MACS}88b50000`, '02:00:00:00:00:01 > 02:00:00:00:00:02: ethertype 0x88b5'],
  ['802.3', `${MACS}0026424203`, '02:00:00:00:00:01 > 02:00:00:00:00:02: 802.3'],
  ['ports that are cut off', `${MACS}0800${ipv4(6, '9c40')}`, `IP ${hosts}: tcp, truncated`],
  ['a header that is cut off', `${MACS}08004500`, 'truncated'],
  ['nothing', '', 'truncated'],
])('%s', (_what, hex, expected) => {
  expect(summarize(Buffer.from(hex, 'hex'), ETHERNET)).toBe(expected);
});

test('frames of TUN devices begin with the IP header', () => {
  expect(summarize(Buffer.from(ipv4(17, '1f90003500080000'), 'hex'), RAW)).toBe(
    'IP 198.18.0.1.8080 > 198.18.0.2.53: udp 0',
  );
});

test('no frame makes it throw, wherever it is cut', () => {
  const whole = Buffer.from(`${MACS}86dd${ipv6(0, '3a000502000001008f00000000000000')}`, 'hex');
  for (let length = 0; length <= whole.length; length++) {
    expect(summarize(whole.subarray(0, length), ETHERNET)).not.toBe('');
  }
});
