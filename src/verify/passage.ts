/** What probes went through on one direction of a link, and what is seen of that direction by them. Pure. */

/** Of one direction: when each probe entered, and when it came out at the far end; times on one clock. */
export type Passage = {
  /** By number. */
  readonly enteredNs: readonly number[];
  /** By number; absent when it did not come out. The first time, when it came more than once. */
  readonly leftNs: ReadonlyMap<number, number>;
  /** Bytes of each probe, by number. */
  readonly bytes: readonly number[];
  /** Number of the first probe that is sent faster than the link's rate; those before are far apart. */
  readonly flood: number;
};

export type Seen = {
  /** Of the probes that were far apart. */
  readonly delayMedianNs: number;
  readonly delayP99Ns: number;
  /** Standard deviation of the delay. */
  readonly jitterNs: number;
  /** 0 to 1. */
  readonly loss: number;
  /** Of frames that came out one after the other, without the first; undefined when the link was not flooded. */
  readonly rateBitsPerSecond: number | undefined;
};

/** Undefined when no probe came out: then there is nothing to say but that. */
export function seen({ enteredNs, leftNs, bytes, flood }: Passage): Seen | undefined {
  const delays: number[] = [];
  for (let number = 0; number < flood; number++) {
    const [entered, left] = [enteredNs[number], leftNs.get(number)];
    if (entered !== undefined && left !== undefined) delays.push(left - entered);
  }
  if (delays.length === 0) return undefined;
  delays.sort((a, b) => a - b);
  const mean = delays.reduce((sum, each) => sum + each, 0) / delays.length;
  const variance = delays.reduce((sum, each) => sum + (each - mean) ** 2, 0) / delays.length;
  return {
    delayMedianNs: quantile(delays, 0.5),
    delayP99Ns: quantile(delays, 0.99),
    jitterNs: Math.sqrt(variance),
    loss: 1 - delays.length / flood,
    rateBitsPerSecond: rate(flood, leftNs, bytes),
  };
}

function rate(flood: number, leftNs: Passage['leftNs'], bytes: Passage['bytes']): number | undefined {
  const left = [...leftNs].filter(([number]) => number >= flood).sort(([, a], [, b]) => a - b);
  if (left.length < 10) return undefined;
  const bits = left.slice(1).reduce((sum, [number]) => sum + 8 * bytes[number]!, 0);
  return bits / ((left.at(-1)![1] - left[0]![1]) / 1e9);
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}
