/** Names in filters, as files like those of /etc have them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { namesInFiles } from '../../src/control/system-names.ts';
import { compileFilter } from '../../vm/index.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'taplab-names-'));
  const files = {
    hosts:
      '127.0.0.1\tlocalhost\n# 10.9.9.9 commented\n198.18.0.1  client.lab Client # trailing\n::1 localhost\nfe80::1%eth0 scoped\n10.0.0.1\n\n198.18.0.9 router\n',
    ethers: '02:00:00:00:00:09 router\n2:0:0:0:0:1\tclient\n',
    networks: 'loopback 127.0.0.0\nlab 198.18 emulated\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The expression in addresses, which must compile to the same program. */
test.each([
  ['host client.lab', 'host 198.18.0.1'],
  ['src host CLIENT', 'src host 198.18.0.1'],
  ['host localhost', 'host 127.0.0.1 or host ::1'],
  ['ip host localhost', 'ip host 127.0.0.1'],
  ['ether host client', 'ether host 02:00:00:00:00:01'],
  ['gateway router', 'ether host 02:00:00:00:00:09 and not host 198.18.0.9'],
  ['net lab', 'net 198.18'],
  ['net emulated', 'net 198.18'],
])('%s is %s', (named, numeric) => {
  const resolver = namesInFiles(folder);
  expect(compileFilter(named, { resolver }).instructions).toEqual(compileFilter(numeric).instructions);
});

describe('a name that is in none of them', () => {
  test.each([
    ['host server', 5, /^unknown host 'server': it is not in .*\/hosts; give its address$/],
    ['host commented', 5, /unknown host/],
    ['host scoped', 5, /unknown host/],
    [
      'tcp and ether host server',
      19,
      /^unknown Ethernet host 'server': it is not in .*\/ethers; give its address$/,
    ],
    ['gateway client.lab', 8, /unknown Ethernet host 'client.lab'/],
    ['net server', 4, /^unknown network 'server': it is not in .*\/networks; give its address$/],
  ])('%s', (expression, position, message) => {
    const compile = () => compileFilter(expression, { resolver: namesInFiles(folder) });
    expect(compile).toThrow(expect.objectContaining({ position, message: expect.stringMatching(message) }));
  });
});

it('reads a file again when it has changed, and does without one', () => {
  const resolver = namesInFiles(join(folder, 'none'));
  expect(resolver.host?.('client')).toBeUndefined();
  const changing = namesInFiles(folder);
  expect(changing.host?.('later')).toBeUndefined();
  writeFileSync(join(folder, 'hosts'), '198.18.0.7 later\n');
  expect(changing.host?.('later')).toEqual(['198.18.0.7']);
  rmSync(join(folder, 'hosts'));
  expect(changing.host?.('later')).toBeUndefined();
});
