/**
 * Writing frames through a descriptor: FreeBSD's bpfwrite() and bpf_movein() (sys/net/bpf.c), in their order.
 *
 * Belongs to the control thread. The frame is the caller's until the promise settles.
 */
import { interpret, type Program } from '../../vm/index.ts';
import { type AttachOptions, BpfError, type NamedProgram } from './types.ts';

const LINK_EN10MB = 1;
const ETHERNET_HEADER = 14;
const ETHERNET_SOURCE = 6;
/** IEEE 802.1Q: a tagged frame may be that much longer. */
const VLAN_TAG = 4;

export type SendOptions = {
  /** Whether descriptors of the interface see the frame go out. */
  readonly shown: boolean;
  /** Whether it then comes in again, as if the node had sent it: seen as `in`, and carried by the link. */
  readonly feedback: boolean;
};

/** What is behind a descriptor's write(). */
export type Outlet = {
  readonly name: string;
  readonly linkType: number;
  /** Longest frame, without the link header. */
  readonly mtu: number;
  /** Hardware address; undefined when the link type has none. */
  readonly address?: Uint8Array;
  /** Sends a frame out of the interface. Throws BpfError (ENETDOWN, ENOBUFS, EMSGSIZE, EINVAL). */
  readonly write: (frame: Uint8Array, options: SendOptions) => Promise<void>;
};

/**
 * Throws EINVAL for a program of the linux dialect: its ancillary loads ask for what a frame here does not carry.
 */
export function checkDialect(program: Program): void {
  if (program.dialect === 'bsd') return;
  throw new BpfError('EINVAL', `a descriptor takes programs of the bsd dialect, not ${program.dialect}`);
}

export class DescriptorWriter {
  /** BIOCSETWF, BIOCSHDRCMPLT, BIOCFEEDBACK. */
  filter: NamedProgram | undefined;
  headerComplete: boolean;
  feedback: boolean;
  written = 0;
  filtered = 0;
  dropped = 0;
  readonly #outlet: Outlet;

  constructor(outlet: Outlet, { writeFilter, headerComplete, feedback }: AttachOptions) {
    this.#outlet = outlet;
    this.filter = writeFilter;
    this.headerComplete = headerComplete ?? true;
    this.feedback = feedback ?? false;
  }

  /**
   * @param attached whether the interface is still there
   * @param both whether the descriptor sees both directions: then a frame that comes back is not shown going out too
   */
  async write(frame: Uint8Array, attached: () => boolean, both: boolean): Promise<void> {
    try {
      const { name } = this.#outlet;
      if (!attached()) throw new BpfError('ENXIO', `the descriptor is no longer attached to ${name}`);
      this.#checkLength(frame);
      if (!this.#passes(frame)) {
        throw new BpfError(
          'EPERM',
          `the write filter of the descriptor on ${name} does not let this frame pass`,
        );
      }
      const feedback = this.feedback;
      await this.#outlet.write(this.#complete(frame), { shown: !(feedback && both), feedback });
    } catch (error) {
      if (error instanceof BpfError && error.code === 'EPERM') this.filtered++;
      else this.dropped++;
      throw error;
    }
    this.written++;
  }

  resetCounters(): void {
    this.written = 0;
    this.filtered = 0;
    this.dropped = 0;
  }

  #checkLength(frame: Uint8Array): void {
    const { name, linkType, mtu } = this.#outlet;
    const header = linkType === LINK_EN10MB ? ETHERNET_HEADER : 0;
    if (frame.length === 0) throw new BpfError('EINVAL', 'an empty frame cannot be sent');
    if (frame.length < header) {
      throw new BpfError(
        'EMSGSIZE',
        `a frame of ${frame.length} bytes is shorter than its ${header}-byte link header`,
      );
    }
    const tag = header > 0 && isTagged(frame) ? VLAN_TAG : 0;
    if (frame.length > header + tag + mtu) {
      throw new BpfError(
        'EMSGSIZE',
        `a frame of ${frame.length} bytes is too long for ${name}, whose MTU is ${mtu}`,
      );
    }
  }

  #passes(frame: Uint8Array): boolean {
    return this.filter === undefined || interpret(this.filter.program, frame) !== 0;
  }

  /** As the link layer does when the header is not complete: the source is the interface. */
  #complete(frame: Uint8Array): Uint8Array {
    const { linkType, address } = this.#outlet;
    if (this.headerComplete || linkType !== LINK_EN10MB || address === undefined) return frame;
    const completed = Uint8Array.from(frame);
    completed.set(address, ETHERNET_SOURCE);
    return completed;
  }
}

/** IEEE 802.1Q and 802.1ad. */
function isTagged(frame: Uint8Array): boolean {
  const type = (frame[12]! << 8) | frame[13]!;
  return type === 0x8100 || type === 0x88a8;
}
