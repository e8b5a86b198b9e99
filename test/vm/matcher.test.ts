import { describe, expect, it } from 'vitest';
import {
  assemble,
  type CompileWasmOptions,
  compileBatch,
  compileFused,
  compileWasm,
  createMatcher,
  type Engine,
  encodeWasm,
  Program,
  parseProgram,
} from '../../vm/index.ts';

const LENGTH = assemble('ld len\nret a');
const FIRST_BYTE = assemble('ldb [0]\nret a');
const LAST_OF_100_000 = assemble('ldb [99999]\nret a');

describe.each(['wasm', 'interpreter'] as const)('createMatcher with the engine %s', (engine: Engine) => {
  it('passes on the packet and its length on the wire', () => {
    expect(createMatcher(FIRST_BYTE, { engine })(Uint8Array.of(7, 8))).toBe(7);
    expect(createMatcher(LENGTH, { engine })(Uint8Array.of(7, 8))).toBe(2);
    expect(createMatcher(LENGTH, { engine })(Uint8Array.of(7, 8), 1500)).toBe(1500);
  });

  it('takes packets that are views of larger arrays', () => {
    const array = Uint8Array.of(1, 2, 3, 4);
    expect(createMatcher(FIRST_BYTE, { engine })(array.subarray(2))).toBe(3);
  });

  it('sees nothing of an earlier, longer packet', () => {
    const match = createMatcher(assemble('ldb [1]\nret #1'), { engine });
    expect([match(Uint8Array.of(1, 2)), match(Uint8Array.of(1))]).toEqual([1, 0]);
  });

  it('takes packets of any size, and goes on working for matchers made before', () => {
    const small = createMatcher(FIRST_BYTE, { engine });
    const large = new Uint8Array(1_000_000).fill(9);
    expect(createMatcher(LAST_OF_100_000, { engine })(large)).toBe(9);
    expect(small(Uint8Array.of(5))).toBe(5);
  });

  it('accepts everything with the empty program', () => {
    expect(createMatcher(Program.from([]), { engine })(new Uint8Array(0))).toBe(0xffffffff);
  });

  it('hands metadata to programs of the linux dialect', () => {
    const match = createMatcher(assemble('ld ifidx\nret a', { dialect: 'linux' }), { engine });
    expect(match(new Uint8Array(1), 1, { interfaceIndex: 3 })).toBe(3);
    expect(match(new Uint8Array(1))).toBe(0);
  });
});

describe('createMatcher', () => {
  it('uses wasm unless told', () => {
    expect(createMatcher(FIRST_BYTE)(Uint8Array.of(7))).toBe(7);
  });
  it('refuses an unknown engine', () => {
    expect(() => createMatcher(LENGTH, { engine: 'jit' as Engine })).toThrow(/unknown engine 'jit'/);
  });
});

describe('compileWasm', () => {
  it.each([
    ['shared', new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })],
    ['unshared', new WebAssembly.Memory({ initial: 1 })],
  ])('reads packets where they lie in %s memory', (_, memory) => {
    new Uint8Array(memory.buffer).set([7, 8, 9], 1000);
    const match = compileWasm(FIRST_BYTE, { memory });
    expect([match(1000, 3, 3), match(1001, 2, 2), match(1003, 0, 0)]).toEqual([7, 8, 0]);
  });

  it('may read the last byte of the memory, and nothing past it', () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const match = compileWasm(assemble('ld [1]\nret #1'), { memory });
    expect([match(65536 - 5, 5, 5), match(65536 - 4, 4, 4), match(65536, 0, 0)]).toEqual([1, 0, 0]);
  });

  it.each([
    ['compileWasm', compileWasm],
    ['compileBatch', compileBatch],
    ['compileFused', (program: Program, options: CompileWasmOptions) => compileFused([program], options)],
  ])('%s asks where metadata lie, of a program that reads any', (_, compile) => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const linux = (source: string): Program => parseProgram(source, { dialect: 'linux' });
    for (const source of [
      'ld #mark\nret a',
      'ld #rand\nret a',
      'ld [x + 4]\nret a',
      'ldh [-1048576]\nret a',
    ]) {
      expect(() => compile(linux(source), { memory })).toThrow(/metadataOffset/);
      expect(compile(linux(source), { memory, metadataOffset: 0 })).toBeTypeOf('function');
    }
    expect(compile(linux('ldh [12]\nret a'), { memory })).toBeTypeOf('function');
  });

  it('compiles the longest programs', () => {
    const instructions = Array.from({ length: 4095 }, (_, i) => ({
      code: 0x15,
      jt: i < 3800 ? (i * 7) % 250 : 0,
      jf: 0,
      k: i,
    }));
    const program = Program.from([...instructions, { code: 0x06, jt: 0, jf: 0, k: 5 }]);
    expect(createMatcher(program)(new Uint8Array(1))).toBe(5);
  });

  it('emits code in proportion to the program', () => {
    const size = (count: number): number => {
      const jumps = Array.from({ length: count }, (_, i) => ({
        code: 0x15,
        jt: Math.min(9, count - 1 - i),
        jf: 0,
        k: i,
      }));
      return encodeWasm(Program.from([...jumps, { code: 0x06, jt: 0, jf: 0, k: 5 }]), { shared: true })
        .length;
    };
    expect(size(4000)).toBeLessThan(5 * size(1000));
  });
});
