/**
 * One engine with one filter, or one set of fused filters, in a thread of its own: V8 optimises a call site for the
 * functions it has seen there, so engines that take turns in one thread would slow each other down.
 *
 * Started with a ContenderJob; answers each number of rounds with a Timing, the first message being the number of
 * rounds that take about the time asked for.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { BATCH_WORDS, compileBatch, compileFused, compileWasm, Program, runProgram } from '../../vm/index.ts';
import { makeTraffic } from './traffic.ts';

/** What a worker is to run; programs are packed. */
export type ContenderJob = {
  readonly engine: 'interpreter' | 'wasm' | 'batch' | 'fused';
  readonly programs: readonly Int32Array[];
  readonly turnNs: number;
};

/** Runs a matcher over all frames `rounds` times; returns how often it accepted. */
type Loop = (rounds: number) => number;

const RESULT_OFFSET = 0;
const RECORDS_OFFSET = 16384;
const FRAMES_OFFSET = 65536;

/** Frames in shared memory, one behind the other, as on the data plane. */
const frames = makeTraffic();
const pages = Math.ceil(frames.reduce((sum, { length }) => sum + length, FRAMES_OFFSET) / 65536);
const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
const bytes = new Uint8Array(memory.buffer);
const lengths = Int32Array.from(frames, ({ length }) => length);
const offsets = new Int32Array(frames.length);
for (let i = 0, at = FRAMES_OFFSET; i < frames.length; at += frames[i++]!.length) {
  bytes.set(frames[i]!, at);
  offsets[i] = at;
}

function interpreterLoop(program: Program): Loop {
  const { words, length } = program;
  return (rounds) => {
    let matches = 0;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < offsets.length; i++) {
        const size = lengths[i]!;
        if (runProgram(words, 0, length, bytes, offsets[i]!, size, size) !== 0) matches++;
      }
    }
    return matches;
  };
}

function wasmLoop(program: Program): Loop {
  const match = compileWasm(program, { memory });
  return (rounds) => {
    let matches = 0;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < offsets.length; i++)
        if (match(offsets[i]!, lengths[i]!, lengths[i]!) !== 0) matches++;
    }
    return matches;
  };
}

function batchLoop(program: Program): Loop {
  const match = compileBatch(program, { memory });
  const records = new Int32Array(memory.buffer, RECORDS_OFFSET, frames.length * BATCH_WORDS);
  for (const [i, length] of lengths.entries()) records.set([offsets[i]!, length, length], i * BATCH_WORDS);
  return (rounds) => {
    let matches = 0;
    for (let round = 0; round < rounds; round++) matches += match(RECORDS_OFFSET, frames.length);
    return matches;
  };
}

function fusedLoop(programs: readonly Program[]): Loop {
  const match = compileFused(programs, { memory });
  return (rounds) => {
    let matches = 0;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < offsets.length; i++) {
        matches += match(offsets[i]!, lengths[i]!, lengths[i]!, RESULT_OFFSET);
      }
    }
    return matches;
  };
}

function makeLoop({ engine, programs }: ContenderJob): Loop {
  const decoded = programs.map((words) => Program.fromWords(words));
  if (engine === 'fused') return fusedLoop(decoded);
  if (engine === 'batch') return batchLoop(decoded[0]!);
  return engine === 'wasm' ? wasmLoop(decoded[0]!) : interpreterLoop(decoded[0]!);
}

/** In processor time, which what else the machine does changes little; the process's other threads wait meanwhile. */
function timed(loop: Loop, rounds: number): { nanoseconds: number; matches: number } {
  const start = process.cpuUsage();
  const matches = loop(rounds);
  const { user, system } = process.cpuUsage(start);
  return { nanoseconds: 1000 * Math.max(1, user + system), matches };
}

/** Runs the loop until V8 has optimised it; returns how many rounds then take about `turnNs`. */
async function warmUp(loop: Loop, turnNs: number): Promise<number> {
  let rounds = 1;
  let last = 0;
  for (let spent = 0; spent < 20 * turnNs || last < turnNs / 4; spent += last) {
    last = timed(loop, rounds).nanoseconds;
    if (last < turnNs / 2) rounds *= 2;
    // The optimising compilers work in the background: let them finish.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return Math.max(1, Math.round((rounds * turnNs) / last));
}

const job = workerData as ContenderJob;
const loop = makeLoop(job);
parentPort!.on('message', (rounds: number) => parentPort!.postMessage(timed(loop, rounds)));
parentPort!.postMessage(await warmUp(loop, job.turnNs));
