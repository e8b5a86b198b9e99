/**
 * An interface of a lab, as a test uses it: attach filters; in a lab on a virtual clock also be the node behind it.
 */

import type { Instruction, Program } from '../../vm/index.ts';
import type { Direction } from '../bpf/record.ts';
import { CONTROL_OWNER } from '../bpf/types.ts';
import { resolveFilter } from '../control/filter.ts';
import { DEFAULT_READ_TIMEOUT_MS, type InterfaceStatus } from '../daemon/contract.ts';
import type { Emulator } from '../daemon/emulator.ts';
import type { MemoryDevice } from '../device/memory.ts';
import type { LabInterface } from '../lab/model.ts';
import { DEFAULT_MAX_FRAMES, FrameCapture } from './capture.ts';
import type { Time } from './time.ts';

/** A pcap-filter(7) expression, `@name`, program text, or a program; empty for every frame. */
export type Filter = string | readonly Instruction[] | Program;

export type CaptureOptions = {
  /** As seen from taplab: `in` comes from the node, `out` goes to it. `inout` unless given. */
  readonly direction?: Direction;
  /** Frames that are kept, 65,536 unless given; then the capture reads no more, and what comes is dropped. */
  readonly maxFrames?: number;
  /** Size of each of the descriptor's two buffers, 32 to 16,777,216 bytes, 2 MiB unless given. */
  readonly bufferBytes?: number;
};

const DEFAULT_CAPTURE_BUFFER_BYTES = 2 * 2 ** 20;

export type InterfaceContext = {
  readonly emulator: Emulator;
  readonly time: Time;
  readonly over: AbortSignal;
  /** Throws when the lab is down. */
  assertUp(): void;
  onCapture(capture: FrameCapture): void;
};

export class InterfaceHandle {
  /** `node:interface`. */
  readonly name: string;
  readonly #definition: LabInterface;
  readonly #context: InterfaceContext;

  constructor(definition: LabInterface, context: InterfaceContext) {
    this.name = definition.name;
    this.#definition = definition;
    this.#context = context;
  }

  /** State and counters, now. */
  status(): InterfaceStatus {
    return this.#context.emulator.interface(this.name)!;
  }

  /**
   * Attaches a filter. When this returns, every frame that the interface sees is shown to it. It ends with close()
   * or with the lab. Throws FilterSyntaxError, FilterError, InvalidProgramError, BpfError.
   */
  async attach(filter: Filter = '', options: CaptureOptions = {}): Promise<FrameCapture> {
    this.#context.assertUp();
    const { emulator, time, over } = this.#context;
    const { linkType } = this.status();
    const { label, program } = resolveFilter(
      typeof filter === 'object' && 'instructions' in filter ? filter.instructions : filter,
      linkType,
    );
    const descriptor = await emulator.attach(this.name, {
      filter: label,
      program,
      direction: options.direction ?? 'inout',
      immediate: true,
      readTimeoutMs: DEFAULT_READ_TIMEOUT_MS,
      bufferBytes: options.bufferBytes ?? DEFAULT_CAPTURE_BUFFER_BYTES,
      owner: CONTROL_OWNER,
    });
    const capture = new FrameCapture(descriptor, options.maxFrames ?? DEFAULT_MAX_FRAMES, time, over);
    this.#context.onCapture(capture);
    return capture;
  }

  /** As if the node had sent the frame, at once in virtual time. Throws TypeError when it is no memory device. */
  send(frame: Uint8Array): void {
    this.#context.assertUp();
    this.#memoryDevice('send() is the node').send(frame);
  }

  /** Calls the listener with a copy of each frame that reaches the node. Throws TypeError as send() does. */
  onFrame(listener: (frame: Uint8Array) => void): void {
    this.#memoryDevice('onFrame() is the node').onFrame = listener;
  }

  #memoryDevice(what: string): MemoryDevice {
    if (this.#definition.kind === 'memory') return this.#context.emulator.memoryDevice(this.name);
    throw new TypeError(
      `${what} of a memory device, and ${this.name} is a ${this.#definition.kind} device; run a command in its node`,
    );
  }
}
