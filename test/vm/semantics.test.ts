import { describe, expect, it } from 'vitest';
import { Program } from '../../vm/index.ts';
import { ENGINES } from './helpers/engines.ts';
import { bytes } from './helpers/frames.ts';
import { LINUX_SEMANTICS, SEMANTICS } from './helpers/semantics.ts';
import { fromRows } from './helpers/vectors.ts';

describe.each(ENGINES)('in the $engine', ({ prepare }) => {
  it.each(SEMANTICS)('$description', ({ rows, packet, expected, wireLength, backwardJumps }) => {
    const run = prepare(Program.from(fromRows(rows), { backwardJumps }));
    expect(run(bytes(packet ?? '0123456789'), wireLength)).toBe(expected);
  });

  describe('in the linux dialect', () => {
    it.each(LINUX_SEMANTICS)('$description', ({ rows, packet, expected, metadata }) => {
      const run = prepare(Program.from(fromRows(rows), { dialect: 'linux' }));
      expect(run(bytes(packet ?? '0123456789'), undefined, undefined, metadata)).toBe(expected);
    });
  });
});
