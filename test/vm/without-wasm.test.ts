/** What `taplab/vm` does where there is no WebAssembly; in a file of its own, since an engine is chosen once. */
import { afterAll, beforeAll, expect, it } from 'vitest';

const saved = Reflect.get(globalThis, 'WebAssembly') as unknown;
beforeAll(() => void Reflect.deleteProperty(globalThis, 'WebAssembly'));
afterAll(() => void Reflect.set(globalThis, 'WebAssembly', saved));

it('a matcher falls back to the interpreter, but an engine that was asked for does not', async () => {
  const { compileFilter, createMatcher } = await import('../../vm/index.ts');
  const program = compileFilter('arp');
  const packet = new Uint8Array(60);
  packet.set([0x08, 0x06], 12);
  const match = createMatcher(program);
  expect([match(packet), match(new Uint8Array(60))]).toEqual([262_144, 0]);
  expect(() => createMatcher(program, { engine: 'wasm' })).toThrow(ReferenceError);
});
