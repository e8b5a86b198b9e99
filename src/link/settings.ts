/**
 * What a link does to the frames of one direction: plain data, in base units, the settings of all its impairments.
 * Written in lab files and on the command line in the units of tc(8); see impairment.ts for that.
 *
 * Settings change a whole member at a time: what a change names replaces, what it does not stays.
 */
import { CARRIER_UP, type CarrierSettings } from './carrier.ts';
import { type CorruptSettings, NO_CORRUPTION } from './corrupt.ts';
import { type DelaySettings, NO_DELAY } from './delay.ts';
import { type DuplicateSettings, NO_DUPLICATES } from './duplicate.ts';
import { type LossSettings, NO_LOSS } from './loss.ts';
import { type MtuSettings, NO_MTU } from './mtu.ts';
import { CONSTANT, type OverTimeSettings } from './over-time/words.ts';
import { NORMAL_PRECISION, type PrecisionSettings } from './precision.ts';
import { NO_RATE, type RateSettings } from './rate.ts';
import { NO_REORDER, type ReorderSettings } from './reorder.ts';
import { NO_SLOT, type SlotSettings } from './slot.ts';

/** What a chain of stages does to every frame that enters it. */
export type ChainSettings = CarrierSettings &
  MtuSettings &
  LossSettings &
  DuplicateSettings &
  CorruptSettings &
  RateSettings &
  DelaySettings &
  ReorderSettings &
  SlotSettings &
  PrecisionSettings &
  OverTimeSettings;

/** A chain that does nothing to a frame. */
export const CLEAR_CHAIN: ChainSettings = {
  ...CARRIER_UP,
  ...NO_MTU,
  ...NO_LOSS,
  ...NO_DUPLICATES,
  ...NO_CORRUPTION,
  ...NO_RATE,
  ...NO_DELAY,
  ...NO_REORDER,
  ...NO_SLOT,
  ...NORMAL_PRECISION,
  ...CONSTANT,
};

/** What becomes of a frame after a rule: the link's own impairments, with a congestion mark or without; neither. */
export const VERDICTS = ['link', 'mark', 'pass', 'drop'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Impairments for the frames that a BPF filter matches. */
export type Rule = {
  /** A pcap-filter(7) expression; empty matches every frame. */
  readonly match: string;
  readonly impair: Partial<ChainSettings>;
  readonly verdict: Verdict;
};

export type LinkSettings = ChainSettings & {
  /** The first whose filter matches takes a frame. */
  readonly rules: readonly Rule[];
};

/** A link that does nothing to a frame. */
export const CLEAR_LINK: LinkSettings = { ...CLEAR_CHAIN, rules: [] };

/** A part of the settings for each impairment, doing nothing: members that mean something only together. */
export const CLEAR_IMPAIRMENTS: readonly Partial<LinkSettings>[] = [
  CARRIER_UP,
  NO_MTU,
  NO_LOSS,
  NO_DUPLICATES,
  NO_CORRUPTION,
  NO_RATE,
  NO_DELAY,
  NO_REORDER,
  NO_SLOT,
  NORMAL_PRECISION,
  CONSTANT,
  { rules: [] },
];

export { DROP_REASONS, type DropReason } from './reasons.ts';
