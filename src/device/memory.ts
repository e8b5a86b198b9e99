/**
 * A device that is a pair of queues in this thread's memory: no privilege, no kernel, any system. With a virtual
 * clock whole labs run in it (engine/inline.ts).
 */
import type { Arena } from '../arena/arena.ts';
import { type Device, NO_FRAME, REFUSED } from './device.ts';

export class MemoryDevice implements Device {
  readonly fd = -1;
  readonly offload = false;
  /** Called for each frame that leaves the lab here, with a copy. */
  onFrame: (frame: Uint8Array) => void = () => {};
  readonly #arena: Arena;
  readonly #waiting: Uint8Array[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Queues a frame as if a node had sent it. The data plane takes it at its next turn. */
  send(frame: Uint8Array): void {
    this.#waiting.push(frame.slice());
  }

  read(offset: number, capacity: number): number {
    const frame = this.#waiting.shift();
    if (!frame) return NO_FRAME;
    this.#arena.u8.set(frame.subarray(0, capacity), offset);
    return frame.length;
  }

  write(offset: number, length: number): number {
    this.onFrame(this.#arena.u8.slice(offset, offset + length));
    return length;
  }

  writeParts(): number {
    return REFUSED;
  }
}
