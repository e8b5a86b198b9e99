/**
 * Reads one instruction that is not a jump, in the syntax that bpf_asm source and `tcpdump -d` listings share.
 */

import {
  BPF_A,
  BPF_ALU,
  BPF_B,
  BPF_IMM,
  BPF_IND,
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
} from './instruction.ts';
import type { Token, TokenReader } from './lexer.ts';
import { SKF_AD_OFF } from './metadata.ts';
import { ANCILLARY, ANCILLARY_ALIASES, ARITHMETIC, PACKET_LOADS } from './mnemonics.ts';
import { ProgramSyntaxError } from './syntax-error.ts';

/** An instruction without branches. */
export type Operation = { readonly code: number; readonly k: number };

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
