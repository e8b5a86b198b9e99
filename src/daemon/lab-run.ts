/**
 * Bringing a lab up and taking it down: claim, namespaces, devices, emulator, the lab file's descriptors, addresses.
 *
 * Each step that made something puts what undoes it on a stack. down() runs the stack from the top, through errors,
 * whether the lab came up or failed half-way.
 */
import { Captures } from '../capture/captures.ts';
import { resolveFilter } from '../control/filter.ts';
import { openDevice } from '../device/open.ts';
import { playCapture, recordCapture } from '../device/pcap.ts';
import { claimLab } from '../lab/claim.ts';
import { type Lab, nodesToMake } from '../lab/model.ts';
import { Nodes } from '../lab/namespaces.ts';
import { VERSION } from '../package.ts';
import { CONTROL_OWNER, DEFAULT_BUFFER_BYTES, DEFAULT_READ_TIMEOUT_MS } from './contract.ts';
import { Emulator, type OpenPort } from './emulator.ts';

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
  readonly lab: Lab;
  readonly captures: Captures = new Captures(
    `taplab ${VERSION}`,
    (name) => this.emulator.links().find(({ endpoints }) => endpoints.includes(name))?.name,
  );
  emulator!: Emulator;
  readonly #options: LabRunOptions;
  readonly #undo: Undo[] = [];
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
        this.#onDown(`close ${each.name}`, () => device.close());
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
    for (const definition of this.lab.descriptors) {
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
      if (definition.write === undefined) continue;
      const capture = this.captures.of(descriptor);
      capture.on({
        onError: (error) => this.#options.log.error({ err: error }, 'a capture file was given up'),
      });
      await capture.toFile(definition.write);
    }
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
