/**
 * How much may wait in front of a rate limiter: bytes (as in tc-bfifo(8)), frames (tc-pfifo(8), netem's own limit)
 * and time, each by itself or together. The frame on the wire counts.
 */
import { formatSize, formatTime, parseCount, parseSize, parseTime, UnitError } from '../units.ts';
import type { Arguments } from '../words.ts';

export type LimitSettings = {
  /** Bytes that may wait in front of the rate limiter; 0 is no limit, null what suits the rate: see bytesFor(). */
  readonly limitBytes: number | null;
  /** Frames that may; 0 is no limit. */
  readonly limitFrames: number;
  /** How long the rate may need for what is there when a frame comes; 0 is no limit. */
  readonly limitNs: number;
};

export const DEFAULT_LIMIT: LimitSettings = { limitBytes: null, limitFrames: 0, limitNs: 0 };

/** Up to 50 Mbit/s, 256 KiB; above, what the rate carries in 40 ms; from 6.7 Gbit/s on, 32 MiB. */
const SUITABLE_NS = 40e6;
const [SUITABLE_FROM_BYTES, SUITABLE_TO_BYTES] = [262_144, 33_554_432];

/**
 * The bytes that may wait, 0 is no limit. Those that suit a rate let one TCP connection fill a link of some ten
 * milliseconds, and keep its bursts, which grow with the rate.
 */
export function bytesFor({ limitBytes }: LimitSettings, rateBitsPerSecond: number): number {
  if (limitBytes !== null) return limitBytes;
  const suitable = Math.ceil((rateBitsPerSecond * SUITABLE_NS) / 8e9);
  return Math.min(SUITABLE_TO_BYTES, Math.max(SUITABLE_FROM_BYTES, suitable));
}

const EXPECTED = 'a size such as 256kb, frames such as 100packets or a time such as 50ms';

/** One limit or several; those not named are none. */
export function readLimit(args: Arguments): LimitSettings {
  const found = { limitBytes: 0, limitFrames: 0, limitNs: 0 };
  if (args.take('none') !== undefined) return found;
  if (args.take('auto') !== undefined) return DEFAULT_LIMIT;
  Object.assign(found, args.value(parseLimit, EXPECTED));
  for (let more = args.optional(parseLimit); more !== undefined; more = args.optional(parseLimit)) {
    const [key] = Object.keys(more) as [keyof LimitSettings];
    if (found[key] !== 0) args.refuse('limit: two limits of one kind');
    Object.assign(found, more);
  }
  return found;
}

function parseLimit(text: string): Partial<LimitSettings> {
  const frames = /^(\d+)(?:p|pkts?|packets?|frames?)$/i.exec(text);
  if (frames !== null) return { limitFrames: parseCount(frames[1]!) };
  if (!/[\dmun]s(?:ecs?)?$/i.test(text)) return { limitBytes: parseSize(text) };
  const limitNs = parseTime(text);
  if (limitNs === 0) throw new UnitError(`"${text}": too small, at least 1ns`);
  return { limitNs };
}

export function formatLimit({ limitBytes, limitFrames, limitNs }: LimitSettings): string | undefined {
  if (limitBytes === null) return undefined;
  const words = [
    ...(limitBytes > 0 ? [formatSize(limitBytes)] : []),
    ...(limitFrames > 0 ? [`${limitFrames}packets`] : []),
    ...(limitNs > 0 ? [formatTime(limitNs)] : []),
  ];
  return words.length === 0 ? 'none' : words.join(' ');
}
