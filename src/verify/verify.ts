/**
 * Measures whether the links of a lab do on this machine what the lab file says: probes go through all of them in real
 * time (achieved.ts), and what became of them is compared with what was to become of them (requested.ts).
 */
import type { Lab } from '../lab/model.ts';
import { formatImpairment } from '../link/impairment.ts';
import { achieve } from './achieved.ts';
import { seen } from './passage.ts';
import { planOf } from './plan.ts';
import { request } from './requested.ts';
import { type Check, checks } from './verdict.ts';

export type DirectionVerdict = {
  readonly link: string;
  readonly direction: 'forward' | 'reverse';
  readonly from: string;
  readonly to: string;
  readonly impairment: string;
  readonly probes: number;
  readonly checks: readonly Check[];
  /** What keeps the checks from being made, or casts doubt on them. */
  readonly note: string | undefined;
  /** Undefined when it could not be measured. */
  readonly ok: boolean | undefined;
};

/** Verdicts on all directions of a lab. Throws SystemError, or what the signal was aborted with. */
export async function verify(lab: Lab, seconds: number, signal?: AbortSignal): Promise<DirectionVerdict[]> {
  const directions = lab.links.flatMap(({ name, endpoints: [first, second], forward, reverse }) => [
    { link: name, direction: 'forward' as const, from: first, to: second, settings: forward },
    { link: name, direction: 'reverse' as const, from: second, to: first, settings: reverse },
  ]);
  const mtus = new Map(lab.nodes.flatMap((node) => node.interfaces.map(({ name, mtu }) => [name, mtu])));
  const subjects = directions.map(({ from, to, settings }) => {
    const mtu = Math.min(mtus.get(from)!, mtus.get(to)!);
    return { from, to, plan: planOf(settings, mtu, seconds) };
  });
  const { passages, refused } = await achieve(lab, subjects, signal);
  const wanted = await request(lab, subjects, passages);
  return directions.map(({ settings, ...direction }, i) => {
    const [requested, achieved] = [seen(wanted[i]!), seen(passages[i]!)];
    const common = {
      ...direction,
      impairment: formatImpairment(settings),
      probes: subjects[i]!.plan.atNs.length,
    };
    if (requested === undefined && achieved === undefined) {
      return { ...common, checks: [], note: 'nothing came out, and nothing was to', ok: true };
    }
    if (requested === undefined || achieved === undefined) {
      const note = requested ? 'nothing came out' : 'probes came out, and none was to';
      return { ...common, checks: [], note, ok: false };
    }
    if (refused[i]! > 0) {
      const note = `not measured: this process took ${refused[i]} frames too late; leave the machine more room`;
      return { ...common, checks: [], note, ok: undefined };
    }
    const made = checks(requested, achieved);
    return { ...common, checks: made, note: undefined, ok: made.every(({ ok }) => ok) };
  });
}
