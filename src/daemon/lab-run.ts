/**
 * Bringing a lab up and taking it down: claim, namespaces, devices, emulator, the lab file's descriptors, addresses.
 *
 * Each step that made something puts what undoes it on a stack. down() runs the stack from the top, through errors,
 * whether the lab came up or failed half-way.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Descriptor } from '../bpf/descriptor.ts';
import { Captures } from '../capture/captures.ts';
import { resolveFilter } from '../control/filter.ts';
import { openDevice } from '../device/open.ts';
import { playCapture, recordCapture } from '../device/pcap.ts';
import { claimLab } from '../lab/claim.ts';
import { type Lab, type LabDescriptor, nodesToMake, type TimelineStep } from '../lab/model.ts';
import { Nodes } from '../lab/namespaces.ts';
import { VERSION } from '../package.ts';
import { type Moment, momentsOf } from '../timeline/moments.ts';
import { play } from '../timeline/play.ts';
import { CONTROL_OWNER, DEFAULT_BUFFER_BYTES, DEFAULT_READ_TIMEOUT_MS } from './contract.ts';
import { Emulator, type OpenPort } from './emulator.ts';
import { describePlan, planReload } from './reload.ts';

/** What the run reports; pino's logger is one. */
export type RunLog = {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
};

export type LabRunOptions = {
  /**
   * The control socket, recorded for those who look for the lab. Without one the lab is this process's own: nobody
   * else can reach it, and what still runs in its nodes is ended with it.
   */
  readonly socket?: string;
  readonly log: RunLog;
  /** A data plane died; the caller should take the lab down. */
  readonly onFailure: (error: Error) => void;
  /** The device that a node had brought is gone; the interface waits for another. */
  readonly onInterfaceDown?: (name: string) => void;
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
   * ReloadError, and nothing has changed; LabChangeError when there is no room for more.
   */
  async apply(after: Lab, releaseNode: (name: string) => void): Promise<string[]> {
    const plan = planReload(this.lab, after);
    const { emulator } = this;
    for (const definition of plan.closeDescriptors) await this.#close(definition);
    for (const name of plan.removeLinks) await emulator.removeLink(name);
    for (const name of plan.removeInterfaces) await emulator.removeInterface(name);
    // Nodes ask what they are to be as soon as they are let go.
    this.lab = after;
    emulator.lab = after;
    for (const name of plan.releaseNodes) releaseNode(name);
    for (const each of plan.addInterfaces) await emulator.addInterface(each);
    for (const link of plan.addLinks) await emulator.addLink(link);
    for (const { name, forward, reverse } of plan.setLinks)
      await emulator.setLink(name, { forward, reverse });
    for (const definition of plan.openDescriptors) await this.#attach(definition);
    return describePlan(plan);
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
    await this.#claim();
    signal?.throwIfAborted();
    const nodes = nodesToMake(this.lab).length === 0 ? undefined : await this.#createNodes();
    signal?.throwIfAborted();
    await this.#startEmulator(nodes ? await this.#openDevices(nodes) : new Map());
    await this.#attachDescriptors();
    signal?.throwIfAborted();
    // Last: from here on frames come.
    if (nodes) await nodes.configure();
    if (this.lab.virtual) await this.#connectFiles();
    signal?.throwIfAborted();
    this.#startTimeline();
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

  async #claim(): Promise<void> {
    const { socket } = this.#options;
    // Such a lab leaves nothing that anybody could find or would have to clean up.
    if (this.lab.virtual && socket === undefined) return;
    const claim = await claimLab(this.lab, { socket });
    this.#onDown(
      'release the lab',
      async () => claim.release(),
      () => claim.release(),
    );
    const left = claim.cleaned;
    if (left) this.#options.log.warn({ ...left }, `removed what process ${left.pid} had left of the lab`);
  }

  async #createNodes(): Promise<Nodes> {
    const nodes = await Nodes.create(this.lab);
    const remove = async (): Promise<void> => {
      if (this.#options.socket === undefined) await nodes.endProcesses();
      const { processes, errors } = await nodes.remove();
      for (const { namespace, pid, command } of processes) {
        this.#options.log.warn({ namespace, pid, command }, 'a process still runs in a node that is gone');
      }
      if (errors.length > 0) throw new AggregateError(errors, errors.map((each) => each.message).join('; '));
    };
    this.#onDown('remove the namespaces', remove, () => nodes.abandon());
    return nodes;
  }

  async #openDevices(nodes: Nodes): Promise<Map<string, OpenPort>> {
    const ports = new Map<string, OpenPort>();
    for (const node of nodesToMake(this.lab)) {
      for (const each of node.interfaces) {
        const device = await openDevice(each, nodes.namespace(node.name));
        // The namespaces, which go next, take their devices with them.
        this.#onDown(
          `close ${each.name}`,
          () => device.leave(),
          () => void device.leave(),
        );
        ports.set(each.name, device);
      }
    }
    return ports;
  }

  async #startEmulator(ports: Map<string, OpenPort>): Promise<void> {
    const { onFailure, log } = this.#options;
    const onInterfaceGone = (name: string): void => log.warn({ interface: name }, 'the device has gone');
    const onInterfaceDown = (name: string): void => {
      log.warn({ interface: name }, 'the device that its node had brought has gone');
      this.#options.onInterfaceDown?.(name);
    };
    const emulator = await Emulator.start(this.lab, { onFailure, onInterfaceGone, onInterfaceDown, ports });
    this.emulator = emulator;
    this.#onDown('stop the emulator', async () => {
      // In this order nothing captured is lost: no more frames, readers read to the end, files are completed.
      await emulator.stop();
      await this.captures.filesClosed();
      await emulator.close();
    });
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
    await capture.toFile(definition.write);
  }

  /** On the virtual clock when there is one. What cannot be done is reported, and the rest is done. */
  #startTimeline(): void {
    const moments = momentsOf(this.lab.timeline ?? []);
    const { emulator } = this;
    const { log } = this.#options;
    const onMoment = async ({ atNs, steps }: Moment<TimelineStep>): Promise<void> => {
      const changes = steps.flatMap(({ links, forward, reverse }) =>
        links.map((name) => ({ name, forward, reverse })),
      );
      const details = { atMs: atNs / 1e6, links: changes.map(({ name }) => name) };
      try {
        await emulator.setLinks(changes);
        log.info(details, 'timeline: links changed');
      } catch (error) {
        log.warn({ ...details, reason: (error as Error).message }, 'timeline: links not changed');
      }
    };
    if (this.lab.virtual) {
      for (const moment of moments) emulator.clock.at(moment.atNs, () => onMoment(moment));
      return;
    }
    const over = new AbortController();
    const played = play(moments, { onMoment, signal: over.signal });
    this.#onDown('stop the timeline', async () => {
      over.abort();
      await played;
    });
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
