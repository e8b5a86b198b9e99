/**
 * Writes the body of one WebAssembly function: instructions by name, locals on demand, branches by label instead
 * of by relative depth. Knows nothing of BPF.
 */

import { ByteWriter } from './bytes.ts';

/** Value types. */
export const I32 = 0x7f;
export const I64 = 0x7e;

/** Instructions without immediates, under their names in the WebAssembly specification. */
export const OP = {
  unreachable: 0x00,
  return: 0x0f,
  drop: 0x1a,
  select: 0x1b,
  i32Eqz: 0x45,
  i32Eq: 0x46,
  i32Ne: 0x47,
  i32LtS: 0x48,
  i32LtU: 0x49,
  i32GtU: 0x4b,
  i32LeU: 0x4d,
  i32GeS: 0x4e,
  i32GeU: 0x4f,
  i64Eq: 0x51,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32DivU: 0x6e,
  i32RemU: 0x70,
  i32And: 0x71,
  i32Or: 0x72,
  i32Xor: 0x73,
  i32Shl: 0x74,
  i32ShrU: 0x76,
  i32Rotl: 0x77,
  i64ExtendI32U: 0xad,
} as const;

/** Loads and stores, which carry an alignment and an offset. */
export const MEMORY_OP = { i32Load: 0x28, i32Load8U: 0x2d, i32Load16U: 0x2f, i32Store: 0x36 } as const;

/** A block or loop that is open; branches name it. */
export type Label = { readonly depth: number };

type Opcode = (typeof OP)[keyof typeof OP];
type MemoryOpcode = (typeof MEMORY_OP)[keyof typeof MEMORY_OP];

export class FunctionBuilder {
  readonly #code = new ByteWriter();
  readonly #parameters: number;
  readonly #locals: number[] = [];
  #depth = 0;

  /** @param parameters number of the function's parameters, which are its first locals */
  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  /** Bytes of code so far. */
  get size(): number {
    return this.#code.length;
  }

  /** A new local, zero at the start of the function. */
  local(type: typeof I32 | typeof I64): number {
    this.#locals.push(type);
    return this.#parameters + this.#locals.length - 1;
  }

  op(...opcodes: Opcode[]): void {
    for (const opcode of opcodes) this.#code.byte(opcode);
  }

  /** Pushes an int32; only the low 32 bits of `value` count. */
  i32(value: number): void {
    this.#code.byte(0x41);
    this.#code.signed(value | 0);
  }

  i64(value: number): void {
    this.#code.byte(0x42);
    this.#code.signed(value);
  }

  get(local: number): void {
    this.#indexed(0x20, local);
  }

  set(local: number): void {
    this.#indexed(0x21, local);
  }

  tee(local: number): void {
    this.#indexed(0x22, local);
  }

  call(functionIndex: number): void {
    this.#indexed(0x10, functionIndex);
  }

  /** A load or store at the address on the stack plus `offset`, of no particular alignment. */
  memory(opcode: MemoryOpcode, offset: number): void {
    this.#code.byte(opcode);
    this.#code.unsigned(0);
    this.#code.unsigned(offset);
  }

  block(): Label {
    return this.#open(0x02);
  }

  loop(): Label {
    return this.#open(0x03);
  }

  /** Opens a block that runs when the value on the stack is not zero. */
  if(): Label {
    return this.#open(0x04);
  }

  else(): void {
    this.#code.byte(0x05);
  }

  /** Closes the innermost block, which must be `label`. */
  end(label: Label): void {
    if (label.depth !== this.#depth) throw new Error('wasm blocks must be closed innermost first');
    this.#code.byte(0x0b);
    this.#depth--;
  }

  br(label: Label): void {
    this.#indexed(0x0c, this.#depth - label.depth);
  }

  brIf(label: Label): void {
    this.#indexed(0x0d, this.#depth - label.depth);
  }

  /** Branches to `labels[i]`, i the unsigned value on the stack, or to `otherwise` beyond the last. */
  brTable(labels: readonly Label[], otherwise: Label): void {
    this.#indexed(0x0e, labels.length);
    for (const label of labels) this.#code.unsigned(this.#depth - label.depth);
    this.#code.unsigned(this.#depth - otherwise.depth);
  }

  /** The function as the code section holds it: size, locals, code, end. */
  finish(): Uint8Array {
    const groups = runs(this.#locals);
    const header = new ByteWriter();
    header.unsigned(groups.length);
    for (const { type, count } of groups) {
      header.unsigned(count);
      header.byte(type);
    }
    const whole = new ByteWriter();
    whole.unsigned(header.length + this.#code.length + 1);
    whole.bytes(header.finish());
    whole.bytes(this.#code.finish());
    whole.byte(0x0b);
    return whole.finish();
  }

  #indexed(opcode: number, index: number): void {
    this.#code.byte(opcode);
    this.#code.unsigned(index);
  }

  #open(opcode: number): Label {
    this.#code.byte(opcode);
    this.#code.byte(0x40); // no result
    this.#depth++;
    return { depth: this.#depth };
  }
}

/** Runs of equal types, as the format lists locals. */
function runs(types: readonly number[]): { type: number; count: number }[] {
  const groups: { type: number; count: number }[] = [];
  for (const type of types) {
    const last = groups.at(-1);
    if (last?.type === type) last.count++;
    else groups.push({ type, count: 1 });
  }
  return groups;
}
