import { describe, expect, it } from 'vitest';
import { compileFilter, Program } from '../../vm/index.ts';

describe('what is no program', () => {
  it.each([5, [], undefined, null, {}])(
    'compileFilter(%j) is a TypeError, never a filter that accepts all',
    (value) => {
      expect(() => compileFilter(value as unknown as string)).toThrow(
        /expression is \w+: it must be a string/,
      );
    },
  );

  it.each([5, {}, undefined, null])('Program.from(%j) is a TypeError', (value) => {
    expect(() => Program.from(value as unknown as [])).toThrow(/must be an iterable/);
  });

  it('an instruction that is none is named by its place', () => {
    const instructions = [{ code: 6, jt: 0, jf: 0, k: 0 }, null] as unknown as [];
    expect(() => Program.from(instructions)).toThrow(expect.objectContaining({ pc: 1 }));
  });

  it('an endless iterable is refused like any program that is too long', () => {
    function* endless() {
      for (;;) yield { code: 6, jt: 0, jf: 0, k: 0 };
    }
    expect(() => Program.from(endless())).toThrow(/4,?096/);
  });
});
