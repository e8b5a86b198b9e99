/**
 * How long a filter takes: per packet in both engines, and to be compiled. Packets lie in wasm memory, as on the data
 * plane. The engines take turns, so that what else the machine does meets both; numbers are medians over the turns.
 */
import { compileWasm, type Program, runProgram } from '../../../vm/index.ts';
import { benchFrames } from './bench-frames.ts';

export type BenchResult = {
  readonly instructions: number;
  readonly frames: number;
  readonly matchedFrames: number;
  readonly interpreterNsPerPacket: number;
  readonly wasmNsPerPacket: number;
  /** From the filter's text to a program. */
  readonly compileMs: number;
  /** From the program to its first verdict in wasm. */
  readonly wasmCompileMs: number;
};

/** Milliseconds that each part may take, about; 2 s in all. */
const WARM_UP_MS = 250;
const TURN_MS = 30;
const TURNS = 15;
const COMPILE_MS = 250;
const MAX_COMPILES = 200;

const PAGE_BYTES = 65536;
const FRAME_ALIGN = 64;

/** Frames in one memory. */
type Frames = {
  readonly memory: WebAssembly.UnsharedMemory;
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
};

/** Runs over all frames so many times; returns how many packets were accepted. */
type Engine = (rounds: number) => number;

/** Measures a filter, for about two seconds; `compile` makes its program, in the bsd dialect, anew. */
export function benchFilter(compile: () => Program): BenchResult {
  const program = compile();
  const frames = layOut(benchFrames());
  const count = frames.offsets.length;
  const interpreter = interpreterOf(program, frames);
  const wasm = wasmOf(program, frames);
  const matchedFrames = wasm(1);
  const interpreterRounds = roundsFor(interpreter);
  const wasmRounds = roundsFor(wasm);
  const interpreterTurns: number[] = [];
  const wasmTurns: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    interpreterTurns.push(timeMs(() => interpreter(interpreterRounds)) / interpreterRounds);
    wasmTurns.push(timeMs(() => wasm(wasmRounds)) / wasmRounds);
  }
  return {
    instructions: program.length,
    frames: count,
    matchedFrames,
    interpreterNsPerPacket: (median(interpreterTurns) * 1e6) / count,
    wasmNsPerPacket: (median(wasmTurns) * 1e6) / count,
    compileMs: medianMs(compile),
    wasmCompileMs: medianMs(() => {
      compileWasm(program, { memory: frames.memory })(0, frames.lengths[0]!, frames.lengths[0]!);
    }),
  };
}

function layOut(frames: readonly Uint8Array[]): Frames {
  const offsets: number[] = [];
  let end = 0;
  for (const { length } of frames) {
    offsets.push(end);
    end += Math.ceil(length / FRAME_ALIGN) * FRAME_ALIGN;
  }
  const memory = new WebAssembly.Memory({ initial: Math.ceil(end / PAGE_BYTES) });
  const bytes = new Uint8Array(memory.buffer);
  for (const [i, frame] of frames.entries()) bytes.set(frame, offsets[i]);
  return { memory, offsets, lengths: frames.map(({ length }) => length) };
}

function interpreterOf(program: Program, { memory, offsets, lengths }: Frames): Engine {
  const { words, length } = program;
  const bytes = new Uint8Array(memory.buffer);
  return (rounds) => {
    let accepted = 0;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < offsets.length; i++) {
        const size = lengths[i]!;
        if (runProgram(words, 0, length, bytes, offsets[i]!, size, size) !== 0) accepted++;
      }
    }
    return accepted;
  };
}

function wasmOf(program: Program, { memory, offsets, lengths }: Frames): Engine {
  const match = compileWasm(program, { memory });
  return (rounds) => {
    let accepted = 0;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < offsets.length; i++) {
        const size = lengths[i]!;
        if (match(offsets[i]!, size, size) !== 0) accepted++;
      }
    }
    return accepted;
  };
}

/** Warms an engine up, and says how many rounds make a turn. */
function roundsFor(engine: Engine): number {
  let rounds = 1;
  let lastMs = 0;
  for (const untilMs = performance.now() + WARM_UP_MS; performance.now() < untilMs; ) {
    lastMs = timeMs(() => engine(rounds));
    if (lastMs < TURN_MS / 2) rounds *= 2;
  }
  return Math.max(1, Math.round((rounds * TURN_MS) / Math.max(lastMs, TURN_MS / 2)));
}

function medianMs(action: () => void): number {
  const samples: number[] = [];
  const untilMs = performance.now() + COMPILE_MS;
  do samples.push(timeMs(action));
  while (samples.length < MAX_COMPILES && performance.now() < untilMs);
  return median(samples);
}

function timeMs(action: () => void): number {
  const startMs = performance.now();
  action();
  return performance.now() - startMs;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
