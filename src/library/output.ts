/** What a command writes, decoded as UTF-8 and bounded. */
import type { Readable } from 'node:stream';

export class Output {
  #text = '';
  readonly #limit: number;

  /** @param onFull called when more than `limit` characters came; the newest `limit` are kept */
  constructor(stream: Readable, limit: number, onText: () => void, onFull: () => void) {
    this.#limit = limit;
    stream.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text;
      if (this.#text.length > this.#limit) {
        this.#text = this.#text.slice(-this.#limit);
        onFull();
      }
      onText();
    });
  }

  get text(): string {
    return this.#text;
  }
}
