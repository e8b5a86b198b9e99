/** Batches as a descriptor hands them out, a descriptor made of them, and tshark where it is installed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DIRECTION_IN,
  DIRECTION_OUT,
  droppedBecause,
  RECORD_ALIGN,
  RECORD_HEADER,
  TIMESTAMP_SHIFT,
  type Timestamp,
  timestampBits,
} from '../../src/bpf/record.ts';
import type { HeldBatch } from '../../src/bpf/types.ts';
import type { DescriptorHandle, DescriptorStatus } from '../../src/daemon/contract.ts';

export type TestFrame = {
  readonly seconds?: number;
  readonly nanoseconds?: number;
  readonly direction?: 'in' | 'out';
  readonly wireLength?: number;
  /** It was dropped: why, an index of DROP_REASONS. */
  readonly dropReason?: number;
  readonly timestamp?: Timestamp;
  readonly bytes: Uint8Array;
};

/** Records as bpf/record.ts lays them out; the padding is not zero, as nothing promises that it is. */
export function batchOf(...frames: TestFrame[]): Uint8Array {
  const sizes = frames.map(
    ({ bytes }) => Math.ceil((RECORD_HEADER + bytes.length) / RECORD_ALIGN) * RECORD_ALIGN,
  );
  const batch = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0)).fill(0xee);
  const view = new DataView(batch.buffer);
  let at = 0;
  for (const [index, frame] of frames.entries()) {
    const size = sizes[index] ?? 0;
    const carried = frame.direction === 'out' ? DIRECTION_OUT : DIRECTION_IN;
    const direction = frame.dropReason === undefined ? carried : droppedBecause(frame.dropReason);
    const origin = direction | (timestampBits(frame.timestamp ?? 'microtime') << TIMESTAMP_SHIFT);
    const { bytes, wireLength = bytes.length, seconds = 1_700_000_000, nanoseconds = 0 } = frame;
    for (const [word, value] of [size, bytes.length, wireLength, origin, seconds, nanoseconds].entries()) {
      view.setUint32(at + word * 4, value, true);
    }
    batch.set(bytes, at + RECORD_HEADER);
    at += size;
  }
  return batch;
}

/** A minimal Ethernet frame of `length` bytes with an experimental EtherType, numbered. */
export function ethernetFrame(length: number, number = 0): Uint8Array {
  const frame = new Uint8Array(length).fill(number);
  frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
  return frame;
}

/** A descriptor that hands out what a test pushes. */
export class FakeDescriptor implements DescriptorHandle {
  readonly id = 1;
  readonly interface = 'a:eth0';
  readonly linkType: number = 1;
  readonly owner = { uid: 0, gid: 0, pid: 0 };
  readonly closed: Promise<void>;
  received = 0;
  accepted = 0;
  dropped = 0;
  reads = 0;
  overlappingReads = 0;
  #batches: Uint8Array[] = [];
  #waiting: ((batch: Uint8Array | undefined) => void) | undefined;
  #isClosed = false;
  #resolveClosed: () => void = () => undefined;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  push(batch: Uint8Array): void {
    if (this.#waiting === undefined) {
      this.#batches.push(batch);
      return;
    }
    const resolve = this.#waiting;
    this.#waiting = undefined;
    resolve(batch);
  }

  async read(): Promise<Uint8Array | undefined> {
    this.reads++;
    if (this.#waiting !== undefined) this.overlappingReads++;
    const batch = this.#batches.shift();
    if (batch !== undefined) return batch;
    if (this.#isClosed) return undefined;
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  async detach(): Promise<void> {
    await this.close();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting?.(undefined);
    this.#waiting = undefined;
    this.#resolveClosed();
  }

  status(): DescriptorStatus {
    return {
      id: this.id,
      interface: this.interface,
      filter: 'tcp port 80',
      instructions: 1,
      direction: 'inout',
      immediate: false,
      readTimeoutMs: 100,
      linkType: this.linkType,
      bufferBytes: 4096,
      promiscuous: true,
      headerComplete: true,
      feedback: false,
      timestamp: 'microtime',
      writeFilter: null,
      locked: false,
      owner: this.owner,
      attached: !this.#isClosed,
      received: this.received,
      accepted: this.accepted,
      dropped: this.dropped,
      capturedBytes: 0,
      written: 0,
      storeBytes: 0,
      holdBytes: 0,
      writeFiltered: 0,
      writeDropped: 0,
    };
  }

  async setFilter(): Promise<void> {}
  async setDirection(): Promise<void> {}
  setImmediate(): void {}
  setReadTimeout(): void {}
  async flush(): Promise<void> {}
  async write(): Promise<void> {}
  setWriteFilter(): void {}
  linkTypes(): number[] {
    return [this.linkType];
  }
  setLinkType(): void {}
  async setPromiscuous(): Promise<void> {}
  setHeaderComplete(): void {}
  setFeedback(): void {}
  async setTimestamp(): Promise<void> {}
  lock(): void {}
  async take(): Promise<HeldBatch | undefined> {
    const bytes = await this.read();
    return bytes && { bytes, release: async () => {} };
  }
  async poll(): Promise<boolean> {
    return false;
  }
}

/** Whether tshark is installed; says so once when it is not. */
export function haveTshark(): boolean {
  const found = spawnSync('tshark', ['--version']).status === 0;
  if (!found) console.log('skipped: comparisons with tshark, which is not installed');
  return found;
}

/** Runs an action with a file of these bytes, which is gone afterwards: tshark reads no pipe of Node's. */
export function withFile<T>(bytes: Uint8Array, action: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-test-'));
  try {
    const path = join(folder, 'capture');
    writeFileSync(path, bytes);
    return action(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The named fields of every packet of a capture, as tshark reads it. */
export function tsharkFields(
  capture: Uint8Array,
  fields: readonly string[],
  options: readonly string[] = [],
): string[][] {
  const wanted = ['-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
  const run = withFile(capture, (path) => spawnSync('tshark', ['-r', path, ...options, ...wanted]));
  if (run.status !== 0) throw new Error(`tshark: ${run.stderr}`);
  const lines = run.stdout.toString().split('\n').slice(0, -1);
  return lines.map((line) => line.split('\t'));
}
