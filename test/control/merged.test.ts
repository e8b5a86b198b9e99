import type { IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CapturePacket } from '../../src/capture/packet.ts';
import { CaptureReader } from '../../src/capture/reader.ts';
import { batchOf, ethernetFrame } from '../capture/helper.ts';
import { eventually, type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
  for (const name of ['client:eth0', 'server:eth0']) {
    await fixture.send('POST', `/v1/interfaces/${name}/descriptors`, { ephemeral: true, immediate: true });
  }
});

afterEach(() => fixture.close());

function arrive(id: number, ...times: number[]): void {
  const records = times.map((ms) => ({
    seconds: 1000,
    nanoseconds: ms * 1_000_000,
    bytes: ethernetFrame(60, ms),
  }));
  fixture.emulator.descriptor(id)!.captureBatch(batchOf(...records), times.length);
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function packetsIn(bytes: Buffer): CapturePacket[] {
  const reader = new CaptureReader();
  reader.push(bytes);
  const packets: CapturePacket[] = [];
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) packets.push(packet);
  reader.end();
  return packets;
}

const shown = (packets: readonly CapturePacket[]): string[] =>
  packets.map(({ interfaceName, nanoseconds }) => `${interfaceName} ${nanoseconds / 1_000_000}`);

test('several descriptors are one pcapng section, their frames in the order of time, statistics of each at the end', async () => {
  const stream = await fixture.open('/v1/stream?descriptors=1,2');
  expect(stream.headers['content-type']).toBe('application/x-pcapng');
  const whole = bytesOf(stream);
  arrive(2, 20, 40);
  arrive(1, 10, 30, 50);
  arrive(2, 60);
  for (const id of [1, 2]) expect((await fixture.send('DELETE', `/v1/descriptors/${id}`)).status).toBe(200);
  const bytes = await whole;
  const types: number[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) types.push(bytes.readUInt32LE(at));
  expect(types).toEqual([0x0a0d0d0a, 1, 1, 6, 6, 6, 6, 6, 6, 5, 5]);
  expect(shown(packetsIn(bytes))).toEqual([
    'client:eth0 10',
    'server:eth0 20',
    'client:eth0 30',
    'server:eth0 40',
    'client:eth0 50',
    'server:eth0 60',
  ]);
});

test('JSON lines come while it goes on', async () => {
  const stream = await fixture.open('/v1/stream?descriptors=2,1&format=json');
  arrive(1, 30);
  arrive(2, 20);
  let text = '';
  for await (const chunk of stream) {
    text += chunk;
    if (text.split('\n').length === 3) break;
  }
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).interface),
  ).toEqual(['server:eth0', 'client:eth0']);
});

test('ephemeral descriptors are closed at once when the client dies', async () => {
  const stream = await fixture.open('/v1/stream?descriptors=1,2');
  stream.on('error', () => undefined);
  stream.socket.destroy();
  await eventually(() => fixture.emulator.descriptors().length === 0, 'both are closed');
});

test('closing a descriptor gives its readers what it still holds', async () => {
  const stream = await fixture.open('/v1/descriptors/1/stream');
  const whole = bytesOf(stream);
  for (let i = 0; i < 50; i++) arrive(1, i);
  const { json } = await fixture.send('DELETE', '/v1/descriptors/1');
  expect(json).toMatchObject({ accepted: 50, instructions: 1, immediate: true });
  expect(packetsIn(await whole)).toHaveLength(50);
});

test.each([
  ['/v1/stream', 400],
  ['/v1/stream?descriptors=x', 400],
  ['/v1/stream?descriptors=1,7', 404],
  ['/v1/stream?descriptors=1&format=bpf', 400],
])('%s is refused with %i', async (path, status) => {
  expect((await fixture.send('GET', path)).status).toBe(status);
});

test("others' descriptors are refused", async () => {
  fixture.actAs({ uid: 50_001, gid: 50_001, pid: 1 });
  expect((await fixture.send('GET', '/v1/stream?descriptors=1,2')).status).toBe(403);
});
