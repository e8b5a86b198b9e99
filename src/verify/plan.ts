/** Which probes a direction gets, and when. Pure. */
import type { LinkSettings } from '../link/settings.ts';
import { MIN_PROBE_BYTES } from './probe.ts';

/** Between two probes of a direction that are far apart; more when there are so many directions that this is too much. */
const INTERVAL_NS = 5e6;
const MAX_PROBES_PER_SECOND = 10_000;
/** Of the time it takes a probe to be sent: so that none waits for the one before. */
const SPACE = 4;
const FLOOD_BYTES = 1000;
/** Longer for a slow link, so that so many frames pass. */
const FLOOD_NS = 0.3e9;
const FLOOD_FRAMES = 40;
const MAX_FLOOD_NS = 5e9;
/** How much faster than its rate a link is flooded. */
const FLOOD_SHARE = 1.25;
/** Above this it would be this process, which sends and receives, that is measured: of one link, and of all at a time. */
export const MAX_FLOOD_BITS_PER_SECOND = 100e6;

export type Plan = {
  /** When each probe is to enter, from the start. */
  readonly atNs: readonly number[];
  readonly bytes: readonly number[];
  /** Number of the first of the flood. */
  readonly flood: number;
};

export type PlanOptions = {
  /** How long there are probes that are far apart. */
  readonly seconds: number;
  /** Whether links are filled, to see their rates. */
  readonly floods: boolean;
};

/** Whether a direction has a rate that can be seen by filling it. */
export function canBeFlooded({ rateBitsPerSecond }: LinkSettings): boolean {
  return rateBitsPerSecond > 0 && rateBitsPerSecond <= MAX_FLOOD_BITS_PER_SECOND;
}

/**
 * Plans for directions that are measured together: probes far apart on all at the same time, then a flood for each that
 * can be flooded, as many at a time as this machine may be asked to send.
 */
export function plansOf(
  directions: readonly { readonly settings: LinkSettings; readonly mtu: number }[],
  { seconds, floods }: PlanOptions,
): Plan[] {
  const intervalNs = Math.max(INTERVAL_NS, (directions.length / MAX_PROBES_PER_SECOND) * 1e9);
  const spaced = directions.map(({ settings: { rateBitsPerSecond } }) => {
    const wireNs = rateBitsPerSecond === 0 ? 0 : ((MIN_PROBE_BYTES * 8) / rateBitsPerSecond) * 1e9;
    const spaceNs = Math.max(intervalNs, SPACE * wireNs);
    const count = Math.max(1, Math.floor((seconds * 1e9) / spaceNs));
    return Array.from({ length: count }, (_, i) => i * spaceNs);
  });
  let slotNs = spaced.reduce((latest, each) => Math.max(latest, each.at(-1)!), 0) + intervalNs;
  let slotEndNs = slotNs;
  let slotBits = 0;
  return directions.map(({ settings, mtu }, i) => {
    const atNs = [...spaced[i]!];
    const bytes = atNs.map(() => MIN_PROBE_BYTES);
    const flood = atNs.length;
    if (!floods || !canBeFlooded(settings)) return { atNs, bytes, flood };
    const { rateBitsPerSecond } = settings;
    if (slotBits + rateBitsPerSecond > MAX_FLOOD_BITS_PER_SECOND) {
      slotNs = slotEndNs;
      slotBits = 0;
    }
    slotBits += rateBitsPerSecond;
    const floodBytes = Math.max(MIN_PROBE_BYTES, Math.min(FLOOD_BYTES, mtu));
    const stepNs = ((floodBytes * 8) / (FLOOD_SHARE * rateBitsPerSecond)) * 1e9;
    const lengthNs = Math.min(MAX_FLOOD_NS, Math.max(FLOOD_NS, FLOOD_FRAMES * stepNs));
    for (let at = 0; at < lengthNs; at += stepNs) {
      atNs.push(slotNs + at);
      bytes.push(floodBytes);
    }
    slotEndNs = Math.max(slotEndNs, slotNs + lengthNs);
    return { atNs, bytes, flood };
  });
}
