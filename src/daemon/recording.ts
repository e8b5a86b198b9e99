/**
 * A recording of what all links decide, into a file. In real time each worker writes into a ring of its own
 * (decisions/ring.ts), and this, in the control thread, empties the rings into the file; on a virtual clock the data
 * plane calls it directly.
 *
 * Memory is bounded: while the disk is slow the rings fill up, and what finds no room in them is lost, counted, and has
 * a line that says so. When the file cannot be written (a full disk) the recording ends, and the lab goes on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from '../arena/arena.ts';
import type { OutputFile } from '../capture/output-file.ts';
import { type DecisionSink, LOST } from '../decisions/decision.ts';
import { decisionLine, directionMembers } from '../decisions/line.ts';
import { DecisionReader } from '../decisions/ring.ts';

const DRAIN_MS = 5;
/** Characters of lines that are joined before they become bytes. */
const CHUNK_CHARACTERS = 1 << 16;
const MAX_PENDING_BYTES = 4 << 20;

export type RecordingResult = {
  readonly file: string;
  /** Decisions in the file. */
  readonly decisions: number;
  /** Decisions that are not: there was no room for them in time, or the file could not be written. */
  readonly lost: number;
  /** What ended the recording before its time. */
  readonly error: Error | undefined;
  /** Of the file, in hexadecimal; undefined after an error. */
  readonly sha256: string | undefined;
};

export type RecordingOptions = {
  readonly file: OutputFile;
  /** Names a direction, as `wan/forward`. */
  readonly pathOf: (direction: number) => string;
  /** Has all workers record, or not any more. */
  readonly tell: (on: boolean) => Promise<void>;
  /** The file cannot be written; the recording has ended. */
  readonly onError?: ((error: Error) => void) | undefined;
};

export class Recording implements DecisionSink {
  readonly #options: RecordingOptions;
  readonly #readers: DecisionReader[];
  /** CLOCK_MONOTONIC at the start of the lab's time; 0 on a virtual clock. */
  readonly #startNs: number;
  readonly #members: Map<number, string> = new Map();
  #lines: string[] = [];
  #characters = 0;
  /** Decisions that were taken, that the file was given, and that are on the disk. */
  #decisions = 0;
  #appended = 0;
  #flushed = 0;
  #gaps = 0;
  #error: Error | undefined;
  #over = false;
  #flushing: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #finished: Promise<RecordingResult> | undefined;

  /** @param arena of a lab in real time */
  constructor(arena: Arena | undefined, options: RecordingOptions) {
    this.#options = options;
    const workers = arena?.capacity.workers ?? 0;
    this.#readers = Array.from({ length: workers }, (_, worker) => new DecisionReader(arena!, worker));
    this.#startNs = arena ? Number(process.hrtime.bigint()) : 0;
  }

  /** Throws when a worker cannot record; then there is none. */
  async start(): Promise<void> {
    await this.#options.tell(true);
    if (this.#readers.length > 0) this.#draining = this.#drainOn();
  }

  get ended(): boolean {
    return this.#over || this.#error !== undefined;
  }

  /** True while the file has more to write than it should have: on a virtual clock time waits for that. */
  get behind(): boolean {
    if (this.#error === undefined && this.#options.file.pendingBytes > MAX_PENDING_BYTES) this.#flush();
    return this.#flushing !== undefined;
  }

  put(timeNs: number, direction: number, event: number, frame: number, bytes: number, value: number): void {
    if (this.#error !== undefined) return;
    if (event === LOST) this.#gaps += value;
    else this.#decisions++;
    const members = event === LOST ? '' : this.#membersOf(direction);
    const line = decisionLine(timeNs, members, event, frame, bytes, value);
    this.#lines.push(line);
    this.#characters += line.length;
    if (this.#characters > CHUNK_CHARACTERS) this.#toFile();
  }

  /** A direction has ended, and its number may be used again: takes what was said of it. */
  forget(direction: number): void {
    this.#take();
    this.#members.delete(direction);
  }

  /** Ends the recording, and completes the file. What has been decided before is in it. Idempotent. */
  stop(): Promise<RecordingResult> {
    this.#finished ??= this.#finish();
    return this.#finished;
  }

  async #finish(): Promise<RecordingResult> {
    const { file, tell } = this.#options;
    this.#over = true;
    // Workers that have ended record nothing more.
    await tell(false).catch(() => {});
    await this.#draining;
    let sha256: string | undefined;
    try {
      if (this.#error === undefined) {
        this.#take();
        // What was lost at the very end has no record after it.
        const left = this.#lostInRings() - this.#gaps;
        if (left > 0) this.put(Number(process.hrtime.bigint()) - this.#startNs, 0, LOST, 0, 0, left);
        this.#toFile();
        await this.#flushing;
        if (this.#error === undefined) {
          sha256 = await file.complete();
          this.#flushed = this.#decisions;
        }
      }
    } catch (error) {
      this.#fail(error as Error);
    }
    file.abandon();
    const inRings = this.#readers.reduce((sum, { pending }) => sum + pending, 0);
    const lost = this.#lostInRings() + inRings + this.#decisions - this.#flushed;
    return { file: file.path, decisions: this.#flushed, lost, error: this.#error, sha256 };
  }

  async #drainOn(): Promise<void> {
    while (!this.#over && this.#error === undefined) {
      await sleep(DRAIN_MS);
      // While the disk has enough to do the rings are left to fill.
      await this.#flushing;
      if (this.#error !== undefined) break;
      this.#take(Number(process.hrtime.bigint()));
      this.#toFile();
      this.#flush();
    }
  }

  /** Takes what workers have decided before a moment, in the order of time. */
  #take(untilNs: number = Number.MAX_VALUE): void {
    if (this.#error !== undefined) return;
    for (;;) {
      let first: DecisionReader | undefined;
      let firstNs = untilNs;
      for (const reader of this.#readers) {
        const { nextNs } = reader;
        if (nextNs < firstNs) [first, firstNs] = [reader, nextNs];
      }
      if (first === undefined) return;
      first.take(this.#startNs, this);
    }
  }

  #membersOf(direction: number): string {
    let members = this.#members.get(direction);
    if (members === undefined) {
      members = directionMembers(this.#options.pathOf(direction));
      this.#members.set(direction, members);
    }
    return members;
  }

  #toFile(): void {
    if (this.#lines.length === 0) return;
    this.#appended = this.#decisions;
    this.#lines.push('');
    this.#options.file.append(Buffer.from(this.#lines.join('\n')));
    this.#lines = [];
    this.#characters = 0;
  }

  #flush(): void {
    if (this.#flushing !== undefined) return;
    const decisions = this.#appended;
    this.#flushing = this.#options.file.flush().then(
      () => {
        this.#flushed = decisions;
        this.#flushing = undefined;
      },
      (error: Error) => {
        this.#flushing = undefined;
        this.#fail(error);
      },
    );
  }

  #fail(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#lines = [];
    // Nobody would take them.
    void this.#options.tell(false).catch(() => {});
    this.#options.onError?.(error);
  }

  #lostInRings(): number {
    return this.#readers.reduce((sum, { lost }) => sum + lost, 0);
  }
}
