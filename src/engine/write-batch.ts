/**
 * Frames that leave a worker in one system call (sys/write-ring.ts). They wait for no others to come: flush() writes
 * what there is when the worker has done what had come or was due. Until then it holds their slots.
 *
 * Links have counted them as delivered by then; whoever makes a batch takes back those that failed.
 */
import type { Device } from '../device/device.ts';
import type { LinkDirection } from '../link/direction.ts';
import { SystemError } from '../sys/libc.ts';
import { WriteRing } from '../sys/write-ring.ts';
import type { FramePool } from './frame-pool.ts';
import type { Port } from './port.ts';

/** Frames in a batch. More save no more, and those that came first would wait. */
const BATCH_FRAMES = 64;

/**
 * A ring for a batch; undefined where the system does not allow one (a seccomp filter, kernel.io_uring_disabled), or
 * is older than Linux 6.0. $TAPLAB_IO decides otherwise: with `epoll` there is none, with `uring` SystemError says why.
 * Throws for any other value.
 */
export function openWriteRing(
  wish: string | undefined = process.env.TAPLAB_IO || undefined,
): WriteRing | undefined {
  if (wish === 'epoll') return undefined;
  if (wish !== undefined && wish !== 'uring') {
    throw new Error(`TAPLAB_IO is ${JSON.stringify(wish)}; it may be epoll or uring`);
  }
  try {
    return new WriteRing(BATCH_FRAMES);
  } catch (error) {
    if (wish === 'uring' || !(error instanceof SystemError)) throw error;
    return undefined;
  }
}

/** A frame was not written: `error` is the errno. It is still in its slot. */
export type OnRefused = (port: Port, slot: number, link: LinkDirection, error: number) => void;

export class WriteBatch {
  readonly #ring: WriteRing;
  readonly #pool: FramePool;
  readonly #onRefused: OnRefused;
  readonly #slots: Int32Array = new Int32Array(BATCH_FRAMES);
  readonly #ports: Port[] = [];
  readonly #links: LinkDirection[] = [];

  /** @param ring for this alone, see openWriteRing() */
  constructor(ring: WriteRing, pool: FramePool, onRefused: OnRefused) {
    this.#ring = ring;
    this.#pool = pool;
    this.#onRefused = onRefused;
  }

  /** Takes a frame over that stands at `offset` of the arena, in its own slot; the caller's is not needed any more. */
  add(port: Port, device: Device, slot: number, offset: number, link: LinkDirection): void {
    const ring = this.#ring;
    if (ring.pending === ring.capacity) this.flush();
    const i = ring.pending;
    device.enqueue!(ring, offset, this.#pool.length[slot]!);
    this.#slots[i] = slot;
    this.#ports[i] = port;
    this.#links[i] = link;
    this.#pool.hold(slot);
  }

  /** Writes what there is. */
  flush(): void {
    const count = this.#ring.pending;
    if (count === 0) return;
    this.#ring.submit(this.#failed);
    for (let i = 0; i < count; i++) this.#pool.release(this.#slots[i]!);
  }

  readonly #failed = (i: number, error: number): void => {
    this.#onRefused(this.#ports[i]!, this.#slots[i]!, this.#links[i]!, error);
  };
}
