/** What a link of a running lab is and has counted, as the control plane sees it. Of the counters see link/counters.ts. */
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
import type { DirectionStatus, Histogram, LinkStatus } from './contract.ts';

/** A part of a direction: what its worker carries. */
export type Lane = {
  readonly index: number;
  readonly worker: number;
  /** Names its random generators. */
  readonly path: string;
  readonly counters: Float64Array;
  readonly delayError: () => Histogram;
  /** How many frames were timed, and how many of them late. */
  readonly timed: () => { all: number; above: number };
};

/** A direction of a link of the table. */
export type Direction = {
  readonly lanes: readonly Lane[];
  /** Of its frames, as in pcap. */
  readonly linkType: number;
  readonly from: string;
  readonly to: string;
  readonly path: string;
  /** What is counted of its delay errors until now. */
  readonly delayError: () => Histogram;
  readonly overload: Overload;
  settings: LinkSettings;
  /** What those come to as time goes on; from when the workers have them. */
  current: CurrentSettings | undefined;
};

export type Link = { readonly definition: LabLink; readonly forward: Direction; readonly reverse: Direction };

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
  const { lanes, from, to, settings, current, delayError, overload } = direction;
  const count = (field: number): number => lanes.reduce((sum, { counters }) => sum + counters[field]!, 0);
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
    delayError: delayError(),
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
