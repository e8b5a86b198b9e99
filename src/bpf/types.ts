/**
 * A BPF descriptor as its users see it. bpf/descriptor.ts implements it; names and semantics are those of bpf(4), and
 * docs/bpf.md has the table from each ioctl to the method here.
 */
import type { Program } from '../../vm/index.ts';
import type { Direction, Timestamp } from './record.ts';

/** Whoever opened a descriptor, from SO_PEERCRED; pid 0 for the emulator itself. */
export type Owner = { readonly uid: number; readonly gid: number; readonly pid: number };

/** A filter as the user gave it, and the program it means. The empty program accepts everything. */
export type NamedProgram = { readonly filter: string; readonly program: Program };

export type DescriptorStatus = {
  readonly id: number;
  readonly interface: string;
  /** As in pcap: 1 is EN10MB, 101 is RAW. */
  readonly linkType: number;
  /** The filter as the user gave it. */
  readonly filter: string;
  readonly instructions: number;
  /** The write filter as the user gave it; null when every frame may be written. */
  readonly writeFilter: string | null;
  readonly direction: Direction;
  readonly immediate: boolean;
  readonly readTimeoutMs: number;
  readonly bufferBytes: number;
  /** Whether frames to the node that are not for its hardware address are seen too. */
  readonly promiscuous: boolean;
  /** Whether the source address of a written frame is left as it was written. */
  readonly headerComplete: boolean;
  /** Whether written frames come back as input of the interface. */
  readonly feedback: boolean;
  readonly timestamp: Timestamp;
  /** BIOCLOCK: settings can no longer be changed. */
  readonly locked: boolean;
  readonly owner: Owner;
  /** False once the interface is gone, or after detach(); what was captured can still be read. */
  readonly attached: boolean;
  /** Frames seen before the filter, those it accepted, and accepted ones that found no room. */
  readonly received: number;
  readonly accepted: number;
  readonly dropped: number;
  readonly capturedBytes: number;
  /** Bytes of records in the store and the hold buffer: what FIONREAD adds up. */
  readonly storeBytes: number;
  readonly holdBytes: number;
  /**
   * What became of frames given to write(): sent to the interface, refused by the write filter, or not sent for any
   * other reason. Together they are all writes.
   */
  readonly written: number;
  readonly writeFiltered: number;
  readonly writeDropped: number;
};

export type AttachOptions = {
  readonly filter: string;
  readonly program: Program;
  readonly direction: Direction;
  readonly immediate: boolean;
  readonly readTimeoutMs: number;
  readonly bufferBytes: number;
  readonly owner: Owner;
  /** BIOCSDLT; the interface's own unless told. Throws EINVAL for one the interface does not offer. */
  readonly linkType?: number;
  /** BIOCSETWF; none unless told. */
  readonly writeFilter?: NamedProgram;
  /** BIOCPROMISC; true unless told. */
  readonly promiscuous?: boolean;
  /** BIOCSHDRCMPLT; true unless told. */
  readonly headerComplete?: boolean;
  /** BIOCFEEDBACK; false unless told. */
  readonly feedback?: boolean;
  /** BIOCSTSTAMP; `microtime` unless told. */
  readonly timestamp?: Timestamp;
};

export type ReadOptions = {
  /** O_NONBLOCK: throws EWOULDBLOCK instead of waiting. Hands over whatever is buffered. */
  readonly nonblocking?: boolean;
  /** As bpfread() does: empty-handed when the read timeout passes without a frame, instead of waiting for one. */
  readonly emptyOnTimeout?: boolean;
};

/**
 * A hold buffer in the reader's hands. `bytes` is shared memory that nobody writes to until it is released; then it
 * must no longer be looked at.
 */
export type HeldBatch = {
  /** Records, see bpf/record.ts. */
  readonly bytes: Uint8Array;
  /** Gives the buffer back to be filled again. Idempotent; may come after the descriptor was closed. */
  release(): Promise<void>;
};

export interface DescriptorHandle {
  readonly id: number;
  readonly interface: string;
  readonly linkType: number;
  readonly owner: Owner;
  status(): DescriptorStatus;
  /**
   * BIOCSETF: resets buffers and counters. With `keep`, BIOCSETFNR: does not.
   * Throws BpfError: EPERM (locked), EINVAL (a program of another dialect), ENOBUFS, ENXIO (closed).
   */
  setFilter(filter: string, program: Program, keep: boolean): Promise<void>;
  /** BIOCSETWF: run on every frame that is written. undefined lets every frame pass. EPERM (locked), EINVAL, ENXIO. */
  setWriteFilter(writeFilter: NamedProgram | undefined): void;
  /** BIOCGDLTLIST: the link types the interface offers. */
  linkTypes(): number[];
  /** BIOCSDLT. EPERM (locked), EINVAL (not offered, or no longer attached). */
  setLinkType(linkType: number): void;
  /** BIOCSDIRECTION. EPERM (locked), EINVAL (there is no such), ENXIO (closed). */
  setDirection(direction: Direction): Promise<void>;
  /**
   * BIOCPROMISC. Without it a frame to the node is seen only if a network card would accept it: for the interface's
   * hardware address, broadcast or multicast. EPERM (locked), EINVAL (no longer attached), ENXIO (closed).
   */
  setPromiscuous(promiscuous: boolean): Promise<void>;
  /** BIOCIMMEDIATE. Allowed when locked. */
  setImmediate(immediate: boolean): void;
  /** BIOCSRTIMEOUT, 0 is never. Allowed when locked. EINVAL (below 0). */
  setReadTimeout(readTimeoutMs: number): void;
  /** BIOCSHDRCMPLT: false has the source address of a written frame filled in with the interface's. EPERM (locked). */
  setHeaderComplete(headerComplete: boolean): void;
  /** BIOCFEEDBACK: true has a written frame come back as input of the interface. Allowed when locked. */
  setFeedback(feedback: boolean): void;
  /** BIOCSTSTAMP, for frames captured from now on. Allowed when locked. EINVAL (there is no such), ENXIO (closed). */
  setTimestamp(timestamp: Timestamp): Promise<void>;
  /** BIOCFLUSH: discards what is buffered and resets all counters. Allowed when locked. */
  flush(): Promise<void>;
  /**
   * BIOCLOCK, for good. Afterwards the methods that say EPERM throw it, and no other: what FreeBSD's bpfioctl() lets
   * pass when bd_locked is set is still allowed, reading and writing included.
   */
  lock(): void;
  /**
   * The next batch of records (see bpf/record.ts), a copy. Waits until there is one: at once with `immediate`,
   * after the read timeout or a full buffer without. `undefined` when the descriptor was closed, or its interface is
   * gone and everything captured has been read (ENXIO). Throws EWOULDBLOCK when asked to.
   */
  read(options?: ReadOptions): Promise<Uint8Array | undefined>;
  /** read() without the copy: the hold buffer itself. No other reader gets anything until it is released. */
  take(options?: ReadOptions): Promise<HeldBatch | undefined>;
  /**
   * poll(2): whether a read would not wait: true as soon as it would not, false after `timeoutMs` (0: asks only;
   * undefined: waits for ever). True, too, once the descriptor is closed or its interface gone.
   */
  poll(timeoutMs?: number): Promise<boolean>;
  /**
   * Sends a frame out of the interface, to the node. Throws BpfError: EINVAL (empty), EMSGSIZE (shorter than a link
   * header or longer than the MTU), EPERM (write filter), ENXIO (gone), ENETDOWN, ENOBUFS.
   */
  write(frame: Uint8Array): Promise<void>;
  /**
   * Captures no more, for good; returns when no thread can still deliver to it. What is buffered can be read to the
   * end, as when the interface goes away (bpfdetach()). Allowed when locked, as close() is. Idempotent.
   */
  detach(): Promise<void>;
  /** Detaches, and discards what has not been read: readers get `undefined`. Idempotent. */
  close(): Promise<void>;
  /** Resolves once the descriptor is closed. */
  readonly closed: Promise<void>;
}

/** What a bpf(4) call reports in errno. */
export class BpfError extends Error {
  readonly code: 'ENXIO' | 'EINVAL' | 'ENOBUFS' | 'EMSGSIZE' | 'EPERM' | 'ENETDOWN' | 'EIO' | 'EWOULDBLOCK';

  constructor(code: BpfError['code'], message: string) {
    super(message);
    this.name = 'BpfError';
    this.code = code;
  }
}

/** BIOCVERSION: of the filter language (BPF_MAJOR_VERSION, BPF_MINOR_VERSION). */
export const BPF_VERSION: { readonly major: number; readonly minor: number } = { major: 1, minor: 1 };

/** The uid that may do everything besides root: the one the daemon runs as. */
export const CONTROL_OWNER: Owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, pid: 0 };

/** Buffer bounds of DESIGN: FreeBSD's BPF_MINBUFSIZE is 32, its default 4096; here 512 KiB, at most 16 MiB. */
export const MIN_BUFFER_BYTES = 32;
export const DEFAULT_BUFFER_BYTES = 524_288;
export const MAX_BUFFER_BYTES = 16_777_216;
export const DEFAULT_READ_TIMEOUT_MS = 100;
