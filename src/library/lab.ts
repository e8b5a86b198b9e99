/**
 * Labs for test authors: up inside a test, used through handles, down whatever happens.
 *
 * A lab runs in this process, without a daemon or a control socket: nodes are network namespaces as ever, frames are
 * carried by worker threads. A lab whose devices are all `memory` or `pcap` has a virtual clock and needs no privilege.
 * It goes down with close(), `await using` or Lab.with(); with the process when it ends by itself, by an error or by a
 * signal; and when the process was killed, with the next lab that comes up.
 *
 * @example
 * await using lab = await Lab.up('wan.yaml');
 * const capture = await lab.interface('client:eth0').attach('icmp');
 * await lab.link('wan').set('delay 20ms');
 * const { status, stdout } = await lab.node('client').exec('ping', ['-c', '1', '198.18.0.2']);
 * assert.equal((await capture.frames()).length, 2);
 */
import { OutputFile } from '../capture/output-file.ts';
import type { Emulator } from '../daemon/emulator.ts';
import { LabRun, type RunLog } from '../daemon/lab-run.ts';
import type { Recording } from '../daemon/recording.ts';
import { removeDeadLabs } from '../lab/claim.ts';
import type { Lab as LabDefinition } from '../lab/model.ts';
import type { FrameCapture } from './capture.ts';
import { named, RequirementsError } from './errors.ts';
import { InterfaceHandle } from './interface.ts';
import { LinkHandle } from './link.ts';
import { NodeHandle } from './node.ts';
import { addOpenLab, removeOpenLab } from './open-labs.ts';
import type { SpawnedProcess } from './process.ts';
import { type Requirements, requirements } from './requirements.ts';
import { type LabSource, readSource, uniqueName } from './source.ts';
import { REAL_TIME, type Time, virtualTime } from './time.ts';

export type LabOptions = {
  /** The lab's name as it is; unless given, that of the file with something behind it that no other lab has. */
  readonly name?: string;
  /** Memory devices and a virtual clock instead of the devices the file names: no privilege, and no commands in nodes. */
  readonly virtual?: boolean;
  /** Gives up while the lab comes up; what was made is gone again then. */
  readonly signal?: AbortSignal;
  /** Where to report what happens; nowhere unless given. pino's logger is one. */
  readonly log?: RunLog;
};

/** How long a command may take after SIGTERM when the lab goes down. */
const GRACE_MS = 1_000;
/** How long captures may take to read what they have captured, once nothing more comes. */
const DRAIN_MS = 5_000;

export class Lab implements AsyncDisposable {
  readonly definition: LabDefinition;
  /** The emulator behind it all, for what the handles do not do. */
  readonly emulator: Emulator;
  readonly #run: LabRun;
  readonly #time: Time;
  readonly #over: AbortController;
  readonly #errors: Error[];
  readonly #processes: Set<SpawnedProcess> = new Set();
  readonly #captures: Set<FrameCapture>;
  readonly #recordings: Set<Recording> = new Set();
  #closing: Promise<void> | undefined;

  private constructor(run: LabRun, captures: Set<FrameCapture>, over: AbortController, errors: Error[]) {
    this.#run = run;
    this.#captures = captures;
    this.#over = over;
    this.#errors = errors;
    this.definition = run.lab;
    this.emulator = run.emulator;
    this.#time = run.lab.virtual
      ? virtualTime(
          () => this.nowMs,
          (milliseconds) => this.run(milliseconds),
        )
      : REAL_TIME;
    addOpenLab(this);
  }

  /**
   * Brings a lab up; it can be used when this returns. When it cannot be, nothing of it is left, and this throws:
   * LabFileError for the lab itself, RequirementsError when the system does not allow it, StateError when a lab of
   * that name is up, else the error of what failed.
   */
  static async up(source: LabSource, options: LabOptions = {}): Promise<Lab> {
    const definition = await readSource(source, options.virtual ?? false);
    const lab = { ...definition, name: options.name ?? uniqueName(definition.name) };
    const over = new AbortController();
    const errors: Error[] = [];
    const captures = new Set<FrameCapture>();
    const log = recordErrors(options.log, errors);
    const onFailure = (error: Error): void =>
      over.abort(new Error(`lab ${lab.name} failed: ${error.message}`));
    try {
      if (!lab.virtual) await removeDeadLabs(undefined);
      const onStopped = (): Promise<void> => drain(captures);
      const run = await LabRun.up(lab, { log, onFailure, onStopped }, options.signal);
      return new Lab(run, captures, over, errors);
    } catch (error) {
      const { met, reason, missing } = lab.virtual ? { met: true, missing: [] } : await requirements();
      if (met || options.signal?.aborted) throw error;
      throw new RequirementsError(lab.name, missing, reason ?? '', error);
    }
  }

  /** A lab for the time of one function, for where there is no `await using`. */
  static async with<T>(
    source: LabSource,
    use: (lab: Lab) => T,
    options: LabOptions = {},
  ): Promise<Awaited<T>> {
    const lab = await Lab.up(source, options);
    try {
      return await use(lab);
    } finally {
      await lab.close();
    }
  }

  /** Whether labs on kernel devices can run here, and if not, why: for tests that are to be skipped then. */
  static requirements(): Promise<Requirements> {
    return requirements();
  }

  get name(): string {
    return this.definition.name;
  }

  /** Throws RangeError when the lab has no such node; so do interface() and link(). */
  node(name: string): NodeHandle {
    return new NodeHandle(named('node', name, this.definition.nodes), {
      lab: this.name,
      virtual: this.definition.virtual,
      over: this.#over.signal,
      assertUp: () => this.#assertUp(),
      onProcess: (process) => {
        this.#processes.add(process);
        void process.exited.then(() => this.#processes.delete(process));
      },
    });
  }

  /** @param name `node:interface` */
  interface(name: string): InterfaceHandle {
    const interfaces = this.definition.nodes.flatMap((node) => node.interfaces);
    return new InterfaceHandle(named('interface', name, interfaces), {
      emulator: this.emulator,
      time: this.#time,
      over: this.#over.signal,
      assertUp: () => this.#assertUp(),
      onCapture: (capture) => this.#captures.add(capture),
    });
  }

  link(name: string): LinkHandle {
    return new LinkHandle(named('link', name, this.definition.links).name, this.emulator, () =>
      this.#assertUp(),
    );
  }

  /** Milliseconds on the virtual clock since the lab came up. Throws in a lab that runs in real time. */
  get nowMs(): number {
    return this.emulator.clock.nowNs() / 1e6;
  }

  /**
   * Lets virtual time pass: so many milliseconds, or as long as anything is left to happen. When this returns, captures
   * have what happened. Throws in a lab that runs in real time.
   */
  async run(milliseconds?: number): Promise<void> {
    this.#assertUp();
    const { clock } = this.emulator;
    await this.emulator.run(milliseconds === undefined ? undefined : clock.nowNs() + milliseconds * 1e6);
    for (const capture of this.#captures) await capture.settled();
  }

  /**
   * Writes what every link decides for every frame into a file (docs/replay.md), from now until stop(), or until the lab
   * goes down. One at a time. Throws CaptureFileError, or LabChangeError when there is one already.
   */
  async record(path: string): Promise<Recording> {
    this.#assertUp();
    const file = await OutputFile.create(path);
    try {
      const recording = await this.emulator.record(file);
      this.#recordings.add(recording);
      return recording;
    } catch (error) {
      file.abandon();
      throw error;
    }
  }

  /**
   * Takes everything down: ends the commands in nodes, stops the traffic, lets captures read what they have captured,
   * removes devices and namespaces. Captured frames can still be read. Idempotent. Throws AggregateError when something was left.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** For the end of the process: removes at once what would outlive it. */
  abandon(): void {
    this.#run.abandon();
  }

  async #close(): Promise<void> {
    this.#over.abort(new Error(`lab ${this.name} is down`));
    const ended = [...this.#processes].map((process) => process.kill('SIGTERM'));
    const grace = new Promise<void>((resolve) => setTimeout(resolve, GRACE_MS).unref());
    await Promise.race([Promise.all(ended), grace]);
    await this.#run.down();
    for (const recording of this.#recordings) await recording.stop();
    removeOpenLab(this);
    if (this.#errors.length === 0) return;
    const what = this.#errors.map(({ message }) => message).join('; ');
    throw new AggregateError(this.#errors, `lab ${this.name} was not taken down cleanly: ${what}`);
  }

  #assertUp(): void {
    this.#over.signal.throwIfAborted();
  }
}

/** Lets captures read to their ends. Throws when one cannot in time: it has lost frames then. */
async function drain(captures: ReadonlySet<FrameCapture>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    const why = `captures were not read to their ends within ${DRAIN_MS} ms`;
    timer = setTimeout(() => reject(new Error(why)), DRAIN_MS);
  });
  const drained = Promise.all([...captures].map((capture) => capture.finished()));
  await Promise.race([drained, tooLong]).finally(() => clearTimeout(timer));
}

/** Passes on what the run reports, and keeps the errors. */
function recordErrors(log: RunLog | undefined, errors: Error[]): RunLog {
  return {
    info: (details, message) => log?.info(details, message),
    warn: (details, message) => log?.warn(details, message),
    error: (details, message) => {
      const { err } = details as { err?: unknown };
      errors.push(new Error(err instanceof Error ? `${message}: ${err.message}` : message, { cause: err }));
      log?.error(details, message);
    },
  };
}
