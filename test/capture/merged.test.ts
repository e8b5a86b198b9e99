/** Merging captures into a sink: what happens when it is slow, and when it goes away. */
import { PassThrough, Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { Capture } from '../../src/capture/capture.ts';
import { mergeCaptures } from '../../src/capture/merged.ts';
import type { CapturePacket } from '../../src/capture/packet.ts';
import { readCapture } from '../../src/capture/reader.ts';
import { batchOf, ethernetFrame, FakeDescriptor } from './helper.ts';

function sources(count: number): { descriptors: FakeDescriptor[]; captures: Capture[] } {
  const descriptors = Array.from({ length: count }, () => new FakeDescriptor());
  return { descriptors, captures: descriptors.map((each) => new Capture(each, 'taplab 1.2.3')) };
}

async function packetsOf(stream: PassThrough): Promise<CapturePacket[]> {
  const packets: CapturePacket[] = [];
  for await (const packet of readCapture(stream)) packets.push(packet);
  return packets;
}

it('a sink that is slow gets everything in order, and in the end the statistics', async () => {
  const { descriptors, captures } = sources(2);
  const slow = new PassThrough({ highWaterMark: 1024 });
  const merged = mergeCaptures(captures, 'pcapng', slow);
  const frames = 400;
  for (let i = 0; i < frames; i++) {
    const bytes = ethernetFrame(9000, i % 256);
    descriptors[i % 2]!.push(batchOf({ seconds: 1000 + i, bytes }));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  for (const descriptor of descriptors) void descriptor.close();
  const packets = await packetsOf(slow);
  await merged;
  expect(packets.map(({ seconds }) => seconds)).toEqual(Array.from({ length: frames }, (_, i) => 1000 + i));
});

it('a sink that goes away ends it, and the captures have no reader any more', async () => {
  const { captures } = sources(3);
  const sink = new PassThrough();
  const merged = mergeCaptures(captures, 'json', sink);
  expect(captures.map((each) => each.status().subscribers.length)).toEqual([1, 1, 1]);
  sink.destroy(new Error('gone'));
  await merged;
  expect(captures.map((each) => each.status().subscribers.length)).toEqual([0, 0, 0]);
});

it('a sink that never takes anything has the descriptors left to fill up, not the memory of the process', async () => {
  const { descriptors, captures } = sources(1);
  const stuck = new Writable({ write: () => undefined });
  const merged = mergeCaptures(captures, 'pcapng', stuck);
  const batch = batchOf({ seconds: 1000, bytes: new Uint8Array(1024 * 1024) });
  // What waits in between is bounded, by about a hundred of these; how many were read when it is full is a matter of turns.
  for (let i = 0; i < 400; i++) {
    descriptors[0]!.push(batch);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const reader = captures[0]!.status().subscribers[0]!;
  expect(descriptors[0]!.reads).toBeLessThan(200);
  expect(reader.queuedBytes).toBeLessThan(16 * 1024 * 1024);
  stuck.destroy();
  await merged;
});
