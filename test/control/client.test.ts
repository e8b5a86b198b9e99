import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConnectionError, ControlClient, ControlError } from '../../src/control/client.ts';
import { eventually, type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;
let client: ControlClient;

beforeEach(async () => {
  fixture = await startFixture();
  client = new ControlClient(fixture.socketPath);
});

afterEach(async () => {
  client.close();
  await fixture.close();
});

test('every operation reaches the emulator', async () => {
  expect((await client.lab()).name).toBe('fake');
  expect(await client.interfaces()).toHaveLength(3);
  expect((await client.interface('server:tun0')).linkType).toBe(101);
  expect((await client.links())[0]?.name).toBe('wan');
  expect((await client.link('wan')).endpoints[0]).toBe('client:eth0');
  const changed = await client.changeLink('wan', { forward: 'delay 3ms' });
  expect(changed.after.forward.settings.delayNs).toBe(3_000_000);
  const { id } = await client.attach('client:eth0', { filter: '@dns', immediate: true });
  expect((await client.descriptors()).map((each) => each.id)).toEqual([id]);
  expect((await client.changeDescriptor(id, { direction: 'out' })).direction).toBe('out');
  expect(await client.writeFrames(id, [Buffer.alloc(60), Buffer.alloc(61)])).toBe(2);
  expect((await client.flush(id)).received).toBe(0);
  expect((await client.descriptor(id)).written).toBe(2);
  expect((await client.detach(id)).id).toBe(id);
  expect(await client.metrics()).toContain('taplab_build_info');
  expect(await client.shutDown()).toBe(process.pid);
});

test('a stream gives the frames and ends when the descriptor is closed', async () => {
  const { id } = await client.attach('client:eth0');
  const stream = await client.stream(id, 'json');
  fixture.emulator.descriptor(id)!.capture(Buffer.alloc(60));
  const { captures, emulator } = fixture;
  await eventually(
    () => captures.of(emulator.descriptor(id)!).status().subscribers[0]?.frames === 1,
    'delivery',
  );
  await client.detach(id);
  let text = '';
  for await (const chunk of stream) text += chunk;
  expect(text.trimEnd().split('\n')).toHaveLength(1);
});

test('what the server refuses is thrown with its problem document', async () => {
  const failure = await client.attach('client:eth0', { filter: '@nothing' }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ControlError);
  expect((failure as ControlError).problem).toMatchObject({ status: 400, errors: [{ pointer: '#/filter' }] });
  await expect(client.stream(7, 'json')).rejects.toThrow('There is no descriptor 7');
});

describe('a socket that does not answer', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-client-'));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('is an error that says how to start taplab', async () => {
    const lost = new ControlClient(join(folder, 'none'));
    const failure = await lost.lab().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConnectionError);
    expect((failure as ConnectionError).message).toMatch(
      /no taplab is listening on .*none; start one with `taplab up/,
    );
  });
});

test('an answer that breaks off is an error', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-client-'));
  const path = join(folder, 's');
  const rude = createServer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"na'));
  });
  await new Promise<void>((resolve) => rude.listen(path, resolve));
  await expect(new ControlClient(path).lab()).rejects.toThrow(/closed the connection/);
  rude.close();
  rmSync(folder, { recursive: true, force: true });
});

test("another program's answer is not taken for taplab's", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-client-'));
  const path = join(folder, 's');
  const other = createServer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno'));
  });
  await new Promise<void>((resolve) => other.listen(path, resolve));
  await expect(new ControlClient(path).lab()).rejects.toThrow(/answered 404, and not as taplab does/);
  other.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a taplab that is stopped', () => {
  test('does not answer: an error says so after the timeout', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'taplab-client-'));
    const path = join(folder, 's');
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(path, resolve));
    const impatient = new ControlClient(path);
    impatient.timeoutMs = 50;
    const requests = [() => impatient.lab(), () => impatient.metrics(), () => impatient.stream(1, 'json')];
    for (const ask of requests) {
      await expect(ask()).rejects.toMatchObject({
        name: 'ConnectionError',
        code: 'ETIMEDOUT',
        message: expect.stringContaining(`does not answer on ${path}`),
      });
    }
    impatient.close();
    silent.close();
    rmSync(folder, { recursive: true });
  });

  test('a stream on which nothing happens goes on after the timeout', async () => {
    client.timeoutMs = 200;
    const { id } = await client.attach('client:eth0', {});
    const stream = await client.stream(id, 'json');
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(stream.destroyed).toBe(false);
    stream.destroy();
  });
});
