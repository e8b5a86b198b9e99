import { describe, expect, it } from 'vitest';
import { Program } from '../../vm/index.ts';
import { ENGINES } from './helpers/engines.ts';
import { bytes } from './helpers/frames.ts';
import { prepareFused } from './helpers/fused.ts';
import { fromRows, hasVectors, type InstructionRows, readCorpus, readVectors } from './helpers/vectors.ts';

type FreebsdRow = {
  id: string;
  insns: InstructionRows;
  pkt: string;
  wirelen: number;
  buflen: number;
  invalid: number;
  expect: number;
};
type NetbsdRow = {
  tc: string;
  insns: InstructionRows;
  pkt: string;
  wirelen: number;
  buflen: number;
  result: number;
};

describe.runIf(hasVectors('freebsd-bpf_filter.jsonl'))("FreeBSD's bpf_filter vectors", () => {
  const rows = readVectors<FreebsdRow>('freebsd-bpf_filter.jsonl');
  it.each(rows.filter((row) => row.invalid === 1))('$id is refused', ({ insns }) => {
    expect(() => Program.from(fromRows(insns))).toThrow(/invalid BPF program/);
  });
  describe.each(ENGINES)('in the $engine', ({ prepare }) => {
    it.each(rows.filter((row) => row.invalid === 0))('$id returns $expect', (row) => {
      const run = prepare(Program.from(fromRows(row.insns)));
      expect(run(bytes(row.pkt), row.wirelen, row.buflen)).toBe(row.expect);
    });
  });
});

describe.runIf(hasVectors('netbsd-bpfjit.jsonl'))("NetBSD's bpfjit vectors", () => {
  const rows = readVectors<NetbsdRow>('netbsd-bpfjit.jsonl');
  it.each(ENGINES)('all return what NetBSD says in the $engine', ({ prepare }) => {
    expect(rows.length).toBeGreaterThan(1000);
    for (const row of rows) {
      const run = prepare(Program.from(fromRows(row.insns)));
      expect(run(bytes(row.pkt), row.wirelen, row.buflen), JSON.stringify(row)).toBe(row.result);
    }
  });
});

type CompiledRow = { linkType: string; expr: string; linuxext: string; insns: InstructionRows };

describe.runIf(hasVectors('pcap-filter-accept.jsonl') && hasVectors('corpus-en10mb.pcap'))(
  'programs that libpcap compiles, over the capture corpus',
  () => {
    const programs = readVectors<CompiledRow>('pcap-filter-accept.jsonl')
      .filter(({ linkType, linuxext }) => linkType === 'EN10MB' && linuxext === '')
      .map(({ insns }) => Program.from(fromRows(insns), { backwardJumps: true }));
    const corpus = readCorpus('corpus-en10mb.pcap');

    it('have the same verdicts in both engines', () => {
      const [interpreter, wasm] = ENGINES.map(({ prepare }) => programs.map(prepare));
      for (const [i, run] of interpreter!.entries()) {
        const differing = corpus.findIndex(
          ({ bytes: data, wireLength }) => run(data, wireLength) !== wasm![i]!(data, wireLength),
        );
        expect(differing, `program ${i}`).toBe(-1);
      }
    });

    it('have the same verdicts fused, all at once', () => {
      const fused = prepareFused(programs);
      const alone = programs.map((program) => ENGINES[0]!.prepare(program));
      expect(programs.length).toBeGreaterThan(200);
      for (const { bytes: data, wireLength } of corpus) {
        expect(fused(data, wireLength)).toEqual(alone.map((run) => run(data, wireLength)));
      }
    });
  },
);
