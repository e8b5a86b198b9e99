/**
 * Bytes that arrive in chunks, looked at in pieces of any length. Chunks are joined only when a piece crosses their
 * border, once, when all of it has arrived.
 *
 * After `has(length)` has said yes, `view` and `bytes` hold that many bytes from index `at` on: nothing is made for
 * each piece. What is cut out of `bytes` stays valid.
 */
export class ByteQueue {
  /** Offset in the file of the byte at `at`. */
  position = 0;
  /** Bytes that are here, from `at` on. */
  length = 0;
  at = 0;
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  /** What came after `bytes`. */
  #later: Uint8Array[] = [];

  push(chunk: Uint8Array): void {
    if (chunk.byteLength === 0) return;
    this.#later.push(chunk);
    this.length += chunk.byteLength;
  }

  /** Whether `length` bytes are here; if so, they are in one piece now. */
  has(length: number): boolean {
    if (this.at + length <= this.bytes.byteLength) return true;
    if (length > this.length) return false;
    const rest = this.bytes.subarray(this.at);
    const [only, ...more] = this.#later;
    const joined = rest.byteLength === 0 && more.length === 0 && only !== undefined ? only : this.#join(rest);
    // A plain Uint8Array: cutting pieces out of a Buffer takes several times as long.
    this.bytes = new Uint8Array(joined.buffer, joined.byteOffset, joined.byteLength);
    this.view = new DataView(joined.buffer, joined.byteOffset, joined.byteLength);
    this.at = 0;
    this.#later = [];
    return true;
  }

  /** Passes over `length` bytes, for which `has` has said yes. */
  drop(length: number): void {
    this.at += length;
    this.position += length;
    this.length -= length;
  }

  #join(rest: Uint8Array): Uint8Array {
    return Buffer.concat([rest, ...this.#later], this.length);
  }
}
