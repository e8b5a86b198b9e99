/**
 * libpcap's bpf_filter() beside our engines: compiles bench/c/bpf_filter_bench.c, where gcc and libpcap are
 * installed, and runs it as a child process that answers one request at a time.
 */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { disassemble, type Program } from '../../vm/index.ts';
import type { Contender } from './contender.ts';

/** Starts contenders that run bpf_filter() over the frames it was made with. */
export type Libpcap = {
  /** A contender for `program`; `rounds` is what it will be asked to run. */
  start(program: Program, rounds: number): Contender;
  close(): void;
};

/** The C source, found from this file in the source tree and from its compiled form in dist alike. */
function findSource(): string | undefined {
  const candidates = ['../c', '../../../bench/c'].map((folder) =>
    join(import.meta.dirname, folder, 'bpf_filter_bench.c'),
  );
  return candidates.find((path) => existsSync(path));
}

/** Compiles the harness for `frames`, or returns why that is not possible. */
export function prepareLibpcap(frames: readonly Uint8Array[]): Libpcap | string {
  const source = findSource();
  if (source === undefined) return 'bench/c/bpf_filter_bench.c is not there';
  const folder = mkdtempSync(join(tmpdir(), 'bpf-filter-bench-'));
  const binary = join(folder, 'bpf_filter_bench');
  const frameFile = join(folder, 'frames');
  const close = (): void => rmSync(folder, { recursive: true });
  try {
    execFileSync('gcc', ['-O2', '-o', binary, source, '-lpcap'], { stdio: 'pipe' });
  } catch (error) {
    close();
    return `gcc with libpcap-dev does not compile it: ${String(error).split('\n')[0]}`;
  }
  writeFileSync(frameFile, encodeFrames(frames));
  return { start: (program, rounds) => connect(binary, frameFile, program, rounds), close };
}

function encodeFrames(frames: readonly Uint8Array[]): Buffer {
  const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
  return Buffer.concat([word(frames.length), ...frames.flatMap((frame) => [word(frame.length), frame])]);
}

function connect(binary: string, frameFile: string, program: Program, rounds: number): Contender {
  const child = spawn(binary, [frameFile], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const [count, ...rows] = disassemble(program, 'ddd').trim().split('\n');
  child.stdin.write(`program ${count}\n${rows.join('\n')}\n`);
  return {
    rounds,
    run: async (asked) => {
      child.stdin.write(`run ${asked}\n`);
      const answer = await answers.next();
      if (answer.done === true) throw new Error('bpf_filter_bench ended unexpectedly');
      const [nanoseconds, matches] = answer.value.split(' ').map(Number);
      return { nanoseconds: nanoseconds!, matches: matches! };
    },
    close: async () => {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
