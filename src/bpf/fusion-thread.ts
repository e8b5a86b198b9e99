/**
 * Fuses filters in a thread of its own. To encode a thousand of them takes tens of milliseconds, ten times as long at
 * first: too long for the control thread, which has people and captures to serve.
 *
 * The thread is started for the first job. Where it cannot be, jobs run on the calling thread: from source, where
 * there is no compiled file for it, and where the system allows no more threads.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Program } from '../../vm/index.ts';
import { type FusionJob, packJob, runJob } from './fusion-job.ts';
import type { FusionAnswer, FusionRequest } from './fusion-worker.ts';

const WORKER_FILE: URL = new URL('./fusion-worker.js', import.meta.url);

type Waiting = {
  readonly job: FusionJob;
  readonly resolve: (module: WebAssembly.Module | Promise<WebAssembly.Module>) => void;
  readonly reject: (reason: Error) => void;
};

export class FusionThread {
  readonly #file: URL;
  readonly #waiting: Map<number, Waiting> = new Map();
  #worker: Worker | undefined;
  #canStart: boolean;
  #lastNumber = 0;
  #closed = false;

  /** @param file what the thread runs */
  constructor(file: URL = WORKER_FILE) {
    this.#file = file;
    this.#canStart = existsSync(fileURLToPath(file));
  }

  /**
   * One module for all programs, as encodeFused makes it, for shared memory. Rejects when they are too large together,
   * when the thread dies of them, and when it is closed.
   */
  async fuse(programs: readonly Program[]): Promise<WebAssembly.Module> {
    if (this.#closed) throw closedError();
    const job = packJob(programs);
    if (!this.#canStart) return runJob(job);
    return new Promise((resolve, reject) => {
      const number = ++this.#lastNumber;
      this.#waiting.set(number, { job, resolve, reject });
      try {
        this.#worker ??= this.#start();
        this.#worker.postMessage({ number, job } satisfies FusionRequest);
      } catch {
        this.#failedToStart();
      }
    });
  }

  /** Ends the thread; what is not fused by now is not going to be. */
  close(): void {
    this.#closed = true;
    void this.#worker?.terminate();
    this.#rejectAll(closedError());
  }

  #start(): Worker {
    const worker = new Worker(this.#file, { name: 'taplab-fusion' });
    worker.unref();
    let isOnline = false;
    worker.on('online', () => {
      isOnline = true;
    });
    worker.on('message', (answer: FusionAnswer) => this.#answered(answer));
    // An 'error' is followed by 'exit'; without a listener it would end the process.
    let failure = new Error('the thread that fuses filters has ended');
    worker.on('error', (error) => {
      failure = error;
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      if (this.#closed) return;
      if (isOnline) this.#rejectAll(failure);
      else this.#failedToStart();
    });
    return worker;
  }

  /** Does what waits on this thread, and all that comes. */
  #failedToStart(): void {
    this.#canStart = false;
    for (const { job, resolve } of this.#waiting.values()) resolve(runJob(job));
    this.#waiting.clear();
  }

  #answered({ number, module, reason }: FusionAnswer): void {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (module !== undefined) waiting?.resolve(module);
    else waiting?.reject(new Error(reason));
  }

  #rejectAll(reason: Error): void {
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

function closedError(): Error {
  return new Error('filters are not fused any more');
}
