import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createConnection } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DescriptorResource } from '../../src/control/schemas/resources.ts';
import type { FakeDescriptor } from './fake-emulator.ts';
import { eventually, type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;
let descriptor: FakeDescriptor;

beforeEach(async () => {
  fixture = await startFixture({ ephemeralGraceMs: 100 });
  await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', { filter: '@arp' });
  descriptor = fixture.emulator.descriptor(1)!;
});

afterEach(() => fixture.close());

const frame = Buffer.alloc(60, 0xab);

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function readers(): number {
  return fixture.captures.of(descriptor).status().subscribers.length;
}

test('a pcapng stream begins with a section header and ends with the interface statistics', async () => {
  const stream = await fixture.open('/v1/descriptors/1/stream');
  expect(stream.headers['content-type']).toBe('application/x-pcapng');
  const whole = bytesOf(stream);
  descriptor.capture(frame);
  await eventually(() => fixture.captures.of(descriptor).status().subscribers[0]?.frames === 1, 'delivery');
  await descriptor.close();
  const bytes = await whole;
  const types: number[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) types.push(bytes.readUInt32LE(at));
  expect(types).toEqual([0x0a0d0d0a, 1, 6, 5]);
});

test('a JSON stream is a line per frame, at once', async () => {
  const stream = await fixture.open('/v1/descriptors/1/stream?format=json');
  descriptor.capture(frame, 'out');
  const [chunk] = (await once(stream, 'data')) as [Buffer];
  expect(JSON.parse(chunk.toString())).toMatchObject({
    interface: 'client:eth0',
    direction: 'out',
    length: 60,
    data: frame.toString('base64'),
  });
  stream.destroy();
});

test('several readers get the same frames, each in its format', async () => {
  const streams = await Promise.all(
    ['json', 'json', 'bpf'].map((format) => fixture.open(`/v1/descriptors/1/stream?format=${format}`)),
  );
  const wholes = streams.map(bytesOf);
  descriptor.capture(frame);
  await eventually(
    () =>
      fixture.captures
        .of(descriptor)
        .status()
        .subscribers.every((each) => each.frames === 1),
    'delivery to all',
  );
  await descriptor.close();
  const [first, second, bpf] = await Promise.all(wholes);
  expect(first!.length).toBeGreaterThan(0);
  expect(second).toEqual(first);
  expect(bpf!.includes(frame)).toBe(true);
});

test('a client that dies is forgotten, and the others go on', async () => {
  const [dying, living] = await Promise.all([
    fixture.open('/v1/descriptors/1/stream?format=json'),
    fixture.open('/v1/descriptors/1/stream?format=json'),
  ]);
  await eventually(() => readers() === 2, 'two readers');
  dying.on('error', () => undefined);
  dying.socket.destroy();
  await eventually(() => readers() === 1, 'one reader left');
  descriptor.capture(frame);
  await once(living, 'data');
  living.destroy();
  await eventually(() => readers() === 0, 'no reader left');
  expect((await fixture.send('GET', '/v1/descriptors/1')).status).toBe(200);
});

test('a reader that does not read loses its own frames, counted, and slows nobody', async () => {
  const slow = await fixture.open('/v1/descriptors/1/stream?format=bpf');
  slow.pause();
  const fast = await fixture.open('/v1/descriptors/1/stream?format=bpf');
  let received = 0;
  fast.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  const big = Buffer.alloc(65_000);
  const count = 400;
  for (let i = 0; i < count; i++) {
    descriptor.capture(big);
    // Waits for the reader that reads, so that what is lost is lost to slowness alone.
    await eventually(() => received > (i + 1) * big.length, `frame ${i} arrives`);
  }
  const { json } = await fixture.send<DescriptorResource>('GET', '/v1/descriptors/1');
  expect(json.readers.map((reader) => reader.lostFrames > 0)).toEqual([true, false]);
  expect(json.readers[0]!.frames + json.readers[0]!.lostFrames).toBe(count);
  expect(json.readers[1]!.frames).toBe(count);
  slow.destroy();
  fast.destroy();
});

test('a connection has one stream: those that are asked for behind it get nothing', async () => {
  const socket = createConnection(fixture.socketPath);
  const ask = 'GET /v1/descriptors/1/stream?format=json HTTP/1.1\r\nHost: x\r\n\r\n';
  socket.write(ask.repeat(10));
  await once(socket, 'data');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(readers()).toBe(1);
  socket.destroy();
  await eventually(() => readers() === 0, 'no reader left');
});

test('closing the server ends streams that nobody reads', async () => {
  const stream = await fixture.open('/v1/descriptors/1/stream?format=json');
  const ended = new Promise((resolve) => stream.on('close', resolve));
  stream.on('error', () => undefined).resume();
  await fixture.server.close();
  await ended;
});

test('an ephemeral descriptor is closed when its last reader leaves', async () => {
  await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', { ephemeral: true });
  const streams = await Promise.all([
    fixture.open('/v1/descriptors/2/stream'),
    fixture.open('/v1/descriptors/2/stream'),
  ]);
  for (const stream of streams) stream.on('error', () => undefined);
  streams[0]!.destroy();
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(fixture.emulator.descriptor(2)).toBeDefined();
  streams[1]!.destroy();
  await eventually(() => fixture.emulator.descriptor(2) === undefined, 'the descriptor is closed');
});

test('an ephemeral descriptor that nobody comes to read is closed', async () => {
  await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', { ephemeral: true });
  expect(fixture.emulator.descriptor(2)).toBeDefined();
  await eventually(() => fixture.emulator.descriptor(2) === undefined, 'the descriptor is closed');
  expect(fixture.emulator.descriptor(1)).toBeDefined();
});
