import { execFile } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
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

describe('with a read group', () => {
  const viewer = { uid: 50_003, gid: 50_003, pid: 1003, groups: [50_003, 777] };
  const user = { uid: 50_004, gid: 50_004, pid: 1004, groups: [50_004, 777, 888] };

  beforeEach(async () => {
    fixture = await startFixture({ groups: { group: 888, readGroup: 777 } });
  });

  afterEach(() => fixture.close());

  const send = [
    ['POST', '/v1/descriptors/1/frames', { frames: ['AAAA'] }],
    ['POST', '/v1/descriptors/1/flush', undefined],
  ] as const;

  test('a member may look, and capture with a descriptor of its own', async () => {
    fixture.actAs(viewer);
    for (const path of ['/v1/interfaces', '/v1/links/wan', '/v1/lab', '/metrics']) {
      expect((await fixture.send('GET', path)).status, path).toBe(200);
    }
    expect((await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {})).status).toBe(201);
    expect((await fixture.send('PATCH', '/v1/descriptors/1', { immediate: true })).status).toBe(200);
    const stream = await fixture.open('/v1/descriptors/1/stream?format=json');
    expect(stream.statusCode).toBe(200);
    stream.destroy();
    expect((await fixture.send('DELETE', '/v1/descriptors/1')).status).toBe(200);
  });

  test('a member may send and flush nothing, not even its own, and is told which group may', async () => {
    fixture.actAs(viewer);
    await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {});
    for (const [method, path, body] of send) {
      const { status, json } = await fixture.send<Problem>(method, path, body);
      expect([status, json.detail], path).toEqual([403, expect.stringMatching(/gid 777 may look.*gid 888/)]);
    }
    expect((await fixture.send('PATCH', '/v1/links/wan', { impair: 'delay 1ms' })).status).toBe(403);
    expect((await fixture.send('DELETE', '/v1/lab')).status).toBe(403);
    expect(fixture.emulator.descriptor(1)?.calls).toEqual([]);
  });

  test.each([
    ['a member of the control group as well', user],
    ['root', root],
    ['the user of the emulator', daemon],
  ])('%s may', async (_who, peer) => {
    fixture.actAs(peer);
    await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {});
    for (const [method, path, body] of send) {
      expect((await fixture.send(method, path, body)).status, path).toBe(200);
    }
  });

  test('descriptors of others stay out of reach', async () => {
    fixture.actAs(user);
    await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {});
    fixture.actAs(viewer);
    expect((await fixture.send('GET', '/v1/descriptors/1/stream')).status).toBe(403);
    expect((await fixture.send('DELETE', '/v1/descriptors/1')).status).toBe(403);
  });
});

const ASK = `
const { request } = require('node:http');
const [socketPath, method, path, uid, groups, body] = process.argv.slice(1);
// From inside: the parent can give a child no supplementary groups.
process.setgroups(JSON.parse(groups));
process.setgid(Number(uid));
process.setuid(Number(uid));
const headers = body ? { 'content-type': 'application/json' } : {};
request({ socketPath, method, path, headers }, (answer) => {
  answer.resume().on('end', () => console.log(String(answer.statusCode)));
}).on('error', (error) => console.log(error.code)).end(body);`;

type Ask = readonly [method: string, path: string, body?: object];

/** Sends a request from a process of another user; resolves with the status, or the errno name. */
async function askAs(
  uid: number,
  [method, path, body]: Ask,
  groups: readonly number[] = [],
): Promise<string> {
  const words = [method, path, String(uid), JSON.stringify(groups), ...(body ? [JSON.stringify(body)] : [])];
  const args = ['-e', ASK, fixture.socketPath, ...words];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: '/' });
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
    expect(await askAs(65_534, ['GET', '/v1/lab'])).toBe('EACCES');
  });

  test.skipIf(process.getuid!() !== 0)(
    'another user who is let in is recognised, and may look only',
    async () => {
      chmodSync(dirname(dirname(fixture.socketPath)), 0o755);
      chmodSync(fixture.socketPath, 0o666);
      expect(await askAs(65_534, ['GET', '/v1/lab'])).toBe('200');
      expect(await askAs(65_534, ['DELETE', '/v1/lab'])).toBe('403');
      await expect
        .poll(() => fixture.log)
        .toMatchObject([
          { peer: { uid: 65_534, gid: 65_534, pid: expect.any(Number) }, method: 'DELETE', status: 403 },
        ]);
      expect(fixture.shutdowns()).toBe(0);
    },
  );

  test.skipIf(process.getuid!() !== 0)(
    'supplementary groups decide who gets in, and what for, while the mode stays 0660',
    async () => {
      await fixture.close();
      fixture = await startFixture({ realCredentials: true, groups: { group: 50_888, readGroup: 50_777 } });
      chmodSync(dirname(dirname(fixture.socketPath)), 0o755);
      expect((statSync(fixture.socketPath).mode & 0o777).toString(8)).toBe('660');
      const uid = 50_001;
      const attach: Ask = ['POST', '/v1/interfaces/client:eth0/descriptors', {}];
      const frames: Ask = ['POST', '/v1/descriptors/1/frames', { frames: ['AAAA'] }];
      const lookOnly = [50_111, 50_777];
      expect(await askAs(uid, attach)).toBe('EACCES');
      expect(await askAs(uid, attach, lookOnly)).toBe('201');
      expect(await askAs(uid, frames, lookOnly)).toBe('403');
      expect(await askAs(uid, ['GET', '/v1/links'], lookOnly)).toBe('200');
      expect(await askAs(uid, frames, [...lookOnly, 50_888])).toBe('200');
      expect(await askAs(uid, frames, [50_888])).toBe('200');
    },
  );
});
