/**
 * libpcap's bpf_filter() beside our engines: compiles bench/c/bpf_filter_bench.c, where gcc and libpcap are
 * installed, and runs it as a child process that answers one request at a time.
 */

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { disassemble, type Program } from '../../vm/index.ts';

export type Timing = { readonly nanoseconds: number; readonly matches: number };

/** A running bpf_filter_bench. */
export type LibpcapHarness = {
  load(program: Program): void;
  /** Runs the program over all frames `rounds` times. */
  run(rounds: number): Promise<Timing>;
  close(): void;
};

/** The C source, found from this file in the source tree and from its compiled form in dist alike. */
function findSource(): string | undefined {
  const candidates = ['../c', '../../../bench/c'].map((folder) =>
    join(import.meta.dirname, folder, 'bpf_filter_bench.c'),
  );
  return candidates.find((path) => existsSync(path));
}

/** Starts the harness over `frames`, or returns why that is not possible. */
export function startLibpcap(frames: readonly Uint8Array[]): LibpcapHarness | string {
  const source = findSource();
  if (source === undefined) return 'bench/c/bpf_filter_bench.c is not there';
  const folder = mkdtempSync(join(tmpdir(), 'bpf-filter-bench-'));
  const binary = join(folder, 'bpf_filter_bench');
  try {
    execFileSync('gcc', ['-O2', '-o', binary, source, '-lpcap'], { stdio: 'pipe' });
  } catch (error) {
    rmSync(folder, { recursive: true });
    return `gcc with libpcap-dev does not compile it: ${String(error).split('\n')[0]}`;
  }
  const frameFile = join(folder, 'frames');
  writeFileSync(frameFile, encodeFrames(frames));
  return connect(binary, frameFile, () => rmSync(folder, { recursive: true }));
}

function encodeFrames(frames: readonly Uint8Array[]): Buffer {
  const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
  return Buffer.concat([word(frames.length), ...frames.flatMap((frame) => [word(frame.length), frame])]);
}

function connect(binary: string, frameFile: string, cleanUp: () => void): LibpcapHarness {
  const child = spawn(binary, [frameFile], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    load(program) {
      const [count, ...rows] = disassemble(program, 'ddd').trim().split('\n');
      child.stdin.write(`program ${count}\n${rows.join('\n')}\n`);
    },
    async run(rounds) {
      child.stdin.write(`run ${rounds}\n`);
      const answer = await answers.next();
      if (answer.done === true) throw new Error('bpf_filter_bench ended unexpectedly');
      const [nanoseconds, matches] = answer.value.split(' ').map(Number);
      return { nanoseconds: nanoseconds!, matches: matches! };
    },
    close() {
      child.stdin.end();
      child.on('exit', cleanUp);
    },
  };
}
