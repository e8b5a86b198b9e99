/**
 * The assembler: bpf_asm source to a program.
 *
 * The syntax is that of Linux's tools/bpf/bpf_asm (Documentation/networking/filter.rst): labels, `ld` `ldi` `ldh`
 * `ldb` `ldx` `ldxi` `ldxb` `st` `stx`, `jmp`/`ja` and the conditional jumps with one or two labels, arithmetic,
 * `tax` `txa` `ret`. One directive is added for what that syntax cannot express: `.insn code, jt, jf, k`.
 */

import {
  BPF_A,
  BPF_ALU,
  BPF_B,
  BPF_IMM,
  BPF_IND,
  BPF_JA,
  BPF_JMP,
  BPF_K,
  BPF_LD,
  BPF_LDX,
  BPF_LEN,
  BPF_MEM,
  BPF_MISC,
  BPF_MSH,
  BPF_NEG,
  BPF_RET,
  BPF_ST,
  BPF_STX,
  BPF_TAX,
  BPF_TXA,
  BPF_W,
  BPF_X,
  type Dialect,
  type Instruction,
} from './instruction.ts';
import { type Token, TokenReader, tokenize } from './lexer.ts';
import { SKF_AD_OFF } from './metadata.ts';
import { ANCILLARY, ANCILLARY_ALIASES, ARITHMETIC, CONDITIONAL_JUMPS, PACKET_LOADS } from './mnemonics.ts';
import { Program, type ProgramOptions } from './program.ts';
import { ProgramSyntaxError } from './syntax-error.ts';

type Operation = { readonly code: number; readonly k: number };

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

/** Parses one instruction that is not a jump, mnemonic and operand. */
export function parseOperation(reader: TokenReader, dialect: Dialect): Operation {
  const mnemonic = reader.peek();
  const arithmetic = ARITHMETIC.get(mnemonic.text);
  const load = PACKET_LOADS.get(mnemonic.text);
  if (mnemonic.kind !== 'word') reader.fail('an instruction or a label');
  if (arithmetic !== undefined) {
    reader.take();
    const { source, k } = parseOperand(reader);
    return { code: arithmetic | source, k };
  }
  if (load !== undefined) {
    reader.take();
    return parseLoad(reader, load, dialect);
  }
  return parseOther(reader);
}

function parseOther(reader: TokenReader): Operation {
  const mnemonic = reader.take();
  switch (mnemonic.text) {
    case 'ldi':
      return { code: BPF_LD | BPF_IMM, k: parseImmediate(reader) };
    case 'ldxi':
      return { code: BPF_LDX | BPF_IMM, k: parseImmediate(reader) };
    case 'ldx':
    case 'ldxb':
      return parseIndexLoad(reader, mnemonic.text === 'ldxb');
    case 'st':
      return { code: BPF_ST, k: parseScratch(reader) };
    case 'stx':
      return { code: BPF_STX, k: parseScratch(reader) };
    case 'neg':
      return { code: BPF_ALU | BPF_NEG, k: 0 };
    case 'tax':
      return { code: BPF_MISC | BPF_TAX, k: 0 };
    case 'txa':
      return { code: BPF_MISC | BPF_TXA, k: 0 };
    case 'ret':
      return parseReturn(reader);
    default:
      throw new ProgramSyntaxError(mnemonic.line, mnemonic.column, `unknown instruction '${mnemonic.text}'`);
  }
}

/** `#k` or `x` or `%x`. */
export function parseOperand(reader: TokenReader): { source: number; k: number } {
  if (reader.accept('#')) return { source: BPF_K, k: reader.number() };
  const register = reader.peek(reader.peek().text === '%' ? 1 : 0);
  if (register.text !== 'x') reader.fail("'#' and a number, or 'x'");
  reader.accept('%');
  reader.take();
  return { source: BPF_X, k: 0 };
}

function parseImmediate(reader: TokenReader): number {
  reader.accept('#');
  return reader.number();
}

function parseScratch(reader: TokenReader): number {
  reader.expect('M');
  reader.expect('[');
  const index = reader.number();
  reader.expect(']');
  return index;
}

function isLength({ text }: Token): boolean {
  return text === 'len' || text === 'pktlen';
}

/** What follows `ld`, `ldh` or `ldb`; `code` is the absolute form. */
function parseLoad(reader: TokenReader, code: number, dialect: Dialect): Operation {
  const word = (code & 0x18) === BPF_W;
  const named = reader.peek(reader.peek().text === '#' ? 1 : 0);
  if (word && isLength(named)) {
    reader.accept('#');
    reader.take();
    return { code: BPF_LD | BPF_LEN, k: 0 };
  }
  if (word && named.text === 'M') return { code: BPF_LD | BPF_MEM, k: parseScratch(reader) };
  if (named.kind === 'word') {
    reader.accept('#');
    return { code, k: parseAncillary(reader, dialect) };
  }
  if (word && reader.accept('#')) return { code: BPF_LD | BPF_IMM, k: reader.number() };
  if (!reader.accept('[')) {
    reader.fail(word ? "'[', '#', 'M[' or 'len'" : "'['");
  }
  return parseAddress(reader, code, dialect);
}

/** What follows `[`: `k]`, `x + k]`, `x]`, or the name of an ancillary load as `tcpdump -d` writes it. */
function parseAddress(reader: TokenReader, code: number, dialect: Dialect): Operation {
  let operation: Operation;
  const indexed = reader.peek().text === 'x' || (reader.peek().text === '%' && reader.peek(1).text === 'x');
  if (indexed) {
    reader.accept('%');
    reader.take();
    const hasOffset = reader.accept('+') || reader.peek().text === '-';
    operation = { code: (code & 0x1f) | BPF_IND, k: hasOffset ? reader.number() : 0 };
  } else if (reader.peek().kind === 'word') operation = { code, k: parseAncillary(reader, dialect) };
  else operation = { code, k: reader.number() };
  reader.expect(']');
  return operation;
}

function parseAncillary(reader: TokenReader, dialect: Dialect): number {
  const { line, column, text } = reader.peek();
  const offset = ANCILLARY.get(ANCILLARY_ALIASES.get(text) ?? text);
  if (offset === undefined) reader.fail("a number, 'x' or the name of an ancillary load");
  if (dialect !== 'linux') {
    throw new ProgramSyntaxError(
      line,
      column,
      `the ancillary load '${text}' exists only in the linux dialect`,
    );
  }
  reader.take();
  return SKF_AD_OFF + offset;
}

/** What follows `ldx` or `ldxb`. */
function parseIndexLoad(reader: TokenReader, byte: boolean): Operation {
  if (reader.peek().kind === 'number') return parseHeaderLength(reader);
  if (byte) reader.fail("'4*([k]&0xf)'");
  if (isLength(reader.peek(reader.peek().text === '#' ? 1 : 0))) {
    reader.accept('#');
    reader.take();
    return { code: BPF_LDX | BPF_LEN, k: 0 };
  }
  if (reader.peek().text === 'M') return { code: BPF_LDX | BPF_MEM, k: parseScratch(reader) };
  if (!reader.accept('#')) reader.fail("'#', 'M[', 'len' or '4*([k]&0xf)'");
  return { code: BPF_LDX | BPF_IMM, k: reader.number() };
}

/** `4*([k]&0xf)`: the length of an IP header whose first byte is at k. */
function parseHeaderLength(reader: TokenReader): Operation {
  if (reader.peek().value !== 4) reader.fail("'4*([k]&0xf)'");
  reader.take();
  for (const text of ['*', '(', '[']) reader.expect(text);
  const k = reader.number();
  for (const text of [']', '&']) reader.expect(text);
  if (reader.peek().kind !== 'number' || reader.peek().value !== 0xf) reader.fail("'0xf'");
  reader.take();
  reader.expect(')');
  return { code: BPF_LDX | BPF_MSH | BPF_B, k };
}

function parseReturn(reader: TokenReader): Operation {
  if (reader.accept('#')) return { code: BPF_RET | BPF_K, k: reader.number() };
  const register = reader.peek(reader.peek().text === '%' ? 1 : 0);
  if (register.text !== 'a') reader.fail("'#' and a number, or 'a'");
  reader.accept('%');
  reader.take();
  return { code: BPF_RET | BPF_A, k: 0 };
}
