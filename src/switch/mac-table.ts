/**
 * Where addresses are: MAC address and VLAN to port, each until it has been silent for the ageing time. Of fixed size:
 * an address falls into one of the buckets, and when all places there are taken by others that are not aged, it is not
 * learned, so that a flood of addresses drives out none that is in use. An aged entry is a free place; nothing sweeps but
 * forget(), when a port has lost its carrier.
 *
 * Lies in memory that two threads may see. Written by the worker that the switch belongs to. Read by the control
 * thread, without a lock: an entry's version is odd while another address is being written there, and a reader that
 * finds it odd, or changed when it has read, reads again.
 */

/** Places in a table. */
export const MAC_ENTRIES = 4096;
/** Places in a bucket. */
const WAYS = 8;
const BUCKET_BITS: number = Math.log2(MAC_ENTRIES / WAYS);

const ENTRY_BYTES = 32;
const ENTRY_WORDS: number = ENTRY_BYTES / 4;
export const MAC_TABLE_BYTES: number = MAC_ENTRIES * ENTRY_BYTES;

/** Words of an entry. */
const VERSION = 0;
/** Number of the port and 1; 0 where nothing was ever written. */
const PORT = 1;
/** VLAN, and the first two bytes of the address; the last four. */
const HIGH = 2;
const LOW = 3;
/** Float64 of an entry: when the address was last heard of. */
const SEEN = 2;

/** Nobody knows where. */
export const UNKNOWN = -1;

export const KNOWN = 0;
export const NEW = 1;
export const ELSEWHERE = 2;
export const NO_ROOM = 3;
/** What learning came to: known already, new, known at another port until now, no room. */
export type Learned = typeof KNOWN | typeof NEW | typeof ELSEWHERE | typeof NO_ROOM;

/** An address as people see it. */
export type MacEntry = {
  /** Written as 02:00:00:00:00:01. */
  readonly mac: string;
  /** 0 on a switch without VLANs. */
  readonly vlan: number;
  /** Number of the port. */
  readonly port: number;
  readonly seenNs: number;
};

export class MacTable {
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #ageingNs: number;

  /** On MAC_TABLE_BYTES of memory, zero at first, from `offset` on, a multiple of 8. */
  constructor(memory: ArrayBufferLike, offset: number, ageingNs: number) {
    this.#i32 = new Int32Array(memory, offset, MAC_TABLE_BYTES / 4);
    this.#f64 = new Float64Array(memory, offset, MAC_TABLE_BYTES / 8);
    this.#ageingNs = ageingNs;
  }

  /** The port where an address is, or UNKNOWN. `high` and `low` are its first two bytes and its last four. */
  find(vlan: number, high: number, low: number, nowNs: number): number {
    const i32 = this.#i32;
    const key = (vlan << 16) | high;
    const first = bucketOf(key, low) * WAYS * ENTRY_WORDS;
    for (let word = first; word < first + WAYS * ENTRY_WORDS; word += ENTRY_WORDS) {
      if (i32[word + HIGH] !== key || i32[word + LOW] !== (low | 0)) continue;
      return this.#isAlive(word, nowNs) ? i32[word + PORT]! - 1 : UNKNOWN;
    }
    return UNKNOWN;
  }

  /** Notes that a frame came from an address. */
  learn(vlan: number, high: number, low: number, port: number, nowNs: number): Learned {
    const i32 = this.#i32;
    const key = (vlan << 16) | high;
    const first = bucketOf(key, low) * WAYS * ENTRY_WORDS;
    let free = -1;
    for (let word = first; word < first + WAYS * ENTRY_WORDS; word += ENTRY_WORDS) {
      const isAlive = this.#isAlive(word, nowNs);
      if (i32[word + HIGH] === key && i32[word + LOW] === (low | 0) && i32[word + PORT] !== 0) {
        const known = !isAlive ? NEW : i32[word + PORT] === port + 1 ? KNOWN : ELSEWHERE;
        this.#f64[word / 2 + SEEN] = nowNs;
        if (i32[word + PORT] !== port + 1) Atomics.store(i32, word + PORT, port + 1);
        return known;
      }
      if (!isAlive && free === -1) free = word;
    }
    if (free === -1) return NO_ROOM;
    Atomics.add(i32, free + VERSION, 1);
    i32[free + PORT] = port + 1;
    i32[free + HIGH] = key;
    i32[free + LOW] = low;
    this.#f64[free / 2 + SEEN] = nowNs;
    Atomics.add(i32, free + VERSION, 1);
    return NEW;
  }

  /** Forgets what is at a port, or at all of them. For the thread that writes. */
  forget(port?: number): void {
    const i32 = this.#i32;
    for (let word = 0; word < i32.length; word += ENTRY_WORDS) {
      const place = i32[word + PORT]!;
      if (place === 0 || (port !== undefined && place !== port + 1)) continue;
      Atomics.add(i32, word + VERSION, 1);
      i32[word + PORT] = 0;
      Atomics.add(i32, word + VERSION, 1);
    }
  }

  /** All addresses that are known, by VLAN and address. For the thread that does not write. */
  list(nowNs: number): MacEntry[] {
    const entries: MacEntry[] = [];
    for (let word = 0; word < this.#i32.length; word += ENTRY_WORDS) {
      const entry = this.#read(word, nowNs);
      if (entry) entries.push(entry);
    }
    return entries.sort((a, b) => a.vlan - b.vlan || (a.mac < b.mac ? -1 : 1));
  }

  /** How many addresses are known. For any thread. */
  count(nowNs: number): number {
    let count = 0;
    for (let word = 0; word < this.#i32.length; word += ENTRY_WORDS) {
      if (this.#isAlive(word, nowNs)) count++;
    }
    return count;
  }

  #isAlive(word: number, nowNs: number): boolean {
    return this.#i32[word + PORT] !== 0 && nowNs - this.#f64[word / 2 + SEEN]! < this.#ageingNs;
  }

  #read(word: number, nowNs: number): MacEntry | undefined {
    const i32 = this.#i32;
    // A writer changes an entry in a few stores; one that died in the middle of it leaves an entry nobody can use.
    for (let attempt = 0; attempt < 1000; attempt++) {
      const version = Atomics.load(i32, word + VERSION);
      const isAlive = this.#isAlive(word, nowNs);
      const [port, key, low] = [i32[word + PORT]!, i32[word + HIGH]!, i32[word + LOW]!];
      const seenNs = this.#f64[word / 2 + SEEN]!;
      if ((version & 1) !== 0 || Atomics.load(i32, word + VERSION) !== version) continue;
      if (!isAlive) return undefined;
      return { mac: macText(key & 0xffff, low), vlan: key >>> 16, port: port - 1, seenNs };
    }
    return undefined;
  }
}

function bucketOf(key: number, low: number): number {
  // The finalizer of MurmurHash3, which has no rights reserved: addresses often differ in few bits.
  let hash = low ^ Math.imul(key, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> (32 - BUCKET_BITS);
}

function macText(high: number, low: number): string {
  const digits = high.toString(16).padStart(4, '0') + (low >>> 0).toString(16).padStart(8, '0');
  return digits.match(/../g)!.join(':');
}
