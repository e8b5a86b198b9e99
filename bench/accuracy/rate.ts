/** How fast links are that were told how fast to be, and what TCP reaches over a long one. */
import { tcp } from '../net/work.ts';
import { median } from '../vm/contender.ts';
import { CLEAR, type EmulatedLink, type Setting } from './emulators.ts';
import { HEADER_BYTES, sendProbes } from './probes.ts';
import { type Field, measureInTurns } from './turns.ts';

type RateSetting = Setting & {
  readonly protocol: 'TCP' | 'UDP';
  /** Of frames; absent when nothing limits them. */
  readonly mbitPerSecond?: number;
};

/** What a link of 20 Mbit/s may hold back is what taplab holds back unless told otherwise. */
const TWENTY = { taplab: 'rate 20mbit', wirefilter: ['-b', '2500000', '-c', '262144'], mbitPerSecond: 20 };
const SETTINGS: readonly RateSetting[] = [
  { ...TWENTY, protocol: 'TCP' },
  { ...TWENTY, protocol: 'UDP' },
  { ...CLEAR, protocol: 'TCP' },
  { taplab: 'delay 10ms', wirefilter: ['-d', '10'], protocol: 'TCP' },
  { taplab: 'delay 10ms rate 5gbit', protocol: 'TCP', mbitPerSecond: 5000 },
];

/** Of a full frame: Ethernet's, IPv4's and TCP's headers, the last with time stamps; without the check sequence. */
const FRAME_BYTES = 1514;
const TCP_PAYLOAD_BYTES = 1448;
const UDP_PAYLOAD_BYTES = FRAME_BYTES - HEADER_BYTES;
/** Slow start and the first losses do not count; one second after them is too short to speak of a rate. */
const TCP_OPTIONS = { omitSeconds: 1, congestionControl: 'cubic' };
const LEAST_TCP_SECONDS = 2;
/** How much more UDP sends than the link carries. */
const EXCESS = 1.25;

/** Mbit/s of payload, medians over the rounds. */
export type RateResult = {
  readonly name: string;
  readonly asked: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly mbitPerSecond: number;
  /** What is left of the rate without headers. */
  readonly expectedMbitPerSecond?: number;
};

export async function measureRate(field: Field): Promise<RateResult[]> {
  const all = await measureInTurns(field, 'rate', SETTINGS, (link, setting) =>
    setting.protocol === 'TCP'
      ? tcpMbitPerSecond(link, field.seconds)
      : udpMbitPerSecond(link, setting.mbitPerSecond!, field),
  );
  return all.map(({ name, setting: { taplab, protocol, mbitPerSecond }, samples }) => {
    const payload = protocol === 'TCP' ? TCP_PAYLOAD_BYTES : UDP_PAYLOAD_BYTES;
    return {
      name,
      asked: taplab,
      protocol,
      mbitPerSecond: median(samples),
      ...(mbitPerSecond !== undefined && {
        expectedMbitPerSecond: (mbitPerSecond * payload) / FRAME_BYTES,
      }),
    };
  });
}

async function tcpMbitPerSecond(link: EmulatedLink, seconds: number): Promise<number> {
  return (await tcp(link, Math.max(LEAST_TCP_SECONDS, seconds), TCP_OPTIONS)) * 1000;
}

async function udpMbitPerSecond({ pair }: EmulatedLink, rate: number, field: Field): Promise<number> {
  const perSecond = Math.round((rate * EXCESS * 1e6) / (8 * FRAME_BYTES));
  const plan = { bytes: UDP_PAYLOAD_BYTES, perSecond, count: Math.round(perSecond * field.seconds) };
  const arrivals = await sendProbes(pair, field.program, plan);
  const [first, last] = [arrivals[0], arrivals.at(-1)];
  if (arrivals.length < 2) throw new Error('no datagrams arrived');
  return ((arrivals.length - 1) * UDP_PAYLOAD_BYTES * 8e3) / (last!.arrivedNs - first!.arrivedNs);
}

/** As Markdown. */
export function formatRate(results: readonly RateResult[]): string {
  const rows = results.map(({ name, asked, protocol, mbitPerSecond, expectedMbitPerSecond: expected }) =>
    [
      asked === '' ? 'no impairment' : `\`${asked}\``,
      protocol,
      name,
      mbitPerSecond.toFixed(mbitPerSecond < 100 ? 3 : 0),
      ...(expected === undefined
        ? ['-', '-']
        : [expected.toFixed(expected < 100 ? 3 : 0), `${((100 * mbitPerSecond) / expected).toFixed(1)} %`]),
    ].join(' | '),
  );
  return `## Rate

Mbit/s of payload; expected: what frames of ${FRAME_BYTES} bytes leave of the rate. TCP: one connection (iperf3, cubic), from its second
second on, windows of up to 64 MiB. UDP: sent at ${EXCESS} times the rate.

| asked | | | measured | expected | reached |
|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`;
}
