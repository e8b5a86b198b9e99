import { describe, expect, it } from 'vitest';
import { Program } from '../../vm/index.ts';
import { ENGINES } from './helpers/engines.ts';
import { bytes } from './helpers/frames.ts';
import { fromRows, hasVectors, type InstructionRows, readVectors } from './helpers/vectors.ts';

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
