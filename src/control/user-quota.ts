/** Keeps account of what each user has of descriptors and of memory for their buffers, and says when it is enough. */
import type { DescriptorHandle } from '../daemon/contract.ts';
import { formatSize } from '../link/units.ts';
import { isOperator } from './access.ts';
import type { UserLimits } from './limits.ts';
import { ProblemError, problemType } from './problem.ts';

/** Store and hold buffer: bpf(4)'s third, the free one, is always one of them. */
const BUFFERS_PER_DESCRIPTOR = 2;

type Use = { descriptors: number; bufferBytes: number };

export class UserQuota {
  readonly #limits: UserLimits;
  readonly #used = new Map<number, Use>();

  constructor(limits: UserLimits) {
    this.#limits = limits;
  }

  /**
   * Attaches a descriptor on a user's account, where it stays until it is closed. What is being attached counts
   * already, so that requests at the same time do not pass together.
   *
   * @throws ProblemError 429 when that would be too many, 507 when its buffers would be too large
   */
  async attach<Handle extends DescriptorHandle>(
    uid: number,
    bufferBytes: number,
    attach: () => Promise<Handle>,
  ): Promise<Handle> {
    if (isOperator(uid)) return attach();
    const bytes = BUFFERS_PER_DESCRIPTOR * bufferBytes;
    const use = this.#take(uid, bytes);
    const giveBack = (): void => {
      use.descriptors--;
      use.bufferBytes -= bytes;
      if (use.descriptors === 0) this.#used.delete(uid);
    };
    try {
      const handle = await attach();
      void handle.closed.then(giveBack);
      return handle;
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  #take(uid: number, bytes: number): Use {
    const { descriptors, bufferBytes } = this.#limits;
    const use = this.#used.get(uid) ?? { descriptors: 0, bufferBytes: 0 };
    const type = problemType('limit');
    if (use.descriptors >= descriptors) {
      throw new ProblemError(
        429,
        `uid ${uid} has ${use.descriptors} descriptors, and may have ${descriptors}; detach some, or have the lab brought up with a larger --max-descriptors-per-user.`,
        { type, title: 'Too many descriptors' },
      );
    }
    if (use.bufferBytes + bytes > bufferBytes) {
      throw new ProblemError(
        507,
        `This descriptor's ${BUFFERS_PER_DESCRIPTOR} buffers take ${formatSize(bytes)}; uid ${uid} uses ${formatSize(use.bufferBytes)} for buffers, and may use ${formatSize(bufferBytes)}; detach something, ask for a smaller bufferBytes, or have the lab brought up with a larger --max-buffer-memory-per-user.`,
        { type, title: 'Too much buffer memory' },
      );
    }
    use.descriptors++;
    use.bufferBytes += bytes;
    this.#used.set(uid, use);
    return use;
  }
}
