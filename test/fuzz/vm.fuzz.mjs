/**
 * Coverage-guided fuzzing of the BPF machine: parser, validators, both engines, fusing.
 *
 *     npm run build && node test/fuzz/run.mjs 60
 *     npm run build && npx --package @jazzer.js/core@4 -- jazzer test/fuzz/vm.fuzz -i dist/vm --sync
 *
 * The second is a target for jazzer.js, whose prebuilt engine needs glibc 2.38 or newer (not Debian 12); the first
 * needs nothing but Node.
 *
 * The first byte of the input says what the rest is: an expression, program text or packed instructions, then a packet. What
 * must hold: nothing throws but the errors that are promised, text and program turn into each other, and all
 * engines give one verdict.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BATCH_VERDICT,
  BATCH_WORDS,
  compileBatch,
  compileFilter,
  compileFused,
  compileWasm,
  disassemble,
  FilterSyntaxError,
  InvalidProgramError,
  METADATA_WORDS,
  Program,
  ProgramSyntaxError,
  packMetadata,
  parseProgram,
  runProgram,
} from '../../dist/vm/index.js';

const METADATA_OFFSET = 64;
const RESULT_OFFSET = 256;
const RECORDS_OFFSET = 1024;
const PACKET_OFFSET = 4096;
const PACKET_BYTES = 64;
const memory = new WebAssembly.Memory({ initial: 1 });
const bytes = new Uint8Array(memory.buffer);
const words = new Uint32Array(memory.buffer);
const metadata = new Int32Array(memory.buffer, METADATA_OFFSET, METADATA_WORDS);
const REJECT = Program.from([{ code: 0x06, jt: 0, jf: 0, k: 0 }]);

/** @param {Buffer} input */
export function fuzz(input) {
  const [mode = 0] = input;
  const options = { dialect: mode & 2 ? 'linux' : 'bsd', backwardJumps: (mode & 4) !== 0 };
  const packet = input.subarray(-PACKET_BYTES);
  if (mode & 8) {
    const program = fromExpression(input.subarray(1, -PACKET_BYTES), options.dialect);
    if (program) checkVerdicts(program, packet);
    return;
  }
  const program = mode & 1 ? decode(input.subarray(1), options) : parse(input.toString('latin1', 1), options);
  if (program === undefined) return;
  checkText(program, options);
  checkVerdicts(program, packet);
}

/** Words that expressions are made of; each byte of the input picks one. */
const TOKENS = (
  'and or not ( ) ip ip6 tcp udp icmp icmp6 arp ether vlan mpls geneve pppoes host net port portrange src dst proto ' +
  'protochain broadcast multicast len less greater [ ] : + - * / & | < > = != >= <= << >> 0 1 2 4 6 12 14 17 53 80 ' +
  '65535 0xffff 4294967295 198.18.0.1 198.18.0.0/15 fd00::1 fd00::/8 02:00:00:00:00:01 1000-2000 tcpflags tcp-syn ' +
  'icmptype icmp-echo inbound ifindex \\ip llc stp iso mask 255.255.0.0 gateway http @ zzz'
).split(' ');

function fromExpression(data, dialect) {
  const text = Array.from(data, (byte) => TOKENS[byte % TOKENS.length]).join(' ');
  return expected(() => compileFilter(text, { dialect }));
}

function parse(text, options) {
  return expected(() => parseProgram(text, options));
}

/** Eight bytes an instruction, as struct bpf_insn; opcodes are folded into one byte, so that more are valid. */
function decode(data, options) {
  const instructions = [];
  for (let at = 0; at + 8 <= data.length && instructions.length < 64; at += 8) {
    const [code, jt, jf] = [data[at], data[at + 2], data[at + 3]];
    instructions.push({ code, jt, jf, k: data.readUInt32LE(at + 4) });
  }
  instructions.push({ code: 0x16, jt: 0, jf: 0, k: 0 });
  return expected(() => Program.from(instructions, options));
}

/** The result, or undefined when it is one of the promised errors. */
function expected(make) {
  try {
    return make();
  } catch (error) {
    const promised = [ProgramSyntaxError, InvalidProgramError, FilterSyntaxError];
    if (promised.some((each) => error instanceof each)) return undefined;
    throw error;
  }
}

function checkText(program, options) {
  for (const style of ['asm', 'dd', 'ddd']) {
    if (program.length === 0 && style !== 'ddd') continue;
    const again = parseProgram(disassemble(program, style), options);
    if (String(again.words) !== String(program.words)) throw new Error(`style ${style} changes the program`);
  }
  disassemble(program, 'd');
}

/** Compares the engines on the packet cut down to every length. */
function checkVerdicts(program, packet) {
  const location = { memory, metadataOffset: METADATA_OFFSET };
  const compiled = compileWasm(program, location);
  const fused = compileFused([REJECT, program], location);
  const batch = compileBatch(program, location);
  const verdicts = [];
  const packed = program.dialect === 'linux' ? metadata : null;
  const programWords = program.words;
  // Beyond the packet lies something that a filter would take for a value.
  bytes.fill(1, PACKET_OFFSET, PACKET_OFFSET + 2 * PACKET_BYTES);
  bytes.set(packet, PACKET_OFFSET);
  for (let length = 0; length <= packet.length; length++) {
    resetMetadata();
    const verdict = runProgram(programWords, 0, program.length, bytes, PACKET_OFFSET, 1500, length, packed);
    resetMetadata();
    expectVerdict('wasm', compiled(PACKET_OFFSET, 1500, length), verdict, length);
    resetMetadata();
    const count = fused(PACKET_OFFSET, 1500, length, RESULT_OFFSET);
    if (count > 1 || (count === 1 && words[RESULT_OFFSET / 4] !== 1)) throw new Error('a match of no filter');
    expectVerdict('fused wasm', count === 1 ? words[RESULT_OFFSET / 4 + 1] : 0, verdict, length);
    verdicts.push(verdict);
  }
  // All of them in one call, unless each must find the metadata as they were.
  if (packed === null) return checkBatch(batch, verdicts, 0);
  for (const [length, verdict] of verdicts.entries()) {
    resetMetadata();
    checkBatch(batch, [verdict], length);
  }
}

/** Runs a batch of the packet cut down to `shortest` bytes, one more, and so on, for as many verdicts as there are. */
function checkBatch(batch, verdicts, shortest) {
  const recordOf = (i) => RECORDS_OFFSET / 4 + i * BATCH_WORDS;
  for (const i of verdicts.keys()) words.set([PACKET_OFFSET, 1500, shortest + i, 7], recordOf(i));
  const accepted = batch(RECORDS_OFFSET, verdicts.length);
  if (accepted !== verdicts.filter((verdict) => verdict !== 0).length)
    throw new Error('a batch counts wrong');
  for (const [i, verdict] of verdicts.entries()) {
    expectVerdict('a batch', words[recordOf(i) + BATCH_VERDICT], verdict, shortest + i);
  }
}

function expectVerdict(engine, actual, expected, length) {
  if (actual === expected) return;
  throw new Error(`${engine} says ${actual}, the interpreter ${expected}, for ${length} bytes of the packet`);
}

function resetMetadata() {
  packMetadata({ interfaceIndex: 1, mark: 3, networkOffset: 2, randomState: 9 }, metadata);
}

/** The ready-made filters, and every operation. */
export function seeds() {
  return [...filterInputs(), ...operationInputs()];
}

/** Every operation between A and X, at values where they are apt to go wrong. */
function operationInputs() {
  const source = (operation, x) => `\0ldx #${x}\nld #0x80000003\n${operation}\nret a\n`;
  const operations = ['add', 'sub', 'mul', 'div', 'mod', 'and', 'or', 'xor', 'lsh', 'rsh'];
  const operands = [0, 1, 31, 32, 33, 0x7fffffff, 0x80000000, 0xffffffff];
  return operations.flatMap((name) => operands.map((x) => Buffer.from(source(`${name} x`, x))));
}

/** The ready-made filters, as text in every form and as packed instructions. */
function filterInputs() {
  const folder = join(import.meta.dirname, '../../filters');
  const files = readdirSync(folder).filter((file) => file.endsWith('.bpf'));
  return files.flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    const program = parseProgram(text);
    const texts = [text, ...['d', 'dd', 'ddd'].map((style) => disassemble(program, style))];
    const packed = Buffer.from(program.words.buffer);
    return [
      ...texts.map((form) => Buffer.from(`\0${form}`)),
      ...[1, 3, 5].map((mode) => Buffer.concat([Buffer.of(mode), packed])),
    ];
  });
}
