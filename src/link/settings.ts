/**
 * What a link does to the frames of one direction: plain data, in base units.
 * Written in lab files and on the command line in the units of tc(8); see impairment.ts for that.
 */
export type LinkSettings = {
  /** Propagation delay. */
  readonly delayNs: number;
  /** Uniform variation of the delay: each frame gets delay ± jitter, as `delay TIME JITTER` in tc-netem(8). */
  readonly jitterNs: number;
  /** Probability, 0 to 1, that a frame is lost. */
  readonly loss: number;
  /** Serialization rate; 0 means unlimited. */
  readonly rateBitsPerSecond: number;
  /** Bytes that may wait in front of the rate limiter before frames are dropped at the tail. */
  readonly limitBytes: number;
};

/** 256 KiB: about 40 ms at 50 Mbit/s. */
export const DEFAULT_LIMIT_BYTES = 262_144;

/** A link that does nothing to a frame. */
export const CLEAR_LINK: LinkSettings = {
  delayNs: 0,
  jitterNs: 0,
  loss: 0,
  rateBitsPerSecond: 0,
  limitBytes: DEFAULT_LIMIT_BYTES,
};

/** Why a link, or the engine on its behalf, dropped a frame. The values of the metric label `reason`. */
export const DROP_REASONS = ['loss', 'queue', 'pool', 'mtu', 'carrier', 'device'] as const;
export type DropReason = (typeof DROP_REASONS)[number];
