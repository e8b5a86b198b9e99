/**
 * `npm run bench -- vm`: how long the filter engines take, in one run with libpcap's bpf_filter() in C.
 *
 * All numbers are medians over turns that the engines take one after the other. libpcap is left out, saying so,
 * where gcc or libpcap's headers are missing.
 */

import { compileFilter, compileWasm, Program, parseProgram } from '../vm/index.ts';
import { type Contender, median, startEngine, takeTurns } from './vm/contender.ts';
import { BENCH_FILTERS } from './vm/filters.ts';
import { type Libpcap, prepareLibpcap } from './vm/libpcap.ts';
import { makeTraffic, TRAFFIC } from './vm/traffic.ts';

/** Nanoseconds per packet of one filter in each engine; null where libpcap was not measured. */
export type FilterTiming = {
  readonly expression: string;
  readonly instructions: number;
  readonly libpcapNs: number | null;
  readonly interpreterNs: number;
  /** One call from JavaScript for each packet, as on the data plane. */
  readonly wasmNs: number;
  /** One call for all packets, as in `taplab filter run`. */
  readonly batchNs: number;
};

/** The cost of `count` filters `tcp port N` as one function, against that of one. */
export type FusedTiming = { readonly count: number; readonly nsPerPacket: number; readonly timesOne: number };

/** Milliseconds. */
export type Latency = { readonly medianMs: number; readonly worstMs: number };

export type VmBenchResults = {
  readonly node: string;
  readonly libpcap: string;
  readonly filters: readonly FilterTiming[];
  /** From an expression, and from a program, to the first verdict of its wasm function. */
  readonly compile: { readonly expression: Latency; readonly program: Latency };
  readonly fused: readonly FusedTiming[];
};

/** `seconds` is about how long to measure, 30 unless told. */
export type VmBenchOptions = { readonly seconds?: number };

const FUSED_COUNTS = [1, 16, 256, 1000];
const TURNS = 15;
/** Turns' worth of time that one filter takes: four contenders' turns and three warming up. */
const TURNS_PER_FILTER = 4 * TURNS + 3 * 20;

async function timeFilter(
  libpcap: Libpcap | undefined,
  expression: string,
  program: Program,
  turnNs: number,
): Promise<FilterTiming> {
  const interpreter = await startEngine('interpreter', [program], turnNs);
  const wasm = await startEngine('wasm', [program], turnNs);
  const batch = await startEngine('batch', [program], turnNs);
  const reference = libpcap?.start(program, interpreter.rounds);
  const contenders = [interpreter, wasm, batch, ...(reference === undefined ? [] : [reference])];
  try {
    await expectAgreement(contenders, expression);
    const [interpreterNs, wasmNs, batchNs, libpcapNs] = await takeTurns(contenders, TURNS);
    return {
      expression,
      instructions: program.length,
      libpcapNs: libpcapNs ?? null,
      interpreterNs: interpreterNs!,
      wasmNs: wasmNs!,
      batchNs: batchNs!,
    };
  } finally {
    await closeAll(contenders);
  }
}

async function expectAgreement(contenders: readonly Contender[], expression: string): Promise<void> {
  const matches: number[] = [];
  for (const contender of contenders) matches.push((await contender.run(1)).matches);
  if (matches.some((count) => count !== matches[0])) {
    throw new Error(`engines disagree on '${expression}': they match ${matches.join(', ')} frames`);
  }
}

async function closeAll(contenders: readonly Contender[]): Promise<void> {
  for (const contender of contenders) await contender.close();
}

/** How long it takes to get a first verdict from what `make` makes of each item. */
function timeToVerdict<Item>(items: readonly Item[], make: (item: Item) => Program): Latency {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const samples: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    for (const item of items) {
      const start = process.hrtime.bigint();
      compileWasm(make(item), { memory })(0, 60, 60);
      samples.push(Number(process.hrtime.bigint() - start) / 1e6);
    }
  }
  return { medianMs: median(samples), worstMs: Math.max(...samples) };
}

/** `tcp port N` for `count` different N: the program of `tcp port 80` with the port replaced. */
function tcpPortFilters(count: number): Program[] {
  const port80 = parseProgram(BENCH_FILTERS.find(({ expression }) => expression === 'tcp port 80')!.program);
  return Array.from({ length: count }, (_, i) => {
    const port = (80 + 61 * i) % 65536;
    const replace = port80.instructions.map((instruction) =>
      instruction.k === 80 ? { ...instruction, k: port } : instruction,
    );
    return Program.from(replace);
  });
}

async function timeFused(turnNs: number): Promise<FusedTiming[]> {
  const contenders: Contender[] = [];
  try {
    for (const count of FUSED_COUNTS) {
      contenders.push(await startEngine('fused', tcpPortFilters(count), turnNs));
    }
    const medians = await takeTurns(contenders, TURNS);
    return FUSED_COUNTS.map((count, i) => ({
      count,
      nsPerPacket: medians[i]!,
      timesOne: medians[i]! / medians[0]!,
    }));
  } finally {
    await closeAll(contenders);
  }
}

/** Measures everything. */
export async function benchVm(options: VmBenchOptions = {}): Promise<VmBenchResults> {
  const prepared = prepareLibpcap(makeTraffic());
  const libpcap = typeof prepared === 'string' ? undefined : prepared;
  const programs = BENCH_FILTERS.map(({ program }) => parseProgram(program));
  const turnNs = ((options.seconds ?? 30) * 1e9) / (BENCH_FILTERS.length * TURNS_PER_FILTER);
  const filters: FilterTiming[] = [];
  try {
    for (const [i, { expression }] of BENCH_FILTERS.entries()) {
      filters.push(await timeFilter(libpcap, expression, programs[i]!, turnNs));
    }
  } finally {
    libpcap?.close();
  }
  const results: VmBenchResults = {
    node: process.version,
    libpcap: typeof prepared === 'string' ? `not measured: ${prepared}` : 'bpf_filter() as installed',
    filters,
    compile: {
      expression: timeToVerdict(BENCH_FILTERS, ({ expression }) => compileFilter(expression)),
      program: timeToVerdict(programs, (program) => program),
    },
    fused: await timeFused(turnNs),
  };
  return results;
}

/** The results as Markdown. */
export function formatTables({ node, libpcap, filters, compile, fused }: VmBenchResults): string {
  const ns = (value: number | null): string => (value === null ? '-' : value.toFixed(1));
  const times = (value: number | null, by: number): string =>
    value === null ? '-' : (value / by).toFixed(2);
  const latency = ({ medianMs, worstMs }: Latency): string =>
    `${medianMs.toFixed(2)} | ${worstMs.toFixed(2)}`;
  const cell = (expression: string): string => `\`${expression.replaceAll('|', '\\|')}\``;
  const rows = filters.map((f) => {
    const names = [cell(f.expression), f.instructions];
    const costs = [f.libpcapNs, f.interpreterNs, f.wasmNs, f.batchNs].map(ns);
    const ratios = [f.interpreterNs, f.wasmNs, f.batchNs].map((each) => times(f.libpcapNs, each));
    return `| ${[...names, ...costs, ...ratios].join(' | ')} |`;
  });
  const fusedRows = fused.map((f) => `| ${f.count} | ${ns(f.nsPerPacket)} | ${f.timesOne.toFixed(1)} |`);
  return `Node ${node}; libpcap: ${libpcap}. Nanoseconds of processor time per packet, medians of ${TURNS} turns;
${TRAFFIC}.

"wasm" is one call from JavaScript for each packet, "batch" one call for all of them. The last three columns say how many
times faster than libpcap's interpreter in C an engine is; below 1 it is slower.

| filter | instructions | libpcap in C | interpreter | wasm | batch | interpreter, times C | wasm, times C | batch, times C |
|---|---|---|---|---|---|---|---|---|
${rows.join('\n')}

| to the first verdict in wasm | ms, median | ms, worst |
|---|---|---|
| from an expression | ${latency(compile.expression)} |
| from a program | ${latency(compile.program)} |

| fused \`tcp port N\` filters | ns per packet | times one |
|---|---|---|
${fusedRows.join('\n')}
`;
}
