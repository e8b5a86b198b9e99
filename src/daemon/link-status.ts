/** What a link of a running lab is and has counted, as the control plane sees it. Of the counters see link/counters.ts. */
import { addHistograms, readHistogram } from '../engine/histogram.ts';
import type { LabLink } from '../lab/model.ts';
import {
  DELAYED_FRAMES,
  DELIVERED_BYTES,
  DELIVERED_FRAMES,
  DUPLICATED_FRAMES,
  dropCounter,
  OFFERED_BYTES,
  OFFERED_FRAMES,
  QUEUE_BYTES,
  QUEUE_FRAMES,
  RULE_BYTES,
  RULE_DROPS,
  RULE_FRAMES,
  ruleCounters,
} from '../link/counters.ts';
import type { CurrentSettings } from '../link/over-time/current.ts';
import type { Overload } from '../link/overload.ts';
import { DROP_REASONS, type DropReason, type LinkSettings } from '../link/settings.ts';
import type { DirectionStatus, LinkStatus } from './contract.ts';
import type { Tally } from './tally.ts';

/** A part of a direction: what its worker carries. */
export type Lane = Tally & {
  readonly index: number;
  readonly worker: number;
  /** Names its random generators. */
  readonly path: string;
};

/** A direction of a link of the table. */
export type Direction = {
  lanes: readonly Lane[];
  /** How often it went to another worker. */
  moves: number;
  /** The lane from which it went last: its worker may still have frames (engine/handover.ts). */
  leaving: Lane | undefined;
  /** Of the lanes before that, all together. */
  readonly past: Tally;
  /** Of its frames, as in pcap. */
  readonly linkType: number;
  readonly from: string;
  readonly to: string;
  readonly path: string;
  readonly overload: Overload;
  settings: LinkSettings;
  /** What those come to as time goes on; from when the workers have them. */
  current: CurrentSettings | undefined;
};

export type Link = { readonly definition: LabLink; readonly forward: Direction; readonly reverse: Direction };

/** All lanes that workers may carry, the one that is being left first. */
export function lanesOf({ leaving, lanes }: Direction): readonly Lane[] {
  return leaving === undefined ? lanes : [leaving, ...lanes];
}

/** All that was counted. */
export function talliesOf(direction: Direction): readonly Tally[] {
  return [direction.past, ...lanesOf(direction)];
}

/** @param nowNs on the clock of `current` */
export function linkStatus({ definition, forward, reverse }: Link, nowNs: number): LinkStatus {
  return {
    name: definition.name,
    endpoints: definition.endpoints,
    forward: directionStatus(forward, nowNs),
    reverse: directionStatus(reverse, nowNs),
  };
}

function directionStatus(direction: Direction, nowNs: number): DirectionStatus {
  const { lanes, from, to, settings, current, overload } = direction;
  const tallies = talliesOf(direction);
  const count = (field: number): number => tallies.reduce((sum, { counters }) => sum + counters[field]!, 0);
  const drops = Object.fromEntries(
    DROP_REASONS.map((reason) => [reason, count(dropCounter(reason))]),
  ) as Record<DropReason, number>;
  const dropped = Object.values(drops).reduce((sum, each) => sum + each, 0);
  // Read after what leaves and before what enters, the difference can only be too large by frames that just came.
  const delivered = { frames: count(DELIVERED_FRAMES), bytes: count(DELIVERED_BYTES) };
  const duplicated = count(DUPLICATED_FRAMES);
  const offered = { frames: count(OFFERED_FRAMES), bytes: count(OFFERED_BYTES) };
  return {
    from,
    to,
    workers: lanes.map(({ worker }) => worker),
    settings,
    now: current?.at(nowNs) ?? null,
    offered,
    delivered,
    delayed: count(DELAYED_FRAMES),
    duplicated,
    drops,
    queueBytes: count(QUEUE_BYTES),
    queueFrames: count(QUEUE_FRAMES),
    delayError: addHistograms(tallies.map(({ errors }) => readHistogram(errors, 0))),
    overloaded: overload.causes,
    inFlight: Math.max(0, offered.frames + duplicated - delivered.frames - dropped),
    rules: settings.rules.map(({ match }, i) => ({
      match,
      matched: {
        frames: count(ruleCounters(i) + RULE_FRAMES),
        bytes: count(ruleCounters(i) + RULE_BYTES),
      },
      dropped: count(ruleCounters(i) + RULE_DROPS),
    })),
  };
}
