/**
 * Coverage-guided fuzzing of the BPF machine: parser, validators, both engines, fusing.
 *
 *     npm run build && node test/fuzz/run.mjs 60
 *     npm run build && npx --package @jazzer.js/core@4 -- jazzer test/fuzz/vm.fuzz -i dist/vm --sync
 *
 * The second is a target for jazzer.js, whose prebuilt engine needs glibc 2.38 or newer (not Debian 12); the first
 * needs nothing but Node.
 *
 * The first byte of the input says what the rest is: program text, or packed instructions, then a packet. What
 * must hold: nothing throws but the errors that are promised, text and program turn into each other, and all
 * engines give one verdict.
 */

import {
  compileFused,
  compileWasm,
  disassemble,
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
const PACKET_OFFSET = 4096;
const PACKET_BYTES = 64;
const memory = new WebAssembly.Memory({ initial: 1 });
const bytes = new Uint8Array(memory.buffer);
const words = new Uint32Array(memory.buffer);
const metadata = new Int32Array(memory.buffer, METADATA_OFFSET, METADATA_WORDS);

/** @param {Buffer} input */
export function fuzz(input) {
  const [mode = 0] = input;
  const options = { dialect: mode & 2 ? 'linux' : 'bsd', backwardJumps: (mode & 4) !== 0 };
  const packet = input.subarray(-PACKET_BYTES);
  const program = mode & 1 ? decode(input.subarray(1), options) : parse(input.toString('latin1', 1), options);
  if (program === undefined) return;
  checkText(program, options);
  checkVerdicts(program, packet);
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
    if (error instanceof ProgramSyntaxError || error instanceof InvalidProgramError) return undefined;
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

function checkVerdicts(program, packet) {
  const isLinux = program.dialect === 'linux';
  bytes.set(packet, PACKET_OFFSET);
  resetMetadata();
  const verdict = runProgram(
    program.words,
    0,
    program.length,
    bytes,
    PACKET_OFFSET,
    1500,
    packet.length,
    isLinux ? metadata : null,
  );
  const location = { memory, metadataOffset: METADATA_OFFSET };
  resetMetadata();
  const compiled = compileWasm(program, location)(PACKET_OFFSET, 1500, packet.length);
  if (compiled !== verdict) throw new Error(`wasm says ${compiled}, the interpreter ${verdict}`);
  resetMetadata();
  const match = compileFused([program, Program.from([{ code: 6, jt: 0, jf: 0, k: 7 }])], location);
  const count = match(PACKET_OFFSET, 1500, packet.length, RESULT_OFFSET);
  const results = Array.from({ length: count }, (_, i) =>
    words.subarray(RESULT_OFFSET / 4 + 2 * i).slice(0, 2),
  );
  const fused = results.find(([index]) => index === 0)?.[1] ?? 0;
  if (fused !== verdict) throw new Error(`fused it says ${fused}, the interpreter ${verdict}`);
}

function resetMetadata() {
  packMetadata({ interfaceIndex: 1, mark: 3, networkOffset: 2, randomState: 9 }, metadata);
}
