/**
 * An emulator without a data plane, for tests of what stands in front of one: counters are set by hand, and a
 * descriptor gives out the batches that a test puts in.
 */
import {
  DIRECTION_IN,
  DIRECTION_OUT,
  type Direction,
  RECORD_HEADER,
  type Timestamp,
} from '../../src/bpf/record.ts';
import {
  type AddressStatus,
  type AttachOptions,
  BpfError,
  type ChangedLink,
  type DescriptorHandle,
  type DescriptorStatus,
  type DirectionStatus,
  type EmulatorControl,
  type HeldBatch,
  type Histogram,
  type InterfaceStatus,
  type LinkStatus,
  type NamedLinkChange,
  type NamedProgram,
  type Owner,
  type ReadOptions,
  type SwitchStatus,
  type WorkerStatus,
} from '../../src/daemon/contract.ts';
import { UPPER_BOUNDS_NS } from '../../src/engine/histogram.ts';
import type { Lab, LabInterface } from '../../src/lab/model.ts';
import { CLEAR_LINK, type LinkSettings } from '../../src/link/settings.ts';
import type { Program } from '../../vm/index.ts';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A record as it stands in a descriptor's buffer. */
export function record(
  bytes: Uint8Array,
  direction: 'in' | 'out' = 'in',
  seconds = 1_700_000_000,
): Uint8Array {
  const total = (RECORD_HEADER + bytes.byteLength + 7) & ~7;
  const out = new Uint8Array(total);
  const view = new DataView(out.buffer);
  const bits = direction === 'in' ? DIRECTION_IN : DIRECTION_OUT;
  for (const [word, value] of [total, bytes.byteLength, bytes.byteLength, bits, seconds, 5000].entries()) {
    view.setUint32(word * 4, value, true);
  }
  out.set(bytes, RECORD_HEADER);
  return out;
}

export class FakeDescriptor implements DescriptorHandle {
  readonly id: number;
  readonly interface: string;
  readonly linkType: number;
  readonly owner: Owner;
  readonly closed: Promise<void>;
  readonly state: Mutable<DescriptorStatus>;
  readonly program: Program;
  readonly sent: Uint8Array[] = [];
  readonly calls: string[] = [];
  /** Thrown by the next call that changes something. */
  failure: Error | undefined;
  readonly #batches: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #closed = false;
  #resolveClosed: () => void = () => undefined;

  constructor(id: number, on: InterfaceStatus, options: AttachOptions) {
    this.id = id;
    this.interface = on.name;
    this.linkType = on.linkType;
    this.owner = options.owner;
    this.program = options.program;
    const { program, writeFilter, ...settings } = options;
    this.state = {
      id,
      interface: on.name,
      linkType: on.linkType,
      promiscuous: true,
      headerComplete: true,
      feedback: false,
      timestamp: 'microtime',
      ...settings,
      writeFilter: writeFilter?.filter ?? null,
      locked: false,
      instructions: program.length,
      attached: true,
      received: 0,
      accepted: 0,
      dropped: 0,
      capturedBytes: 0,
      written: 0,
      storeBytes: 0,
      holdBytes: 0,
      writeFiltered: 0,
      writeDropped: 0,
    };
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** Makes a frame arrive, as if the filter had accepted it. */
  capture(bytes: Uint8Array, direction: 'in' | 'out' = 'in'): void {
    this.state.received++;
    this.state.accepted++;
    this.state.capturedBytes += bytes.byteLength;
    this.#batches.push(record(bytes, direction));
    this.#wake?.();
  }

  status(): DescriptorStatus {
    return { ...this.state, storeBytes: this.#batches.reduce((sum, batch) => sum + batch.byteLength, 0) };
  }

  /** A whole batch of records arrives. */
  captureBatch(records: Uint8Array, count = 1): void {
    this.state.received += count;
    this.state.accepted += count;
    this.#batches.push(records);
    this.#wake?.();
  }

  async setFilter(filter: string, program: Program, keep: boolean): Promise<void> {
    this.#mayChange(`setFilter ${filter} ${keep}`);
    Object.assign(this.state, { filter, instructions: program.length });
    if (!keep) Object.assign(this.state, { received: 0, accepted: 0, dropped: 0 });
  }

  async setDirection(direction: Direction): Promise<void> {
    this.#mayChange(`setDirection ${direction}`);
    this.state.direction = direction;
  }

  setImmediate(immediate: boolean): void {
    this.#may(`setImmediate ${immediate}`);
    this.state.immediate = immediate;
  }

  setReadTimeout(readTimeoutMs: number): void {
    this.#may(`setReadTimeout ${readTimeoutMs}`);
    this.state.readTimeoutMs = readTimeoutMs;
  }

  setWriteFilter(writeFilter: NamedProgram | undefined): void {
    this.#mayChange(`setWriteFilter ${writeFilter?.filter}`);
    this.state.writeFilter = writeFilter?.filter ?? null;
  }

  linkTypes(): number[] {
    return [1, 143];
  }

  setLinkType(linkType: number): void {
    this.#mayChange(`setLinkType ${linkType}`);
    if (!this.linkTypes().includes(linkType)) throw new BpfError('EINVAL', `no link type ${linkType}`);
    this.state.linkType = linkType;
  }

  async setPromiscuous(promiscuous: boolean): Promise<void> {
    this.#mayChange(`setPromiscuous ${promiscuous}`);
    this.state.promiscuous = promiscuous;
  }

  setHeaderComplete(headerComplete: boolean): void {
    this.#mayChange(`setHeaderComplete ${headerComplete}`);
    this.state.headerComplete = headerComplete;
  }

  setFeedback(feedback: boolean): void {
    this.#may(`setFeedback ${feedback}`);
    this.state.feedback = feedback;
  }

  async setTimestamp(timestamp: Timestamp): Promise<void> {
    this.#may(`setTimestamp ${timestamp}`);
    this.state.timestamp = timestamp;
  }

  lock(): void {
    this.#may('lock');
    this.state.locked = true;
  }

  async take(): Promise<HeldBatch | undefined> {
    const bytes = await this.read();
    return bytes && { bytes, release: async () => {} };
  }

  async poll(timeoutMs: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    for (const start = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, 5))) {
      if (this.#closed || !this.state.attached || this.#batches.length > 0) return true;
      if (performance.now() - start >= timeoutMs) return false;
    }
  }

  async flush(): Promise<void> {
    this.#may('flush');
    this.#batches.length = 0;
    Object.assign(this.state, { received: 0, dropped: 0 });
  }

  async read({ nonblocking = false }: ReadOptions = {}): Promise<Uint8Array | undefined> {
    if (nonblocking && this.#batches.length === 0 && !this.#closed) {
      if (!this.state.attached) return undefined;
      throw new BpfError('EWOULDBLOCK', 'nothing to read');
    }
    while (this.#batches.length === 0 && !this.#closed && this.state.attached) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#closed ? undefined : this.#batches.shift();
  }

  async write(frame: Uint8Array): Promise<void> {
    this.#may('write');
    if (frame.byteLength > 1514)
      throw new BpfError('EMSGSIZE', `${frame.byteLength} bytes do not fit the MTU`);
    this.sent.push(Uint8Array.from(frame));
    this.state.written++;
  }

  async detach(): Promise<void> {
    this.state.attached = false;
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    this.#resolveClosed();
  }

  #mayChange(call: string): void {
    if (this.state.locked) throw new BpfError('EPERM', `descriptor ${this.id} is locked`);
    this.#may(call);
  }

  #may(call: string): void {
    this.calls.push(call);
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }
}

export class FakeEmulator implements EmulatorControl {
  readonly lab: Lab;
  readonly startedAt: Date = new Date();
  readonly interfaceState: Mutable<InterfaceStatus>[];
  readonly linkState: LinkStatus[];
  readonly workerState: Mutable<WorkerStatus> = {
    index: 0,
    alive: true,
    busyNs: 0,
    spinNs: 0,
    iterations: 0,
    loopLag: noValues(),
    slots: 16,
    slotsUsed: 0,
    taps: 0,
    timedTaps: 0,
    timedTapsNs: 0,
  };
  readonly switchState: Mutable<SwitchStatus> = {
    name: 'sw0',
    kind: 'switch',
    ageingNs: 300e9,
    mirror: 'sw0:mirror',
    ports: [
      { name: 'sw0:1', link: 'wan', vlans: { untagged: 10, tagged: [] }, mirrored: true },
      { name: 'sw0:up', link: null, vlans: { untagged: null, tagged: [10, 20] }, mirrored: false },
    ],
    addresses: 1,
    addressRoom: 4096,
    forwarded: 5,
    flooded: 4,
    filtered: 3,
    vlanRefused: 2,
    learned: 1,
    moved: 0,
    notLearned: 0,
  };
  readonly handles: Map<number, FakeDescriptor> = new Map();
  /** Thrown by the next attach or setLinks. */
  failure: Error | undefined;
  #nextId = 1;

  constructor() {
    const labInterface = (
      node: string,
      device: string,
      kind: LabInterface['kind'],
      ip: string,
    ): LabInterface => ({
      name: `${node}:${device}`,
      node,
      device,
      kind,
      addresses: [ip],
      mac: '02:00:00:00:00:01',
      mtu: 1500,
    });
    const nodes = [
      { name: 'client', interfaces: [labInterface('client', 'eth0', 'tap', '198.18.0.1/24')], routes: [] },
      {
        name: 'server',
        interfaces: [
          labInterface('server', 'eth0', 'tap', '198.18.0.2/24'),
          labInterface('server', 'tun0', 'tun', '198.18.1.2/24'),
        ],
        routes: [],
      },
    ];
    const endpoints = ['client:eth0', 'server:eth0'] as const;
    const wan = { name: 'wan', endpoints, forward: CLEAR_LINK, reverse: CLEAR_LINK };
    this.lab = { name: 'fake', seed: 7, workers: 1, nodes, links: [wan], descriptors: [], virtual: false };
    this.interfaceState = nodes
      .flatMap((node) => node.interfaces)
      .map(({ name, kind, mtu, mac, addresses }) => ({
        name,
        kind,
        linkType: kind === 'tun' ? 101 : 1,
        mtu,
        offload: false,
        readers: [{ worker: 0, receive: { frames: 0, bytes: 0 } }],
        mac,
        addresses,
        up: true,
        process: null,
        receive: { frames: 0, bytes: 0 },
        transmit: { frames: 0, bytes: 0 },
        descriptors: 0,
        filterEngine: 'interpreter' as const,
      }));
    this.linkState = [
      {
        name: 'wan',
        endpoints,
        forward: directionStatus(...endpoints, CLEAR_LINK),
        reverse: directionStatus(endpoints[1], endpoints[0], CLEAR_LINK),
      },
    ];
  }

  workers(): WorkerStatus[] {
    return [this.workerState];
  }

  switches(): SwitchStatus[] {
    return [this.switchState];
  }

  switch(name: string): SwitchStatus | undefined {
    return this.switches().find((each) => each.name === name);
  }

  switchAddresses(name: string): AddressStatus[] | undefined {
    if (this.switch(name) === undefined) return undefined;
    return [{ mac: '02:00:00:00:00:01', vlan: 10, port: 'sw0:1', ageNs: 1.5e9 }];
  }

  interfaces(): InterfaceStatus[] {
    return this.interfaceState.map((each) => ({
      ...each,
      descriptors: this.descriptors().filter((handle) => handle.interface === each.name).length,
    }));
  }

  interface(name: string): InterfaceStatus | undefined {
    return this.interfaces().find((each) => each.name === name);
  }

  links(): LinkStatus[] {
    return [...this.linkState];
  }

  link(name: string): LinkStatus | undefined {
    return this.linkState.find((each) => each.name === name);
  }

  async setLinks(changes: readonly NamedLinkChange[]): Promise<ChangedLink[]> {
    this.#mayFail();
    return changes.map((change) => this.#setLink(change));
  }

  async moveLink(name: string, worker: number): Promise<LinkStatus> {
    this.#mayFail();
    const index = this.linkState.findIndex((each) => each.name === name);
    const before = this.linkState[index]!;
    const [forward, reverse] = [before.forward, before.reverse].map((each) => ({
      ...each,
      workers: [worker],
    }));
    const after: LinkStatus = { ...before, forward: forward!, reverse: reverse! };
    this.linkState[index] = after;
    return after;
  }

  #setLink({ name, ...change }: NamedLinkChange): ChangedLink {
    const index = this.linkState.findIndex((each) => each.name === name);
    const before = this.linkState[index]!;
    const after: LinkStatus = {
      ...before,
      forward: { ...before.forward, settings: { ...before.forward.settings, ...change.forward } },
      reverse: { ...before.reverse, settings: { ...before.reverse.settings, ...change.reverse } },
    };
    this.linkState[index] = after;
    return { before, after };
  }

  async attach(interfaceName: string, options: AttachOptions): Promise<FakeDescriptor> {
    this.#mayFail();
    const on = this.interface(interfaceName);
    if (on === undefined) throw new BpfError('ENXIO', `no interface ${interfaceName}`);
    const handle = new FakeDescriptor(this.#nextId++, on, options);
    this.handles.set(handle.id, handle);
    void handle.closed.then(() => this.handles.delete(handle.id));
    return handle;
  }

  descriptor(id: number): FakeDescriptor | undefined {
    return this.handles.get(id);
  }

  descriptors(): FakeDescriptor[] {
    return [...this.handles.values()];
  }

  #mayFail(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }
}

function noValues(): Histogram {
  const counts = new Array<number>(UPPER_BOUNDS_NS.length + 1).fill(0);
  return { upperBoundsNs: UPPER_BOUNDS_NS, counts, sumNs: 0 };
}

function directionStatus(from: string, to: string, settings: LinkSettings): DirectionStatus {
  const none = { frames: 0, bytes: 0 };
  const drops = { loss: 0, queue: 0, pool: 0, mtu: 0, carrier: 0, device: 0, aqm: 0, filter: 0 };
  return {
    from,
    to,
    workers: [0],
    settings,
    now: null,
    offered: none,
    delivered: none,
    delayed: 0,
    duplicated: 0,
    drops,
    queueBytes: 0,
    queueFrames: 0,
    inFlight: 0,
    delayError: noValues(),
    overloaded: [],
    rules: [],
  };
}
