/**
 * Frames that leave a worker in one system call (sys/write-ring.ts). They wait for no others to come: flush() writes
 * what there is when the worker has done what had come or was due. Until then it holds their slots.
 *
 * Links have counted them as delivered by then; whoever makes a batch takes back those that failed.
 */
import type { Device } from '../device/device.ts';
import { whyNot } from '../device/fd.ts';
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

/** A frame was not written; `why` as Device.write() says. It is still in its slot. */
export type OnRefused = (port: Port, slot: number, link: LinkDirection, why: number) => void;

export class WriteBatch {
  readonly #ring: WriteRing;
  readonly #pool: FramePool;
  readonly #onRefused: OnRefused;
  readonly #slots: Int32Array = new Int32Array(BATCH_FRAMES);
  readonly #offsets: Float64Array = new Float64Array(BATCH_FRAMES);
  readonly #devices: Device[] = [];
  readonly #ports: Port[] = [];
  readonly #links: LinkDirection[] = [];
  #count = 0;

  /** @param ring for this alone, see openWriteRing() */
  constructor(ring: WriteRing, pool: FramePool, onRefused: OnRefused) {
    this.#ring = ring;
    this.#pool = pool;
    this.#onRefused = onRefused;
  }

  /** Takes a frame over that stands at `offset` of the arena, in its own slot; the caller's is not needed any more. */
  add(port: Port, device: Device, slot: number, offset: number, link: LinkDirection): void {
    if (this.#count === BATCH_FRAMES) this.flush();
    const i = this.#count++;
    this.#slots[i] = slot;
    this.#offsets[i] = offset;
    this.#devices[i] = device;
    this.#ports[i] = port;
    this.#links[i] = link;
    this.#pool.hold(slot);
  }

  /** Writes what there is. */
  flush(): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    if (count === 1) this.#writeOne();
    else {
      for (let i = 0; i < count; i++) {
        this.#devices[i]!.enqueue!(this.#ring, this.#offsets[i]!, this.#pool.length[this.#slots[i]!]!);
      }
      this.#ring.submit(this.#failed);
    }
    for (let i = 0; i < count; i++) this.#pool.release(this.#slots[i]!);
  }

  /** A frame by itself is written sooner by itself. */
  #writeOne(): void {
    const written = this.#devices[0]!.write(this.#offsets[0]!, this.#pool.length[this.#slots[0]!]!);
    if (written < 0) this.#refuse(0, written);
  }

  readonly #failed = (i: number, error: number): void => this.#refuse(i, whyNot(error));

  #refuse(i: number, why: number): void {
    this.#onRefused(this.#ports[i]!, this.#slots[i]!, this.#links[i]!, why);
  }
}
