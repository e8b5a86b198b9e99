/** Time stamps of pcapng interfaces: 64-bit counts of units that if_tsresol names, since an epoch if_tsoffset shifts. */

export type PcapngClock = {
  readonly unitsPerSecond: bigint;
  /** Nanoseconds in a unit where that is whole, which is the rule; 0 otherwise. */
  readonly nsPerUnit: number;
  readonly offsetSeconds: number;
};

/** Microseconds. */
export const DEFAULT_RESOLUTION = 6;
/** Set in if_tsresol when the unit is a negative power of two instead of ten. */
const POWER_OF_TWO = 0x80;
const NS_PER_SECOND = 1_000_000_000;
/** Powers that still fit 64 bits. */
const MAX_POWER_OF_TEN = 19;
const MAX_POWER_OF_TWO = 63;

/** The clock of an interface; undefined when a unit is too small for 64 bits to hold a second. */
export function clockOf(resolution: number, offsetSeconds: number): PcapngClock | undefined {
  const power = resolution & ~POWER_OF_TWO;
  const binary = (resolution & POWER_OF_TWO) !== 0;
  if (power > (binary ? MAX_POWER_OF_TWO : MAX_POWER_OF_TEN)) return undefined;
  const unitsPerSecond = (binary ? 2n : 10n) ** BigInt(power);
  const nsPerUnit = binary || power > 9 ? 0 : 10 ** (9 - power);
  return { unitsPerSecond, nsPerUnit, offsetSeconds };
}

/** A time stamp of two words in seconds and nanoseconds, cut below the nanosecond. */
export function timestampOf(
  clock: PcapngClock,
  high: number,
  low: number,
): { seconds: number; nanoseconds: number } {
  if (clock.nsPerUnit === 0) return slowTimestamp(clock, high, low);
  // Long division by 16 bits at a time: each partial dividend is below 2^53, and no BigInt is made for a packet.
  const units = NS_PER_SECOND / clock.nsPerUnit;
  const upper = (high % units) * 0x1_0000 + (low >>> 16);
  const lower = (upper % units) * 0x1_0000 + (low & 0xffff);
  const seconds =
    Math.floor(high / units) * 0x1_0000_0000 +
    Math.floor(upper / units) * 0x1_0000 +
    Math.floor(lower / units);
  return { seconds: seconds + clock.offsetSeconds, nanoseconds: (lower % units) * clock.nsPerUnit };
}

function slowTimestamp(
  clock: PcapngClock,
  high: number,
  low: number,
): { seconds: number; nanoseconds: number } {
  const count = (BigInt(high) << 32n) | BigInt(low);
  return {
    seconds: Number(count / clock.unitsPerSecond) + clock.offsetSeconds,
    nanoseconds: Number(((count % clock.unitsPerSecond) * BigInt(NS_PER_SECOND)) / clock.unitsPerSecond),
  };
}
