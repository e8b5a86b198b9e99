/** Host names on the command line that only DNS knows; DNS is played here. */
import { afterEach, expect, test, vi } from 'vitest';
import { resolverFor } from '../../src/cli/filter/host-lookup.ts';
import { compileFilter } from '../../vm/index.ts';

const dns = vi.hoisted(() => ({ asked: [] as string[], cancelled: false }));

vi.mock('node:dns/promises', () => ({
  Resolver: class {
    #waiting: (() => void)[] = [];

    async resolve4(name: string): Promise<string[]> {
      dns.asked.push(name);
      if (name === 'silent.example') {
        await new Promise<void>((_, reject) => this.#waiting.push(() => reject(new Error('ECANCELLED'))));
      }
      if (name === 'v6.example') throw new Error('ENODATA');
      if (!name.endsWith('.example')) throw new Error('ENOTFOUND');
      return ['203.0.113.5'];
    }

    async resolve6(name: string): Promise<string[]> {
      if (name === 'v6.example') return ['2001:db8::5'];
      throw new Error('ENODATA');
    }

    cancel(): void {
      dns.cancelled = true;
      for (const give of this.#waiting) give();
    }
  },
}));

const FILES = {
  host: (name: string) => (name === 'in.files' ? ['198.18.0.1'] : undefined),
  searched: { host: '/etc/hosts' },
};

afterEach(() => {
  dns.asked = [];
  vi.useRealTimers();
});

test.each<[expression: string, asked: string[], numeric: string]>([
  ['host a.example and tcp', ['a.example'], 'host 203.0.113.5 and tcp'],
  ['src host a.example or v6.example', ['a.example', 'v6.example'], 'src host 203.0.113.5 or 2001:db8::5'],
  ['host in.files', [], 'host 198.18.0.1'],
  ['tcp port http', [], 'tcp port 80'],
])('%s', async (expression, asked, numeric) => {
  const resolver = await resolverFor(expression, FILES);
  expect(dns.asked).toEqual(asked);
  expect(compileFilter(expression, { resolver }).instructions).toEqual(compileFilter(numeric).instructions);
});

test.each([
  [
    'host a.nowhere',
    ['a.nowhere'],
    "unknown host 'a.nowhere': it is not in /etc/hosts or in DNS; give its address",
  ],
  ['host nodots', [], "unknown host 'nodots': it is not in /etc/hosts; give its address"],
  // A file: it was meant to be one.
  ['host package.json', [], "unknown host 'package.json': it is not in /etc/hosts; give its address"],
])('%s is not known', async (expression, asked, message) => {
  const resolver = await resolverFor(expression, FILES);
  expect(dns.asked).toEqual(asked);
  expect(() => compileFilter(expression, { resolver })).toThrow(message);
});

test('what is wrong otherwise asks nobody', async () => {
  await resolverFor('tcp prot a.example', FILES);
  expect(dns.asked).toEqual([]);
});

test('a server that does not answer is given up, and many names are not all asked for', async () => {
  vi.useFakeTimers();
  const names = Array.from({ length: 100 }, (_, i) => `n${i}.nowhere`);
  const pending = resolverFor(`host silent.example or ${names.join(' or ')}`, FILES);
  await vi.advanceTimersByTimeAsync(5000);
  const resolver = await pending;
  expect(dns.cancelled).toBe(true);
  expect(dns.asked.length).toBe(64);
  expect(resolver.host?.('silent.example')).toBeUndefined();
});
