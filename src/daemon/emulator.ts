/**
 * A running lab: its interfaces, links and descriptors, and the data planes that carry its frames.
 *
 * Lives in the control thread. It is given devices, or makes memory devices when the lab is virtual;
 * namespaces, files and sockets are other people's business (daemon.ts).
 */
import { Arena } from '../arena/arena.ts';
import { Heap } from '../arena/heap.ts';
import type { Descriptor } from '../bpf/descriptor.ts';
import { DescriptorTable } from '../bpf/descriptor-table.ts';
import { FilterFuser } from '../bpf/fuser.ts';
import { type AttachOptions, BpfError } from '../bpf/types.ts';
import type { Outlet, SendOptions } from '../bpf/writer.ts';
import type { OutputFile } from '../capture/output-file.ts';
import { LINKTYPE_ETHERNET } from '../device/link-type.ts';
import type { MemoryDevice } from '../device/memory.ts';
import { readInterfaceCounters } from '../engine/counters.ts';
import type { PlaneHost } from '../engine/host.ts';
import { InlineHost } from '../engine/inline.ts';
import { ThreadHost } from '../engine/threads.ts';
import type { Lab, LabInterface, LabLink, LabSwitch } from '../lab/model.ts';
import { addressOf, MADV_DONTNEED, madvise } from '../sys/libc.ts';
import {
  type AddressStatus,
  type ChangedLink,
  type EmulatorControl,
  type InterfaceStatus,
  LabChangeError,
  type LinkChange,
  type LinkStatus,
  type NamedLinkChange,
  type SwitchStatus,
  type WorkerStatus,
} from './contract.ts';
import type { OpenPort } from './device-table.ts';
import { capacityOf, largestMtu } from './layout.ts';
import type { OverloadChange } from './links.ts';
import { LoadWatch } from './load-watch.ts';
import { Recording } from './recording.ts';
import { macBytes, type RegisteredInterface } from './registry.ts';
import { Topology, type TopologyEvents } from './topology.ts';
import { workerStatus } from './workers.ts';

export type { OpenPort };

export type EmulatorOptions = TopologyEvents & {
  /**
   * Devices by interface name, or what is going to open them: the data planes start meanwhile. An interface without one
   * is down until connect(). Ignored for a virtual lab.
   */
  readonly ports?: ReadonlyMap<string, OpenPort> | Promise<ReadonlyMap<string, OpenPort>>;
  /** A data plane failed; the lab cannot go on. */
  readonly onFailure?: (error: Error) => void;
  /** The emulator has become, or is no longer, the bottleneck of links. */
  readonly onOverload?: (changes: readonly OverloadChange[]) => void;
};

export class Emulator implements EmulatorControl {
  /** What interfaces and links follow is theirs to be told; this is what is shown. Set by LabRun.apply(). */
  lab: Lab;
  readonly startedAt: Date = new Date();
  readonly #arena: Arena;
  readonly #topology: Topology;
  readonly #descriptors: DescriptorTable;
  readonly #fuser: FilterFuser;
  readonly #host: PlaneHost;
  readonly #inline: InlineHost | undefined;
  readonly #load: LoadWatch | undefined;
  #recording: Recording | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(lab: Lab, options: EmulatorOptions) {
    this.lab = lab;
    this.#arena = Arena.create(capacityOf(lab));
    this.#descriptors = new DescriptorTable(
      this.#arena,
      new Heap(this.#arena.heap, this.#arena.capacity.heapBytes, pageGiver(this.#arena)),
      (interfaceIndex) => this.#fuser.changed(interfaceIndex),
    );
    this.#fuser = new FilterFuser(
      this.#arena,
      (interfaceIndex) => this.#descriptors.on(interfaceIndex),
      (compiled) => this.#host.install(compiled),
    );
    this.#inline = lab.virtual ? new InlineHost(this.#arena) : undefined;
    this.#host =
      this.#inline ??
      new ThreadHost(this.#arena, {
        onInterfacesChanged: () => void this.#topology.lookAfterDevices(),
        onFailure: (error) => {
          // A worker that died may have stored a record without waking its reader.
          for (const descriptor of this.#descriptors.list()) descriptor.lookAgain();
          options.onFailure?.(error);
        },
      });
    const detachAll = (interfaceIndex: number): Promise<void> => this.#descriptors.detachAll(interfaceIndex);
    const inline = this.#inline;
    const uptimeNs = inline && ((): number => inline.nowNs());
    this.#topology = new Topology(this.#arena, lab, this.#host, detachAll, options, uptimeNs);
    if (inline === undefined) {
      const onOverload = options.onOverload ?? ((): void => {});
      this.#load = new LoadWatch(() => this.workers(), this.#topology.links, onOverload);
    }
    this.#topology.onDirectionEnd = (direction) => this.#recording?.forget(direction);
  }

  /** Starts a lab. Throws when a data plane cannot be started or a device not be had; nothing is left running. */
  static async start(lab: Lab, options: EmulatorOptions = {}): Promise<Emulator> {
    const emulator = new Emulator(lab, options);
    try {
      await emulator.#topology.start(await options.ports);
    } catch (error) {
      emulator.#load?.close();
      await emulator.#host.close();
      throw error;
    }
    return emulator;
  }

  /** That an interface of this run can have. */
  get largestMtu(): number {
    return largestMtu(this.#arena.capacity);
  }

  interfaces(): InterfaceStatus[] {
    return this.#topology.registry.list().map((entry) => this.#interfaceStatus(entry));
  }

  interface(name: string): InterfaceStatus | undefined {
    const entry = this.#topology.registry.get(name);
    return entry && this.#interfaceStatus(entry);
  }

  workers(): WorkerStatus[] {
    const { workers } = this.#arena.capacity;
    return Array.from({ length: workers }, (_, index) => workerStatus(this.#arena, index));
  }

  links(): LinkStatus[] {
    return this.#topology.links.list();
  }

  link(name: string): LinkStatus | undefined {
    return this.#topology.links.get(name);
  }

  switches(): SwitchStatus[] {
    return this.#topology.switches.list();
  }

  switch(name: string): SwitchStatus | undefined {
    return this.#topology.switches.get(name);
  }

  switchAddresses(name: string): AddressStatus[] | undefined {
    return this.#topology.switches.addresses(name);
  }

  setLinks(changes: readonly NamedLinkChange[]): Promise<ChangedLink[]> {
    return this.#topology.setLinks(changes);
  }

  async moveLink(name: string, worker: number): Promise<LinkStatus> {
    // Frames have numbers, which one worker counts.
    if (this.#recording?.ended === false) {
      throw new LabChangeError(
        'EBUSY',
        `link ${name}: what links decide is being recorded; it stays where it is`,
      );
    }
    return this.#topology.moveLink(name, worker);
  }

  /** setLinks() with one change. */
  async setLink(name: string, change: LinkChange): Promise<ChangedLink> {
    const [changed] = await this.setLinks([{ name, ...change }]);
    return changed!;
  }

  /** See Topology, as for all changes of the running lab below. */
  connect(interfaceName: string, port: OpenPort): Promise<void> {
    return this.#topology.connect(interfaceName, port);
  }

  disconnect(interfaceName: string): Promise<void> {
    return this.#topology.disconnect(interfaceName);
  }

  addInterface(definition: LabInterface, port?: OpenPort, peer?: string): Promise<void> {
    return this.#topology.addInterface(definition, port, peer);
  }

  removeInterface(name: string): Promise<void> {
    return this.#topology.removeInterface(name);
  }

  setSwitch(definition: LabSwitch, peers?: ReadonlyMap<string, string>): Promise<void> {
    return this.#topology.setSwitch(definition, peers);
  }

  removeSwitch(name: string): Promise<void> {
    return this.#topology.removeSwitch(name);
  }

  addLink(definition: LabLink): Promise<void> {
    return this.#topology.addLink(definition);
  }

  removeLink(name: string): Promise<LinkStatus> {
    return this.#topology.removeLink(name);
  }

  /**
   * Records what all links decide, until stop(), which completes the file: after that of the emulator, if all is to be
   * in it. Throws LabChangeError: EBUSY (it is being done already), ENETDOWN.
   * @param onError the file cannot be written; the recording has ended
   */
  async record(file: OutputFile, onError?: (error: Error) => void): Promise<Recording> {
    if (this.#recording?.ended === false) {
      throw new LabChangeError('EBUSY', `decisions of lab ${this.lab.name} are being recorded already`);
    }
    const recording = new Recording(this.#inline ? undefined : this.#arena, {
      file,
      pathOf: (direction) => this.#topology.links.pathOf(direction),
      tell: (on) => this.#topology.record(on),
      onError,
    });
    this.#recording = recording;
    if (this.#inline) this.#inline.decisions = recording;
    await recording.start();
    return recording;
  }

  async attach(interfaceName: string, options: AttachOptions): Promise<Descriptor> {
    const entry = this.#topology.registry.get(interfaceName);
    if (!entry) throw new BpfError('ENXIO', `there is no interface ${interfaceName}`);
    const { mtu, mac } = entry.definition;
    const address = entry.linkType === LINKTYPE_ETHERNET ? { address: macBytes(mac) } : {};
    const write: Outlet['write'] = (frame, how) => this.#write(entry, frame, how);
    return this.#descriptors.attach({ ...entry, mtu, ...address, write }, options);
  }

  descriptor(id: number): Descriptor | undefined {
    return this.#descriptors.get(id);
  }

  descriptors(): Descriptor[] {
    return this.#descriptors.list();
  }

  /** The memory device behind an interface of a virtual lab. */
  memoryDevice(interfaceName: string): MemoryDevice {
    const entry = this.#topology.registry.get(interfaceName);
    if (!this.#inline || !entry) throw new Error(`${interfaceName} is not a memory device of this lab`);
    return this.#inline.memoryDevice(entry.index);
  }

  /** The clock of a virtual lab: the time now, and actions at later times. */
  get clock(): { nowNs(): number; at(deadlineNs: number, action: () => void | Promise<void>): void } {
    if (!this.#inline) throw new Error(`lab ${this.lab.name} runs in real time`);
    return this.#inline;
  }

  /** Lets virtual time pass up to `untilNs`, or until nothing more happens. Waits for descriptors that are being read. */
  async run(untilNs?: number): Promise<void> {
    if (!this.#inline) throw new Error(`lab ${this.lab.name} runs in real time`);
    await this.#inline.run(
      untilNs,
      () => this.#recording?.behind === true || this.#descriptors.list().some((each) => each.backlogged),
    );
  }

  /** Stops all traffic. Descriptors can be read to the end. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Stops, and closes all descriptors. Idempotent. */
  async close(): Promise<void> {
    await this.stop();
    await Promise.all(this.#descriptors.list().map((descriptor) => descriptor.close()));
  }

  async #stop(): Promise<void> {
    this.#load?.close();
    this.#fuser.close();
    await this.#topology.stop();
    await this.#host.close();
    await this.#topology.retireAll();
  }

  async #write(entry: RegisteredInterface, frame: Uint8Array, how: SendOptions): Promise<void> {
    // The worker that carries frames to an interface is the one that counts what is written to it.
    const worker = this.#topology.links.workerTowards(entry.name);
    const what = { index: entry.index, base64: Buffer.from(frame).toString('base64') };
    await this.#host
      .send(worker, [{ do: 'write', ...what, shown: how.shown }])
      .catch((error: Error & { code?: string }) => {
        throw writeError(entry, frame, error.code);
      });
    // It was sent: whether a copy could also be fed back is no error of the write, as in bpfwrite().
    if (how.feedback) {
      await this.#host.send(entry.readers[0]!, [{ do: 'inject', ...what }]).catch(() => {});
    }
  }

  #interfaceStatus(entry: RegisteredInterface): InterfaceStatus {
    const { name, index, linkType, definition } = entry;
    return {
      name,
      kind: definition.kind,
      linkType,
      mtu: definition.mtu,
      offload: this.#topology.hasOffload(entry),
      readers: entry.readers.map((worker) => ({
        worker,
        receive: readInterfaceCounters(this.#arena, index, [worker]).receive,
      })),
      mac: definition.mac,
      addresses: definition.addresses,
      up: this.#topology.isUp(entry),
      process: this.#topology.processOf(entry) ?? null,
      ...readInterfaceCounters(this.#arena, index),
      descriptors: this.#descriptors.on(index).size,
      filterEngine: this.#fuser.isCompiled(index) ? 'wasm' : 'interpreter',
    };
  }
}

/** Gives pages of an arena back to the system: its memory is private and anonymous, and reads as zero afterwards. */
function pageGiver(arena: Arena): (offset: number, bytes: number) => void {
  const start = addressOf(arena.u8);
  return (offset, bytes) => void madvise(start + offset, bytes, MADV_DONTNEED);
}

/** What bpf(4)'s write reports when a frame was dropped for that reason. */
function writeError(entry: RegisteredInterface, frame: Uint8Array, reason: string | undefined): BpfError {
  const { name, definition } = entry;
  switch (reason) {
    case 'mtu':
      return new BpfError(
        'EMSGSIZE',
        `a frame of ${frame.length} bytes is too long for ${name}, whose MTU is ${definition.mtu}`,
      );
    case 'pool':
      return new BpfError('ENOBUFS', `${name}: no frame slot is free`);
    case 'device':
      return new BpfError('EINVAL', `${name}: the device does not take this frame`);
    default:
      return new BpfError('ENETDOWN', `${name} is down`);
  }
}
