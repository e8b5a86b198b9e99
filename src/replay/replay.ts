/**
 * Runs a lab over captures on a virtual clock: no privilege, no waiting, and for the same lab, seed and inputs the
 * same bytes come out on any machine. Nothing of the output depends on the time of day, the locale, the load, or the
 * order in which inputs are named.
 *
 * The first frame of all inputs is the start of the lab's time, and its stamp the base of all stamps that are written.
 * Frames of the same moment enter the lab in the order of its interfaces.
 */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { OutputFile } from '../capture/output-file.ts';
import type { CapturePacket } from '../capture/packet.ts';
import { pcapHeader, pcapRecord } from '../capture/pcap-writer.ts';
import type { LinkStatus } from '../daemon/contract.ts';
import { Emulator } from '../daemon/emulator.ts';
import type { Recording } from '../daemon/recording.ts';
import { linkTypeOf } from '../device/link-type.ts';
import type { MemoryDevice } from '../device/memory.ts';
import type { Lab } from '../lab/model.ts';
import { ReplayError, type ReplayInput } from './replay-input.ts';

/** Frames between two looks at the outputs, and at everything else this process may have to do. */
const TURN_FRAMES = 512;
const MAX_PENDING_BYTES = 4 << 20;

export type ReplayOptions = {
  /** A virtual lab. */
  readonly lab: Lab;
  /** One of an interface at most. They are the caller's to close. */
  readonly inputs: readonly ReplayInput[];
  /** Folder of the captures; made when it is not there. */
  readonly out: string;
  /** File of the decision log. */
  readonly record?: string | undefined;
  /** Called now and then. */
  readonly onProgress?: () => void;
  readonly signal?: AbortSignal;
};

export type ReplayOutput = {
  readonly interface: string;
  readonly file: string;
  readonly frames: number;
  readonly bytes: number;
  readonly sha256: string;
};

export type ReplayResult = {
  /** How long it took in the lab. */
  readonly durationNs: number;
  readonly outputs: readonly ReplayOutput[];
  readonly record: { readonly file: string; readonly decisions: number; readonly sha256: string } | undefined;
  readonly links: readonly LinkStatus[];
};

type Moment = { readonly seconds: number; readonly nanoseconds: number };

/** Throws ReplayError, CaptureFileError, or what the signal was aborted with. Files are left as far as they are whole. */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const run = new Replay(options);
  try {
    return await run.run();
  } finally {
    await run.close();
  }
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #base: Moment;
  readonly #captures: Capture[] = [];
  #record: OutputFile | undefined;
  #emulator: Emulator | undefined;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#base = earliest(options.inputs);
  }

  async run(): Promise<ReplayResult> {
    await this.#openOutputs();
    const emulator = await Emulator.start(this.#options.lab);
    this.#emulator = emulator;
    const recording = this.#record && (await emulator.record(this.#record));
    for (const capture of this.#captures) capture.listen(emulator, this.#base);
    await this.#play(emulator);
    await emulator.run();
    const outputs: ReplayOutput[] = [];
    for (const each of this.#captures) outputs.push(await each.complete());
    return {
      durationNs: Math.round(emulator.clock.nowNs()),
      outputs,
      record: recording && (await completed(recording)),
      links: emulator.links(),
    };
  }

  async close(): Promise<void> {
    await this.#emulator?.close();
    for (const { file } of this.#captures) file.abandon();
    this.#record?.abandon();
  }

  async #openOutputs(): Promise<void> {
    const { lab, out, record, inputs } = this.#options;
    await mkdir(out, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      const why = error.code === 'EEXIST' ? 'there is a file of that name' : error.code;
      throw new ReplayError(`cannot make the folder ${out}: ${why}`, { cause: error });
    });
    const create = async (path: string): Promise<OutputFile> => {
      const status = await stat(path, { bigint: true }).catch(() => undefined);
      const input = inputs.find(({ identity }) => identity === `${status?.dev}:${status?.ino}`);
      if (input) throw new ReplayError(`${path} is the input of ${input.interfaceName}; write elsewhere`);
      return OutputFile.create(path);
    };
    for (const each of lab.nodes.flatMap(({ interfaces }) => interfaces)) {
      const { name, node, device } = each;
      // Names of nodes have no dot, so this is not ambiguous.
      this.#captures.push(
        new Capture(name, linkTypeOf(each), await create(join(out, `${node}.${device}.pcap`))),
      );
    }
    if (record !== undefined) this.#record = await create(record);
  }

  /** Has the frames of all inputs enter the lab, each at its time. */
  async #play(emulator: Emulator): Promise<void> {
    const { inputs, onProgress, signal, lab } = this.#options;
    const names = lab.nodes.flatMap((node) => node.interfaces.map(({ name }) => name));
    const sources = inputs
      .map((input) => ({ input, device: emulator.memoryDevice(input.interfaceName) }))
      .sort((a, b) => names.indexOf(a.input.interfaceName) - names.indexOf(b.input.interfaceName))
      .map(({ input, device }) => new Source(input, device, this.#base));
    let frames = 0;
    for (let source = first(sources); source !== undefined; source = first(sources)) {
      await emulator.run(source.atNs);
      source.send();
      if (++frames % TURN_FRAMES !== 0) continue;
      signal?.throwIfAborted();
      onProgress?.();
      await this.#flush();
      await setImmediate();
    }
  }

  async #flush(): Promise<void> {
    const files = this.#captures.map(({ file }) => file);
    const pendingBytes = files.reduce((sum, each) => sum + each.pendingBytes, 0);
    if (pendingBytes > MAX_PENDING_BYTES) for (const file of files) await file.flush();
  }
}

/** An input, and where it enters. */
class Source {
  /** When its next frame enters; Infinity at the end. */
  atNs = 0;
  readonly #input: ReplayInput;
  readonly #device: MemoryDevice;
  readonly #base: Moment;

  constructor(input: ReplayInput, device: MemoryDevice, base: Moment) {
    this.#input = input;
    this.#device = device;
    this.#base = base;
    this.#look();
  }

  send(): void {
    const input = this.#input;
    const { bytes, wireLength } = input.next!;
    input.frames++;
    if (bytes.length < wireLength) input.cutShort++;
    // A device has no frame of no bytes.
    if (bytes.length > 0) this.#device.send(bytes);
    input.advance();
    this.#look();
  }

  #look(): void {
    const { next } = this.#input;
    const atNs = next ? offsetNs(next, this.#base) : Number.POSITIVE_INFINITY;
    if (atNs < this.atNs) this.#input.backwards++;
    this.atNs = Math.max(this.atNs, atNs);
  }
}

/** What leaves a lab at one interface. */
class Capture {
  readonly file: OutputFile;
  readonly #interfaceName: string;
  #frames = 0;
  #bytes = 0;

  constructor(interfaceName: string, linkType: number, file: OutputFile) {
    this.#interfaceName = interfaceName;
    this.file = file;
    file.append(pcapHeader(linkType));
  }

  listen(emulator: Emulator, base: Moment): void {
    emulator.memoryDevice(this.#interfaceName).onFrame = (bytes) => {
      this.#frames++;
      this.#bytes += bytes.length;
      const stamp = later(base, Math.round(emulator.clock.nowNs()));
      this.file.append(pcapRecord({ ...stamp, wireLength: bytes.length, bytes, direction: 'out' }));
    };
  }

  async complete(): Promise<ReplayOutput> {
    const sha256 = await this.file.complete();
    const counted = { frames: this.#frames, bytes: this.#bytes };
    return { interface: this.#interfaceName, file: this.file.path, ...counted, sha256 };
  }
}

/** Throws CaptureFileError. */
async function completed(recording: Recording): Promise<NonNullable<ReplayResult['record']>> {
  const { file, decisions, error, sha256 } = await recording.stop();
  if (error !== undefined) throw error;
  return { file, decisions, sha256: sha256! };
}

/** The source whose frame is next; of the same moment the first. */
function first(sources: readonly Source[]): Source | undefined {
  let found: Source | undefined;
  for (const each of sources) if (each.atNs < (found?.atNs ?? Number.POSITIVE_INFINITY)) found = each;
  return found;
}

function earliest(inputs: readonly ReplayInput[]): Moment {
  const stamps = inputs.flatMap(({ next }): CapturePacket[] => (next ? [next] : []));
  const [base] = stamps.sort((a, b) => a.seconds - b.seconds || a.nanoseconds - b.nanoseconds);
  return base ?? { seconds: 0, nanoseconds: 0 };
}

function offsetNs(moment: Moment, base: Moment): number {
  return (moment.seconds - base.seconds) * 1e9 + moment.nanoseconds - base.nanoseconds;
}

function later({ seconds, nanoseconds }: Moment, byNs: number): Moment {
  const whole = nanoseconds + byNs;
  const carry = Math.floor(whole / 1e9);
  // A pcap file has 32 bits for them.
  return { seconds: (seconds + carry) >>> 0, nanoseconds: whole - carry * 1e9 };
}
