/**
 * Value numbers: two places hold the same number only if they hold the same value in every run. Each number comes
 * with what is known of its value: a range, and the bits that may be set.
 *
 * Packet data does not change while a filter runs, so equal loads are equal values; an X that is not known makes the
 * value of its number part of the key.
 */

import {
  BPF_ABS,
  BPF_ADD,
  BPF_ALU,
  BPF_AND,
  BPF_B,
  BPF_DIV,
  BPF_H,
  BPF_LSH,
  BPF_MOD,
  BPF_MSH,
  BPF_MUL,
  BPF_NEG,
  BPF_OR,
  BPF_RSH,
  BPF_SUB,
  BPF_X,
  BPF_XOR,
} from '../../instruction.ts';

const ALL_ONES = 0xffffffff;

/** A growing table of value numbers. */
export class Values {
  /** Smallest and largest value, and the bits that may be set, by value number. */
  readonly low: number[] = [];
  readonly high: number[] = [];
  readonly bits: number[] = [];
  readonly #numbers = new Map<string, number>();

  /** A value of which nothing is known, unlike any other. */
  fresh(): number {
    return this.#add(0, ALL_ONES, ALL_ONES);
  }

  constant(value: number): number {
    const key = `#${value}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#add(value, value, value);
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** The value, if it is known. */
  constantOf(number: number): number | undefined {
    const low = this.low[number]!;
    return low === this.high[number] ? low : undefined;
  }

  /** A load, by its opcode, offset and, when it is relative to X, the number of X. */
  load(code: number, k: number, x = 0): number {
    const key = `${code},${k},${x}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#addLoad(code);
    this.#numbers.set(key, number);
    return number;
  }

  #addLoad(code: number): number {
    const mode = code & 0xe0;
    if (mode === BPF_MSH) return this.#add(0, 60, 0x3c);
    const isPacketData = mode === BPF_ABS || mode === 0x40;
    if (!isPacketData) return this.fresh();
    const size = code & 0x18;
    const highest = size === BPF_B ? 0xff : size === BPF_H ? 0xffff : ALL_ONES;
    return this.#add(0, highest, highest);
  }

  /** The result of an ALU operation (its opcode bits only) on two numbers. */
  operation(operation: number, a: number, b: number): number {
    const left = this.constantOf(a);
    const right = this.constantOf(b);
    if (left !== undefined && right !== undefined) {
      const folded = fold(operation, left, right);
      if (folded !== undefined) return this.constant(folded);
    }
    if (right !== undefined) {
      const same = this.#identity(operation, a, right);
      if (same !== undefined) return same;
    }
    const key = `op${operation},${a},${b}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#addOperation(operation, a, b);
    this.#numbers.set(key, number);
    return number;
  }

  /** Operations on a constant that change nothing, or leave nothing. */
  #identity(operation: number, a: number, right: number): number | undefined {
    const bits = this.bits[a]!;
    if (operation === BPF_AND) {
      if ((bits & right) === 0) return this.constant(0);
      return (bits & ~right) === 0 ? a : undefined;
    }
    const changesNothing = [BPF_ADD, BPF_SUB, BPF_OR, BPF_XOR, BPF_LSH, BPF_RSH].includes(operation);
    return right === 0 && changesNothing ? a : undefined;
  }

  #addOperation(operation: number, a: number, b: number): number {
    const [low, high, bits] = [this.low[a]!, this.high[a]!, this.bits[a]!];
    const [otherLow, otherHigh, otherBits] = [this.low[b]!, this.high[b]!, this.bits[b]!];
    const right = this.constantOf(b);
    switch (operation) {
      case BPF_AND: {
        const mask = (bits & otherBits) >>> 0;
        return this.#add(0, Math.min(high, otherHigh, mask), mask);
      }
      case BPF_OR: {
        const mask = (bits | otherBits) >>> 0;
        return this.#add(Math.max(low, otherLow), mask, mask);
      }
      case BPF_ADD:
        if (high + otherHigh > ALL_ONES) return this.fresh();
        return this.#add(low + otherLow, high + otherHigh, ALL_ONES);
      case BPF_RSH:
        if (right === undefined || right > 31) return this.fresh();
        return this.#add(low >>> right, high >>> right, bits >>> right);
      case BPF_LSH:
        if (right === undefined || right > 31) return this.fresh();
        if (high * 2 ** right > ALL_ONES) return this.#add(0, ALL_ONES, (bits << right) >>> 0);
        return this.#add(low * 2 ** right, high * 2 ** right, (bits << right) >>> 0);
      case BPF_DIV:
        if (right === undefined || right === 0) return this.fresh();
        return this.#add(Math.floor(low / right), Math.floor(high / right), ALL_ONES);
      case BPF_MOD:
        if (right === undefined || right === 0) return this.fresh();
        return this.#add(0, Math.min(high, right - 1), ALL_ONES);
      default:
        return this.fresh();
    }
  }

  #add(low: number, high: number, bits: number): number {
    this.low.push(low);
    this.high.push(high);
    this.bits.push((bits & smear(high)) >>> 0);
    return this.low.length - 1;
  }
}

/** All bits up to the highest set one. */
function smear(value: number): number {
  return value === 0 ? 0 : ALL_ONES >>> Math.clz32(value);
}

/** Folds an operation on constants; undefined where it would reject the packet or dialects differ. */
function fold(operation: number, a: number, b: number): number | undefined {
  switch (operation) {
    case BPF_ADD:
      return (a + b) >>> 0;
    case BPF_SUB:
      return (a - b) >>> 0;
    case BPF_MUL:
      return Math.imul(a, b) >>> 0;
    case BPF_DIV:
      return b === 0 ? undefined : Math.floor(a / b);
    case BPF_MOD:
      return b === 0 ? undefined : a % b;
    case BPF_AND:
      return (a & b) >>> 0;
    case BPF_OR:
      return (a | b) >>> 0;
    case BPF_XOR:
      return (a ^ b) >>> 0;
    case BPF_LSH:
      return b > 31 ? undefined : (a << b) >>> 0;
    case BPF_RSH:
      return b > 31 ? undefined : a >>> b;
    case BPF_NEG:
      return -a >>> 0;
    default:
      return undefined;
  }
}

/** An ALU opcode without class and source. */
export function operationOf(code: number): number {
  return code & ~(BPF_ALU | BPF_X);
}
