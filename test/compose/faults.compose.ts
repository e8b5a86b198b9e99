/** The compose lab in trouble: containers that crash, nodes that bring the wrong thing, a volume that is full. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { eventually } from '../helpers/real.ts';
import { ComposeLab } from './compose-lab.ts';

const image = inject('image');
const HAND_OVER = readFileSync(new URL('hand-over.mjs', import.meta.url), 'utf8');
/** From the moment an emulator that was restarted answers. */
const REJOIN_MS = 5_000;
const RESTART_MS = 30_000;

let lab: ComposeLab;

describe.skipIf(image === '')('the compose lab in trouble', () => {
  beforeAll(async () => {
    lab = await ComposeLab.create(image, 'test/compose/small-volume.yaml');
    await lab.up();
  });
  afterAll(() => lab?.down());

  test('an emulator that is killed comes back, and every node is in the lab again within five seconds', async () => {
    const { pid, startedAt } = await lab.client.lab();
    await lab.crash('emulator');
    await eventually(async () => {
      const now = await lab.client.lab().catch(() => undefined);
      return now !== undefined && now.startedAt !== startedAt;
    }, RESTART_MS);
    await lab.whenJoined(REJOIN_MS);
    expect(pid).toBeGreaterThan(0);
    expect(await lab.ping(3)).toHaveLength(3);
    // The containers of the nodes were left alone.
    expect(await lab.inspect('client', '{{.RestartCount}}')).toBe('0');
  });

  test('a node that is killed is seen to go and to come back', async () => {
    await lab.crash('server');
    await eventually(async () => !(await lab.interfacesUp()).includes('server:eth0'), RESTART_MS);
    await lab.whenJoined(RESTART_MS);
    expect(await lab.ping(3)).toHaveLength(3);
    const { stdout, stderr } = await lab.compose(['logs', '--no-color', 'emulator']);
    expect(stdout + stderr).toMatch(/"node":"server".*"msg":"a node has left"/);
  });

  test('while a node is stopped its link has no carrier, and frames to it are counted as dropped for that', async () => {
    await lab.compose(['stop', '--timeout', '5', 'server']);
    await eventually(async () => !(await lab.interfacesUp()).includes('server:eth0'), RESTART_MS);
    expect((await lab.interfacesUp()).sort()).toEqual(['client:eth0', 'router:eth0', 'router:eth1']);
    const before = (await lab.client.link('wan')).forward.drops.carrier;
    expect(await lab.ping(2)).toHaveLength(0);
    expect((await lab.client.link('wan')).forward.drops.carrier).toBeGreaterThan(before);
  });

  test('a node that hands over something else is told what, and is not let in', async () => {
    const kinds = ['file', 'socket', 'null', 'tun'];
    const args = ['--input-type=module', '-', 'server', ...kinds];
    const { stdout, stderr } = await lab.runLike('server', 'node', args, HAND_OVER);
    const answers = stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { kind: string; answer: string });
    expect(
      answers.map(({ kind }) => kind),
      stderr,
    ).toEqual(kinds);
    const expected = [/the file \/.*hostname/, /a socket/, /the file \/dev\/null/, /a tun device/];
    for (const [i, { answer }] of answers.entries()) {
      expect(answer).toMatch(/^server:eth0 is a tap device, and what was handed over for it is/);
      expect(answer).toMatch(expected[i]!);
    }
    expect(await lab.interfacesUp()).not.toContain('server:eth0');
    await lab.compose(['start', 'server']);
    await lab.whenJoined(RESTART_MS);
  });

  test('a second node of the same name is refused, and the first stays', async () => {
    const { status, stdout, stderr } = await lab.runLike('client', 'taplab', ['join', 'client']);
    expect(status).not.toBe(0);
    expect(stdout + stderr).toMatch(
      /node client has joined already, from another container; stop that one first/,
    );
    expect(await lab.ping(2)).toHaveLength(2);
  });

  test('a client without rights learns which, and changes nothing', async () => {
    const stranger = await lab.exec('client', ['taplab', 'ps'], { user: '2000:2000', mayFail: true });
    expect(stranger).toMatchObject({ status: 1, stdout: '' });
    expect(stranger.stderr).toMatch(/no access to \/run\/taplab\/control\.sock \(EACCES\)/);
    const member = { user: '2000:1000', mayFail: true } as const;
    expect(await lab.exec('client', ['taplab', 'ps'], member)).toMatchObject({ status: 0 });
    const change = await lab.exec('client', ['taplab', 'set', 'wan', 'loss 100%'], member);
    expect(change.status).toBe(1);
    expect(change.stderr).toMatch(/you are uid 2000/);
    const join = await lab.exec('client', ['taplab', 'join', 'server'], member);
    expect(join.status).toBe(1);
    expect((await lab.client.link('wan')).forward.settings.loss).toBe(0);
  });

  test('a shared volume that is full stops captures into it, and nothing else', async () => {
    const fill = 'cat /dev/zero > /run/taplab/filler';
    const { stderr } = await lab.exec('emulator', ['sh', '-c', fill], { mayFail: true });
    expect(stderr).toMatch(/No space left on device/);
    const dump = ['taplab', 'dump', 'client:eth0', 'icmp', '-c', '2', '-w', '/run/taplab/icmp.pcapng'];
    const [capture, times] = await Promise.all([
      lab.exec('emulator', dump, { mayFail: true }),
      // Longer than the other needs to start.
      lab.ping(25),
    ]);
    expect(capture.status).toBe(1);
    expect(capture.stderr).toMatch(/icmp\.pcapng: ENOSPC/);
    expect(times).toHaveLength(25);
  });

  test('an emulator that starts on a full volume says so, and comes up as soon as there is room', async () => {
    await lab.compose(['stop', '--timeout', '5', 'emulator']);
    // It has given up the room that it needs to start.
    await lab.exec('client', ['sh', '-c', 'cat /dev/zero > /run/taplab/more'], {
      user: '1000:1000',
      mayFail: true,
    });
    await lab.compose(['start', 'emulator']);
    await eventually(async () => {
      const { stdout, stderr } = await lab.compose(['logs', '--no-color', 'emulator']);
      return /write \/run\/taplab\/compose\.json: ENOSPC; make room/.test(stdout + stderr);
    }, RESTART_MS);
    const free = ['rm', '-f', '/run/taplab/filler', '/run/taplab/more', '/run/taplab/icmp.pcapng'];
    await lab.exec('client', free, { user: '1000:1000' });
    await lab.whenJoined(2 * RESTART_MS);
    expect(await lab.ping(2)).toHaveLength(2);
  });

  test('down leaves nothing', async () => {
    await lab.down();
    expect(await lab.leftovers()).toEqual([]);
  });
});
