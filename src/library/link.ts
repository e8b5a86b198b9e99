/** A link of a lab, as a test uses it: look at its counters, change what it does. */
import type { LinkStatus } from '../daemon/contract.ts';
import type { Emulator } from '../daemon/emulator.ts';
import { type ImpairmentMap, parseImpairment } from '../link/impairment.ts';

/** `delay 20ms loss 1%`, as in tc-netem(8), or the same as a map; `clear` for a link that does nothing. */
export type Impairment = string | ImpairmentMap;

export class LinkHandle {
  readonly name: string;
  readonly #emulator: Emulator;
  readonly #assertUp: () => void;

  constructor(name: string, emulator: Emulator, assertUp: () => void) {
    this.name = name;
    this.#emulator = emulator;
    this.#assertUp = assertUp;
  }

  /** Settings in base units, and counters, now. `forward` is from the first endpoint to the second. */
  status(): LinkStatus {
    return this.#emulator.link(this.name)!;
  }

  /**
   * Changes what is named and leaves the rest. In force for every frame that arrives after this returns; frames under
   * way keep what they had. Throws ImpairmentError with every problem found.
   */
  async set(impairment: Impairment, direction: 'forward' | 'reverse' | 'both' = 'both'): Promise<LinkStatus> {
    this.#assertUp();
    const settings = parseImpairment(impairment);
    const { after } = await this.#emulator.setLink(this.name, {
      ...(direction !== 'reverse' && { forward: settings }),
      ...(direction !== 'forward' && { reverse: settings }),
    });
    return after;
  }
}
