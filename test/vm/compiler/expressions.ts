/** Random filter expressions, from a grammar of what every link type can be asked. */

import fc from 'fast-check';

const oneOf = (...words: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...words);

/** Pieces joined by blanks; empty ones leave none. */
function phrase(...pieces: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc.tuple(...pieces).map((words) => words.filter((word) => word !== '').join(' '));
}

const ipv4Address = oneOf('198.18.0.1', '198.18.0.2', '1.2.3.4', '10.0.0.1');
const ipv4Network = oneOf(
  '198.18.0.0/16',
  '198.18',
  '10.0.0.0/8',
  '198.18.0.0 mask 255.255.255.0',
  '0.0.0.0/1',
  '10',
);
const ipv6Address = oneOf('fd00::1', 'fd00::2', 'fe80::1');
const ipv6Network = oneOf('fd00::/8', 'fd00::/64', 'fd00::2/127', 'fe80::/10', '::/0');
const direction = oneOf('', 'src', 'dst', 'src or dst', 'src and dst', 'dst or src');
const port = oneOf('80', '53', '22', '443', '0x35', '(80)');
const transport = oneOf('', 'tcp', 'udp', 'sctp');

const host = fc.oneof(
  phrase(oneOf('', 'ip', 'arp', 'rarp'), direction, oneOf('host'), ipv4Address),
  phrase(oneOf('', 'ip6'), direction, oneOf('host'), ipv6Address),
  phrase(oneOf('', 'ip', 'arp'), direction, oneOf('net'), ipv4Network),
  phrase(oneOf('', 'ip6'), direction, oneOf('net'), ipv6Network),
  phrase(oneOf('src', 'dst'), ipv4Address, oneOf('or', 'and not', '||'), ipv4Address),
);

const ports = fc.oneof(
  phrase(transport, direction, oneOf('port'), port),
  phrase(transport, direction, oneOf('portrange'), oneOf('20-80', '80-20', '53', '0-1023', '40000-65535')),
  phrase(transport, direction, oneOf('port'), port, oneOf('or', '||'), port),
  phrase(transport, direction, oneOf('port'), fc.constant('('), port, oneOf('or'), port, fc.constant(')')),
);

const protocol = fc.oneof(
  oneOf(
    'ip',
    'ip6',
    'arp',
    'rarp',
    'tcp',
    'udp',
    'sctp',
    'icmp',
    'icmp6',
    'igmp',
    'pim',
    'ah',
    'esp',
    'vrrp',
  ),
  phrase(oneOf('', 'ip', 'ip6'), oneOf('proto'), oneOf('6', '17', '\\tcp', '\\udp', '1', '50', '(6 or 17)')),
  oneOf('ip multicast', 'ip6 multicast'),
);

const data = oneOf(
  ...[
    'ip[0]',
    'ip[2:2]',
    'ip[8:1]',
    'ip6[6]',
    'tcp[13]',
    'tcp[0:2]',
    'udp[4:2]',
    'icmp[0]',
    'icmp6[icmp6type]',
  ],
  ...[
    'tcp[tcpflags]',
    'ip[6:2]',
    'link[0]',
    'ether[2:4]',
    'arp[7]',
    'len',
    'ip[ip[0] & 0xf]',
    'tcp[tcp[12] >> 4:2]',
  ],
);
const number = oneOf(
  '0',
  '1',
  '2',
  '5',
  '0x45',
  '60',
  '0xff',
  '128',
  'tcp-syn',
  '(tcp-syn|tcp-ack)',
  '0xffffffff',
  '010',
);

/**
 * Operands of one operator. The right one asks for no protocol that the left one does not: libpcap forgets to test
 * for the protocol of the right operand. Nor is there a division by one, which it sometimes refuses.
 */
const pair = fc.constantFrom(
  ...([
    ['ip[2:2]', 'ip[0]'],
    ['ip[8]', 'ip[9]'],
    ['tcp[13]', 'tcp[12]'],
    ['udp[0:2]', 'udp[2:2]'],
  ] as const),
  ...([
    ['ip[2:2]', 'len'],
    ['len', 'len'],
    ['ip6[4:2]', 'ether[0]'],
    ['icmp[0]', 'icmp[1]'],
  ] as const),
);

/** `%` and `^` only stand in parentheses: their precedence in libpcap is an accident. */
const arithmetic: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: data },
  { weight: 1, arbitrary: number },
  {
    weight: 2,
    arbitrary: phrase(data, oneOf('&', '|', '+', '-', '*', '>>', '<<'), oneOf('1', '2', '0xf', '4', '31')),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(pair, oneOf('&', '+', '-', '*', '|')).map(([[a, b], o]) => `${a} ${o} ${b}`),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(data, oneOf('%', '^', '/'), oneOf('3', '7', '16')).map((p) => `(${p.join(' ')})`),
  },
  { weight: 1, arbitrary: fc.tuple(pair, oneOf('1', '4')).map(([[a, b], c]) => `(${a} + ${b}) * ${c}`) },
);

const comparison = phrase(arithmetic, oneOf('=', '==', '!=', '<', '<=', '>', '>='), arithmetic);

const length = phrase(oneOf('less', 'greater'), oneOf('60', '100', '0', '1500'));

/** Primitives that every link type has. */
const anywhere = fc.oneof(host, ports, protocol, comparison, comparison, length);

/** Those that only Ethernet has. */
const ethernetOnly = fc.oneof(
  phrase(oneOf('ether', 'link'), direction, oneOf('host'), oneOf('02:00:5e:10:00:01', '02-00-5e-10-00-02')),
  oneOf(
    'broadcast',
    'multicast',
    'ether multicast',
    'iso',
    'stp',
    'ipx',
    'netbeui',
    'atalk',
    'aarp',
    'decnet',
  ),
  oneOf('isis', 'clnp', 'esis', 'llc', 'llc u', 'llc xid', 'llc i', 'llc s', 'pppoed', 'ether proto 0x88cc'),
);

/** Encapsulations: what follows them is about what is inside. */
const tunnels = oneOf('vlan', 'vlan 5', 'vlan and vlan', 'mpls', 'mpls 5', 'pppoes', 'pppoes 7');

function combine(primitive: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const { expression } = fc.letrec<{ expression: string; term: string }>((tie) => ({
    term: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      { weight: 5, arbitrary: primitive },
      { weight: 1, arbitrary: fc.tuple(oneOf('not', '!'), tie('term')).map(([n, term]) => `${n} (${term})`) },
      { weight: 2, arbitrary: tie('expression').map((inner) => `(${inner})`) },
    ),
    expression: fc
      .tuple(tie('term'), fc.array(fc.tuple(oneOf('and', 'or', '&&', '||'), tie('term')), { maxLength: 3 }))
      .map(([first, rest]) => [first, ...rest.flat()].join(' ')),
  }));
  return expression;
}

/** Expressions for any link type. */
export const anyExpression: fc.Arbitrary<string> = combine(anywhere);

/** Expressions for Ethernet without encapsulations. */
export const ethernetExpression: fc.Arbitrary<string> = combine(
  fc.oneof({ weight: 3, arbitrary: anywhere }, { weight: 1, arbitrary: ethernetOnly }),
);

/** Primitives that can stand after `mpls`, where only IP can be recognised. */
const ipOnly = fc.oneof(
  ports,
  oneOf('ip', 'ip6', 'tcp', 'udp', 'icmp', 'ip host 198.18.0.1', 'tcp[13] & 2 != 0', 'ip[8] > 5'),
);

/** A conjunction in which some terms enter a tunnel. */
export const tunnelExpression: fc.Arbitrary<string> = fc
  .tuple(tunnels, fc.array(ipOnly, { minLength: 0, maxLength: 3 }))
  .map((terms) =>
    terms
      .flat()
      .map((term) => (term.includes(' or ') || term.includes('||') ? `(${term})` : term))
      .join(' and '),
  );
