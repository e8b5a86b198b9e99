/**
 * What a metric is: a column of numbers about all things of a kind, and how it becomes samples with labels. The metrics
 * themselves are in families/, a kind of thing each; catalogue.ts has them all.
 */
import type {
  DescriptorStatus,
  DirectionStatus,
  EmulatorControl,
  Histogram,
  InterfaceStatus,
  SwitchStatus,
  WorkerStatus,
} from '../daemon/contract.ts';
import { UPPER_BOUNDS_NS } from '../engine/histogram.ts';
import { OVERLOAD_CAUSES } from '../link/overload.ts';
import { DROP_REASONS } from '../link/settings.ts';

export type Label =
  | 'lab'
  | 'version'
  | 'node'
  | 'interface'
  | 'kind'
  | 'link'
  | 'direction'
  | 'from'
  | 'to'
  | 'reason'
  | 'cause'
  | 'switch'
  | 'rule'
  | 'descriptor'
  | 'worker'
  | 'le';

/** What the labels say, and how many values they take. */
export const LABELS: Readonly<Record<Label, string>> = {
  lab: 'name of the lab: one',
  version: 'version of taplab: one',
  node: 'version of Node: one',
  interface: '`NODE:NAME`, from the lab file',
  kind: 'kind of device: one for each interface',
  link: 'name of the link, from the lab file',
  direction: '`forward`, from the first endpoint to the second, or `reverse`',
  from: 'the interface whose frames it carries: one for each direction',
  to: 'the interface that gets them: one for each direction',
  reason: `why the frame was dropped: ${DROP_REASONS.map((reason) => `\`${reason}\``).join(', ')}`,
  cause: `why the emulator is the bottleneck: ${OVERLOAD_CAUSES.map((cause) => `\`${cause}\``).join(', ')}`,
  switch: 'name of the switch or hub, from the lab file',
  rule: "place of a rule among those of its direction, from 0: what it matches is in the lab's settings, not here",
  descriptor: 'number of a descriptor, as `taplab stats` shows it; its series end when it is closed',
  worker: 'number of a data-plane thread, from 0',
  le: `upper bound of a bucket: ${UPPER_BOUNDS_NS.map((bound) => bound / 1e9).join(', ')}, +Inf`,
};

export type LabelValues = Readonly<Partial<Record<Label, string>>>;
/** `suffix` is `_bucket`, `_sum` or `_count` for a histogram, and nothing else. */
export type Sample = readonly [labels: LabelValues, value: number, suffix?: string];

/** What metrics are about, and what there is one series of each metric for. */
export type Family = {
  readonly title: string;
  readonly each:
    | 'lab'
    | 'interface'
    | 'direction of a link'
    | 'rule of a direction'
    | 'switch or hub'
    | 'attached descriptor'
    | 'worker';
  readonly labels: readonly Label[];
  readonly metrics: readonly MetricDefinition[];
};

export type MetricDefinition = {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Those of its family, and its own. */
  readonly labels: readonly Label[];
  /** How many series there are for each thing of its family. */
  readonly series: number;
  readonly samples: (state: State) => Sample[];
};

/** What the emulator says at one moment. */
export type State = {
  readonly lab: string;
  readonly interfaces: readonly InterfaceStatus[];
  readonly directions: readonly LabelledDirection[];
  readonly switches: readonly SwitchStatus[];
  readonly descriptors: readonly DescriptorStatus[];
  readonly workers: readonly WorkerStatus[];
};

type LabelledDirection = DirectionStatus & { readonly link: string; readonly direction: Side };
type Side = 'forward' | 'reverse';

/** Reads everything once, for one scrape. */
export function stateOf(emulator: EmulatorControl): State {
  return {
    lab: emulator.lab.name,
    interfaces: emulator.interfaces(),
    directions: emulator.links().flatMap((link) =>
      (['forward', 'reverse'] as const).map((direction) => ({
        ...link[direction],
        // What holds, while a schedule or Markov states change them.
        settings: link[direction].now ?? link[direction].settings,
        link: link.name,
        direction,
      })),
    ),
    switches: emulator.switches(),
    descriptors: emulator.descriptors().map((handle) => handle.status()),
    workers: emulator.workers(),
  };
}

/**
 * A metric of each thing of a kind: a value, or none of it; several, which differ in labels of their own; or a
 * histogram.
 */
type Column<Thing> = { readonly name: string; readonly help: string } & (
  | { readonly value: (thing: Thing) => number | undefined }
  | {
      readonly labels: readonly Label[];
      readonly series?: number;
      readonly values: (thing: Thing) => readonly Sample[];
    }
  | { readonly histogram: (thing: Thing) => Histogram }
);

/** Metrics of each of the things that the state has of a kind, labelled as these are. */
export function family<Thing>(
  about: Omit<Family, 'metrics'>,
  things: (state: State) => readonly Thing[],
  labelsOf: (thing: Thing) => LabelValues,
  columns: readonly Column<Thing>[],
): Family {
  const metrics = columns.map((column): MetricDefinition => {
    const { name, help } = column;
    const { type, own, series, values } = shapeOf(column);
    const samples = (state: State): Sample[] =>
      things(state).flatMap((thing) =>
        values(thing).map(
          ([labels, value, suffix = '']): Sample => [{ ...labelsOf(thing), ...labels }, value, suffix],
        ),
      );
    return { name, help, type, labels: [...about.labels, ...own], series, samples };
  });
  return { ...about, metrics };
}

/** What a column's metric looks like: its type, its own labels, how many series, and the values of one thing. */
function shapeOf<Thing>(column: Column<Thing>): Pick<MetricDefinition, 'type' | 'series'> & {
  readonly own: readonly Label[];
  readonly values: (thing: Thing) => readonly Sample[];
} {
  if ('histogram' in column) {
    // The buckets with the one without bound, the sum, and the count.
    const series = UPPER_BOUNDS_NS.length + 3;
    const values = (thing: Thing): Sample[] => histogramSamples(column.histogram(thing));
    return { type: 'histogram', own: ['le'], series, values };
  }
  const type = column.name.endsWith('_total') ? 'counter' : 'gauge';
  if ('values' in column)
    return { type, own: column.labels, series: column.series ?? 1, values: column.values };
  const values = (thing: Thing): Sample[] => {
    const value = column.value(thing);
    return value === undefined ? [] : [[{}, value]];
  };
  return { type, own: [], series: 1, values };
}

/** In seconds, and cumulative, as Prometheus wants them. */
function histogramSamples({ upperBoundsNs, counts, sumNs }: Histogram): Sample[] {
  let total = 0;
  const buckets = counts.map((count, i): Sample => {
    total += count;
    const bound = upperBoundsNs[i];
    return [{ le: bound === undefined ? '+Inf' : String(bound / 1e9) }, total, '_bucket'];
  });
  return [...buckets, [{}, sumNs / 1e9, '_sum'], [{}, total, '_count']];
}
