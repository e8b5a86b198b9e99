/**
 * How a command reaches a worker, whose thread sits in poll(2) and never returns to its event loop: the control
 * thread writes the commands into the worker's mailbox in the arena, counts up THREAD_COMMAND and writes to the
 * eventfd in the worker's poll set. The worker carries them out between two frames, writes its answer into the same
 * place and counts up THREAD_ACK.
 *
 * The mailbox (4 bytes of length, then JSON) belongs to the control thread while both counts are equal, to the
 * worker while they differ. There is no lock.
 */
import {
  type Arena,
  FIRST_WORKER,
  MAILBOX_BYTES,
  THREAD_ACK,
  THREAD_COMMAND,
  THREAD_DEAD,
  THREAD_STATE,
} from '../arena/arena.ts';
import { waitWhile } from '../arena/wait.ts';
import type { Command } from './commands.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes of commands that go into a mailbox: less the length, and the brackets of the array. */
const ROOM_BYTES = MAILBOX_BYTES - 4 - 2;

/** How often the sender looks whether the worker is still alive. */
const RECHECK_MS = 1_000;

type Answer = { readonly error?: string; readonly code?: string };

/**
 * A command that a worker could not carry out; `code` is the `code` of the error it met, if that had one, and E2BIG
 * when it is longer than a mailbox.
 */
export class CommandError extends Error {
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

/** The control thread's end. */
export class CommandSender {
  readonly #arena: Arena;
  readonly #worker: number;
  readonly #ring: () => void;
  #last: Promise<void> = Promise.resolve();

  /** @param ring wakes the worker: writes to its eventfd */
  constructor(arena: Arena, worker: number, ring: () => void) {
    this.#arena = arena;
    this.#worker = worker;
    this.#ring = ring;
  }

  /**
   * Has the commands carried out, in order. Rejects when one failed, and those after it are not carried out; when the
   * worker died; and when one is too long, and none is carried out.
   */
  send(commands: readonly Command[]): Promise<void> {
    const turn = this.#last.then(async () => {
      for (const batch of [...batches(commands)]) await this.#sendBatch(batch);
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #sendBatch(batch: Uint8Array): Promise<void> {
    const arena = this.#arena;
    const thread = FIRST_WORKER + this.#worker;
    const ack = arena.threadWord(thread, THREAD_ACK);
    const before = Atomics.load(arena.i32, ack);
    writeMail(arena, this.#worker, batch);
    Atomics.add(arena.i32, arena.threadWord(thread, THREAD_COMMAND), 1);
    this.#ring();
    while (Atomics.load(arena.i32, ack) === before) {
      await waitWhile(arena.i32, ack, before, RECHECK_MS);
      if (Atomics.load(arena.i32, arena.threadWord(thread, THREAD_STATE)) === THREAD_DEAD) {
        throw new CommandError(`data-plane worker ${this.#worker} has ended`);
      }
    }
    const answer = JSON.parse(decoder.decode(readMail(arena, this.#worker))) as Answer;
    if (answer.error !== undefined) throw new CommandError(answer.error, answer.code);
  }
}

/** The worker's end: whether the mailbox holds something to be carried out. */
export function isCommanded(arena: Arena, worker: number): boolean {
  const thread = FIRST_WORKER + worker;
  const command = Atomics.load(arena.i32, arena.threadWord(thread, THREAD_COMMAND));
  return command !== Atomics.load(arena.i32, arena.threadWord(thread, THREAD_ACK));
}

/** The worker's end: carries out what is in the mailbox, if anything is. */
export function takeCommands(arena: Arena, worker: number, carryOut: (command: Command) => void): void {
  const thread = FIRST_WORKER + worker;
  const command = Atomics.load(arena.i32, arena.threadWord(thread, THREAD_COMMAND));
  const ack = arena.threadWord(thread, THREAD_ACK);
  if (command === Atomics.load(arena.i32, ack)) return;
  let answer: Answer = {};
  try {
    for (const each of JSON.parse(decoder.decode(readMail(arena, worker))) as Command[]) carryOut(each);
  } catch (error) {
    const { message, code } = error as Error & { code?: unknown };
    answer = { error: message, ...(typeof code === 'string' && { code }) };
  }
  writeMail(arena, worker, encoder.encode(JSON.stringify(answer)));
  Atomics.store(arena.i32, ack, command);
  Atomics.notify(arena.i32, ack);
}

/** Whether commands reach a worker in one mail, so that no frame comes in between. */
export function fitsMailbox(commands: readonly Command[]): boolean {
  return commands.reduce((bytes, command) => bytes + mailBytes(JSON.stringify(command)), 0) <= ROOM_BYTES;
}

/** JSON arrays of commands, none longer than a mailbox. Throws CommandError: E2BIG. */
function* batches(commands: readonly Command[]): Generator<Uint8Array> {
  let texts: string[] = [];
  let bytes = 0;
  for (const command of commands) {
    const text = JSON.stringify(command);
    const length = mailBytes(text);
    if (length > ROOM_BYTES)
      throw new CommandError(`a command takes ${length} bytes, a mailbox has ${ROOM_BYTES}`, 'E2BIG');
    if (bytes + length > ROOM_BYTES && texts.length > 0) {
      yield encoder.encode(`[${texts.join()}]`);
      texts = [];
      bytes = 0;
    }
    texts.push(text);
    bytes += length;
  }
  if (texts.length > 0) yield encoder.encode(`[${texts.join()}]`);
}

/** Of a command in a mail, with the comma. */
function mailBytes(text: string): number {
  return encoder.encode(text).length + 1;
}

function mailOffset(arena: Arena, worker: number): number {
  return arena.mailboxes + worker * MAILBOX_BYTES;
}

function writeMail(arena: Arena, worker: number, bytes: Uint8Array): void {
  const offset = mailOffset(arena, worker);
  arena.i32[offset >>> 2] = bytes.length;
  arena.u8.set(bytes, offset + 4);
}

/** A copy: TextDecoder does not read shared memory. */
function readMail(arena: Arena, worker: number): Uint8Array {
  const offset = mailOffset(arena, worker);
  return arena.u8.slice(offset + 4, offset + 4 + arena.i32[offset >>> 2]!);
}
