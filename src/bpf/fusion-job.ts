/**
 * Lists of filters as they travel to the thread that fuses them: all programs packed in one array, because cloning
 * one array for each of a thousand filters would take longer than all the rest.
 */
import { encodeFused, fusedLength, Program, WORDS_PER_INSTRUCTION } from '../../vm/index.ts';

/** Programs, packed. */
export type FusionJob = {
  /** All instructions, one program behind the other. */
  readonly words: Int32Array<ArrayBuffer>;
  /** Of each program two numbers: its instructions, and its flags. */
  readonly programs: Int32Array<ArrayBuffer>;
};

const FLAG_LINUX = 1;
const FLAG_BACKWARD_JUMPS = 2;

/** Packs programs. Throws RangeError when they are too large together, however large they are. */
export function packJob(programs: readonly Program[]): FusionJob {
  const words = new Int32Array(fusedLength(programs) * WORDS_PER_INSTRUCTION);
  const facts = new Int32Array(2 * programs.length);
  let at = 0;
  for (const [i, program] of programs.entries()) {
    words.set(program.words, at);
    at += program.length * WORDS_PER_INSTRUCTION;
    facts[2 * i] = program.length;
    facts[2 * i + 1] =
      (program.dialect === 'linux' ? FLAG_LINUX : 0) | (program.hasBackwardJumps ? FLAG_BACKWARD_JUMPS : 0);
  }
  return { words, programs: facts };
}

/** Fuses the programs of a job into a module for shared memory. Throws RangeError when the code becomes too large. */
export async function runJob({ words, programs: facts }: FusionJob): Promise<WebAssembly.Module> {
  const programs: Program[] = [];
  let at = 0;
  for (let i = 0; i < facts.length; i += 2) {
    const end = at + facts[i]! * WORDS_PER_INSTRUCTION;
    const flags = facts[i + 1]!;
    const dialect = (flags & FLAG_LINUX) !== 0 ? 'linux' : 'bsd';
    const backwardJumps = (flags & FLAG_BACKWARD_JUMPS) !== 0;
    programs.push(Program.fromWords(words.subarray(at, end), { dialect, backwardJumps }));
    at = end;
  }
  return WebAssembly.compile(encodeFused(programs, { shared: true }));
}
