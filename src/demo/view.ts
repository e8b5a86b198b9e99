/** What the demo shows: a table that repaints itself on a terminal, a line each second elsewhere, and the report. */
import { count, plural, si } from '../cli/format.ts';
import { numbers, table, texts } from '../cli/table.ts';
import type { Terminal } from '../cli/terminal.ts';
import type { DescriptorResource } from '../control/schemas/resources.ts';
import type { DirectionStatus, LinkStatus } from '../daemon/contract.ts';
import type { TrafficResult } from './stage.ts';

/** The lab at the end of one of its seconds. */
export type Sample = {
  readonly second: number;
  readonly link: LinkStatus;
  /** The descriptors whose filters are shown. */
  readonly descriptors: readonly DescriptorResource[];
};

/** A narrower terminal would break lines, and the table could not be painted over. */
const LEAST_COLUMNS = 80;
const RULE = '─'.repeat(LEAST_COLUMNS - 2);

export class LiveView {
  readonly #terminal: Terminal;
  readonly #repaints: boolean;
  #before: Sample | undefined;
  #painted = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    const { out } = terminal;
    const columns = 'columns' in out && typeof out.columns === 'number' ? out.columns : 0;
    this.#repaints = out.isTTY === true && columns >= LEAST_COLUMNS;
  }

  /** Shows a sample; rates are taken from the one before, which was a second earlier. */
  show(sample: Sample): void {
    const lines = this.#repaints ? this.#tables(sample) : [line(sample, this.#before)];
    if (this.#repaints && this.#painted > 0) this.#terminal.out.write(`\u001b[${this.#painted}A\u001b[J`);
    for (const each of lines) this.#terminal.print(each);
    this.#painted = lines.length;
    this.#before = sample;
  }

  /** Prints a line that stays; the table goes on below it. */
  note(text: string): void {
    this.#terminal.print(text);
    this.#painted = 0;
  }

  #tables(sample: Sample): string[] {
    const { link, descriptors, second } = sample;
    const before = this.#before?.link;
    const directions = table(
      this.#terminal,
      [...texts(`second ${second}`), ...numbers('frames/s', 'rate', 'queue', 'delayed', 'lost')],
      [directionRow(link.forward, before?.forward), directionRow(link.reverse, before?.reverse)],
    );
    if (descriptors.length === 0) return [RULE, ...directions];
    const filters = table(
      this.#terminal,
      [...texts('filter', 'on'), ...numbers('matched', 'of')],
      descriptors.map((each) => [each.filter, each.interface, count(each.accepted), count(each.received)]),
    );
    return [RULE, ...directions, '', ...filters];
  }
}

function directionRow(now: DirectionStatus, before: DirectionStatus | undefined): string[] {
  return [
    `${nodeOf(now.from)} → ${nodeOf(now.to)}`,
    count(now.delivered.frames - (before?.delivered.frames ?? 0)),
    si((now.delivered.bytes - (before?.delivered.bytes ?? 0)) * 8, 'bit/s'),
    si(now.queueBytes, 'B'),
    count(now.delayed),
    count(lost(now)),
  ];
}

/** `client` of `client:eth0`. */
function nodeOf(interfaceName: string): string {
  return interfaceName.slice(0, interfaceName.indexOf(':'));
}

function line({ second, link, descriptors }: Sample, before: Sample | undefined): string {
  const direction = (now: DirectionStatus, earlier: DirectionStatus | undefined): string => {
    const [name, frames, rate, queue] = directionRow(now, earlier);
    return `${name} ${frames} frames/s ${rate} queue ${queue}`;
  };
  const matches = descriptors.map((each) => `${each.filter} ${count(each.accepted)}/${count(each.received)}`);
  const parts = [
    direction(link.forward, before?.link.forward),
    direction(link.reverse, before?.link.reverse),
    `lost ${count(lost(link.forward) + lost(link.reverse))}`,
    ...matches,
  ];
  return `${String(second).padStart(2)}s  ${parts.join(' | ')}`;
}

function lost({ drops }: DirectionStatus): number {
  return Object.values(drops).reduce((sum, each) => sum + each, 0);
}

export type Report = {
  readonly link: LinkStatus;
  readonly descriptors: readonly DescriptorResource[];
  readonly traffic: TrafficResult;
  readonly capture: { readonly path: string; readonly frames: number; readonly dropped: number };
};

/** The lines of the closing report. */
export function reportLines(terminal: Terminal, { link, descriptors, traffic, capture }: Report): string[] {
  const directions = [link.forward, link.reverse];
  const total = (value: (direction: DirectionStatus) => number): number =>
    directions.reduce((sum, each) => sum + value(each), 0);
  const reasons = Object.keys(link.forward.drops) as (keyof DirectionStatus['drops'])[];
  const lostBy = reasons
    .map((reason) => [reason, total(({ drops }) => drops[reason])] as const)
    .filter(([, frames]) => frames > 0)
    .map(([reason, frames]) => `${count(frames)} by ${reason}`);
  const { ping, tcp } = traffic;
  const rtt = ping.rttMs === undefined ? '' : `, round trip ${ping.rttMs.median.toFixed(1)} ms at the median`;
  const rows: [string, string][] = [
    [
      'sent',
      `${plural(
        total(({ offered }) => offered.frames),
        'frame',
      )}, ${si(
        total(({ offered }) => offered.bytes),
        'B',
      )}, in both directions`,
    ],
    [
      'delayed',
      plural(
        total(({ delayed }) => delayed),
        'frame',
      ),
    ],
    ['lost', `${plural(total(lost), 'frame')}${lostBy.length > 0 ? `: ${lostBy.join(', ')}` : ''}`],
    ...descriptors.map((each): [string, string] => [
      'matched',
      `${each.filter} ${count(each.accepted)} of ${plural(each.received, 'frame')} on ${each.interface}`,
    ]),
    ['pings', `${count(ping.received)} of ${count(ping.sent)} answered${rtt}`],
    [
      'tcp',
      `${plural(tcp.connections, 'transfer')}, ${si(tcp.bytes, 'B')}, ${si(tcp.bitsPerSecond, 'bit/s')}`,
    ],
    [
      'capture',
      `${capture.path} (${plural(capture.frames, 'frame')}${
        capture.dropped > 0 ? `, ${count(capture.dropped)} missed` : ''
      }); open it in Wireshark`,
    ],
  ];
  return rows.map(([name, text]) => `  ${terminal.paint('bold', name.padEnd(8))} ${text}`);
}
