/** What labs on kernel devices need of the system, for tests that are to be skipped where it is not there. */
import { type Check, diagnose } from '../lab/doctor.ts';

export type Requirements = {
  /** Whether labs on tap, tun and tuntap2 devices can run in this process. Others run everywhere. */
  readonly met: boolean;
  /** Why not, in one line: for `test(name, { skip: reason })` of node:test. */
  readonly reason?: string;
  /** What is missing, each with what to do about it. */
  readonly missing: readonly Check[];
};

/** The checks of `taplab doctor` that decide. A warning counts: it works somewhere else, as under unshare(1). */
const NEEDED: ReadonlySet<string> = new Set([
  'system',
  'koffi',
  '/dev/net/tun',
  'tap device',
  'iproute2',
  'rights',
  'network namespaces',
  'state directory',
]);

/** Tries what a lab needs, and leaves nothing behind. Takes about 100 ms. */
export async function requirements(): Promise<Requirements> {
  const missing = (await diagnose()).filter(({ name, status }) => NEEDED.has(name) && status !== 'ok');
  if (missing.length === 0) return { met: true, missing };
  const [first] = missing;
  const advice = missing.find((check) => check.advice !== undefined)?.advice;
  const reason = `${first!.name}: ${first!.detail}${advice === undefined ? '' : `; ${advice}`}`;
  return { met: false, reason, missing };
}
