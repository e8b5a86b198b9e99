/**
 * taplab/vm where there is nothing but the language: all of dist/vm, linked in a context that has ECMAScript's globals
 * and WebAssembly, as V8 makes it, and none of Node's or a browser's. `node:vm` links modules only with a flag, so
 * that it runs in a process of its own.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { distPath } from '../helpers/dist.ts';

it('compiles, matches and explains without a single global of Node', () => {
  const script = join(import.meta.dirname, 'helpers', 'bare-context.mjs');
  const args = ['--experimental-vm-modules', '--no-warnings', script, distPath('vm/index.js')];
  const result: unknown = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  expect(result).toEqual({
    globals: [],
    wasm: [262_144, 0],
    interpreter: [262_144, 0],
    fused: 1,
    batch: 1,
    linux: 4,
    listing: expect.stringContaining('ldh'),
    explained: expect.stringContaining('EtherType'),
    error: "unknown service 'htp', did you mean 'http'?",
  });
});
