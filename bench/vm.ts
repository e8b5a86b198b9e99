/**
 * `npm run bench -- vm`: how long the filter engines take, in one run with libpcap's bpf_filter() in C.
 *
 * Every number is a median over rounds in which the engines take turns, so that what else the machine does falls on
 * all of them alike. Frames lie in shared memory, as on the data plane. libpcap is left out, saying so, where gcc
 * or libpcap's headers are missing.
 */

import { compileFused, compileWasm, MATCH_BYTES, Program, parseProgram, runProgram } from '../vm/index.ts';
import { BENCH_FILTERS } from './vm/filters.ts';
import { type LibpcapHarness, startLibpcap } from './vm/libpcap.ts';
import { makeTraffic } from './vm/traffic.ts';

/** Nanoseconds per packet of one filter in each engine; null where libpcap was not measured. */
export type FilterTiming = {
  readonly expression: string;
  readonly instructions: number;
  readonly libpcapNs: number | null;
  readonly interpreterNs: number;
  readonly wasmNs: number;
};

/** The cost of `count` filters `tcp port N` as one function, and what it took to make that. */
export type FusedTiming = {
  readonly count: number;
  readonly nsPerPacket: number;
  readonly timesOne: number;
  readonly compileMs: number;
};

export type VmBenchResults = {
  readonly node: string;
  readonly libpcap: string;
  readonly filters: readonly FilterTiming[];
  readonly compile: { readonly medianMs: number; readonly worstMs: number };
  readonly fused: readonly FusedTiming[];
};

/** What to measure: `seconds` is the time for all filters together, 20 unless told; `json` prints JSON only. */
export type VmBenchOptions = { readonly json?: boolean; readonly seconds?: number };

const FUSED_COUNTS = [1, 16, 256, 1000];
const TURNS = 15;
const RESULT_OFFSET = 0;
const FRAMES_OFFSET = 65536;

/** Frames laid out in shared memory, one behind the other. */
type Arena = {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;
};

function layOut(frames: readonly Uint8Array[]): Arena {
  const total = frames.reduce((sum, { length }) => sum + length, FRAMES_OFFSET);
  const pages = Math.ceil(total / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const offsets = new Int32Array(frames.length);
  let at = FRAMES_OFFSET;
  for (const [i, frame] of frames.entries()) {
    bytes.set(frame, at);
    offsets[i] = at;
    at += frame.length;
  }
  return { memory, bytes, offsets, lengths: Int32Array.from(frames, ({ length }) => length) };
}

/** Runs a matcher over all frames `rounds` times; returns how often it accepted. */
type Loop = (rounds: number) => number;

function interpreterLoop({ bytes, offsets, lengths }: Arena, program: Program): Loop {
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

function wasmLoop({ memory, offsets, lengths }: Arena, program: Program): Loop {
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

function fusedLoop({ memory, offsets, lengths }: Arena, programs: readonly Program[]): Loop {
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

function elapsedNs(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Rounds that take about `turnNs`, after the code has been run until V8 has optimised it. */
function warmUp(loop: Loop, turnNs: number): number {
  let rounds = 1;
  let spent = 0;
  let last = 0;
  while (spent < 20 * turnNs) {
    last = elapsedNs(() => loop(rounds));
    spent += last;
    if (last < turnNs / 2) rounds *= 2;
  }
  return Math.max(1, Math.round((rounds * turnNs) / last));
}

async function timeFilter(
  arena: Arena,
  libpcap: LibpcapHarness | undefined,
  expression: string,
  program: Program,
  turnNs: number,
): Promise<FilterTiming> {
  const frames = arena.offsets.length;
  const interpreter = interpreterLoop(arena, program);
  const wasm = wasmLoop(arena, program);
  const expected = interpreter(1);
  const interpreterRounds = warmUp(interpreter, turnNs);
  const wasmRounds = warmUp(wasm, turnNs);
  libpcap?.load(program);
  const libpcapMatches = (await libpcap?.run(1))?.matches ?? expected;
  if (wasm(1) !== expected || libpcapMatches !== expected)
    throw new Error(`engines disagree on '${expression}'`);
  const samples = { libpcap: [] as number[], interpreter: [] as number[], wasm: [] as number[] };
  for (let turn = 0; turn < TURNS; turn++) {
    const timing = await libpcap?.run(interpreterRounds);
    if (timing !== undefined) samples.libpcap.push(timing.nanoseconds / interpreterRounds / frames);
    samples.interpreter.push(elapsedNs(() => interpreter(interpreterRounds)) / interpreterRounds / frames);
    samples.wasm.push(elapsedNs(() => wasm(wasmRounds)) / wasmRounds / frames);
  }
  return {
    expression,
    instructions: program.length,
    libpcapNs: samples.libpcap.length > 0 ? median(samples.libpcap) : null,
    interpreterNs: median(samples.interpreter),
    wasmNs: median(samples.wasm),
  };
}

/** Milliseconds from a program to the first verdict of its wasm function. */
function timeCompilation(arena: Arena, programs: readonly Program[]): VmBenchResults['compile'] {
  const samples: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    for (const program of programs) {
      const ns = elapsedNs(() => {
        const match = compileWasm(program, { memory: arena.memory });
        match(arena.offsets[0]!, arena.lengths[0]!, arena.lengths[0]!);
      });
      samples.push(ns / 1e6);
    }
  }
  return { medianMs: median(samples), worstMs: samples.reduce((a, b) => Math.max(a, b)) };
}

/** `tcp port N` for `count` different N: the program of `tcp port 80` with the port replaced. */
function tcpPortFilters(count: number): Program[] {
  const port80 = parseProgram(BENCH_FILTERS.find(({ expression }) => expression === 'tcp port 80')!.program);
  return Array.from({ length: count }, (_, i) => {
    const port = (80 + 61 * i) % 65536;
    return Program.from(
      port80.instructions.map((instruction) =>
        instruction.k === 80 ? { ...instruction, k: port } : instruction,
      ),
    );
  });
}

async function timeFused(arena: Arena, turnNs: number): Promise<FusedTiming[]> {
  const entries: { count: number; compileMs: number; loop: Loop; rounds: number; samples: number[] }[] = [];
  for (const count of FUSED_COUNTS) {
    const programs = tcpPortFilters(count);
    let loop: Loop = () => 0;
    const compileMs =
      elapsedNs(() => {
        loop = fusedLoop(arena, programs);
        loop(1);
      }) / 1e6;
    const rounds = warmUp(loop, turnNs);
    entries.push({ count, compileMs, loop, rounds, samples: [] });
  }
  // V8 optimises large functions in the background: give it a moment before measuring.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  for (let turn = 0; turn < TURNS; turn++) {
    for (const { loop, rounds, samples } of entries) {
      samples.push(elapsedNs(() => loop(rounds)) / rounds / arena.offsets.length);
    }
  }
  const one = median(entries[0]!.samples);
  return entries.map(({ count, compileMs, samples }) => {
    const nsPerPacket = median(samples);
    return { count, nsPerPacket, timesOne: nsPerPacket / one, compileMs };
  });
}

/** Measures everything, prints the results as a table and as JSON (`json`: as JSON only), and returns them. */
export async function benchVm(options: VmBenchOptions = {}): Promise<VmBenchResults> {
  const frames = makeTraffic();
  if (MATCH_BYTES * Math.max(...FUSED_COUNTS) > FRAMES_OFFSET)
    throw new RangeError('results would overwrite frames');
  const arena = layOut(frames);
  const harness = startLibpcap(frames);
  const libpcap = typeof harness === 'string' ? undefined : harness;
  const programs = BENCH_FILTERS.map(({ program }) => parseProgram(program));
  // Each filter takes its turns in three engines, and their warming up.
  const turnNs = ((options.seconds ?? 20) * 1e9) / (BENCH_FILTERS.length * (3 * TURNS + 40));
  try {
    const filters: FilterTiming[] = [];
    for (const [i, { expression }] of BENCH_FILTERS.entries()) {
      filters.push(await timeFilter(arena, libpcap, expression, programs[i]!, turnNs));
    }
    const compile = timeCompilation(arena, programs);
    const fused = await timeFused(arena, turnNs);
    const results = {
      node: process.version,
      libpcap:
        typeof harness === 'string' ? `not measured: ${harness}` : 'bpf_filter() of the installed libpcap',
      filters,
      compile,
      fused,
    };
    if (options.json !== true) process.stdout.write(formatTable(results));
    process.stdout.write(`${JSON.stringify(results)}\n`);
    return results;
  } finally {
    libpcap?.close();
  }
}

/** The results as Markdown tables. */
export function formatTable({ node, libpcap, filters, compile, fused }: VmBenchResults): string {
  const ns = (value: number | null): string => (value === null ? '–' : value.toFixed(1));
  const ratio = (value: number | null, to: number): string =>
    value === null ? '–' : `${(value / to).toFixed(1)}×`;
  const rows = filters.map(
    (f) =>
      `| \`${f.expression}\` | ${f.instructions} | ${ns(f.libpcapNs)} | ${ns(f.interpreterNs)} | ${ns(f.wasmNs)} | ${ratio(f.libpcapNs, f.wasmNs)} |`,
  );
  const fusedRows = fused.map(
    (f) => `| ${f.count} | ${ns(f.nsPerPacket)} | ${f.timesOne.toFixed(1)}× | ${f.compileMs.toFixed(1)} |`,
  );
  return `Node ${node}, libpcap: ${libpcap}. Nanoseconds per packet, medians.

| filter | instructions | libpcap (C) | interpreter | wasm | wasm is faster than C by |
|---|---|---|---|---|---|
${rows.join('\n')}

Program to first verdict in wasm: ${compile.medianMs.toFixed(2)} ms at the median, ${compile.worstMs.toFixed(2)} ms at worst.

| fused \`tcp port N\` filters | ns per packet | against one | ms to compile |
|---|---|---|---|
${fusedRows.join('\n')}
`;
}
