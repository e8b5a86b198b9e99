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

/** Tries what a lab needs, and leaves nothing behind. Takes about 100 ms. */
export async function requirements(): Promise<Requirements> {
  const missing = (await diagnose({ purpose: 'up' })).filter(({ blocks }) => blocks.includes('up'));
  if (missing.length === 0) return { met: true, missing };
  const [first] = missing;
  const advice = missing.find((check) => check.advice !== undefined)?.advice;
  const reason = `${first!.name}: ${first!.detail}${advice === undefined ? '' : `; ${advice}`}`;
  return { met: false, reason, missing };
}
