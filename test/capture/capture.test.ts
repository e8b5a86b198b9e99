import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Captures } from '../../src/capture/captures.ts';
import type { CapturePacket } from '../../src/capture/packet.ts';
import { CaptureReader } from '../../src/capture/reader.ts';
import { batchOf, ethernetFrame, FakeDescriptor } from './helper.ts';

/** Keeps what is written, and calls the writer back when told to. */
class Sink extends Writable {
  readonly chunks: Buffer[] = [];
  stalled = false;
  finished = false;
  #release: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.chunks.push(chunk);
    if (this.stalled) this.#release = callback;
    else callback();
  }

  override _final(callback: () => void): void {
    this.finished = true;
    callback();
  }

  resume(): void {
    this.stalled = false;
    this.#release?.();
    this.#release = undefined;
  }

  packets(): CapturePacket[] {
    const reader = new CaptureReader();
    reader.push(Buffer.concat(this.chunks));
    const packets: CapturePacket[] = [];
    for (let packet = reader.next(); packet !== undefined; packet = reader.next()) packets.push(packet);
    reader.end();
    return packets;
  }

  numbers(): number[] {
    return this.packets().map(({ bytes }) => bytes[20] ?? -1);
  }
}

function numbered(...numbers: number[]): Uint8Array {
  return batchOf(...numbers.map((number) => ({ bytes: ethernetFrame(60, number) })));
}

/** The counts of the Interface Statistics Block at the end of a capture, by option code. */
function statisticsOf(file: Buffer): Map<number, number> {
  const length = file.readUInt32LE(file.length - 4);
  const block = file.subarray(file.length - length);
  expect(block.readUInt32LE(0)).toBe(5);
  const counts = new Map<number, number>();
  for (let at = 20; block.readUInt16LE(at) !== 0; at += 12) {
    counts.set(block.readUInt16LE(at), Number(block.readBigUInt64LE(at + 4)));
  }
  return counts;
}

const turns = () => sleep(20);

let descriptor: FakeDescriptor;
let captures: Captures;
beforeEach(() => {
  descriptor = new FakeDescriptor();
  captures = new Captures('taplab 1.2.3');
});

describe('readers', () => {
  it('nothing is read before somebody listens', async () => {
    captures.of(descriptor);
    descriptor.push(numbered(1));
    await turns();
    expect(descriptor.reads).toBe(0);
  });

  it('a batch is encoded once, and readers of one format share the buffer', async () => {
    const capture = captures.of(descriptor);
    const [one, two, json] = [new Sink(), new Sink(), new Sink()];
    capture.subscribe('pcapng', one);
    capture.subscribe('pcapng', two);
    capture.subscribe('json', json);
    descriptor.push(numbered(1, 2));
    await turns();
    expect(one.numbers()).toEqual([1, 2]);
    expect(one.chunks[1]?.buffer).toBe(two.chunks[1]?.buffer);
    expect(
      Buffer.concat(json.chunks)
        .toString()
        .match(/"captured":60/g),
    ).toHaveLength(2);
    expect(descriptor.overlappingReads).toBe(0);
  });

  it('a reader that comes later gets a header of its own, and what comes from then on', async () => {
    const capture = captures.of(descriptor);
    const [early, late] = [new Sink(), new Sink()];
    capture.subscribe('pcapng', early);
    descriptor.push(numbered(1));
    await turns();
    capture.subscribe('pcapng', late);
    descriptor.push(numbered(2));
    await turns();
    expect([early.numbers(), late.numbers()]).toEqual([[1, 2], [2]]);
  });

  it('at the end of the descriptor everybody gets the statistics and the end', async () => {
    const capture = captures.of(descriptor);
    const [pcapng, bpf] = [new Sink(), new Sink()];
    descriptor.received = 100;
    descriptor.accepted = 10;
    capture.subscribe('pcapng', pcapng);
    const { closed } = capture.subscribe('bpf', bpf);
    descriptor.push(numbered(1, 2, 3));
    await turns();
    Object.assign(descriptor, { received: 120, accepted: 14, dropped: 1 });
    await descriptor.close();
    expect(await closed).toBeUndefined();
    expect([pcapng.finished, bpf.finished, capture.status()]).toEqual([
      true,
      true,
      { subscribers: [], errors: [], ended: true },
    ]);
    const counts = statisticsOf(Buffer.concat(pcapng.chunks));
    expect([4, 5, 6, 7, 8].map((code) => counts.get(code))).toEqual([20, 0, 4, 1, 3]);
  });

  it('a reader of a descriptor that has ended gets an empty capture', async () => {
    const capture = captures.of(descriptor);
    capture.subscribe('json', new Sink());
    await descriptor.close();
    await turns();
    const late = new Sink();
    capture.subscribe('pcapng', late);
    expect(late.packets()).toEqual([]);
    expect(statisticsOf(Buffer.concat(late.chunks)).get(8)).toBe(0);
  });

  it('counts that were reset with the filter count from the reset', async () => {
    const capture = captures.of(descriptor);
    const sink = new Sink();
    descriptor.received = 100;
    capture.subscribe('pcapng', sink);
    descriptor.received = 7;
    await descriptor.close();
    await turns();
    expect(statisticsOf(Buffer.concat(sink.chunks)).get(4)).toBe(7);
  });

  it('a read that fails ends the readers and is told', async () => {
    const errors: Error[] = [];
    const capture = captures.of(descriptor).on({ onError: (error) => errors.push(error) });
    descriptor.read = async () => {
      throw new Error('EIO');
    };
    const sink = new Sink();
    capture.subscribe('pcapng', sink);
    await turns();
    expect([sink.finished, errors.map(({ message }) => message)]).toEqual([true, ['EIO']]);
  });
});

describe('a slow reader', () => {
  it('loses whole batches of its own, counted, and nobody else does', async () => {
    const capture = captures.of(descriptor);
    const [fast, slow] = [new Sink(), new Sink()];
    slow.stalled = true;
    capture.subscribe('pcapng', fast);
    const subscription = capture.subscribe('pcapng', slow, { limitBytes: 500 });
    for (const number of [1, 2, 3, 4, 5, 6, 7]) descriptor.push(numbered(number, number));
    await turns();
    expect(fast.numbers()).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]);
    const { frames, lostFrames, queuedBytes } = subscription.status();
    expect(lostFrames).toBeGreaterThan(0);
    expect(frames + lostFrames).toBe(14);
    expect(queuedBytes).toBeGreaterThan(500);

    slow.resume();
    descriptor.push(numbered(8));
    await turns();
    await descriptor.close();
    await turns();
    expect(slow.numbers().at(-1)).toBe(8);
    expect(slow.packets()).toHaveLength(frames + 1);
    const counts = statisticsOf(Buffer.concat(slow.chunks));
    expect([counts.get(7), counts.get(8)]).toEqual([lostFrames, frames + 1]);
  });

  it('has the descriptor left alone when there is no other', async () => {
    const capture = captures.of(descriptor);
    const slow = new Sink();
    slow.stalled = true;
    const subscription = capture.subscribe('pcapng', slow, { limitBytes: 500 });
    for (const number of [1, 2, 3, 4, 5, 6, 7, 8, 9]) descriptor.push(numbered(number, number));
    await turns();
    const { frames } = subscription.status();
    expect(frames).toBeLessThan(18);
    expect(descriptor.reads).toBe(frames / 2);
    slow.resume();
    await expect.poll(() => slow.numbers().at(-1)).toBe(9);
    expect(slow.packets()).toHaveLength(18);
    expect(subscription.status().lostFrames).toBe(0);
    await descriptor.close();
  });

  it('does not keep a busy descriptor from letting others write', async () => {
    const capture = captures.of(descriptor);
    let busy = true;
    descriptor.read = async () => (busy ? numbered(1) : undefined);
    capture.subscribe('pcapng', new PassThrough().resume());
    await sleep(20);
    busy = false;
    await turns();
    expect(capture.status().ended).toBe(true);
  });
});

describe('a reader that leaves', () => {
  const departures: [string, (sink: Sink) => void][] = [
    ['closes', (sink) => sink.destroy()],
    ['fails', (sink) => sink.destroy(new Error('EPIPE'))],
  ];
  it.each(departures)(
    'is removed at once when it %s, and the last one leaves the descriptor idle',
    async (_name, leave) => {
      let idle = 0;
      const capture = captures.of(descriptor).on({ onIdle: () => idle++ });
      const [one, two] = [new Sink(), new Sink()];
      capture.subscribe('pcapng', one);
      capture.subscribe('pcapng', two);
      leave(one);
      await turns();
      expect([idle, capture.status().subscribers.length]).toEqual([0, 1]);
      leave(two);
      await turns();
      expect([idle, capture.status().subscribers.length]).toEqual([1, 0]);
    },
  );

  it('that was gone before it came is not counted, and the descriptor is idle', async () => {
    let idle = 0;
    const capture = captures.of(descriptor).on({ onIdle: () => idle++ });
    const sink = new Sink();
    sink.destroy();
    const { closed } = capture.subscribe('pcapng', sink);
    await closed;
    expect([idle, capture.status().subscribers, descriptor.reads]).toEqual([1, [], 0]);
  });

  it('leaves the batch that was under way to the next reader', async () => {
    const capture = captures.of(descriptor);
    const [first, second] = [new Sink(), new Sink()];
    const { end } = capture.subscribe('pcapng', first);
    await turns();
    end();
    descriptor.push(numbered(1));
    await turns();
    descriptor.push(numbered(2));
    capture.subscribe('pcapng', second);
    await turns();
    expect(second.numbers()).toEqual([1, 2]);
    expect(first.packets()).toEqual([]);
  });

  it('and comes back while a read is under way does not start a second read', async () => {
    const capture = captures.of(descriptor);
    for (let round = 0; round < 5; round++) {
      const sink = new Sink();
      const subscription = capture.subscribe('pcapng', sink);
      await turns();
      subscription.end();
    }
    const last = new Sink();
    capture.subscribe('pcapng', last);
    descriptor.push(numbered(9));
    await turns();
    expect([last.numbers(), descriptor.overlappingReads]).toEqual([[9], 0]);
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'taplab-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function fileNumbers(path: string): number[] {
    const sink = new Sink();
    sink.chunks.push(readFileSync(path));
    return sink.numbers();
  }

  it('is whole blocks at any time, and complete when filesClosed resolves', async () => {
    const path = join(folder, 'a b.pcapng');
    const capture = captures.of(descriptor);
    await capture.toFile(path);
    descriptor.push(numbered(1, 2));
    await turns();
    expect(fileNumbers(path)).toEqual([1, 2]);
    descriptor.push(numbered(3));
    await descriptor.close();
    await captures.filesClosed();
    expect(fileNumbers(path)).toEqual([1, 2, 3]);
    expect(statisticsOf(readFileSync(path)).get(8)).toBe(3);
  });

  it('replaces what was there', async () => {
    const path = join(folder, 'c.pcapng');
    writeFileSync(path, Buffer.alloc(100_000));
    await captures.of(descriptor).toFile(path);
    await descriptor.close();
    await captures.filesClosed();
    expect(fileNumbers(path)).toEqual([]);
    expect(readFileSync(path).length).toBeLessThan(100_000);
  });

  describe('that another capture is writing', () => {
    const refusal =
      /capture file .*d\.pcapng: cannot create it: EBUSY \(another capture is writing it\); name another/;

    it('is refused to a second descriptor, left as it is, and free when the first has ended', async () => {
      const path = join(folder, 'd.pcapng');
      await captures.of(descriptor).toFile(path);
      descriptor.push(numbered(1));
      await turns();
      const second = new FakeDescriptor();
      symlinkSync(path, join(folder, 'link to d.pcapng'));
      for (const name of ['d.pcapng', 'link to d.pcapng']) {
        await expect(captures.of(second).toFile(join(folder, name))).rejects.toThrow(refusal);
      }
      expect(second.reads).toBe(0);
      descriptor.push(numbered(2));
      await descriptor.close();
      await captures.filesClosed();
      expect(fileNumbers(path)).toEqual([1, 2]);
      await captures.of(second).toFile(path);
      await second.close();
      await captures.filesClosed();
      expect(fileNumbers(path)).toEqual([]);
    });

    it('is refused when it is a capture of another process', async (context) => {
      if (spawnSync('flock', ['--version']).status !== 0) {
        console.log('skipped: a file locked by another process needs flock(1)');
        return context.skip();
      }
      const path = join(folder, 'd.pcapng');
      writeFileSync(path, 'of another process');
      const other = spawn('flock', [path, 'sh', '-c', 'echo locked; read x'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      try {
        await once(other.stdout, 'data');
        await expect(captures.of(descriptor).toFile(path)).rejects.toThrow(refusal);
        expect(readFileSync(path, 'utf8')).toBe('of another process');
      } finally {
        other.stdin.end();
        await once(other, 'exit');
      }
      return undefined;
    });
  });

  it('that is a pipe is refused at once, and so is a device', async () => {
    const path = join(folder, 'pipe');
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    await expect(captures.of(descriptor).toFile(path)).rejects.toThrow(
      /pipe: cannot create it: ESPIPE \(it is not a regular file\); name a file, or get the capture as a stream/,
    );
    await expect(captures.of(descriptor).toFile('/dev/null')).rejects.toThrow(/ESPIPE/);
  });

  it.each([
    [
      'a folder that is not there',
      'none/c.pcapng',
      /capture file .*none\/c\.pcapng: cannot create it: ENOENT.*create the folder first/,
    ],
    ['a folder', '.', /cannot create it: EISDIR.*name a file, not a folder/],
  ])('%s is refused with the path, the errno and what to do', async (_name, path, message) => {
    await expect(captures.of(descriptor).toFile(join(folder, path))).rejects.toThrow(message);
    expect(descriptor.reads).toBe(0);
  });

  it('on a full disk ends that file at its last whole block, and the others go on', async (context) => {
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'taplab-test', folder]);
    if (mount.status !== 0) {
      console.log(`skipped: a full disk, mounting a tmpfs needs root: ${String(mount.stderr).trim()}`);
      return context.skip();
    }
    try {
      const path = join(folder, 'full.pcapng');
      const errors: Error[] = [];
      const capture = captures.of(descriptor).on({ onError: (error) => errors.push(error) });
      const file = await capture.toFile(path);
      const other = new Sink();
      capture.subscribe('pcapng', other);
      const many = Array.from({ length: 100 }, (_, index) => index);
      for (let round = 0; round < 20; round++) descriptor.push(numbered(...many));
      await file.closed;
      await expect.poll(() => other.packets().length).toBe(2000);
      expect(errors.map(({ message }) => message)).toEqual([
        expect.stringMatching(/full\.pcapng: cannot write to it: ENOSPC .*the disk is full/),
      ]);
      expect(fileNumbers(path).length % 100).toBe(0);
      expect(fileNumbers(path).length).toBeGreaterThan(0);
      expect(capture.status().subscribers).toHaveLength(1);
      return undefined;
    } finally {
      // When it failed the file may be open still: unmounted then when that is closed, out of the way at once.
      spawnSync('umount', ['--lazy', folder]);
    }
  });
});
