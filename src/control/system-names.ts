/**
 * Names in filters as the system's files have them: hosts(5), ethers(5) and networks(5), as libpcap asks for them. No
 * network is asked, so that compiling a filter never waits. A file is read when a name is looked up in it, and again
 * when it has changed.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Resolver } from '../../vm/index.ts';

/** Names in files of a folder, /etc unless told. A file that is not there, or cannot be read, has no names. */
export function namesInFiles(folder = '/etc'): Resolver {
  const hosts = new NameFile(join(folder, 'hosts'), ([address, ...names]) => [names, address]);
  const ethers = new NameFile(join(folder, 'ethers'), ([address, ...names]) => [names, address]);
  const networks = new NameFile(join(folder, 'networks'), ([name, number, ...aliases]) => [
    [name!, ...aliases],
    number,
  ]);
  return {
    host: (name) => hosts.valuesOf(name),
    ether: (name) => ethers.valuesOf(name)?.[0],
    network: (name) => networks.valuesOf(name)?.[0],
    searched: { host: hosts.path, ether: ethers.path, network: networks.path },
  };
}

/** Splits a line's words into names and what they stand for. */
type Columns = (words: readonly string[]) => [names: readonly string[], value: string | undefined];

class NameFile {
  readonly path: string;
  readonly #columns: Columns;
  #values: ReadonlyMap<string, readonly string[]> = new Map();
  #state = '';

  constructor(path: string, columns: Columns) {
    this.path = path;
    this.#columns = columns;
  }

  /** What all lines with a name say, in their order; names are compared without regard to case. */
  valuesOf(name: string): readonly string[] | undefined {
    this.#refresh();
    return this.#values.get(name.toLowerCase());
  }

  #refresh(): void {
    try {
      const { mtimeMs, size, ino } = statSync(this.path);
      const state = `${mtimeMs} ${size} ${ino}`;
      if (state === this.#state) return;
      this.#values = parse(readFileSync(this.path, 'utf8'), this.#columns);
      this.#state = state;
    } catch {
      this.#values = new Map();
      this.#state = '';
    }
  }
}

function parse(text: string, columns: Columns): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    if (words.length < 2) continue;
    const [names, value] = columns(words);
    if (value === undefined) continue;
    for (const name of names) {
      const known = values.get(name.toLowerCase());
      if (known === undefined) values.set(name.toLowerCase(), [value]);
      else known.push(value);
    }
  }
  return values;
}

/** The names of this system. */
export const SYSTEM_NAMES: Resolver = namesInFiles();
