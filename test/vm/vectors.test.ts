import { describe, expect, it } from 'vitest';
import { Program, runProgram } from '../../vm/index.ts';
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

function run(program: Program, packet: Uint8Array, wireLength: number, bufferLength: number): number {
  return runProgram(program.words, 0, program.length, packet, 0, wireLength, bufferLength);
}

describe.runIf(hasVectors('freebsd-bpf_filter.jsonl'))("FreeBSD's bpf_filter vectors", () => {
  const rows = readVectors<FreebsdRow>('freebsd-bpf_filter.jsonl');
  it.each(rows.filter((row) => row.invalid === 1))('$id is refused', ({ insns }) => {
    expect(() => Program.from(fromRows(insns))).toThrow(/invalid BPF program/);
  });
  it.each(rows.filter((row) => row.invalid === 0))('$id returns $expect', (row) => {
    const program = Program.from(fromRows(row.insns));
    expect(run(program, bytes(row.pkt), row.wirelen, row.buflen)).toBe(row.expect);
  });
});

describe.runIf(hasVectors('netbsd-bpfjit.jsonl'))("NetBSD's bpfjit vectors", () => {
  const rows = readVectors<NetbsdRow>('netbsd-bpfjit.jsonl');
  it('all return the value NetBSD says', () => {
    expect(rows.length).toBeGreaterThan(1000);
    for (const row of rows) {
      const program = Program.from(fromRows(row.insns));
      expect(run(program, bytes(row.pkt), row.wirelen, row.buflen), JSON.stringify(row)).toBe(row.result);
    }
  });
});
