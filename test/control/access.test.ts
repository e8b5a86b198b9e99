import { execFile } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Problem } from '../../src/control/problem.ts';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;
const alice = { uid: 50_001, gid: 50_001, pid: 1001 };
const bob = { uid: 50_002, gid: 50_002, pid: 1002 };
const root = { uid: 0, gid: 0, pid: 1 };
const daemon = { uid: process.getuid!(), gid: 0, pid: 1 };

describe('who may do what', () => {
  beforeEach(async () => {
    fixture = await startFixture();
    fixture.actAs(alice);
    await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {});
  });

  afterEach(() => fixture.close());

  const changes: [string, string, unknown?][] = [
    ['PATCH', '/v1/descriptors/1', { immediate: true }],
    ['POST', '/v1/descriptors/1/flush'],
    ['POST', '/v1/descriptors/1/frames', { frames: ['AAAA'] }],
    ['DELETE', '/v1/descriptors/1'],
  ];

  test('a descriptor belongs to the uid that opened it', () => {
    expect(fixture.emulator.descriptor(1)?.owner).toEqual(alice);
  });

  test.each(changes)('another user may not %s %s', async (method, path, body) => {
    fixture.actAs(bob);
    const { status, json } = await fixture.send<Problem>(method, path, body);
    expect(status).toBe(403);
    expect(json.detail).toMatch(/belongs to uid 50001.*you are uid 50002/);
    expect(fixture.emulator.descriptor(1)?.calls).toEqual([]);
  });

  test('another user may not read what it captures', async () => {
    fixture.actAs(bob);
    expect((await fixture.send('GET', '/v1/descriptors/1/stream')).status).toBe(403);
  });

  test.each([
    ['its owner', alice],
    ['root', root],
    ['the user of the emulator', daemon],
  ])('%s may', async (_who, peer) => {
    fixture.actAs(peer);
    for (const [method, path, body] of changes) {
      expect((await fixture.send(method, path, body)).status, `${method} ${path}`).toBe(200);
    }
  });

  test.each([
    ['PATCH', '/v1/links/wan', { impair: 'delay 1ms' }],
    ['DELETE', '/v1/lab'],
  ])('%s %s is for root and the user of the emulator', async (method, path, body?: unknown) => {
    fixture.actAs(alice);
    expect((await fixture.send(method, path, body)).status).toBe(403);
    expect(fixture.shutdowns()).toBe(0);
    fixture.actAs(root);
    expect((await fixture.send(method, path, body)).status).toBeLessThan(300);
  });

  test('everybody who may connect may look', async () => {
    fixture.actAs(bob);
    for (const path of ['/v1/interfaces', '/v1/descriptors/1', '/v1/links/wan', '/v1/lab', '/metrics']) {
      expect((await fixture.send('GET', path)).status).toBe(200);
    }
  });

  test('nobody may change anything when the system does not tell who is connected', async () => {
    fixture.actAs(undefined);
    for (const [method, path, body] of changes) {
      expect((await fixture.send<Problem>(method, path, body)).json.detail).toContain('SO_PEERCRED');
    }
    expect((await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {})).status).toBe(403);
    expect((await fixture.send('GET', '/v1/lab')).status).toBe(200);
  });

  test('changes are logged with who made them, looking at level debug only', async () => {
    fixture.log.length = 0;
    await fixture.send('GET', '/v1/lab');
    await fixture.send('POST', '/v1/descriptors/1/flush');
    await expect
      .poll(() => fixture.log)
      .toMatchObject([{ peer: alice, method: 'POST', url: '/v1/descriptors/1/flush', status: 200 }]);
  });
});

const ASK = `
const { request } = require('node:http');
request({ socketPath: process.argv[1], method: process.argv[2], path: process.argv[3] }, (answer) => {
  answer.resume().on('end', () => console.log(String(answer.statusCode)));
}).on('error', (error) => console.log(error.code)).end();`;

/** Sends a request from a process of another user; resolves with the status, or the errno name. */
async function askAs(uid: number, method: string, path: string): Promise<string> {
  const args = ['-e', ASK, fixture.socketPath, method, path];
  const { stdout } = await promisify(execFile)(process.execPath, args, { uid, gid: uid, cwd: '/' });
  return stdout.trim();
}

describe('SO_PEERCRED of real processes', () => {
  beforeEach(async () => {
    fixture = await startFixture({ realCredentials: true });
  });

  afterEach(() => fixture.close());

  test('names this process', async () => {
    await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {});
    const self = { uid: process.getuid!(), gid: process.getgid!(), pid: process.pid };
    expect(fixture.emulator.descriptor(1)?.owner).toEqual(self);
  });

  test.skipIf(process.getuid!() !== 0)('another user cannot even connect', async () => {
    chmodSync(dirname(dirname(fixture.socketPath)), 0o755);
    expect(await askAs(65_534, 'GET', '/v1/lab')).toBe('EACCES');
  });

  test.skipIf(process.getuid!() !== 0)(
    'another user who is let in is recognised, and may look only',
    async () => {
      chmodSync(dirname(dirname(fixture.socketPath)), 0o755);
      chmodSync(fixture.socketPath, 0o666);
      expect(await askAs(65_534, 'GET', '/v1/lab')).toBe('200');
      expect(await askAs(65_534, 'DELETE', '/v1/lab')).toBe('403');
      await expect
        .poll(() => fixture.log)
        .toMatchObject([
          { peer: { uid: 65_534, gid: 65_534, pid: expect.any(Number) }, method: 'DELETE', status: 403 },
        ]);
      expect(fixture.shutdowns()).toBe(0);
    },
  );
});
