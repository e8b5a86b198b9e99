/** Filters fused in a thread, as dist/ runs it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { FusionThread } from '../../src/bpf/fusion-thread.ts';
import { compileFilter, instantiateFused, MATCH_BYTES, Program, parseProgram } from '../../vm/index.ts';
import { distPath } from '../helpers/dist.ts';

const WORKER = pathToFileURL(distPath('src/bpf/fusion-worker.js'));

const open: FusionThread[] = [];
const folders: string[] = [];

afterEach(() => {
  for (const thread of open.splice(0)) thread.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function fusionThread(file: URL): FusionThread {
  const thread = new FusionThread(file);
  open.push(thread);
  return thread;
}

/** A thread that does what `source` says. */
function threadThat(source: string): URL {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-fusion-'));
  folders.push(folder);
  writeFileSync(join(folder, 'worker.mjs'), `import { parentPort } from 'node:worker_threads';\n${source}`);
  return pathToFileURL(join(folder, 'worker.mjs'));
}

/** Which programs a fused module says accept an ARP request, by their places. */
function acceptors(module: WebAssembly.Module): number[] {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const frame = new Uint8Array(memory.buffer, 65536, 60);
  frame.set([8, 6], 12);
  const count = instantiateFused(module, memory)(65536, 60, 60, 0);
  const words = new Int32Array(memory.buffer);
  return Array.from({ length: count }, (_, i) => words[(i * MATCH_BYTES) / 4]!).sort((a, b) => a - b);
}

describe('a fusion thread', () => {
  it('makes one module of many programs, whatever their rules', async () => {
    const programs = [
      compileFilter('arp'),
      compileFilter('tcp port 80'),
      Program.from([]),
      parseProgram('4\n5 0 0 1\n6 0 0 7\n5 0 0 4294967294\n6 0 0 0\n', { backwardJumps: true }),
      Program.from([{ code: 0x06, jt: 0, jf: 0, k: 1 }], { dialect: 'linux' }),
    ];
    const thread = fusionThread(WORKER);
    expect(acceptors(await thread.fuse(programs))).toEqual([0, 2, 3, 4]);
    expect(acceptors(await thread.fuse(programs.slice(1)))).toEqual([1, 2, 3]);
  });

  it('answers what is asked together, each its own', async () => {
    const thread = fusionThread(WORKER);
    const asked = ['arp', 'tcp', ''].map((expression) => thread.fuse([compileFilter(expression)]));
    expect((await Promise.all(asked)).map((module) => acceptors(module).length)).toEqual([1, 0, 1]);
  });

  it('does its work away from the thread that asks', async () => {
    const file = threadThat(
      `parentPort.on('message', ({ number }) => parentPort.postMessage({ number, reason: 'asked elsewhere' }));`,
    );
    await expect(fusionThread(file).fuse([compileFilter('arp')])).rejects.toThrow('asked elsewhere');
  });

  it('fails what killed it, and is started again for the next', async () => {
    const file = threadThat(`parentPort.on('message', () => { throw new Error('died of it'); });`);
    const thread = fusionThread(file);
    await expect(thread.fuse([compileFilter('arp')])).rejects.toThrow('died of it');
    await expect(thread.fuse([compileFilter('arp')])).rejects.toThrow('died of it');
  });

  it('refuses too many instructions before it sends them', async () => {
    const long = Program.from(Array.from({ length: 4096 }, () => ({ code: 0x06, jt: 0, jf: 0, k: 1 })));
    const programs = new Array<Program>(60).fill(long);
    await expect(fusionThread(WORKER).fuse(programs)).rejects.toThrow(/too many to fuse/);
  });

  it('fails what it has not done when it is closed, and takes no more', async () => {
    const thread = fusionThread(threadThat(`parentPort.on('message', () => {});`));
    const waiting = thread.fuse([compileFilter('arp')]);
    thread.close();
    await expect(waiting).rejects.toThrow('not fused any more');
    await expect(thread.fuse([compileFilter('arp')])).rejects.toThrow('not fused any more');
  });
});
