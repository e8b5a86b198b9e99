/**
 * Measures whether links do on this machine what they are to do: probes go through all of them at the same time, on a rig
 * (lab-rig.ts, running-rig.ts), and what became of them is compared with what was to become of them (requested.ts).
 */
import { formatImpairment } from '../link/impairment.ts';
import type { LinkSettings } from '../link/settings.ts';
import { LagMeter } from './lag-meter.ts';
import { type Passage, type Seen, seen } from './passage.ts';
import { canBeFlooded, type PlanOptions, plansOf } from './plan.ts';
import type { ProbeKind } from './probe.ts';
import { requested } from './requested.ts';
import type { Achieved, Subject } from './subject.ts';
import { type Check, checks, type Verdict, worst } from './verdict.ts';

/** A direction of a link, on a rig. */
export type RigDirection = {
  readonly link: string;
  readonly direction: 'forward' | 'reverse';
  readonly from: string;
  readonly to: string;
  readonly settings: LinkSettings;
  readonly kind: ProbeKind;
  /** The least of both ends. */
  readonly mtu: number;
  /** Why probes cannot be sent through it. */
  readonly obstacle?: string | undefined;
};

/** A direction as it is now. */
export type DirectionState = { readonly settings: LinkSettings; readonly offered: number };

/** Links that are up, and a way to send probes through them. */
export type Rig = {
  readonly directions: readonly RigDirection[];
  measure(subjects: readonly Subject[], signal: AbortSignal | undefined): Promise<Achieved>;
  /** The direction that starts at an interface; undefined when it has gone. Absent when nobody else uses the links. */
  readonly stateOf?: () => Promise<(from: string) => DirectionState | undefined>;
};

export type DirectionVerdict = {
  readonly link: string;
  readonly direction: 'forward' | 'reverse';
  readonly from: string;
  readonly to: string;
  readonly impairment: string;
  /** Probes that entered. */
  readonly probes: number;
  readonly checks: readonly Check[];
  /** What keeps checks from being made, or casts doubt on them. */
  readonly note: string | undefined;
  readonly verdict: Verdict;
};

export type Verification = {
  /** How late the machine woke a thread, 99th percentile; undefined when that is not known. */
  readonly schedulerLagP99Ns: number | undefined;
  readonly directions: readonly DirectionVerdict[];
};

/** A machine that is later than this is too busy to tell a link that fails from one that was not let. */
const BUSY_LAG_NS = 200_000;
/** Of a link that has a rate, others may send so many frames for each probe before they count. */
const OTHERS_SHARE = 0.02;

/** Verdicts on all directions. Throws SystemError, or what the signal was aborted with. */
export async function verify(rig: Rig, options: PlanOptions, signal?: AbortSignal): Promise<Verification> {
  const measured = rig.directions.filter(({ obstacle }) => obstacle === undefined);
  const plans = plansOf(measured, options);
  const subjects = measured.map(({ from, to, kind }, i): Subject => ({ from, to, kind, plan: plans[i]! }));
  const meter = new LagMeter();
  let lagNs: number | undefined;
  let achieved: Achieved;
  const before = await rig.stateOf?.();
  try {
    achieved = await rig.measure(subjects, signal);
  } finally {
    lagNs = await meter.stop();
  }
  const after = await rig.stateOf?.();
  const runs = runsOf();
  const verdicts = new Map<RigDirection, DirectionVerdict>();
  for (const [i, direction] of measured.entries()) {
    signal?.throwIfAborted();
    const passage = achieved.passages[i]!;
    const surroundings: Surroundings = {
      lagNs,
      missed: achieved.missed[i]!,
      others: othersOf(passage, before?.(direction.from), after?.(direction.from)),
      changed: after !== undefined && !isSame(direction.settings, after(direction.from)?.settings),
      floods: options.floods,
    };
    verdicts.set(direction, await judge(direction, passage, surroundings, runs));
  }
  const directions = rig.directions.map(
    (each) => verdicts.get(each) ?? unjudged(each, 0, 'not measurable', each.obstacle!),
  );
  return { schedulerLagP99Ns: lagNs, directions };
}

type Surroundings = {
  readonly lagNs: number | undefined;
  readonly missed: number;
  /** Frames that others sent through the direction. */
  readonly others: number;
  readonly changed: boolean;
  readonly floods: boolean;
};

async function judge(
  direction: RigDirection,
  passage: Passage,
  surroundings: Surroundings,
  runs: (direction: RigDirection, passage: Passage) => Promise<readonly Seen[]>,
): Promise<DirectionVerdict> {
  const { settings } = direction;
  const entered = passage.enteredNs.filter((each) => each !== undefined).length;
  const achieved = seen(passage);
  if (achieved === undefined) {
    return unjudged(
      direction,
      0,
      'not measurable',
      'no probe entered: its device has no carrier, or is down',
    );
  }
  if (surroundings.changed) {
    return unjudged(direction, entered, 'not measurable', 'it was changed while it was measured');
  }
  const spaced = passage.enteredNs.slice(0, passage.flood).filter((each) => each !== undefined).length;
  const made = checks(await runs(direction, passage), achieved, spaced);
  const doubt = doubtOf(settings, entered, surroundings);
  const varying = varyingWords(settings);
  const judged = made.map((check): Check => {
    if (varying.length > 0) return { ...check, verdict: 'varies' };
    return check.verdict === 'failed' && doubt !== undefined
      ? { ...check, verdict: 'not measurable' }
      : check;
  });
  const verdict = worst(judged);
  const notes = [
    ...(varying.length > 0 ? [`varies over time (${varying.join(', ')}): shown, not judged`] : []),
    ...(verdict === 'not measurable' ? [`not measurable: ${doubt}`] : []),
    ...(settings.rules.length > 0 ? ['judged as its rules are for probes'] : []),
    ...rateNotes(settings, surroundings.floods),
  ];
  const note = notes.length === 0 ? undefined : notes.join('; ');
  return { ...base(direction), probes: entered, checks: judged, note, verdict };
}

/** Why a check that failed says nothing about the link. */
function doubtOf(
  { rateBitsPerSecond }: LinkSettings,
  entered: number,
  { lagNs, missed, others }: Surroundings,
): string | undefined {
  if (lagNs !== undefined && lagNs > BUSY_LAG_NS) {
    return `scheduler lag p99 = ${(lagNs / 1e6).toFixed(3)} ms, the machine is too busy`;
  }
  if (missed > 0) return `${missed} frames came too fast for this process`;
  if (rateBitsPerSecond > 0 && others > OTHERS_SHARE * entered)
    return `others sent ${others} frames meanwhile`;
  return undefined;
}

/** What of the settings changes by itself. */
function varyingWords({ schedule, markov, trace, flap }: LinkSettings): string[] {
  return [
    ...(schedule ? ['schedule'] : []),
    ...(markov ? ['markov'] : []),
    ...(trace ? ['trace'] : []),
    ...(flap ? ['flap'] : []),
  ];
}

function rateNotes(settings: LinkSettings, floods: boolean): string[] {
  if (settings.rateBitsPerSecond === 0 || (floods && canBeFlooded(settings))) return [];
  return [floods ? 'its rate is too high to be measured so' : 'its rate was not measured'];
}

/** Directions that are alike, and got their probes alike, are run once. */
function runsOf(): (direction: RigDirection, passage: Passage) => Promise<readonly Seen[]> {
  const known = new Map<string, Promise<readonly Seen[]>>();
  return ({ settings, kind, mtu }, passage) => {
    const { enteredNs, flood } = passage;
    const entered = [paceOf(enteredNs.slice(0, flood)), paceOf(enteredNs.slice(flood))];
    const key = JSON.stringify([settings, kind, mtu, entered]);
    const runs = known.get(key) ?? requested(settings, kind, mtu, passage);
    known.set(key, runs);
    return runs;
  };
}

/** How many entered in how long, to one percent: a queue of the node's own may have held them up. */
function paceOf(enteredNs: Passage['enteredNs']): [count: number, logarithmOfTime: number] {
  const times = enteredNs.flatMap((each) => each ?? []);
  const lengthNs = times.length < 2 ? 1 : Math.max(1, times.at(-1)! - times[0]!);
  return [times.length, Math.round(100 * Math.log(lengthNs))];
}

function othersOf(
  { enteredNs }: Passage,
  before: DirectionState | undefined,
  after: DirectionState | undefined,
): number {
  if (before === undefined || after === undefined) return 0;
  const probes = enteredNs.filter((each) => each !== undefined).length;
  return Math.max(0, after.offered - before.offered - probes);
}

function isSame(before: LinkSettings, after: LinkSettings | undefined): boolean {
  return JSON.stringify(before) === JSON.stringify(after);
}

function unjudged(direction: RigDirection, probes: number, verdict: Verdict, note: string): DirectionVerdict {
  return { ...base(direction), probes, checks: [], note, verdict };
}

function base({ link, direction, from, to, settings }: RigDirection) {
  return { link, direction, from, to, impairment: formatImpairment(settings) };
}
