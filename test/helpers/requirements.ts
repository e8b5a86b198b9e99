/**
 * What a test needs of the system, and the reason for skipping it, said aloud: use as
 * `describe.skipIf(isMissing('namespaces'))`.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

const PROBES = {
  /** Making network namespaces by name. */
  namespaces: (): string | undefined => {
    if (process.platform !== 'linux') return 'not Linux';
    if (process.getuid?.() !== 0) return 'not root';
    const name = `taplab-test-${process.pid}-probe`;
    const { status, error, stderr } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
    if (error !== undefined) return `ip: ${error.message}`;
    if (status !== 0) return `ip netns add: ${stderr.trim()}`;
    spawnSync('ip', ['netns', 'del', name]);
    return undefined;
  },
  /** Prometheus' checker of metrics and rules. */
  promtool: (): string | undefined => spawnSync('promtool', ['--version']).error?.message,
  /** Reading captures with somebody else's eyes. */
  tshark: (): string | undefined => spawnSync('tshark', ['--version']).error?.message,
  /** Tools that a bare Debian does not have. */
  ping: (): string | undefined => spawnSync('ping', ['-V']).error?.message,
  pgrep: (): string | undefined => spawnSync('pgrep', ['-V']).error?.message,
  tcpdump: (): string | undefined => spawnSync('tcpdump', ['--version']).error?.message,
  gcc: (): string | undefined => spawnSync('gcc', ['--version']).error?.message,
  /** Giving a process real-time priority (sched(7)). */
  priority: (): string | undefined => {
    const { error, stderr } = spawnSync('chrt', ['--rr', '10', 'true'], { encoding: 'utf8' });
    return error?.message ?? (stderr.trim() || undefined);
  },
  /** Opening /dev/net/tun. */
  tun: (): string | undefined => {
    try {
      closeSync(openSync('/dev/net/tun', 'r+'));
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  },
} as const;

/** True, after printing why, when one of the requirements is not met here. */
export function isMissing(...needs: (keyof typeof PROBES)[]): boolean {
  for (const need of needs) {
    const why = PROBES[need]();
    if (why === undefined) continue;
    console.warn(`SKIPPED: needs ${need}: ${why}`);
    return true;
  }
  return false;
}
