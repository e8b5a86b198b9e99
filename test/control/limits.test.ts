import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ControlClient } from '../../src/control/client.ts';
import type { Problem } from '../../src/control/problem.ts';
import { BpfError } from '../../src/daemon/contract.ts';
import { type Fixture, type FixtureOptions, startFixture } from './fixture.ts';

let fixture: Fixture;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await fixture.close();
});

const alice = { uid: 50_001, gid: 50_001, pid: 1001 };
const bob = { uid: 50_002, gid: 50_002, pid: 1002 };
const root = { uid: 0, gid: 0, pid: 1 };
const attach = '/v1/interfaces/client:eth0/descriptors';

async function start(limits: FixtureOptions['limits']): Promise<void> {
  fixture = await startFixture({ limits: limits ?? {} });
  fixture.actAs(alice);
}

describe('descriptors of a user', () => {
  test('are limited in number, with what is used, allowed and to do', async () => {
    await start({ descriptors: 2 });
    for (const expected of [201, 201, 429]) {
      const { status, json } = await fixture.send<Problem>('POST', attach, {});
      expect(status).toBe(expected);
      if (status !== 429) continue;
      expect(json.type).toBe('urn:taplab:problem:limit');
      expect(json.detail).toMatch(/uid 50001 has 2 descriptors, and may have 2.*--max-descriptors-per-user/);
    }
    fixture.actAs(bob);
    expect((await fixture.send('POST', attach, {})).status).toBe(201);
  });

  test('are limited in the memory of both their buffers', async () => {
    await start({ bufferBytes: 3 * 65_536 });
    expect((await fixture.send('POST', attach, { bufferBytes: 65_536 })).status).toBe(201);
    const { status, json } = await fixture.send<Problem>('POST', attach, { bufferBytes: 65_536 });
    expect(status).toBe(507);
    expect(json.detail).toMatch(
      /2 buffers take 128kb; uid 50001 uses 128kb.*may use 192kb.*--max-buffer-mem/,
    );
    expect((await fixture.send('POST', attach, { bufferBytes: 32_768 })).status).toBe(201);
  });

  test('count until they are closed, and not when they could not be attached', async () => {
    await start({ descriptors: 1 });
    fixture.emulator.failure = new BpfError('ENOBUFS', 'full');
    expect((await fixture.send('POST', attach, {})).status).toBe(507);
    expect((await fixture.send('POST', attach, {})).status).toBe(201);
    expect((await fixture.send('POST', attach, {})).status).toBe(429);
    await fixture.send('DELETE', '/v1/descriptors/1');
    expect((await fixture.send('POST', attach, {})).status).toBe(201);
  });

  test('of requests at the same time no more pass than one after the other', async () => {
    await start({ descriptors: 3 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => fixture.send('POST', attach, {})));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
  });

  test('of operators are not limited', async () => {
    await start({ descriptors: 0, bufferBytes: 0 });
    expect((await fixture.send('POST', attach, {})).status).toBe(429);
    fixture.actAs(root);
    expect((await fixture.send('POST', attach, {})).status).toBe(201);
  });
});

/** Opens a connection that stays, unless the server refuses it: then resolves with what it says. */
async function connect(): Promise<string> {
  const socket = createConnection(fixture.socketPath);
  sockets.push(socket);
  socket.on('error', () => undefined).setEncoding('utf8');
  socket.write('GET /v1/lab HTTP/1.1\r\nHost: x\r\n\r\n');
  const [head] = (await once(socket, 'data')) as [string];
  return head;
}

describe('connections', () => {
  test('of a user are limited; those beyond are told so, and others get in', async () => {
    await start({ connections: 2 });
    expect(await connect()).toMatch(/^HTTP\/1\.1 200/);
    expect(await connect()).toMatch(/^HTTP\/1\.1 200/);
    const refused = await connect();
    expect(refused).toMatch(/^HTTP\/1\.1 429/);
    expect(refused).toMatch(/^Retry-After: 1\r$/m);
    expect(JSON.parse(refused.split('\r\n\r\n')[1]!)).toMatchObject({
      status: 429,
      detail: expect.stringMatching(/uid 50001 has 2 connections, and may have 2/),
    });
    fixture.actAs(bob);
    expect(await connect()).toMatch(/^HTTP\/1\.1 200/);
    fixture.actAs(alice);
    sockets[0]!.destroy();
    await expect.poll(connect).toMatch(/^HTTP\/1\.1 200/);
  });

  test('beyond what taplab takes are answered 503, but for those of operators', async () => {
    await start({ connections: 10_000 });
    const heads: string[] = [];
    // Not all at once: as many as may wait to be accepted (listen(2)).
    for (let i = 0; i < 6; i++) heads.push(...(await Promise.all(Array.from({ length: 100 }, connect))));
    expect(heads.filter((head) => head.startsWith('HTTP/1.1 200'))).toHaveLength(512);
    const refused = heads.filter((head) => head.startsWith('HTTP/1.1 503'));
    expect(refused).toHaveLength(88);
    expect(refused[0]).toContain('Retry-After: 1\r\n');
    fixture.actAs(root);
    expect(await connect()).toMatch(/^HTTP\/1\.1 200/);
  });

  test('by the thousand do no harm', async () => {
    await start({});
    const attempts = Array.from({ length: 3000 }, () => connect().catch(() => 'closed'));
    // Those that are closed without a word get no data: they end when the test closes them.
    await expect
      .poll(() => Promise.race([attempts[0], 'waiting']), { timeout: 20_000 })
      .toMatch(/HTTP|closed/);
    for (const socket of sockets.splice(0)) socket.destroy();
    const client = new ControlClient(fixture.socketPath);
    await expect
      .poll(() => client.lab().catch(() => undefined), { timeout: 20_000 })
      .toMatchObject({ name: 'fake' });
    client.close();
  }, 60_000);

  test("what the server says to a client that was refused reaches taplab's own", async () => {
    await start({ connections: 0 });
    const client = new ControlClient(fixture.socketPath);
    await expect(client.lab()).rejects.toThrow(/uid 50001 has 0 connections/);
    client.close();
  });
});
