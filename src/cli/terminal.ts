/**
 * Where a command's output goes. Data goes to `out`, messages to `err`; colour only where the stream is a terminal
 * and NO_COLOR (no-color.org) is not set. Tests pass streams of their own.
 */
import type { Writable } from 'node:stream';

export type Color = 'bold' | 'red' | 'green' | 'yellow' | 'dim';

const SGR: Readonly<Record<Color, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/**
 * Text that may come from somebody else, for a terminal: control characters but for tab and newline, and those that
 * turn the direction of writing, are shown as `\\u001b` instead of being obeyed.
 */
export function visible(text: string): string {
  return text.replace(
    /[^\P{Cc}\t\n]|[\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  );
}

/** A stream that may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean };

export class Terminal {
  readonly out: Output;
  readonly err: Output;
  readonly #color: boolean;

  constructor(out: Output, err: Output, env: NodeJS.ProcessEnv = {}) {
    this.out = out;
    this.err = err;
    this.#color = out.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  }

  /** Writes a line of data. */
  print(line: string): void {
    this.out.write(`${line}\n`);
  }

  /** Writes a value as one line of JSON. */
  printJson(value: unknown): void {
    this.print(JSON.stringify(value));
  }

  /** Writes a message for the user. */
  say(message: string): void {
    this.err.write(`${visible(message)}\n`);
  }

  /** Puts a message in the place of the line that `err` is at, without ending it. False where that is no terminal. */
  repaint(message: string): boolean {
    if (this.err.isTTY !== true) return false;
    this.err.write(`\r\u001b[K${visible(message)}`);
    return true;
  }

  /** Text for `out` in a colour, when it takes colours. */
  paint(color: Color, text: string): string {
    return this.#color ? `\u001b[${SGR[color]}m${text}\u001b[0m` : text;
  }

  /** Begins a screen of a display that repaints itself: clears a terminal, separates by an empty line elsewhere. */
  newScreen(): void {
    this.out.write(this.out.isTTY === true ? '\u001b[H\u001b[2J' : '\n');
  }
}
