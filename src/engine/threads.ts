/**
 * Data planes in worker threads.
 */
import { Worker } from 'node:worker_threads';
import {
  type Arena,
  FIRST_WORKER,
  THREAD_ALIVE,
  THREAD_DEAD,
  THREAD_EVENT,
  THREAD_STATE,
  THREAD_STOP,
} from '../arena/arena.ts';
import { waitWhile } from '../arena/wait.ts';
import type { CompiledModule } from '../bpf/compiled.ts';
import { addressOf, check, close, EFD_CLOEXEC, EFD_NONBLOCK, eventfd, write } from '../sys/libc.ts';
import type { Command } from './commands.ts';
import type { HostEvents, PlaneHost } from './host.ts';
import { CommandError, CommandSender } from './mailbox.ts';
import type { WorkerSettings } from './worker.ts';

/** What is written to an eventfd to wake its reader: the number 1, 64 bits. */
const ONE = new Int32Array([1, 0]);

type Thread = {
  readonly worker: Worker;
  readonly eventfd: number;
  readonly sender: CommandSender;
  exited: Promise<void>;
};

export class ThreadHost implements PlaneHost {
  readonly #arena: Arena;
  readonly #events: HostEvents;
  readonly #threads: Thread[] = [];
  #closing = false;

  /** Starts one thread for each worker of the arena's capacity. */
  constructor(arena: Arena, events: HostEvents) {
    this.#arena = arena;
    this.#events = events;
    process.on('exit', this.#abandon);
    try {
      for (let worker = 0; worker < arena.capacity.workers; worker++) this.#threads.push(this.#start(worker));
    } catch (error) {
      void this.close();
      throw error;
    }
  }

  send(worker: number, commands: readonly Command[]): Promise<void> {
    if (this.#closing) return Promise.reject(new CommandError('the data plane has stopped'));
    return this.#threads[worker]!.sender.send(commands);
  }

  async install(compiled: CompiledModule): Promise<boolean> {
    if (this.#closing) return false;
    const sent = this.#threads.map(({ worker, sender }) => {
      worker.postMessage(compiled);
      return sender.send([{ do: 'install' }]);
    });
    const results = await Promise.allSettled(sent);
    return results.every(({ status }) => status === 'fulfilled');
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await Promise.all(
      this.#threads.map(async (thread, index) => {
        // A worker that has died cannot be told to stop, and need not be.
        await thread.sender.send([{ do: 'stop' }]).catch(() => {});
        await thread.exited;
        this.#announce(index);
        close(thread.eventfd);
      }),
    );
    process.off('exit', this.#abandon);
  }

  /** The process ends without close(): a thread in poll(2) would keep it from doing so. */
  readonly #abandon = (): void => {
    for (const [index, { eventfd }] of this.#threads.entries()) {
      Atomics.store(this.#arena.i32, this.#arena.threadWord(FIRST_WORKER + index, THREAD_STOP), 1);
      write(eventfd, addressOf(ONE), 8);
    }
  };

  #start(index: number): Thread {
    const arena = this.#arena;
    const fd = check(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 'eventfd', `worker ${index}`);
    const state = arena.threadWord(FIRST_WORKER + index, THREAD_STATE);
    Atomics.store(arena.i32, state, THREAD_ALIVE);
    const settings: WorkerSettings = { arena: arena.handle, worker: index, eventfd: fd };
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: settings,
      name: `taplab-${index}`,
    });
    worker.on('error', (error) => this.#events.onFailure(error));
    const exited = new Promise<void>((resolve) => {
      worker.on('exit', () => {
        // From here on its locks may be taken over.
        Atomics.store(arena.i32, state, THREAD_DEAD);
        if (!this.#closing) this.#events.onFailure(new Error(`data-plane worker ${index} has ended`));
        resolve();
      });
    });
    const sender = new CommandSender(arena, index, () => write(fd, addressOf(ONE), 8));
    void this.#listen(index);
    return { worker, eventfd: fd, sender, exited };
  }

  /** Reports what the worker announces, until the host closes. */
  async #listen(index: number): Promise<void> {
    const event = this.#arena.threadWord(FIRST_WORKER + index, THREAD_EVENT);
    for (let seen = 0; !this.#closing; ) {
      await waitWhile(this.#arena.i32, event, seen);
      const now = Atomics.load(this.#arena.i32, event);
      if (now !== seen && !this.#closing) this.#events.onInterfacesChanged();
      seen = now;
    }
  }

  /** Ends #listen(). */
  #announce(index: number): void {
    const event = this.#arena.threadWord(FIRST_WORKER + index, THREAD_EVENT);
    Atomics.add(this.#arena.i32, event, 1);
    Atomics.notify(this.#arena.i32, event);
  }
}
