/** The demo on memory devices, in this process: everything but the kernel. */
import { createReadStream, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CapturePacket } from '../../src/capture/packet.ts';
import { readCapture } from '../../src/capture/reader.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { play } from '../../src/demo/play.ts';
import { Interrupted } from '../../src/demo/stage.ts';
import { VirtualStage } from '../../src/demo/virtual-stage.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'taplab test '));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Plays to the end, or until `interruptAt` seconds have passed; returns what was printed. */
async function perform(interruptAt = Number.POSITIVE_INFINITY): Promise<string> {
  const out = new PassThrough();
  const interruption = new AbortController();
  const stage = await VirtualStage.up('examples/demo.yaml', interruption.signal);
  const { second } = stage;
  let seconds = 0;
  stage.second = async () => {
    await second.call(stage);
    if (++seconds === interruptAt) interruption.abort();
  };
  try {
    await play(stage, new Terminal(out, out), folder, interruption.signal);
  } finally {
    await stage.close();
    expect(existsSync(stage.client.socketPath)).toBe(false);
  }
  return String(out.read());
}

async function packets(): Promise<CapturePacket[]> {
  const all: CapturePacket[] = [];
  for await (const packet of readCapture(createReadStream(join(folder, 'taplab-demo.pcapng'))))
    all.push(packet);
  return all;
}

it('shows traffic, matches and metrics, and leaves a capture with every frame in it', async () => {
  const text = await perform();
  const frames = Number(/capture .*\((\d[\d,]*) frames\)/.exec(text)?.[1]?.replaceAll(',', ''));
  expect(text).toMatch(/delay 20ms loss 1% rate 10mbit/);
  expect(text).toMatch(/attached {2}@http as descriptor \d+, @tcp-syn as descriptor \d+/);
  expect(text).toMatch(/taplab_link_drops_total\{link="wan",direction="forward",reason="loss"\} [1-9]/);
  expect(text).toMatch(/taplab_bpf_accepted_total\{.*\} [1-9]/);
  expect(text).toMatch(/lost {5}\d+ frames: \d+ by loss/);
  expect(text).toMatch(/pings {4}9\d of 100 answered, round trip 40\.\d ms/);
  const all = await packets();
  expect(all).toHaveLength(frames);
  expect(all.every(({ bytes, wireLength }) => bytes.length === Math.min(128, wireLength))).toBe(true);
});

it('is the same in every run', async () => {
  const report = (text: string) => /^ {2}sent[\s\S]*tcp.*$/m.exec(text)?.[0];
  const first = report(await perform());
  expect(first).toBeDefined();
  expect(report(await perform())).toBe(first);
});

it.each([1, 3, 9])(
  'ends when it is interrupted in second %i, with a capture that can be read',
  async (second) => {
    await expect(perform(second)).rejects.toThrow(Interrupted);
    expect((await packets()).length).toBeGreaterThan(0);
    expect(readdirSync(folder)).toEqual(['taplab-demo.pcapng']);
  },
);
