import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { confinement, isRootReadOnly, missingCapability } from '../../src/lab/confinement.ts';
import { type Check, diagnose, systemResult } from '../../src/lab/doctor.ts';
import { cli } from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';

const PATH = process.env.PATH;
afterEach(() => {
  process.env.PATH = PATH;
});

test('every check has a status and words, and those that fail say what to do', async () => {
  const checks = await diagnose();
  expect(checks.map(({ name }) => name)).toEqual([
    'system',
    'node',
    'koffi',
    '/dev/net/tun',
    'tap device',
    'io_uring',
    'iproute2',
    'CAP_NET_ADMIN',
    'CAP_SYS_ADMIN',
    'network namespaces',
    'confinement',
    'state directory',
    'control socket',
    'join socket',
    'labs',
    'tuntap2',
  ]);
  for (const check of checks) {
    expect(check.detail).not.toBe('');
    if (check.status !== 'ok') expect(check.advice).toMatch(/\w/);
  }
});

test.skipIf(isMissing('namespaces', 'tun'))(
  'with all rights nothing fails, and nothing is left',
  async () => {
    const before = execFileSync('ip', ['-json', 'link'], { encoding: 'utf8' });
    const checks = await diagnose();
    expect(checks.filter(({ status }) => status === 'fail')).toEqual([]);
    expect(execFileSync('ip', ['-json', 'link'], { encoding: 'utf8' })).toBe(before);
  },
);

test('without iproute2 it says how to install it', async () => {
  process.env.PATH = '/nonexistent';
  const checks = await diagnose();
  expect(checks.find(({ name }) => name === 'iproute2')).toEqual({
    name: 'iproute2',
    status: 'fail',
    detail: 'run ip: ip is not installed',
    advice: 'install iproute2 (`apt install iproute2`)',
    neededFor: ['up', 'join'],
    blocks: ['up', 'join'],
  });
});

test.each<[NodeJS.Platform, string, string, RegExp]>([
  ['linux', '6.1.0-18-amd64', 'ok', /^Linux 6\.1\.0-18-amd64/],
  ['linux', '5.12.0', 'ok', /Linux 5\.12/],
  ['linux', '5.10.0-28-amd64', 'warn', /a node that joins can stop the emulator.*5\.12 or newer/],
  ['darwin', '24.1.0', 'fail', /^darwin: /],
])('on %s %s the system check is %s', (platform, version, status, says) => {
  const result = systemResult(platform, version);
  expect(result.status).toBe(status);
  expect(`${result.detail}; ${result.advice}`).toMatch(says);
});

describe('what /proc says of a process', () => {
  const status = (eff: string, prm: string, bnd: string, nnp = 0): string =>
    `CapPrm:\t${prm}\nCapEff:\t${eff}\nCapBnd:\t${bnd}\nNoNewPrivs:\t${nnp}\nSeccomp:\t2\n`;
  const NET_ADMIN = '1000';

  test.each([
    ['it has it', status(NET_ADMIN, NET_ADMIN, NET_ADMIN), undefined, undefined],
    ['it is lowered', status('0', NET_ADMIN, NET_ADMIN), /permitted, not effective/, /raise it/],
    ['another user', status('0', '0', NET_ADMIN), /allowed to root/, /root|user: "0"/],
    [
      'no-new-privileges',
      status('0', '0', NET_ADMIN, 1),
      /allowed to root/,
      /neither sudo nor file capabilities/,
    ],
    [
      'it is withheld',
      status('0', '0', '0'),
      /not in the bounding set/,
      /cap_add: \[NET_ADMIN\].*--cap-add NET_ADMIN/,
    ],
  ])('a capability: %s', (_, text, detail, advice) => {
    const missing = missingCapability(confinement(text)!, 12, 'NET_ADMIN');
    if (detail === undefined) expect(missing).toBeUndefined();
    else {
      expect(missing?.detail).toMatch(detail);
      expect(missing?.advice).toMatch(advice!);
    }
  });

  test('the root file system is what is mounted there last', () => {
    expect(isRootReadOnly('overlay / overlay rw,relatime 0 0\nproc /proc proc rw 0 0\n')).toBe(false);
    expect(isRootReadOnly('rootfs / rootfs rw 0 0\noverlay / overlay ro,relatime 0 0\n')).toBe(true);
    expect(isRootReadOnly('proc /proc proc rw 0 0\n')).toBeUndefined();
  });
});

describe.skipIf(isMissing('namespaces', 'tun'))('taplab doctor, confined as in a container', () => {
  const NO_CAPABILITY = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
  const READ_ONLY = ['unshare', '-m', 'sh', '-c', 'mount -o remount,ro,bind / && exec "$@"', 'sh'];
  const TINY = [
    'unshare',
    '-m',
    'sh',
    '-c',
    'mount -t tmpfs -o size=4k,mode=0755 none /mnt && echo x >/mnt/x && exec "$@"',
    'sh',
  ];

  /** Runs it behind other commands; the checks by name. */
  function doctor(
    confine: readonly string[],
    args: readonly string[],
    env: Record<string, string> = {},
  ): { status: number | null; checks: Map<string, Check> } {
    const [program, ...rest] = [...confine, process.execPath, cli, 'doctor', '--json', ...args];
    const { status, stdout, stderr } = spawnSync(program!, rest, {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    expect(stderr).toBe('');
    const checks = JSON.parse(stdout) as Check[];
    return { status, checks: new Map(checks.map((each) => [each.name, each])) };
  }

  test.each<[what: string, confine: string[], purpose: string, status: number, name: string, says: RegExp]>([
    [
      'no capability, to join',
      NO_CAPABILITY,
      'join',
      1,
      'CAP_NET_ADMIN',
      /bounding set.*cap_add: \[NET_ADMIN\]/,
    ],
    [
      'no capability, to be the emulator',
      NO_CAPABILITY,
      'up-joined',
      0,
      'confinement',
      /no-new-privileges on/,
    ],
    ['no capability, to make nodes', NO_CAPABILITY, 'up', 1, 'CAP_SYS_ADMIN', /bounding set/],
    [
      'only NET_ADMIN, to make nodes',
      ['setpriv', '--bounding-set=-all,+net_admin'],
      'up',
      1,
      'network namespaces',
      /./,
    ],
    ['a read-only root file system', READ_ONLY, 'up-joined', 1, 'state directory', /read-only.*tmpfs/],
    ['a full volume', TINY, 'up-joined', 1, 'state directory', /ENOSPC.*make room/],
  ])('%s', (_, confine, purpose, status, name, says) => {
    const directory = confine === TINY ? '/mnt/' : '/srv/taplab-doctor';
    const env: Record<string, string> =
      confine === TINY || confine === READ_ONLY ? { TAPLAB_STATE_DIRECTORY: directory } : {};
    const found = doctor(confine, ['--for', purpose], env);
    const check = found.checks.get(name)!;
    expect(`${check.detail} → ${check.advice}`).toMatch(says);
    expect(found.status).toBe(status);
    if (status === 1) expect(check.blocks).toContain(purpose);
  });

  test('the sockets of a lab to join: nobody there, there, not permitted', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'd-'));
    const servers = ['c.sock', 'c.join.sock'].map((name) => createServer().listen(join(directory, name)));
    try {
      await Promise.all(servers.map((each) => new Promise((resolve) => each.once('listening', resolve))));
      const control = join(directory, 'c.sock');
      const joinable = async (path: string): Promise<Check[]> =>
        (await diagnose({ purpose: 'join', controlSocket: path })).filter(({ name }) =>
          name.endsWith('socket'),
        );
      expect((await joinable(control)).map(({ status }) => status)).toEqual(['ok', 'ok']);
      const [missing] = await joinable(join(directory, 'other.sock'));
      expect(missing).toMatchObject({
        status: 'fail',
        detail: expect.stringContaining('nobody listens'),
        blocks: ['join'],
      });
      chmodSync(directory, 0o755);
      const asNobody = ['setpriv', '--reuid', '65534', '--clear-groups'];
      const { checks } = doctor([...asNobody], ['--for', 'join', '--socket', control]);
      expect(checks.get('control socket')?.advice).toMatch(/user: "0:0"/);
      for (const name of ['c.sock', 'c.join.sock']) chmodSync(join(directory, name), 0o666);
      const reached = doctor([...asNobody], ['--for', 'join', '--socket', control]).checks;
      expect(reached.get('control socket')?.status).toBe('ok');
      expect(reached.get('join socket')).toMatchObject({
        status: 'fail',
        detail: expect.stringContaining('uid 65534'),
      });
    } finally {
      for (const each of servers) each.close();
      rmSync(directory, { recursive: true });
    }
  }, 30_000);
});
