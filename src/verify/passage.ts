/** What probes went through on one direction of a link, and what is seen of that direction by them. Pure. */

/** Of one direction: when each probe entered, and what came out at the far end; times on one clock. */
export type Passage = {
  /** By number; undefined for one that did not enter. */
  readonly enteredNs: readonly (number | undefined)[];
  /** In the order in which they came out; some may have come more than once. */
  readonly exits: readonly Exit[];
  /** Bytes of each probe, by number. */
  readonly bytes: readonly number[];
  /** Number of the first probe that is sent faster than the link's rate; those before are far apart. */
  readonly flood: number;
};

export type Exit = { readonly number: number; readonly timeNs: number };

/** Of the probes that were far apart, but for the rate. Undefined what too few probes came out for. */
export type Seen = {
  readonly delayMedianNs: number | undefined;
  readonly delayP99Ns: number | undefined;
  /** Standard deviation of the delay. */
  readonly jitterNs: number | undefined;
  /** 0 to 1, of the probes that entered. */
  readonly loss: number;
  /** Copies, of the probes that entered. */
  readonly duplication: number;
  /** Of the probes that came out, those that came out behind one that was sent later. */
  readonly reordering: number;
  /** Of frames that came out one after the other, without the first; undefined when the link was not flooded. */
  readonly rateBitsPerSecond: number | undefined;
};

const MIN_FLOOD_EXITS = 5;

/** Undefined when no probe entered: then there is nothing to say. */
export function seen({ enteredNs, exits, bytes, flood }: Passage): Seen | undefined {
  const entered = enteredNs.slice(0, flood).filter((each) => each !== undefined).length;
  if (entered === 0) return undefined;
  const delays: number[] = [];
  const cameOut = new Set<number>();
  let copies = 0;
  let behind = 0;
  let newest = -1;
  for (const { number, timeNs } of exits) {
    const enteredAt = enteredNs[number];
    if (number >= flood || enteredAt === undefined) continue;
    if (cameOut.has(number)) {
      copies++;
      continue;
    }
    cameOut.add(number);
    delays.push(timeNs - enteredAt);
    if (number < newest) behind++;
    newest = Math.max(newest, number);
  }
  delays.sort((a, b) => a - b);
  return {
    delayMedianNs: quantile(delays, 0.5),
    delayP99Ns: quantile(delays, 0.99),
    jitterNs: delays.length < 2 ? undefined : standardDeviation(delays),
    loss: 1 - cameOut.size / entered,
    duplication: copies / entered,
    reordering: cameOut.size === 0 ? 0 : behind / cameOut.size,
    rateBitsPerSecond: rate(exits, bytes, flood),
  };
}

function rate(exits: readonly Exit[], bytes: readonly number[], flood: number): number | undefined {
  const left = exits.filter(({ number }) => number >= flood).sort((a, b) => a.timeNs - b.timeNs);
  if (left.length < MIN_FLOOD_EXITS) return undefined;
  const bits = left.slice(1).reduce((sum, { number }) => sum + 8 * bytes[number]!, 0);
  return bits / ((left.at(-1)!.timeNs - left[0]!.timeNs) / 1e9);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

export function standardDeviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, each) => sum + (each - middle) ** 2, 0) / (values.length - 1));
}

export function quantile(sorted: readonly number[], q: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
