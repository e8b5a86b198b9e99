/** A direction of a link that is to be measured, and what came of it. */
import type { Passage } from './passage.ts';
import type { Plan } from './plan.ts';
import type { ProbeKind } from './probe.ts';

export type Subject = {
  readonly from: string;
  readonly to: string;
  readonly kind: ProbeKind;
  readonly plan: Plan;
};

export type Achieved = {
  /** In the order of the subjects. */
  readonly passages: readonly Passage[];
  /** By subject: frames that this process was too slow to see or to take. */
  readonly missed: readonly number[];
};

/** What links hold now, in frames. */
export type InFlight = () => Promise<number>;
