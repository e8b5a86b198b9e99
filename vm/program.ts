/**
 * `Program`: a validated, immutable classic BPF program.
 *
 * The constructor validates, so holding a `Program` is the proof that running it is safe: nothing else in this
 * package runs instructions that were not checked. The packed form is two 32-bit words an instruction, as
 * `struct bpf_insn` lies in memory on a little-endian machine: `code | jt << 16 | jf << 24`, then `k`.
 */

import { BPF_MAXINSNS, type Dialect, type Instruction } from './instruction.ts';
import { fieldViolation, type Violation } from './validate.ts';
import { validateBsd } from './validate-bsd.ts';
import { validateLinux } from './validate-linux.ts';

/** Words of the packed form that one instruction takes. */
export const WORDS_PER_INSTRUCTION = 2;

/** Thrown for a program that breaks a rule of its dialect; `pc` is the index of the offending instruction. */
export class InvalidProgramError extends Error {
  override readonly name = 'InvalidProgramError';
  readonly pc: number;
  readonly reason: string;

  constructor(pc: number, reason: string) {
    super(`invalid BPF program: instruction ${pc}: ${reason}`);
    this.pc = pc;
    this.reason = reason;
  }
}

/** How to validate a program. */
export type ProgramOptions = {
  /** Whose rules apply; `bsd` unless told. */
  readonly dialect?: Dialect | undefined;
  /**
   * Let `ja` jump backwards, as libpcap compiles `protochain`; only in the `bsd` dialect. The engines bound such loops: a packet on which
   * the program jumps back over more than `REWIND_LIMIT` instructions in all is rejected.
   */
  readonly backwardJumps?: boolean | undefined;
};

/** A program that has passed its dialect's validator. */
export class Program {
  readonly instructions: readonly Instruction[];
  readonly dialect: Dialect;
  /** Whether some `ja` jumps backwards. */
  readonly hasBackwardJumps: boolean;
  readonly #words: Int32Array;

  private constructor(instructions: readonly Instruction[], options: ProgramOptions) {
    this.dialect = options.dialect ?? 'bsd';
    const violation =
      fieldViolation(instructions) ??
      validateDialect(instructions, this.dialect, options.backwardJumps ?? false);
    if (violation !== undefined) throw new InvalidProgramError(violation.pc, violation.reason);
    this.instructions = instructions;
    this.hasBackwardJumps = instructions.some(({ code, k }) => code === 0x05 && k >= 0x80000000);
    this.#words = encodeInstructions(instructions);
    Object.freeze(this);
  }

  /**
   * Validates instructions into a program. The instructions are copied.
   *
   * @throws InvalidProgramError with the offending `pc` and the reason
   */
  static from(instructions: Iterable<Instruction>, options: ProgramOptions = {}): Program {
    if (typeof (instructions as Partial<Iterable<unknown>> | null)?.[Symbol.iterator] !== 'function') {
      throw new TypeError('instructions must be an iterable of { code, jt, jf, k }');
    }
    const copies: Instruction[] = [];
    for (const instruction of instructions) {
      const pc = copies.length;
      if (typeof instruction !== 'object' || instruction === null) {
        throw new InvalidProgramError(
          pc,
          `is ${String(instruction)}, not an instruction { code, jt, jf, k }`,
        );
      }
      const { code, jt, jf, k } = instruction;
      copies.push(Object.freeze({ code, jt, jf, k }));
      // The validator refuses it; what else the iterable may yield, without end perhaps, need not be read.
      if (copies.length > BPF_MAXINSNS) break;
    }
    return new Program(Object.freeze(copies), options);
  }

  /**
   * Validates a packed program, as `words` yields.
   *
   * @throws InvalidProgramError with the offending `pc` and the reason
   */
  static fromWords(words: Int32Array, options: ProgramOptions = {}): Program {
    return Program.from(decodeInstructions(words), options);
  }

  /** Number of instructions. */
  get length(): number {
    return this.instructions.length;
  }

  /** A fresh copy of the packed form: `length * WORDS_PER_INSTRUCTION` words. */
  get words(): Int32Array {
    return this.#words.slice();
  }
}

function validateDialect(
  instructions: readonly Instruction[],
  dialect: Dialect,
  backwardJumps: boolean,
): Violation | undefined {
  switch (dialect) {
    case 'bsd':
      return validateBsd(instructions, backwardJumps);
    case 'linux':
      return validateLinux(instructions);
    default:
      throw new TypeError(`unknown BPF dialect '${String(dialect)}': use 'bsd' or 'linux'`);
  }
}

function encodeInstructions(instructions: readonly Instruction[]): Int32Array {
  const words = new Int32Array(instructions.length * WORDS_PER_INSTRUCTION);
  let at = 0;
  for (const { code, jt, jf, k } of instructions) {
    words[at++] = code | (jt << 16) | (jf << 24);
    words[at++] = k;
  }
  return words;
}

function* decodeInstructions(words: Int32Array): Generator<Instruction> {
  for (let at = 0; at + 1 < words.length; at += WORDS_PER_INSTRUCTION) {
    const word = words[at]!;
    yield { code: word & 0xffff, jt: (word >>> 16) & 0xff, jf: word >>> 24, k: words[at + 1]! >>> 0 };
  }
}
