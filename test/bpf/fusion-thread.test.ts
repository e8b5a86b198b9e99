/** Fusing filters where no thread can be had. */
import { pathToFileURL } from 'node:url';
import { expect, it, vi } from 'vitest';
import { FusionThread } from '../../src/bpf/fusion-thread.ts';
import { compileFilter, Program } from '../../vm/index.ts';

vi.mock('node:worker_threads', () => ({
  Worker: class {
    constructor() {
      throw new Error('the system allows no more threads');
    }
  },
}));

it.each([
  ['no compiled file', undefined],
  ['no thread', pathToFileURL(import.meta.filename)],
])('with %s the calling thread does it', async (_, file) => {
  const thread = new FusionThread(file);
  for (let i = 0; i < 2; i++) {
    const module = await thread.fuse([compileFilter('arp'), Program.from([])]);
    expect(module).toBeInstanceOf(WebAssembly.Module);
  }
  thread.close();
});
