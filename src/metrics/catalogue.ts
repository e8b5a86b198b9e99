/**
 * Every metric of taplab: its name, what it means, its labels, and where its value is found. metrics.ts hands them to
 * Prometheus and reference.ts writes docs/metrics.md from the same list.
 *
 * Names and labels are a contract: base units, `_total` for what only grows. A label's values come from the lab file,
 * from a fixed list, or are the number of a descriptor, so that there are never more series than the lab has parts.
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
import { bytesFor } from '../link/queue/limit.ts';
import { DROP_REASONS } from '../link/settings.ts';
import { VERSION } from '../package.ts';

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

function family<Thing>(
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

const EMULATOR: Family = family(
  { title: 'The emulator', each: 'lab', labels: [] },
  (state) => [state],
  () => ({}),
  [
    {
      name: 'taplab_build_info',
      help: 'Always 1; the versions are in the labels.',
      labels: ['version', 'node'],
      values: () => [[{ version: VERSION, node: process.version }, 1]],
    },
    {
      name: 'taplab_lab_info',
      help: 'Always 1; the lab that is up is in the label.',
      labels: ['lab'],
      values: ({ lab }) => [[{ lab }, 1]],
    },
  ],
);

const INTERFACES: Family = family(
  { title: 'Interfaces', each: 'interface', labels: ['interface'] },
  (state) => state.interfaces,
  (each) => ({ interface: each.name }),
  [
    {
      name: 'taplab_interface_info',
      help: 'Always 1; what the interface is, in the labels.',
      labels: ['kind'],
      values: ({ kind }) => [[{ kind }, 1]],
    },
    {
      name: 'taplab_interface_up',
      help: '1 while the device works, 0 once it is gone, and until its node has joined.',
      value: ({ up }) => (up ? 1 : 0),
    },
    {
      name: 'taplab_interface_mtu_bytes',
      help: 'Longest frame, without the link header.',
      value: ({ mtu }) => mtu,
    },
    {
      name: 'taplab_interface_receive_frames_total',
      help: 'Frames that the node sent and taplab read.',
      value: ({ receive }) => receive.frames,
    },
    {
      name: 'taplab_interface_receive_bytes_total',
      help: 'Bytes that the node sent and taplab read.',
      value: ({ receive }) => receive.bytes,
    },
    {
      name: 'taplab_interface_transmit_frames_total',
      help: 'Frames that taplab wrote to the node.',
      value: ({ transmit }) => transmit.frames,
    },
    {
      name: 'taplab_interface_transmit_bytes_total',
      help: 'Bytes that taplab wrote to the node.',
      value: ({ transmit }) => transmit.bytes,
    },
    {
      name: 'taplab_interface_descriptors',
      help: 'BPF descriptors attached.',
      value: ({ descriptors }) => descriptors,
    },
    {
      name: 'taplab_interface_filters_compiled',
      help: '1 when its filters run compiled to WebAssembly, 0 while they are interpreted.',
      value: ({ filterEngine }) => (filterEngine === 'wasm' ? 1 : 0),
    },
  ],
);

const LINKS: Family = family(
  { title: 'Links', each: 'direction of a link', labels: ['link', 'direction'] },
  (state) => state.directions,
  ({ link, direction }) => ({ link, direction }),
  [
    {
      name: 'taplab_link_info',
      help: 'Always 1; from where to where the direction leads, in the labels.',
      labels: ['from', 'to'],
      values: ({ from, to }) => [[{ from, to }, 1]],
    },
    {
      name: 'taplab_link_offered_frames_total',
      help: 'Frames offered to the link.',
      value: ({ offered }) => offered.frames,
    },
    {
      name: 'taplab_link_offered_bytes_total',
      help: 'Bytes offered to the link.',
      value: ({ offered }) => offered.bytes,
    },
    {
      name: 'taplab_link_delivered_frames_total',
      help: 'Frames delivered at the other end of the link.',
      value: ({ delivered }) => delivered.frames,
    },
    {
      name: 'taplab_link_delivered_bytes_total',
      help: 'Bytes delivered at the other end of the link.',
      value: ({ delivered }) => delivered.bytes,
    },
    {
      name: 'taplab_link_delayed_frames_total',
      help: 'Frames held back by delay or rate before they were delivered.',
      value: ({ delayed }) => delayed,
    },
    {
      name: 'taplab_link_duplicated_frames_total',
      help: 'Copies of frames that the link made.',
      value: ({ duplicated }) => duplicated,
    },
    {
      name: 'taplab_link_drops_total',
      help: 'Frames dropped by the link.',
      labels: ['reason'],
      series: DROP_REASONS.length,
      values: ({ drops }) => DROP_REASONS.map((reason) => [{ reason }, drops[reason]]),
    },
    {
      name: 'taplab_link_queue_bytes',
      help: 'Bytes that wait in front of the rate limiter.',
      value: ({ queueBytes }) => queueBytes,
    },
    {
      name: 'taplab_link_queue_frames',
      help: 'Frames that wait in front of the rate limiter.',
      value: ({ queueFrames }) => queueFrames,
    },
    {
      name: 'taplab_link_in_flight_frames',
      help: 'Frames in the link: in its queue or under way.',
      value: ({ inFlight }) => inFlight,
    },
    {
      name: 'taplab_link_delay_error_seconds',
      help: 'How long after the moment that delay and rate asked for frames were delivered.',
      histogram: ({ delayError }) => delayError,
    },
    {
      name: 'taplab_link_overloaded',
      help: '1 while the emulator itself is the bottleneck: frames come over 1 ms late, there are no slots for them, or the worker is busy all the time.',
      labels: ['cause'],
      series: OVERLOAD_CAUSES.length,
      values: ({ overloaded }) =>
        OVERLOAD_CAUSES.map((cause) => [{ cause }, overloaded.includes(cause) ? 1 : 0]),
    },
    {
      name: 'taplab_link_configured_delay_seconds',
      help: 'Delay that the link is set to.',
      value: ({ settings }) => settings.delayNs / 1e9,
    },
    {
      name: 'taplab_link_configured_jitter_seconds',
      help: 'Variation of the delay that the link is set to.',
      value: ({ settings }) => settings.jitterNs / 1e9,
    },
    {
      name: 'taplab_link_configured_loss_ratio',
      help: 'Share of frames that the link is set to lose at random, 0 to 1; absent while a model decides.',
      value: ({ settings }) => (settings.lossModel === null ? settings.loss : undefined),
    },
    {
      name: 'taplab_link_configured_rate_bytes_per_second',
      help: 'Rate that the link is set to; absent while it is unlimited.',
      value: ({ settings }) => (settings.rateBitsPerSecond > 0 ? settings.rateBitsPerSecond / 8 : undefined),
    },
    {
      name: 'taplab_link_configured_queue_limit_bytes',
      help: 'Bytes that may wait in front of the rate limiter before frames are dropped; absent without limit.',
      value: ({ settings }) => bytesFor(settings, settings.rateBitsPerSecond) || undefined,
    },
  ],
);

const RULES: Family = family(
  { title: 'Rules of links', each: 'rule of a direction', labels: ['link', 'direction', 'rule'] },
  ({ directions }) =>
    directions.flatMap(({ link, direction, rules }) =>
      rules.map((rule, index) => ({ ...rule, link, direction, index })),
    ),
  ({ link, direction, index }) => ({ link, direction, rule: String(index) }),
  [
    {
      name: 'taplab_link_rule_matched_frames_total',
      help: 'Frames that the filter of the rule matched.',
      value: ({ matched }) => matched.frames,
    },
    {
      name: 'taplab_link_rule_matched_bytes_total',
      help: 'Bytes of those frames.',
      value: ({ matched }) => matched.bytes,
    },
    {
      name: 'taplab_link_rule_drops_total',
      help: 'Frames that the rule dropped itself.',
      value: ({ dropped }) => dropped,
    },
  ],
);

const DESCRIPTORS: Family = family(
  {
    title: 'BPF descriptors',
    each: 'attached descriptor',
    labels: ['interface', 'descriptor'],
  },
  (state) => state.descriptors,
  (each) => ({ interface: each.interface, descriptor: String(each.id) }),
  [
    {
      name: 'taplab_bpf_received_total',
      help: 'Frames that the descriptor saw, before its filter.',
      value: ({ received }) => received,
    },
    {
      name: 'taplab_bpf_accepted_total',
      help: 'Frames that its filter accepted.',
      value: ({ accepted }) => accepted,
    },
    {
      name: 'taplab_bpf_dropped_total',
      help: 'Accepted frames for which its buffers had no room.',
      value: ({ dropped }) => dropped,
    },
    {
      name: 'taplab_bpf_captured_bytes_total',
      help: 'Bytes stored in its buffers.',
      value: ({ capturedBytes }) => capturedBytes,
    },
    {
      name: 'taplab_bpf_written_frames_total',
      help: 'Frames sent to the node through the descriptor.',
      value: ({ written }) => written,
    },
    {
      name: 'taplab_bpf_write_filtered_frames_total',
      help: 'Frames that its write filter refused.',
      value: ({ writeFiltered }) => writeFiltered,
    },
    {
      name: 'taplab_bpf_write_dropped_frames_total',
      help: 'Frames written through it that could not be sent for another reason.',
      value: ({ writeDropped }) => writeDropped,
    },
    {
      name: 'taplab_bpf_buffered_bytes',
      help: 'Bytes of records that wait for its reader.',
      value: ({ storeBytes, holdBytes }) => storeBytes + holdBytes,
    },
    {
      name: 'taplab_bpf_filter_instructions',
      help: 'Length of its filter program.',
      value: ({ instructions }) => instructions,
    },
    {
      name: 'taplab_bpf_buffer_bytes',
      help: 'Size of each of its two buffers.',
      value: ({ bufferBytes }) => bufferBytes,
    },
  ],
);

const SWITCHES: Family = family(
  { title: 'Switches and hubs', each: 'switch or hub', labels: ['switch'] },
  (state) => state.switches,
  ({ name }) => ({ switch: name }),
  [
    {
      name: 'taplab_switch_forwarded_frames_total',
      help: 'Frames sent to the one port where their destination is.',
      value: ({ forwarded }) => forwarded,
    },
    {
      name: 'taplab_switch_flooded_frames_total',
      help: 'Frames sent to all ports of their VLAN: for a group, or for an address that is not known.',
      value: ({ flooded }) => flooded,
    },
    {
      name: 'taplab_switch_filtered_frames_total',
      help: 'Frames sent nowhere: meant for where they came from, or for bridges only.',
      value: ({ filtered }) => filtered,
    },
    {
      name: 'taplab_switch_vlan_refused_frames_total',
      help: 'Frames of a VLAN that their port does not carry.',
      value: ({ vlanRefused }) => vlanRefused,
    },
    {
      name: 'taplab_switch_addresses',
      help: 'Addresses that are known.',
      value: ({ addresses }) => addresses,
    },
    {
      name: 'taplab_switch_address_room',
      help: 'Addresses that can be known.',
      value: ({ addressRoom }) => addressRoom,
    },
    {
      name: 'taplab_switch_learned_addresses_total',
      help: 'Addresses that were learned.',
      value: ({ learned }) => learned,
    },
    {
      name: 'taplab_switch_moved_addresses_total',
      help: 'Addresses that were known at another port until then: many are the sign of a loop.',
      value: ({ moved }) => moved,
    },
    {
      name: 'taplab_switch_not_learned_addresses_total',
      help: 'Addresses that were not learned for want of room.',
      value: ({ notLearned }) => notLearned,
    },
  ],
);

const WORKERS: Family = family(
  { title: 'Workers', each: 'worker', labels: ['worker'] },
  (state) => state.workers,
  ({ index }) => ({ worker: String(index) }),
  [
    {
      name: 'taplab_worker_up',
      help: '1 while the thread runs; without it the lab goes down.',
      value: ({ alive }) => (alive ? 1 : 0),
    },
    {
      name: 'taplab_worker_busy_seconds_total',
      help: 'Time not spent waiting for frames, deadlines and commands.',
      value: ({ busyNs }) => busyNs / 1e9,
    },
    {
      name: 'taplab_worker_spin_seconds_total',
      help: 'Time in which it waited on the clock for links with high precision: not busy, but of a core.',
      value: ({ spinNs }) => spinNs / 1e9,
    },
    {
      name: 'taplab_worker_wakeups_total',
      help: 'How often it has waited for frames, deadlines and commands.',
      value: ({ iterations }) => iterations,
    },
    {
      name: 'taplab_worker_loop_lag_seconds',
      help: 'How late timers ran: the earliest one, each time any was due.',
      histogram: ({ loopLag }) => loopLag,
    },
    {
      name: 'taplab_worker_frame_slots',
      help: 'Frames that its links can hold together.',
      value: ({ slots }) => slots,
    },
    {
      name: 'taplab_worker_frame_slots_used',
      help: 'Frames that they hold.',
      value: ({ slotsUsed }) => slotsUsed,
    },
    {
      name: 'taplab_worker_taps_total',
      help: 'Frames shown to the descriptors of an interface.',
      value: ({ taps }) => taps,
    },
    {
      name: 'taplab_worker_timed_taps_total',
      help: 'Those of them whose filtering and copying was timed, one in 64.',
      value: ({ timedTaps }) => timedTaps,
    },
    {
      name: 'taplab_worker_timed_taps_seconds_total',
      help: 'What the timed ones took: divided by their number, what a frame costs in filters.',
      value: ({ timedTapsNs }) => timedTapsNs / 1e9,
    },
  ],
);

export const FAMILIES: readonly Family[] = [
  EMULATOR,
  INTERFACES,
  LINKS,
  RULES,
  SWITCHES,
  DESCRIPTORS,
  WORKERS,
];
