/**
 * Jumps that go back, which `protochain` needs: wasm has no such jump but to the start of a loop. The whole body is
 * put into one, and a local says where in it to go on. How far a run may go back in all is limited, as in the
 * interpreter.
 */

import { REWIND_LIMIT } from '../run-program.ts';
import { type Label, OP } from './function-builder.ts';
import type { Target } from './operations.ts';

/** The loop around a body whose jumps go back: `resume` says where it starts, 0 at its entry, else `targets[n-1]`. */
export type BackwardJumps = {
  readonly label: Label;
  readonly resume: number;
  readonly rewound: number;
  readonly targets: readonly number[];
};

/** Opens the loop around a body that jumps back to `targets`. */
export function openLoop({ f, pool }: Target, targets: readonly number[]): BackwardJumps {
  const resume = pool.takeI32();
  const rewound = pool.takeI32();
  // In a batch the body runs once for each packet.
  for (const local of [resume, rewound]) {
    f.i32(0);
    f.set(local);
  }
  return { label: f.loop(), resume, rewound, targets };
}

/** Counts what the jump goes back over, rejects beyond the limit, else starts the loop again at `target`. */
export function emitJumpBack(
  { f }: Target,
  loop: BackwardJumps,
  target: number,
  pc: number,
  exit: Label,
): void {
  f.get(loop.rewound);
  f.i32(pc + 1 - target);
  f.op(OP.i32Add);
  f.tee(loop.rewound);
  f.i32(REWIND_LIMIT);
  f.op(OP.i32GtU);
  f.brIf(exit);
  f.i32(loop.targets.indexOf(target) + 1);
  f.set(loop.resume);
  f.br(loop.label);
}
