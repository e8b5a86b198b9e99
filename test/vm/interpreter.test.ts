import { describe, expect, it } from 'vitest';
import { ACCEPT_ALL, interpret, Program, runProgram } from '../../vm/index.ts';
import { fromRows } from './helpers/vectors.ts';

describe('interpret', () => {
  it('runs two programs in turn', () => {
    const one = Program.from(fromRows([[0x06, 0, 0, 1]]));
    const two = Program.from(fromRows([[0x06, 0, 0, 2]]));
    const packet = new Uint8Array(1);
    expect([one, two, one].map((program) => interpret(program, packet))).toEqual([1, 2, 1]);
  });

  it('takes the length on the wire from the packet unless told', () => {
    const program = Program.from(
      fromRows([
        [0x80, 0, 0, 0],
        [0x16, 0, 0, 0],
      ]),
    );
    expect(interpret(program, new Uint8Array(7))).toBe(7);
    expect(interpret(program, new Uint8Array(7), 9)).toBe(9);
  });

  it('does not see what an earlier program left in M[]', () => {
    const writer = Program.from(
      fromRows([
        [0x00, 0, 0, 7],
        [0x02, 0, 0, 3],
        [0x60, 0, 0, 3],
        [0x16, 0, 0, 0],
      ]),
    );
    const reader = Program.from(
      fromRows([
        [0x60, 0, 0, 3],
        [0x16, 0, 0, 0],
      ]),
    );
    expect(interpret(writer, new Uint8Array(0))).toBe(7);
    expect(interpret(reader, new Uint8Array(0))).toBe(0);
  });
});

describe('runProgram', () => {
  it('runs from shared memory, at an offset, and never reads beyond bufferLength', () => {
    const program = Program.from(
      fromRows([
        [0x30, 0, 0, 1],
        [0x16, 0, 0, 0],
      ]),
    );
    const words = new Int32Array(new SharedArrayBuffer(64));
    words.set(program.words, 5);
    const memory = new Uint8Array(new SharedArrayBuffer(64)).fill(0xee);
    memory.set([1, 2, 3], 10);
    expect(runProgram(words, 5, 2, memory, 10, 3, 3)).toBe(2);
    expect(runProgram(words, 5, 2, memory, 10, 3, 1)).toBe(0);
    expect(runProgram(words, 5, 0, memory, 10, 3, 1)).toBe(ACCEPT_ALL);
  });
});
