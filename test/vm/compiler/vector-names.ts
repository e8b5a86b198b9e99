/** The names that the vectors' expressions use, as the suite they come from resolves them. */

import type { Resolver } from '../../../vm/compiler/index.ts';

const DOMAIN = '.libpcap.test';
const IPV4X4 = ['192.168.241.3', '192.168.242.4', '192.168.243.1', '192.168.244.2'];
const IPV6X2 = ['fd00:a1b2:c3d4::a0b0:c0d0:e0f0:1278', 'fd00:a1b2:c3d4::a0b0:c0d0:e0f0:3456'];
const IPV6 = 'fd00:a1b2:c3d4::1020:3040:5060:7080';

const HOSTS: Readonly<Record<string, readonly string[]>> = {
  'noeth-ipv4-noipv6.host123': ['10.20.30.40'],
  'noeth-noipv4-ipv6.host123': [IPV6],
  'noeth-ipv4-ipv6.host123': ['10.20.30.40', IPV6],
  'eth-ipv4-noipv6.host123': ['10.20.30.40'],
  'eth-ipv4-ipv6.host123': ['10.20.30.40', IPV6],
  'eth-noipv4-ipv6.host123': [IPV6],
  'eth-ipv4x4-noipv6.host357': IPV4X4,
  'eth-noipv4-ipv6x2.host357': IPV6X2,
  'eth-ipv4x4-ipv6x2.host357': [...IPV4X4, ...IPV6X2],
};

const NETWORKS: Readonly<Record<string, string>> = {
  'net-10-0-0-0': '10.0.0.0',
  'net-10-20-0-0': '10.20.0.0',
  'net-10-20-30-0': '10.20.30.0',
};

function key(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(DOMAIN) ? lower.slice(0, -DOMAIN.length) : '';
}

export const vectorResolver: Resolver = {
  host: (name) => HOSTS[key(name)],
  network: (name) => NETWORKS[key(name)],
  ether(name) {
    if (!key(name).startsWith('eth-')) return undefined;
    return key(name).endsWith('host357') ? 'aa:00:04:00:01:08' : 'aa:00:04:00:14:0e';
  },
};
