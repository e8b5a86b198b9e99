/** Which probes a direction gets, and when. Pure. */
import type { LinkSettings } from '../link/settings.ts';
import { MIN_PROBE_BYTES } from './probe.ts';

/** Between two probes that are far apart. */
const INTERVAL_NS = 5e6;
/** Of the time it takes a probe to be sent: so that none waits for the one before. */
const SPACE = 4;
const FLOOD_BYTES = 1000;
const FLOOD_NS = 1e9;
/** How much faster than its rate a link is flooded. */
const FLOOD_SHARE = 1.25;
/** Above this it would be this process, which sends and receives, that is measured. */
export const MAX_FLOOD_BITS_PER_SECOND = 100e6;

export type Plan = {
  /** When each probe is to enter, from the start. */
  readonly atNs: readonly number[];
  readonly bytes: readonly number[];
  /** Number of the first of the flood. */
  readonly flood: number;
};

/** Probes far apart for `seconds`, then a second of flood if the link has a rate that can be flooded. */
export function planOf({ rateBitsPerSecond }: LinkSettings, mtu: number, seconds: number): Plan {
  const wireNs = rateBitsPerSecond === 0 ? 0 : ((MIN_PROBE_BYTES * 8) / rateBitsPerSecond) * 1e9;
  const intervalNs = Math.max(INTERVAL_NS, SPACE * wireNs);
  const flood = Math.max(1, Math.floor((seconds * 1e9) / intervalNs));
  const atNs = Array.from({ length: flood }, (_, i) => i * intervalNs);
  const bytes = atNs.map(() => MIN_PROBE_BYTES);
  if (rateBitsPerSecond > 0 && rateBitsPerSecond <= MAX_FLOOD_BITS_PER_SECOND) {
    const floodBytes = Math.max(MIN_PROBE_BYTES, Math.min(FLOOD_BYTES, mtu));
    const stepNs = ((floodBytes * 8) / (FLOOD_SHARE * rateBitsPerSecond)) * 1e9;
    const startNs = flood * intervalNs;
    for (let i = 0; i * stepNs < FLOOD_NS; i++) {
      atNs.push(startNs + i * stepNs);
      bytes.push(floodBytes);
    }
  }
  return { atNs, bytes, flood };
}
