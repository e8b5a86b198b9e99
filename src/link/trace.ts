/**
 * Packet-delivery opportunities of mahimahi (mm-link): a trace file has a line for each, the millisecond at which
 * 1,500 bytes may leave; after the last one it begins again.
 *
 * As in mahimahi, several small packets may share an opportunity, a large one may need several, and what no packet
 * uses is lost. Bytes are those of the packet, without the link header, so that a packet of 1,500 bytes takes one.
 */
import { UnitError } from './units.ts';

export type Trace = {
  /** Path of the file, as it was given. */
  readonly name: string;
  /** Opportunities in one turn. */
  readonly entries: number;
  /** Milliseconds between them, from 0 on, each as a LEB128 number; base64. Absent where settings are only shown. */
  readonly data?: string;
};

export const OPPORTUNITY_BYTES = 1500;
/** Bounds what settings are in memory and on their way to a worker. */
const MAX_ENCODED_BYTES = 600_000;

/** Reads a trace file. Throws UnitError. */
export function parseTrace(text: string, name: string): Trace {
  const bytes: number[] = [];
  let last = 0;
  let entries = 0;
  for (const [i, line] of text.split('\n').entries()) {
    const word = line.trim();
    if (word === '') continue;
    const time = Number(word);
    const where = `"${name}", line ${i + 1}: "${word.slice(0, 20)}"`;
    if (!/^\d{1,9}$/.test(word)) throw new UnitError(`${where}: expected a whole number of milliseconds`);
    if (time < last) throw new UnitError(`${where}: earlier than the line before`);
    let delta = time - last;
    for (; delta > 127; delta >>>= 7) bytes.push((delta & 127) | 128);
    bytes.push(delta);
    last = time;
    entries++;
    if (bytes.length > MAX_ENCODED_BYTES) throw new UnitError(`${where}: the trace is too long`);
  }
  if (last === 0) throw new UnitError(`"${name}": needs an opportunity after 0 ms`);
  return { name, entries, data: Buffer.from(bytes).toString('base64') };
}

/** The opportunities of a trace that began at a moment. */
export class Opportunities {
  readonly #timesNs: Float64Array;
  readonly #turnNs: number;
  /** When the present turn began, and which of its opportunities is used now. */
  #startNs: number;
  #at = 0;
  #leftBytes: number = OPPORTUNITY_BYTES;

  constructor({ data = '', entries }: Trace, startNs: number) {
    this.#timesNs = decode(Buffer.from(data, 'base64'), entries);
    this.#turnNs = this.#timesNs[entries - 1]!;
    this.#startNs = startNs;
  }

  /** Bits per second, on average. */
  get rate(): number {
    return (this.#timesNs.length * OPPORTUNITY_BYTES * 8e9) / this.#turnNs;
  }

  /** When a packet has left that may from `nowNs` on; uses up what it takes. Calls come in the order of time. */
  use(bytes: number, nowNs: number): number {
    this.#skipTo(nowNs);
    let left = bytes;
    while (left > this.#leftBytes) {
      left -= this.#leftBytes;
      this.#next();
    }
    this.#leftBytes -= left;
    return this.#timeNs();
  }

  #timeNs(): number {
    return this.#startNs + this.#timesNs[this.#at]!;
  }

  #next(): void {
    this.#leftBytes = OPPORTUNITY_BYTES;
    if (++this.#at < this.#timesNs.length) return;
    this.#at = 0;
    this.#startNs += this.#turnNs;
  }

  /** Passes the opportunities before a moment. */
  #skipTo(nowNs: number): void {
    if (this.#timeNs() >= nowNs) return;
    // The last opportunity of a turn is at the moment at which the next one begins.
    const turns = Math.ceil((nowNs - this.#startNs) / this.#turnNs) - 1;
    if (turns > 0) {
      this.#startNs += turns * this.#turnNs;
      this.#at = 0;
    }
    // The first opportunity that is not earlier, by halves; the last one is at the end of the turn at the latest.
    let [low, high] = [this.#at, this.#timesNs.length - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#startNs + this.#timesNs[middle]! < nowNs) low = middle + 1;
      else high = middle;
    }
    this.#at = low;
    this.#leftBytes = OPPORTUNITY_BYTES;
  }
}

function decode(bytes: Uint8Array, entries: number): Float64Array {
  const timesNs = new Float64Array(entries);
  let [at, milliseconds] = [0, 0];
  for (let i = 0; i < entries; i++) {
    let shift = 0;
    for (; bytes[at]! > 127; at++, shift += 7) milliseconds += (bytes[at]! & 127) << shift;
    milliseconds += bytes[at++]! << shift;
    timesNs[i] = milliseconds * 1e6;
  }
  return timesNs;
}
