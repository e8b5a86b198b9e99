/** `taplab stats`: counters, and the rates at which they grow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { DescriptorResource, LabResource } from '../../control/schemas/resources.ts';
import type {
  Counters,
  DirectionStatus,
  InterfaceStatus,
  LinkStatus,
  SwitchStatus,
  WorkerStatus,
} from '../../daemon/contract.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import type { Context } from '../context.ts';
import { count, si } from '../format.ts';
import { interfaceState } from '../interface-state.ts';
import { overloadLines, quantile } from '../lateness.ts';
import { settingsText } from '../link-change.ts';
import { type Cell, numbers, table, texts } from '../table.ts';
import type { Terminal } from '../terminal.ts';

type Sample = {
  readonly time: string;
  readonly nodes: LabResource['nodes'];
  readonly interfaces: readonly InterfaceStatus[];
  readonly links: readonly LinkStatus[];
  readonly switches: readonly SwitchStatus[];
  readonly descriptors: readonly DescriptorResource[];
  readonly workers: readonly WorkerStatus[];
};

type StatsOptions = { readonly json?: true; readonly watch?: true; readonly interval: number };

export function statsCommand(context: Context): Command {
  return new Command('stats')
    .summary('show counters and rates')
    .description(
      'Shows the counters of interfaces, links, switches and descriptors, and the rates over an interval.',
    )
    .option('-w, --watch', 'go on until Ctrl-C')
    .option('--interval <ms>', 'over which rates are measured', wholeNumber(50), 1000)
    .addOption(jsonOption('print the counters as JSON, at once; with --watch a line per interval'))
    .addHelpText(
      'after',
      `
Examples:
  $ taplab stats --watch
  $ taplab stats --json | jq '.links[].forward.drops'`,
    )
    .action((options: StatsOptions) =>
      options.json ? printJson(context, options) : printTables(context, options),
    );
}

async function printJson(context: Context, { watch, interval }: StatsOptions): Promise<void> {
  do {
    context.terminal.printJson(await sample(context));
    if (watch) await sleep(interval);
  } while (watch);
}

async function printTables(context: Context, { watch, interval }: StatsOptions): Promise<void> {
  let before = await sample(context);
  do {
    await sleep(interval);
    const now = await sample(context);
    if (watch) context.terminal.newScreen();
    for (const line of lines(context.terminal, before, now)) context.terminal.print(line);
    before = now;
  } while (watch);
}

async function sample({ client }: Context): Promise<Sample> {
  const [{ nodes }, interfaces, links, switches, descriptors, workers] = await Promise.all([
    client.lab(),
    client.interfaces(),
    client.links(),
    client.switches(),
    client.descriptors(),
    client.workers(),
  ]);
  return { time: new Date().toISOString(), nodes, interfaces, links, switches, descriptors, workers };
}

/** How fast counters grew between two samples. A counter that was reset counts from zero. */
class Rates {
  readonly #seconds: number;

  constructor(before: Sample, now: Sample) {
    this.#seconds = Math.max(0.001, (Date.parse(now.time) - Date.parse(before.time)) / 1000);
  }

  perSecond(before: number | undefined, now: number, unit: string): string {
    if (before === undefined) return '-';
    return si((now >= before ? now - before : now) / this.#seconds, unit);
  }

  /** Share of the time, from totals of nanoseconds. */
  share(before: number | undefined, now: number): string {
    return before === undefined ? '-' : `${((now - before) / this.#seconds / 1e7).toFixed(0)}%`;
  }

  of(before: Counters | undefined, now: Counters): [packets: string, bits: string] {
    const bits = before && before.bytes * 8;
    return [this.perSecond(before?.frames, now.frames, 'pps'), this.perSecond(bits, now.bytes * 8, 'bit/s')];
  }
}

function lines(terminal: Terminal, before: Sample, now: Sample): string[] {
  const rates = new Rates(before, now);
  return [
    ...interfaceTable(terminal, rates, before, now),
    ...(now.links.length > 0 ? ['', ...linkTable(terminal, rates, before, now), ...currentLines(now)] : []),
    ...(now.switches.length > 0 ? ['', ...switchTable(terminal, rates, before, now)] : []),
    ...(now.descriptors.length > 0 ? ['', ...descriptorTable(terminal, rates, before, now)] : []),
    '',
    ...workerTable(terminal, rates, before, now),
    ...overloadLines(terminal, now.links),
  ];
}

function interfaceTable(terminal: Terminal, rates: Rates, before: Sample, now: Sample): string[] {
  const rows = now.interfaces.map((each) => {
    const earlier = before.interfaces.find(({ name }) => name === each.name);
    return [
      each.name,
      count(each.receive.frames),
      ...rates.of(earlier?.receive, each.receive),
      count(each.transmit.frames),
      ...rates.of(earlier?.transmit, each.transmit),
      interfaceState(each, now.nodes),
    ];
  });
  const columns = [
    ...texts('INTERFACE'),
    ...numbers('RECEIVED', 'RATE', 'THROUGHPUT', 'TRANSMITTED', 'RATE', 'THROUGHPUT'),
    ...texts('STATE'),
  ];
  return table(terminal, columns, rows);
}

function linkTable(terminal: Terminal, rates: Rates, before: Sample, now: Sample): string[] {
  const row = (name: string, direction: string, each: DirectionStatus, earlier?: DirectionStatus): Cell[] => [
    name,
    direction,
    count(each.offered.frames),
    count(each.delivered.frames),
    ...rates.of(earlier?.delivered, each.delivered),
    count(each.delayed),
    `${count(each.queueBytes)} B`,
    count(each.inFlight),
    quantile(earlier?.delayError, each.delayError, 0.5),
    quantile(earlier?.delayError, each.delayError, 0.99),
    drops(each),
  ];
  const rows = now.links.flatMap((each) => {
    const earlier = before.links.find(({ name }) => name === each.name);
    return [
      row(each.name, 'forward', each.forward, earlier?.forward),
      row(each.name, 'reverse', each.reverse, earlier?.reverse),
    ];
  });
  const columns = [
    ...texts('LINK', 'DIRECTION'),
    ...numbers(
      'OFFERED',
      'DELIVERED',
      'RATE',
      'THROUGHPUT',
      'DELAYED',
      'QUEUE',
      'IN FLIGHT',
      'LATE P50',
      'P99',
    ),
    ...texts('DROPS'),
  ];
  return table(terminal, columns, rows);
}

/** What the settings of links that change by themselves come to. */
function currentLines({ links }: Sample): string[] {
  return links.flatMap(({ name, forward, reverse }) =>
    [forward, reverse].flatMap((each, i) =>
      each.now === null ? [] : [`${name} ${i === 0 ? 'forward' : 'reverse'}: ${settingsText(each)}`],
    ),
  );
}

function drops({ drops: reasons }: DirectionStatus): Cell {
  const some = Object.entries(reasons).filter(([, dropped]) => dropped > 0);
  if (some.length === 0) return '-';
  return { text: some.map(([reason, dropped]) => `${reason} ${count(dropped)}`).join(', '), color: 'red' };
}

function switchTable(terminal: Terminal, rates: Rates, before: Sample, now: Sample): string[] {
  const rows = now.switches.map((each) => {
    const earlier = before.switches.find(({ name }) => name === each.name);
    return [
      each.name,
      count(each.forwarded),
      rates.perSecond(earlier?.forwarded, each.forwarded, 'pps'),
      count(each.flooded),
      rates.perSecond(earlier?.flooded, each.flooded, 'pps'),
      count(each.filtered),
      count(each.vlanRefused),
      count(each.addresses),
      count(each.moved),
    ];
  });
  const columns = [
    ...texts('SWITCH'),
    ...numbers('FORWARDED', 'RATE', 'FLOODED', 'RATE', 'FILTERED', 'VLAN', 'ADDRESSES', 'MOVED'),
  ];
  return table(terminal, columns, rows);
}

function descriptorTable(terminal: Terminal, rates: Rates, before: Sample, now: Sample): string[] {
  const rows = now.descriptors.map((each): Cell[] => {
    const earlier = before.descriptors.find(({ id }) => id === each.id);
    return [
      String(each.id),
      each.interface,
      count(each.received),
      rates.perSecond(earlier?.received, each.received, 'pps'),
      count(each.accepted),
      rates.perSecond(earlier?.accepted, each.accepted, 'pps'),
      each.dropped > 0 ? { text: count(each.dropped), color: 'red' } : '0',
      each.filter || '(all)',
    ];
  });
  const columns = [
    ...numbers('ID'),
    ...texts('INTERFACE'),
    ...numbers('RECEIVED', 'RATE', 'ACCEPTED', 'RATE', 'DROPPED'),
    ...texts('FILTER'),
  ];
  return table(terminal, columns, rows);
}

function workerTable(terminal: Terminal, rates: Rates, before: Sample, now: Sample): string[] {
  const rows = now.workers.map((each): Cell[] => {
    const earlier = before.workers.find(({ index }) => index === each.index);
    return [
      String(each.index),
      rates.share(earlier?.busyNs, each.busyNs),
      rates.share(earlier?.spinNs, each.spinNs),
      quantile(earlier?.loopLag, each.loopLag, 0.5),
      quantile(earlier?.loopLag, each.loopLag, 0.99),
      `${count(each.slotsUsed)} of ${count(each.slots)}`,
    ];
  });
  return table(terminal, numbers('WORKER', 'BUSY', 'SPINNING', 'LAG P50', 'P99', 'FRAME SLOTS'), rows);
}
