import { execFileSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { diagnose } from '../../src/lab/doctor.ts';
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
    'iproute2',
    'rights',
    'network namespaces',
    'state directory',
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
  });
});
