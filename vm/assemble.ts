/**
 * The assembler: bpf_asm source to a program.
 *
 * The syntax is that of Linux's tools/bpf/bpf_asm (Documentation/networking/filter.rst): labels, `ld` `ldi` `ldh`
 * `ldb` `ldx` `ldxi` `ldxb` `st` `stx`, `jmp`/`ja` and the conditional jumps with one or two labels, arithmetic,
 * `tax` `txa` `ret`. One directive is added for what that syntax cannot express: `.insn code, jt, jf, k`.
 */

import { BPF_JA, BPF_JMP, type Dialect, type Instruction } from './instruction.ts';
import { type Token, TokenReader, tokenize } from './lexer.ts';
import { CONDITIONAL_JUMPS } from './mnemonics.ts';
import { parseOperand, parseOperation } from './operands.ts';
import { Program, type ProgramOptions } from './program.ts';
import { ProgramSyntaxError } from './syntax-error.ts';

/**
 * Assembles bpf_asm source.
 *
 * @throws ProgramSyntaxError with line and column for text that cannot be read
 * @throws InvalidProgramError for a program its dialect's validator refuses
 */
export function assemble(source: string, options: ProgramOptions = {}): Program {
  return Program.from(new Assembler(source, options.dialect ?? 'bsd').assemble(), options);
}

/** A jump whose labels are not resolved yet; an absent label falls through to the next instruction. */
type Jump = {
  readonly pc: number;
  readonly code: number;
  readonly k: number;
  readonly labels: (Token | undefined)[];
};

class Assembler {
  readonly #reader: TokenReader;
  readonly #dialect: Dialect;
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: Jump[] = [];

  constructor(source: string, dialect: Dialect) {
    this.#reader = new TokenReader(tokenize(source));
    this.#dialect = dialect;
  }

  assemble(): Instruction[] {
    while (this.#reader.peek().kind !== 'end') {
      if (this.#reader.peek(1).text === ':') this.#label();
      else this.#statement();
    }
    for (const jump of this.#jumps) this.#instructions[jump.pc] = this.#resolve(jump);
    return this.#instructions;
  }

  #label(): void {
    const name = this.#reader.take();
    this.#reader.expect(':');
    if (name.kind !== 'word')
      throw new ProgramSyntaxError(name.line, name.column, `'${name.text}' is not a label`);
    if (this.#labels.has(name.text)) {
      throw new ProgramSyntaxError(name.line, name.column, `label '${name.text}' is defined twice`);
    }
    this.#labels.set(name.text, this.#instructions.length);
  }

  #statement(): void {
    const reader = this.#reader;
    const mnemonic = reader.peek().text;
    const conditional = CONDITIONAL_JUMPS.get(mnemonic);
    if (conditional !== undefined) this.#conditionalJump(conditional.code, conditional.negated);
    else if (mnemonic === 'jmp' || mnemonic === 'ja') {
      reader.take();
      this.#push(BPF_JMP | BPF_JA, 0, [this.#target()]);
    } else if (reader.accept('.insn')) this.#instructions.push(rawInstruction(reader));
    else {
      const { code, k } = parseOperation(reader, this.#dialect);
      this.#instructions.push({ code, jt: 0, jf: 0, k });
    }
  }

  #conditionalJump(code: number, negated: boolean): void {
    const reader = this.#reader;
    reader.take();
    const { source, k } = parseOperand(reader);
    reader.expect(',');
    const taken = this.#target();
    const other = reader.accept(',') ? this.#target() : undefined;
    this.#push(code | source, k, negated ? [other, taken] : [taken, other]);
  }

  #push(code: number, k: number, labels: (Token | undefined)[]): void {
    this.#jumps.push({ pc: this.#instructions.length, code, k, labels });
    this.#instructions.push({ code, jt: 0, jf: 0, k });
  }

  #target(): Token {
    if (this.#reader.peek().kind !== 'word') this.#reader.fail('a label');
    return this.#reader.take();
  }

  #resolve({ pc, code, k, labels }: Jump): Instruction {
    const [first, second] = labels.map((label) => (label === undefined ? 0 : this.#distance(label, pc)));
    if (code === (BPF_JMP | BPF_JA)) return { code, jt: 0, jf: 0, k: first! >>> 0 };
    for (const [i, distance] of [first!, second!].entries()) {
      const label = labels[i];
      if (label === undefined || (distance >= 0 && distance <= 0xff)) continue;
      const problem =
        distance < 0
          ? 'lies behind: only ja can jump back'
          : `is ${distance} instructions away, more than 255`;
      throw new ProgramSyntaxError(label.line, label.column, `label '${label.text}' ${problem}`);
    }
    return { code, jt: first!, jf: second!, k };
  }

  #distance(label: Token, pc: number): number {
    const target = this.#labels.get(label.text);
    if (target !== undefined) return target - pc - 1;
    throw new ProgramSyntaxError(label.line, label.column, `label '${label.text}' is not defined`);
  }
}

function rawInstruction(reader: TokenReader): Instruction {
  const code = reader.number();
  reader.expect(',');
  const jt = reader.number();
  reader.expect(',');
  const jf = reader.number();
  reader.expect(',');
  return { code, jt, jf, k: reader.number() };
}
