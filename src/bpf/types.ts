/**
 * A BPF descriptor as its users see it. bpf/descriptor.ts implements it; names and semantics are those of bpf(4).
 */
import type { Program } from '../../vm/index.ts';
import type { Direction } from './record.ts';

/** Whoever opened a descriptor, from SO_PEERCRED; pid 0 for the emulator itself. */
export type Owner = { readonly uid: number; readonly gid: number; readonly pid: number };

export type DescriptorStatus = {
  readonly id: number;
  readonly interface: string;
  /** The filter as the user gave it. */
  readonly filter: string;
  readonly instructions: number;
  readonly direction: Direction;
  readonly immediate: boolean;
  readonly readTimeoutMs: number;
  readonly bufferBytes: number;
  readonly owner: Owner;
  /** False once the interface is gone; what was captured can still be read. */
  readonly attached: boolean;
  /** Frames seen before the filter, those it accepted, and accepted ones that found no room. */
  readonly received: number;
  readonly accepted: number;
  readonly dropped: number;
  readonly capturedBytes: number;
  /** Frames written to the interface through this descriptor. */
  readonly written: number;
};

export type AttachOptions = {
  readonly filter: string;
  readonly program: Program;
  readonly direction: Direction;
  readonly immediate: boolean;
  readonly readTimeoutMs: number;
  readonly bufferBytes: number;
  readonly owner: Owner;
};

export interface DescriptorHandle {
  readonly id: number;
  readonly interface: string;
  readonly linkType: number;
  readonly owner: Owner;
  status(): DescriptorStatus;
  /** BIOCSETF: resets buffers and counters. With `keep`, BIOCSETFNR: does not. */
  setFilter(filter: string, program: Program, keep: boolean): Promise<void>;
  setDirection(direction: Direction): Promise<void>;
  setImmediate(immediate: boolean): void;
  setReadTimeout(readTimeoutMs: number): void;
  /** BIOCFLUSH: discards what is buffered, and resets received and dropped. */
  flush(): Promise<void>;
  /**
   * The next batch of records (see bpf/record.ts), a copy. Waits until there is one: at once with `immediate`,
   * after the read timeout or a full buffer without. `undefined` when the descriptor was closed, or its interface is
   * gone and everything captured has been read (ENXIO).
   */
  read(): Promise<Uint8Array | undefined>;
  /** Sends a frame out of the interface, to the node. Throws BpfError (EMSGSIZE, ENXIO). */
  write(frame: Uint8Array): Promise<void>;
  /** Detaches; returns when no thread can still deliver to it. Readers get `undefined`. Idempotent. */
  close(): Promise<void>;
  /** Resolves once the descriptor is closed. */
  readonly closed: Promise<void>;
}

/** What a bpf(4) call reports in errno. */
export class BpfError extends Error {
  readonly code: 'ENXIO' | 'EINVAL' | 'ENOBUFS' | 'EMSGSIZE' | 'EPERM' | 'ENETDOWN' | 'EIO';

  constructor(code: BpfError['code'], message: string) {
    super(message);
    this.name = 'BpfError';
    this.code = code;
  }
}

/** The uid that may do everything besides root: the one the daemon runs as. */
export const CONTROL_OWNER: Owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, pid: 0 };

/** Buffer bounds of DESIGN: FreeBSD's BPF_MINBUFSIZE is 32, its default 4096; here 512 KiB, at most 16 MiB. */
export const MIN_BUFFER_BYTES = 32;
export const DEFAULT_BUFFER_BYTES = 524_288;
export const MAX_BUFFER_BYTES = 16_777_216;
export const DEFAULT_READ_TIMEOUT_MS = 100;
