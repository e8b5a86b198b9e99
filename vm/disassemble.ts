/**
 * The disassembler: a program as text that `parseProgram` reads back into the same program.
 *
 * Styles: `asm` is bpf_asm source with labels; `d`, `dd` and `ddd` are what `tcpdump -d`, `-dd` and `-ddd` print.
 * Fields that an instruction does not use (say, `k` of `tax`) survive in `dd`, `ddd` and, as `.insn`, in `asm`.
 */

import {
  BPF_A,
  BPF_ABS,
  BPF_ALU,
  BPF_AND,
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
  BPF_OR,
  BPF_RET,
  BPF_ST,
  BPF_STX,
  BPF_TAX,
  BPF_TXA,
  BPF_W,
  BPF_X,
  BPF_XOR,
  type Dialect,
  type Instruction,
} from './instruction.ts';
import { SKF_AD_OFF } from './metadata.ts';
import { ANCILLARY, ARITHMETIC, CONDITIONAL_JUMPS, PACKET_LOADS } from './mnemonics.ts';
import type { Program } from './program.ts';
import { hex } from './validate.ts';

/** Forms of text: bpf_asm source, or tcpdump's `-d`, `-dd`, `-ddd`. */
export type DisassemblyStyle = 'asm' | 'd' | 'dd' | 'ddd';

/** The program as text, each line ended by a newline. */
export function disassemble(program: Program, style: DisassemblyStyle = 'asm'): string {
  const { instructions } = program;
  switch (style) {
    case 'asm':
      return source(instructions, program.dialect);
    case 'd':
      return lines(instructions.map((instruction, pc) => listingLine(instruction, pc, program.dialect)));
    case 'dd':
      return lines(instructions.map(({ code, jt, jf, k }) => `{ ${hex(code)}, ${jt}, ${jf}, ${hex8(k)} },`));
    case 'ddd':
      return lines([
        `${instructions.length}`,
        ...instructions.map((i) => `${i.code} ${i.jt} ${i.jf} ${i.k}`),
      ]);
    default:
      throw new TypeError(`unknown style '${String(style)}': use 'asm', 'd', 'dd' or 'ddd'`);
  }
}

function lines(rows: readonly string[]): string {
  return rows.map((row) => `${row}\n`).join('');
}

function hex8(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

/** Mnemonic and operand of an instruction; `operand` is empty where there is none. */
type Text = { readonly mnemonic: string; readonly operand: string };

const NAME_OF_ARITHMETIC = new Map([...ARITHMETIC].map(([name, code]) => [code, name]));
const NAME_OF_JUMP = new Map(
  [...CONDITIONAL_JUMPS].filter(([, { negated }]) => !negated).map(([name, { code }]) => [code, name]),
);
const NAME_OF_LOAD = new Map([...PACKET_LOADS].map(([name, code]) => [code & 0x18, name]));
const NAME_OF_ANCILLARY = new Map([...ANCILLARY].map(([name, offset]) => [SKF_AD_OFF + offset, name]));

/** Numbers that are masks or protocol numbers read better in hexadecimal; offsets and sizes in decimal. */
const HEXADECIMAL = new Set([BPF_ALU | BPF_OR, BPF_ALU | BPF_AND, BPF_ALU | BPF_XOR]);

/** The instruction's text without jump targets, or undefined for an opcode without a mnemonic. */
function operation({ code, k }: Instruction, dialect: Dialect): Text | undefined {
  const base = code & ~BPF_X;
  const arithmetic = NAME_OF_ARITHMETIC.get(base);
  const jump = NAME_OF_JUMP.get(base);
  if (arithmetic !== undefined) {
    return { mnemonic: arithmetic, operand: immediateOrX(code, HEXADECIMAL.has(base) ? hex(k) : `${k}`) };
  }
  if (jump !== undefined) return { mnemonic: jump, operand: immediateOrX(code, hex(k)) };
  return packetLoad(code, k, dialect) ?? otherOperation(code, k);
}

function immediateOrX(code: number, immediate: string): string {
  return (code & BPF_X) !== 0 ? 'x' : `#${immediate}`;
}

function packetLoad(code: number, k: number, dialect: Dialect): Text | undefined {
  const mnemonic = NAME_OF_LOAD.get(code & 0x18);
  if (mnemonic === undefined || (code & 0x07) !== BPF_LD) return undefined;
  const mode = code & 0xe0;
  if (mode === BPF_IND) return { mnemonic, operand: `[x + ${k}]` };
  if (mode !== BPF_ABS) return undefined;
  const ancillary = dialect === 'linux' ? NAME_OF_ANCILLARY.get(k) : undefined;
  return { mnemonic, operand: `[${ancillary ?? k}]` };
}

function otherOperation(code: number, k: number): Text | undefined {
  switch (code) {
    case BPF_LD | BPF_IMM:
      return { mnemonic: 'ld', operand: `#${hex(k)}` };
    case BPF_LDX | BPF_IMM:
      return { mnemonic: 'ldx', operand: `#${hex(k)}` };
    case BPF_LD | BPF_W | BPF_LEN:
      return { mnemonic: 'ld', operand: '#pktlen' };
    case BPF_LDX | BPF_W | BPF_LEN:
      return { mnemonic: 'ldx', operand: '#pktlen' };
    case BPF_LD | BPF_MEM:
      return { mnemonic: 'ld', operand: `M[${k}]` };
    case BPF_LDX | BPF_MEM:
      return { mnemonic: 'ldx', operand: `M[${k}]` };
    case BPF_ST:
      return { mnemonic: 'st', operand: `M[${k}]` };
    case BPF_STX:
      return { mnemonic: 'stx', operand: `M[${k}]` };
    case BPF_LDX | BPF_MSH | BPF_B:
      return { mnemonic: 'ldxb', operand: `4*([${k}]&0xf)` };
    case BPF_ALU | BPF_NEG:
      return { mnemonic: 'neg', operand: '' };
    case BPF_MISC | BPF_TAX:
      return { mnemonic: 'tax', operand: '' };
    case BPF_MISC | BPF_TXA:
      return { mnemonic: 'txa', operand: '' };
    case BPF_RET | BPF_K:
      return { mnemonic: 'ret', operand: `#${k}` };
    case BPF_RET | BPF_A:
      return { mnemonic: 'ret', operand: 'a' };
    default:
      return undefined;
  }
}

/** `(001) jeq      #0x800           jt 2	jf 5`, with libpcap's column widths. */
function listingLine(instruction: Instruction, pc: number, dialect: Dialect): string {
  const { code, jt, jf, k } = instruction;
  const index = `(${String(pc).padStart(3, '0')})`;
  if (code === (BPF_JMP | BPF_JA)) return `${index} ${'ja'.padEnd(8)} ${pc + 1 + (k | 0)}`;
  const text = operation(instruction, dialect);
  if (text === undefined) throw new TypeError(`opcode ${hex(code)} has no mnemonic`);
  // libpcap prints constants signed in decimal, and RET A without an operand.
  const operand =
    text.operand === 'a' ? '' : text.operand.replace(/(?<=#|\[|\+ )\d{10}(?!\d)/, (n) => `${Number(n) | 0}`);
  const start = `${index} ${text.mnemonic.padEnd(8)} `;
  if ((code & 0x07) !== BPF_JMP) return start + operand;
  return `${start}${operand.padEnd(16)} jt ${pc + 1 + jt}\tjf ${pc + 1 + jf}`;
}

function source(instructions: readonly Instruction[], dialect: Dialect): string {
  const targets = new Set<number>();
  for (const [pc, { code, jt, jf, k }] of instructions.entries()) {
    if (code === (BPF_JMP | BPF_JA)) targets.add(pc + 1 + (k | 0));
    else if ((code & 0x07) === BPF_JMP) targets.add(pc + 1 + jt).add(pc + 1 + jf);
  }
  const width = Math.max(0, ...Array.from(targets, (pc) => `L${pc}: `.length));
  const label = (pc: number): string => (targets.has(pc) ? `L${pc}: ` : '').padEnd(width);
  return lines(instructions.map((instruction, pc) => label(pc) + sourceLine(instruction, pc, dialect)));
}

function sourceLine(instruction: Instruction, pc: number, dialect: Dialect): string {
  const { code, jt, jf, k } = instruction;
  const text = operation(instruction, dialect);
  const usesK = !/^$|^a$|^x$|^#pktlen$/.test(text?.operand ?? '');
  if (code === (BPF_JMP | BPF_JA)) {
    return jt === 0 && jf === 0 ? `jmp L${pc + 1 + (k | 0)}` : raw(instruction);
  }
  if (text === undefined || (!usesK && k !== 0)) return raw(instruction);
  const statement = text.operand === '' ? text.mnemonic : `${text.mnemonic} ${text.operand}`;
  if ((code & 0x07) === BPF_JMP) return `${statement}, L${pc + 1 + jt}, L${pc + 1 + jf}`;
  return jt === 0 && jf === 0 ? statement : raw(instruction);
}

function raw({ code, jt, jf, k }: Instruction): string {
  return `.insn ${hex(code)}, ${jt}, ${jf}, ${hex(k)}`;
}
