/**
 * Bringing a lab up and taking it down: claim, namespaces, devices, emulator, the lab file's descriptors, addresses.
 *
 * Each step that made something puts what undoes it on a stack. down() runs the stack from the top, through errors,
 * whether the lab came up or failed half-way.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Descriptor } from '../bpf/descriptor.ts';
import { Captures } from '../capture/captures.ts';
import { OutputFile } from '../capture/output-file.ts';
import { resolveFilter } from '../control/filter.ts';
import { playCapture, recordCapture } from '../device/pcap.ts';
import { type Claim, claimLab } from '../lab/claim.ts';
import type { Lab, LabDescriptor, LabInterface, LabLink } from '../lab/model.ts';
import { VERSION } from '../package.ts';
import { CONTROL_OWNER, DEFAULT_BUFFER_BYTES, DEFAULT_READ_TIMEOUT_MS } from './contract.ts';
import { Emulator, type OpenPort } from './emulator.ts';
import { LabTimeline } from './lab-timeline.ts';
import { logOverload } from './load-watch.ts';
import { MadeNodes } from './made-nodes.ts';
import type { Recording } from './recording.ts';
import { planReload } from './reload.ts';
import { carryOut } from './reload-steps.ts';

/** What the run reports; pino's logger is one. */
export type RunLog = {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
};

/** How far a lab is in coming up. */
export type Progress = { readonly what: 'device' | 'node'; readonly done: number; readonly total: number };

export type LabRunOptions = {
  /**
   * The control socket, recorded for those who look for the lab. Without one the lab is this process's own: nobody
   * else can reach it, and what still runs in its nodes is ended with it.
   */
  readonly socket?: string;
  readonly log: RunLog;
  /** File of the decision log (docs/replay.md), from before the first frame to the last. */
  readonly record?: string;
  /** A data plane died; the caller should take the lab down. */
  readonly onFailure: (error: Error) => void;
  /** The device that a node had brought is gone; the interface waits for another. */
  readonly onInterfaceDown?: (name: string) => void;
  /** Called often, while the lab comes up. */
  readonly onProgress?: (progress: Progress) => void;
  /** No more frames come; descriptors can be read to the end until this resolves. */
  readonly onStopped?: () => Promise<void>;
};

type Undo = {
  readonly what: string;
  readonly action: () => Promise<void>;
  /** The part of it that outlives the process, done at once. */
  readonly abandon?: () => void;
};

export class LabRun {
  lab: Lab;
  readonly captures: Captures = new Captures(
    `taplab ${VERSION}`,
    (name) => this.emulator.links().find(({ endpoints }) => endpoints.includes(name))?.name,
  );
  emulator!: Emulator;
  readonly #options: LabRunOptions;
  readonly #undo: Undo[] = [];
  /** The descriptors of the lab file. */
  readonly #attached: { readonly definition: LabDescriptor; readonly descriptor: Descriptor }[] = [];
  /** The nodes that are made; there may be none yet. Undefined when the lab is virtual. */
  #made: MadeNodes | undefined;
  #timeline: LabTimeline | undefined;
  #down: Promise<void> | undefined;

  private constructor(lab: Lab, options: LabRunOptions) {
    this.lab = lab;
    this.#options = options;
  }

  /**
   * Brings a lab up. On failure, and when `signal` aborts meanwhile, everything already made is taken down again and
   * the error thrown: StateError, NodeError, SystemError, CaptureFileError and others, saying what to do.
   */
  static async up(lab: Lab, options: LabRunOptions, signal?: AbortSignal): Promise<LabRun> {
    const run = new LabRun(lab, options);
    try {
      await run.#up(signal);
    } catch (error) {
      await run.down();
      throw error;
    }
    return run;
  }

  /**
   * Changes the running lab to what its file says now; see reload.ts. Returns what was changed, a line each. Throws
   * ReloadError, which says what has been changed, if anything.
   */
  async apply(after: Lab, releaseNode: (name: string) => void): Promise<string[]> {
    const { emulator } = this;
    const plan = planReload(this.lab, after, emulator.largestMtu);
    const made = this.lab.virtual ? undefined : this.#made;
    const changes = await carryOut(
      plan,
      {
        closeDescriptor: (definition) => this.#close(definition),
        openDescriptor: (definition) => this.#attach(definition),
        removeLink: (name) => emulator.removeLink(name),
        addLink: (link) => emulator.addLink(link),
        setLink: ({ name, forward, reverse }) => emulator.setLink(name, { forward, reverse }),
        removeSwitch: (name) => emulator.removeSwitch(name),
        setSwitch: (definition) => emulator.setSwitch(definition, peersOf(after.links)),
        removeInterface: async (name) => {
          await emulator.removeInterface(name);
          await made?.closeDevice(name);
        },
        addInterface: (definition) => this.#addInterface(definition, after),
        removeNode: async (node) => (node.join ? undefined : made?.remove(node)),
        addNode: async (node) => (node.join ? undefined : made?.add(node)),
        configureNode: async (node, was) => made?.configure(node, was),
        releaseNode,
      },
      this.emulator,
    ).finally(() => {
      this.lab = emulator.lab;
    });
    const before = this.lab.timeline;
    this.lab = after;
    emulator.lab = after;
    if (isDeepStrictEqual(before, after.timeline)) return changes;
    const toCome = await this.#timeline?.set(after.timeline ?? []);
    return [...changes, `replaced the timeline, of which ${toCome} steps are to come`];
  }

  /** With its device, unless its node brings that. Throws; nothing is left of it then. */
  async #addInterface(definition: LabInterface, { links }: Lab): Promise<void> {
    const { name } = definition;
    const peer = peersOf(links).get(name);
    const node = this.emulator.lab.nodes.find((each) => each.name === definition.node);
    if (node?.join || this.#made === undefined)
      return this.emulator.addInterface(definition, undefined, peer);
    const device = await this.#made.openDevice(definition);
    try {
      await this.emulator.addInterface(definition, device, peer);
    } catch (error) {
      await this.#made.closeDevice(name);
      throw error;
    }
  }

  /** Closes a descriptor of the lab file, if nobody has closed it by hand. */
  async #close(definition: LabDescriptor): Promise<void> {
    const at = this.#attached.findIndex((each) => isDeepStrictEqual(each.definition, definition));
    const [found] = at === -1 ? [] : this.#attached.splice(at, 1);
    await found?.descriptor.close();
  }

  /** Takes everything down: traffic stops, captures are drained and closed, devices and namespaces go. Idempotent. */
  down(): Promise<void> {
    this.#down ??= this.#takeDown();
    return this.#down;
  }

  /**
   * For a process that is ending and can wait for nothing, as in an `exit` event: removes what would outlive it.
   * Nothing of the lab can be used afterwards.
   */
  abandon(): void {
    for (let step = this.#undo.pop(); step; step = this.#undo.pop()) step.abandon?.();
  }

  /** Lets a virtual lab run as long as anything happens in it; a lab in real time runs by itself. */
  start(): void {
    if (this.lab.virtual) void this.emulator.run();
  }

  async #up(signal: AbortSignal | undefined): Promise<void> {
    const claim = await this.#claim();
    signal?.throwIfAborted();
    const progress = (what: Progress['what']) => (done: number, total: number) => {
      signal?.throwIfAborted();
      this.#options.onProgress?.({ what, done, total });
    };
    const devices = this.#openDevices(claim, progress('device'));
    try {
      await this.#startEmulator(devices);
    } finally {
      // What is still being made could not be taken down.
      await Promise.allSettled([devices]);
    }
    await this.#attachDescriptors();
    signal?.throwIfAborted();
    // Last: from here on frames come.
    await this.#made?.configureAll(progress('node'));
    if (this.lab.virtual) await this.#connectFiles();
    signal?.throwIfAborted();
    await this.#startTimeline();
  }

  async #takeDown(): Promise<void> {
    for (let step = this.#undo.pop(); step; step = this.#undo.pop()) {
      try {
        await step.action();
      } catch (error) {
        this.#options.log.error({ err: error }, `could not ${step.what}`);
      }
    }
  }

  async #claim(): Promise<Claim | undefined> {
    const { socket } = this.#options;
    // Such a lab leaves nothing that anybody could find or would have to clean up.
    if (this.lab.virtual && socket === undefined) return undefined;
    const claim = await claimLab(this.lab, { socket });
    this.#onDown(
      'release the lab',
      async () => claim.release(),
      () => claim.release(),
    );
    const left = claim.cleaned;
    if (left) this.#options.log.warn({ ...left }, `removed what process ${left.pid} had left of the lab`);
    return claim;
  }

  /** Of the nodes that the emulator makes. */
  async #openDevices(
    claim: Claim | undefined,
    onDevice: (done: number, total: number) => void,
  ): Promise<ReadonlyMap<string, OpenPort>> {
    if (claim === undefined || this.lab.virtual) return new Map();
    const made = await this.#makeNodes(claim);
    return made.openDevices(this.lab, onDevice);
  }

  async #makeNodes(claim: Claim): Promise<MadeNodes> {
    const { log, socket } = this.#options;
    const made = await MadeNodes.create(this.lab, { claim, log, endProcesses: socket === undefined });
    this.#made = made;
    this.#onDown(
      'remove the namespaces',
      () => made.removeAll(),
      () => made.abandon(),
    );
    this.#onDown(
      'close the devices',
      () => made.leaveDevices(),
      () => void made.leaveDevices(),
    );
    return made;
  }

  async #startEmulator(ports: Promise<ReadonlyMap<string, OpenPort>>): Promise<void> {
    const { onFailure, log } = this.#options;
    const onInterfaceGone = (name: string): void => log.warn({ interface: name }, 'the device has gone');
    const onInterfaceDown = (name: string): void => {
      log.warn({ interface: name }, 'the device that its node had brought has gone');
      this.#options.onInterfaceDown?.(name);
    };
    const emulator = await Emulator.start(this.lab, {
      onFailure,
      onInterfaceGone,
      onInterfaceDown,
      onOverload: (changes) => logOverload(log, changes),
      ports,
    });
    this.emulator = emulator;
    let recording: Recording | undefined;
    this.#onDown('stop the emulator', async () => {
      // In this order nothing captured is lost: no more frames, readers read to the end, files are completed.
      await emulator.stop();
      if (recording) await this.#completeRecording(recording);
      const complete = Promise.all([this.captures.filesClosed(), this.#options.onStopped?.()]);
      await complete.finally(() => emulator.close());
    });
    if (this.#options.record === undefined) return;
    const file = await OutputFile.create(this.#options.record);
    recording = await emulator.record(file, (error) => {
      log.error({ err: error }, 'the decision log has ended; the lab goes on');
    });
  }

  async #completeRecording(recording: Recording): Promise<void> {
    const { file, decisions, lost } = await recording.stop();
    const said = { file, decisions, lost };
    if (lost === 0) this.#options.log.info(said, 'decision log completed');
    else this.#options.log.warn(said, `decision log completed: ${lost} decisions are not in it`);
  }

  async #attachDescriptors(): Promise<void> {
    for (const definition of this.lab.descriptors) await this.#attach(definition);
  }

  async #attach(definition: LabDescriptor): Promise<void> {
    const { linkType } = this.emulator.interface(definition.interface)!;
    const { label, program } = resolveFilter(definition.filter, linkType);
    const descriptor = await this.emulator.attach(definition.interface, {
      filter: label,
      program,
      direction: definition.direction,
      immediate: false,
      readTimeoutMs: DEFAULT_READ_TIMEOUT_MS,
      bufferBytes: DEFAULT_BUFFER_BYTES,
      owner: CONTROL_OWNER,
    });
    this.#attached.push({ definition, descriptor });
    if (definition.write === undefined) return;
    const capture = this.captures.of(descriptor);
    capture.on({
      onError: (error) => this.#options.log.error({ err: error }, 'a capture file was given up'),
    });
    try {
      await capture.toFile(definition.write);
    } catch (error) {
      await this.#close(definition);
      throw error;
    }
  }

  async #startTimeline(): Promise<void> {
    const timeline = new LabTimeline(this.emulator, this.#options.log);
    this.#timeline = timeline;
    this.#onDown('stop the timeline', () => timeline.stop());
    await timeline.set(this.lab.timeline ?? []);
  }

  /** The capture files behind `pcap` interfaces. */
  async #connectFiles(): Promise<void> {
    for (const { name, readFile, writeFile } of this.lab.nodes.flatMap((node) => node.interfaces)) {
      const device = readFile || writeFile ? this.emulator.memoryDevice(name) : undefined;
      if (!device) continue;
      const { clock } = this.emulator;
      if (writeFile) this.#onDown(`complete ${writeFile}`, await recordCapture(writeFile, device, clock));
      if (readFile) await playCapture(readFile, device, clock);
    }
  }

  #onDown(what: string, action: () => Promise<void>, abandon?: () => void): void {
    this.#undo.push({ what, action, ...(abandon && { abandon }) });
  }
}

/** The other end of the link of each interface. */
function peersOf(links: readonly LabLink[]): Map<string, string> {
  return new Map(
    links.flatMap(
      ({ endpoints: [a, b] }) =>
        [
          [a, b],
          [b, a],
        ] as const,
    ),
  );
}
