/**
 * Prometheus metrics of a running emulator. The data plane counts in shared memory; nothing is counted here: each
 * scrape reads the totals as they are and hands them out, so a scrape that is lost or doubled changes no number, and
 * what has gone (a closed descriptor) is gone from the next scrape.
 *
 * This is the only file that knows prom-client. Names and labels are a contract, listed in docs and tests: base
 * units, `_total` for what only grows, labels from the lab file or from a fixed list.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type {
  DescriptorStatus,
  DirectionStatus,
  EmulatorControl,
  InterfaceStatus,
} from '../daemon/contract.ts';
import { DROP_REASONS } from '../link/settings.ts';
import { VERSION } from '../package.ts';

export type Metrics = {
  /** For the Content-Type header. */
  readonly contentType: string;
  /** The text format of Prometheus. */
  render(): Promise<string>;
};

/** Metrics of one emulator, in a registry of their own. */
export function createMetrics(emulator: EmulatorControl): Metrics {
  const registry = new Registry();
  const interfaces = new Family(registry, ['interface'], INTERFACE_COUNTERS, INTERFACE_GAUGES);
  const links = new Family(registry, ['link', 'direction'], LINK_COUNTERS, LINK_GAUGES);
  const descriptors = new Family(registry, ['interface', 'descriptor'], DESCRIPTOR_COUNTERS, []);
  const drops = new Counter({
    name: 'taplab_link_drops_total',
    help: 'Frames dropped by the link.',
    labelNames: ['link', 'direction', 'reason'],
    registers: [registry],
  });
  new Gauge({
    name: 'taplab_build_info',
    help: 'Always 1; the versions are in the labels.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version: VERSION, node: process.version }, 1);
  collectDefaultMetrics({ register: registry });

  const collect = (): void => {
    interfaces.read(emulator.interfaces().map((status) => [{ interface: status.name }, status]));
    descriptors.read(
      emulator.descriptors().map((handle) => {
        const status = handle.status();
        return [{ interface: status.interface, descriptor: String(status.id) }, status];
      }),
    );
    const directions = emulator.links().flatMap(({ name, forward, reverse }): LabelledDirection[] => [
      [{ link: name, direction: 'forward' }, forward],
      [{ link: name, direction: 'reverse' }, reverse],
    ]);
    links.read(directions);
    drops.reset();
    for (const [labels, status] of directions) {
      for (const reason of DROP_REASONS) drops.inc({ ...labels, reason }, status.drops[reason]);
    }
  };
  return {
    contentType: registry.contentType,
    render() {
      // collect() leaves every metric complete, and metrics() takes its snapshot of each at one moment: two renders
      // at the same time do not mix.
      collect();
      return registry.metrics();
    },
  };
}

type LabelledDirection = [{ link: string; direction: 'forward' | 'reverse' }, DirectionStatus];

/** A metric and where its value is found. */
type Column<Source> = {
  readonly name: string;
  readonly help: string;
  readonly value: (source: Source) => number;
};

const INTERFACE_COUNTERS: readonly Column<InterfaceStatus>[] = [
  {
    name: 'taplab_interface_receive_frames_total',
    help: 'Frames that the node sent and taplab read.',
    value: (status) => status.receive.frames,
  },
  {
    name: 'taplab_interface_receive_bytes_total',
    help: 'Bytes that the node sent and taplab read.',
    value: (status) => status.receive.bytes,
  },
  {
    name: 'taplab_interface_transmit_frames_total',
    help: 'Frames that taplab wrote to the node.',
    value: (status) => status.transmit.frames,
  },
  {
    name: 'taplab_interface_transmit_bytes_total',
    help: 'Bytes that taplab wrote to the node.',
    value: (status) => status.transmit.bytes,
  },
];

const INTERFACE_GAUGES: readonly Column<InterfaceStatus>[] = [
  {
    name: 'taplab_interface_up',
    help: '1 while the device works, 0 once it is gone.',
    value: (status) => (status.up ? 1 : 0),
  },
];

const LINK_COUNTERS: readonly Column<DirectionStatus>[] = [
  {
    name: 'taplab_link_offered_frames_total',
    help: 'Frames offered to the link.',
    value: (status) => status.offered.frames,
  },
  {
    name: 'taplab_link_offered_bytes_total',
    help: 'Bytes offered to the link.',
    value: (status) => status.offered.bytes,
  },
  {
    name: 'taplab_link_delivered_frames_total',
    help: 'Frames delivered at the other end of the link.',
    value: (status) => status.delivered.frames,
  },
  {
    name: 'taplab_link_delivered_bytes_total',
    help: 'Bytes delivered at the other end of the link.',
    value: (status) => status.delivered.bytes,
  },
  {
    name: 'taplab_link_delayed_frames_total',
    help: 'Frames held back by delay or rate before they were delivered.',
    value: (status) => status.delayed,
  },
];

const LINK_GAUGES: readonly Column<DirectionStatus>[] = [
  {
    name: 'taplab_link_queue_bytes',
    help: 'Bytes that wait in front of the rate limiter.',
    value: (status) => status.queueBytes,
  },
  {
    name: 'taplab_link_queue_frames',
    help: 'Frames that wait in front of the rate limiter.',
    value: (status) => status.queueFrames,
  },
  {
    name: 'taplab_link_in_flight_frames',
    help: 'Frames in the link: in its queue or under way.',
    value: (status) => status.inFlight,
  },
];

const DESCRIPTOR_COUNTERS: readonly Column<DescriptorStatus>[] = [
  {
    name: 'taplab_bpf_received_total',
    help: 'Frames that the descriptor saw, before its filter.',
    value: (status) => status.received,
  },
  {
    name: 'taplab_bpf_accepted_total',
    help: 'Frames that its filter accepted.',
    value: (status) => status.accepted,
  },
  {
    name: 'taplab_bpf_dropped_total',
    help: 'Accepted frames for which its buffers had no room.',
    value: (status) => status.dropped,
  },
];

/** Metrics with the same labels, read from the same kind of status. */
class Family<Source, Label extends string> {
  readonly #counters: readonly (readonly [Counter<Label>, Column<Source>['value']])[];
  readonly #gauges: readonly (readonly [Gauge<Label>, Column<Source>['value']])[];

  constructor(
    registry: Registry,
    labelNames: readonly Label[],
    counters: readonly Column<Source>[],
    gauges: readonly Column<Source>[],
  ) {
    const registers = [registry];
    this.#counters = counters.map(({ name, help, value }) => [
      new Counter({ name, help, labelNames, registers }),
      value,
    ]);
    this.#gauges = gauges.map(({ name, help, value }) => [
      new Gauge({ name, help, labelNames, registers }),
      value,
    ]);
  }

  /** Replaces everything by what `sources` say now. */
  read(sources: readonly (readonly [Record<Label, string>, Source])[]): void {
    for (const [counter, value] of this.#counters) {
      counter.reset();
      for (const [labels, source] of sources) counter.inc(labels, value(source));
    }
    for (const [gauge, value] of this.#gauges) {
      gauge.reset();
      for (const [labels, source] of sources) gauge.set(labels, value(source));
    }
  }
}
