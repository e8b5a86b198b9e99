/** The library on memory devices: no privilege, and time that passes when it is told to. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/library/lab.ts';
import { assemble } from '../../vm/index.ts';
import { frameNumber, numberedFrame } from '../helpers/lab.ts';
import { library, pair } from './helper.ts';

const open: Lab[] = [];

async function up(impair?: string): Promise<Lab> {
  const lab = await library.Lab.up(pair('memory', impair));
  open.push(lab);
  return lab;
}

afterEach(async () => {
  for (const lab of open.splice(0)) await lab.close();
});

const YAML = `name: text
device: memory
nodes: { a: { interfaces: { eth0: } }, b: { interfaces: { eth0: } } }
`;

describe('a lab comes from', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-library-'));
  const file = join(folder, 'lab.yaml');
  writeFileSync(file, YAML);
  const flow = '{ name: text, device: memory, nodes: { a: { interfaces: { eth0: } } } }';

  it.each([
    ['a path', file],
    ['a file: URL', pathToFileURL(file)],
    ['text', YAML],
    ['text in one line', flow],
    ['an object', { name: 'text', device: 'memory' as const, nodes: { a: { interfaces: { eth0: null } } } }],
  ])('%s', async (_what, source) => {
    await library.Lab.with(source, (lab) => {
      expect(lab.name).toMatch(/^text-\d+.*-\d+$/);
      expect(lab.interface('a:eth0').status().up).toBe(true);
    });
  });

  it.each([
    ['text', 'name: x\nnodes: { a: { interfacs: {} } }\n', /^lab text:2:.*interfacs/],
    [
      'an object',
      { name: 'x', nodes: { a: { interfaces: { eth0: { ip: 'nowhere' } } } } },
      /^lab object:\d+:\d+: .*nowhere/,
    ],
  ])('%s whose errors are shown with their places', async (_what, source, message) => {
    await expect(library.Lab.up(source)).rejects.toThrow(message);
  });

  it('kernel devices, made virtual', async () => {
    const lab = await library.Lab.up(pair('tap'), { virtual: true });
    open.push(lab);
    lab.interface('a:eth0').send(numberedFrame(1));
    await lab.run();
    expect(lab.interface('b:eth0').status().transmit.frames).toBe(1);
  });
});

describe('two labs of one definition', () => {
  it('run side by side, with names of their own and the same addresses', async () => {
    const [first, second] = [await up(), await up()];
    expect(first.name).not.toBe(second.name);
    expect(first.interface('a:eth0').status().mac).toBe(second.interface('a:eth0').status().mac);
  });
});

describe('a capture', () => {
  it('has every frame that was captured before it is asked, in order, with exact virtual times', async () => {
    const lab = await up('delay 20ms');
    const near = await lab.interface('a:eth0').attach();
    const far = await lab.interface('b:eth0').attach('', { direction: 'out' });
    for (let i = 0; i < 5_000; i++) lab.interface('a:eth0').send(numberedFrame(i));
    await lab.run();
    const [sent, received] = [await near.frames(), await far.frames()];
    expect(received.map(({ bytes }) => frameNumber(bytes))).toEqual(
      Array.from({ length: 5_000 }, (_, i) => i),
    );
    expect(library.elapsedMs(sent[0]!, received[0]!)).toBe(20);
    expect([near.count, far.count, far.status().dropped]).toEqual([5_000, 5_000, 0]);
  });

  it('takes an expression, instructions or a program', async () => {
    const lab = await up();
    const program = assemble('ldh [12]\njne #0x88b5, no\nret #64\nno: ret #0');
    const a = lab.interface('a:eth0');
    const captures = [
      await a.attach('ether proto 0x88b5'),
      await a.attach(program.instructions),
      await a.attach(program),
      await a.attach('ip'),
    ];
    a.send(numberedFrame(1));
    await lab.run();
    expect(captures.map(({ count }) => count)).toEqual([1, 1, 1, 0]);
    await expect(a.attach('tcp prt 80')).rejects.toThrow(/prt/);
  });

  it('waits in virtual time: for a frame, for a number of them, and no longer than it is told', async () => {
    const lab = await up('delay 20ms');
    const far = await lab.interface('b:eth0').attach();
    for (const number of [1, 2, 3]) lab.interface('a:eth0').send(numberedFrame(number));
    const found = await far.waitFor(({ bytes }) => frameNumber(bytes) === 2);
    expect(found.nanoseconds).toBe(20e6);
    expect(await far.take(3)).toHaveLength(3);
    const before = lab.nowMs;
    await expect(far.take(4, { timeoutMs: 250 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: 'no 4 frames on b:eth0 (filter "" saw 3 frames and accepted 3) within 250 ms',
    });
    expect(lab.nowMs - before).toBe(250);
  });

  it('is iterated to its end', async () => {
    const lab = await up();
    const capture = await lab.interface('a:eth0').attach();
    const numbers: number[] = [];
    const iterated = (async () => {
      for await (const { bytes } of capture) numbers.push(frameNumber(bytes));
    })();
    for (const number of [1, 2, 3]) lab.interface('a:eth0').send(numberedFrame(number));
    await lab.run();
    await capture.close();
    await iterated;
    expect(numbers).toEqual([1, 2, 3]);
  });

  it('forgets on clear(), and then waits for what comes', async () => {
    const lab = await up();
    const capture = await lab.interface('a:eth0').attach();
    lab.interface('a:eth0').send(numberedFrame(1));
    await lab.run();
    await capture.clear();
    expect(await capture.frames()).toEqual([]);
    lab.interface('a:eth0').send(numberedFrame(2));
    const next = await capture.waitFor(() => true);
    expect(frameNumber(next.bytes)).toBe(2);
  });

  it('that is full says so, and counts what it had no room for', async () => {
    const lab = await up();
    const capture = await lab.interface('a:eth0').attach('', { maxFrames: 3, bufferBytes: 256 });
    for (let i = 0; i < 20; i++) lab.interface('a:eth0').send(numberedFrame(i));
    await lab.run();
    const frames = await capture.frames();
    expect(frames.length).toBeGreaterThanOrEqual(3);
    expect(capture.status().dropped).toBeGreaterThan(0);
    await expect(capture.take(20)).rejects.toMatchObject({ code: 'ENXIO', message: /maxFrames/ });
  });

  it('can be read after the lab is down, and cannot be waited for', async () => {
    const lab = await up();
    const capture = await lab.interface('a:eth0').attach();
    lab.interface('a:eth0').send(numberedFrame(1));
    await lab.run();
    await lab.close();
    expect(await capture.frames()).toHaveLength(1);
    await expect(capture.take(2)).rejects.toMatchObject({ code: expect.stringMatching(/ENXIO|ECANCELED/) });
  });

  it('has all that was captured until the lab went down, more than it had read', async () => {
    const lab = await up();
    const capture = await lab.interface('a:eth0').attach('', { bufferBytes: 4096 });
    const full = await lab.interface('a:eth0').attach('', { maxFrames: 2 });
    for (let i = 0; i < 20; i++) lab.interface('a:eth0').send(numberedFrame(i));
    // Not lab.run(), which waits for captures.
    const running = lab.emulator.run();
    await Promise.all([running, lab.close()]);
    const { accepted, dropped } = capture.status();
    expect([accepted, dropped]).toEqual([20, 0]);
    expect((await capture.frames()).map(({ bytes }) => frameNumber(bytes))).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
    expect((await full.frames()).length).toBeGreaterThanOrEqual(2);
  });

  it('stops waiting when its signal is aborted', async () => {
    const lab = await up();
    const capture = await lab.interface('a:eth0').attach();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(capture.waitFor(() => true, { signal })).rejects.toMatchObject({
      code: 'ECANCELED',
      message: /enough/,
    });
  });
});

describe('a link', () => {
  it('is changed for frames that come later, in one direction or both', async () => {
    const lab = await up();
    const link = lab.link('ab');
    const after = await link.set('delay 20ms loss 1%', 'forward');
    expect(after.forward.settings).toMatchObject({ delayNs: 20e6, loss: 0.01 });
    expect(after.reverse.settings).toMatchObject({ delayNs: 0, loss: 0 });
    await link.set({ delay: '5ms' });
    const { forward, reverse } = link.status();
    expect([forward.settings.delayNs, forward.settings.loss]).toEqual([5e6, 0.01]);
    expect(reverse.settings.delayNs).toBe(5e6);
    await expect(link.set('dely 20ms')).rejects.toThrow(library.ImpairmentError);
  });
});

describe('a node of a virtual lab', () => {
  it('is the test itself: it answers what reaches it', async () => {
    const lab = await up('delay 10ms');
    const [a, b] = [lab.interface('a:eth0'), lab.interface('b:eth0')];
    b.onFrame((frame) => b.send(frame));
    const capture = await a.attach('', { direction: 'out' });
    a.send(numberedFrame(7));
    const answer = await capture.waitFor(({ bytes }) => frameNumber(bytes) === 7);
    expect(answer.nanoseconds).toBe(20e6);
  });

  it('runs no commands', async () => {
    const lab = await up();
    await expect(lab.node('a').exec('true')).rejects.toThrow(/no namespace.*memory devices/);
  });
});

describe('what is not there', () => {
  it.each([
    ['node', (lab: Lab) => lab.node('aa'), /no node "aa"; .*a/],
    ['interface', (lab: Lab) => lab.interface('a:eth1'), /no interface "a:eth1"; did you mean "a:eth0"/],
    ['link', (lab: Lab) => lab.link('abc'), /no link "abc"/],
  ])('is said for a %s, with the names there are', async (_what, use, message) => {
    const lab = await up();
    expect(() => use(lab)).toThrow(message);
  });
});

describe('a lab that is down', () => {
  it('says so to whoever uses it, and goes down once only', async () => {
    const lab = await up();
    await Promise.all([lab.close(), lab.close()]);
    await expect(lab.interface('a:eth0').attach()).rejects.toThrow(/lab library-.* is down/);
    await expect(lab.link('ab').set('clear')).rejects.toThrow(/is down/);
    await expect(lab.run()).rejects.toThrow(/is down/);
  });

  it('is so after Lab.with(), also when the test has thrown', async () => {
    let seen: Lab | undefined;
    const failing = library.Lab.with(pair('memory'), (lab) => {
      seen = lab;
      throw new Error('assertion');
    });
    await expect(failing).rejects.toThrow('assertion');
    await expect(seen!.run()).rejects.toThrow(/is down/);
  });
});

describe('a recording', () => {
  it('has what links decide between its start and its stop, and there is one at a time', async () => {
    const lab = await up('delay 10ms');
    const folder = mkdtempSync(join(tmpdir(), 'taplab-library-'));
    const near = lab.emulator.memoryDevice('a:eth0');
    const events = (file: string): unknown[] =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line));
    try {
      near.send(numberedFrame(0, 60));
      await lab.run(5);
      const first = await lab.record(join(folder, 'first'));
      await expect(lab.record(join(folder, 'other'))).rejects.toMatchObject({ code: 'EBUSY' });
      near.send(numberedFrame(1, 60));
      await lab.run();
      expect(await first.stop()).toMatchObject({ decisions: 2, lost: 0, error: undefined });
      near.send(numberedFrame(2, 60));
      await lab.run();
      // The frame that was under way already is not spoken of, nor the one that came later.
      expect(events(join(folder, 'first'))).toMatchObject([
        { timeNs: 5e6, link: 'ab', direction: 'forward', frame: 1, event: 'offered', bytes: 60 },
        { timeNs: 15e6, link: 'ab', direction: 'forward', frame: 1, event: 'delivered', delayNs: 10e6 },
      ]);
      await lab.record(join(folder, 'second'));
      near.send(numberedFrame(3, 60));
      await lab.run();
      await lab.close();
      expect(events(join(folder, 'second'))).toMatchObject([{ event: 'offered' }, { event: 'delivered' }]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
