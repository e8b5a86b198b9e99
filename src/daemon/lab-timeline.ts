/**
 * The timeline of a lab that runs: its steps at their times since the lab came up, on the virtual clock when there is one.
 * What cannot be done is reported, and the rest is done.
 *
 * It can be replaced while it runs (reload.ts): times still count from when the lab came up, what is over is not done
 * again, nor made up for, and what was to come and is not there any more does not come.
 */
import type { TimelineStep } from '../lab/model.ts';
import { type Moment, momentsOf } from '../timeline/moments.ts';
import { play } from '../timeline/play.ts';
import type { Emulator } from './emulator.ts';
import type { RunLog } from './lab-run.ts';

export class LabTimeline {
  readonly #emulator: Emulator;
  readonly #log: RunLog;
  readonly #isVirtual: boolean;
  readonly #startMs: number = performance.now();
  /** Aborted when what is being played is over. */
  #playing: AbortController = new AbortController();
  #begun = false;
  #played: Promise<void> = Promise.resolve();

  /** Its time begins. */
  constructor(emulator: Emulator, log: RunLog) {
    this.#emulator = emulator;
    this.#log = log;
    this.#isVirtual = emulator.lab.virtual;
  }

  /** Plays these steps from now on, and no others. Returns how many are still to come. */
  async set(steps: readonly TimelineStep[]): Promise<number> {
    await this.stop();
    const { signal } = this.#playing;
    // What is to be done at 0s is due when the lab comes up, not over.
    const nowNs = this.#begun ? this.#nowNs() : 0;
    this.#begun = true;
    const toCome = steps.filter(({ atNs }) => atNs >= nowNs);
    const moments = momentsOf(toCome);
    const onMoment = (moment: Moment<TimelineStep>): Promise<void> => this.#carryOut(moment);
    if (!this.#isVirtual) {
      this.#played = play(moments, { onMoment, signal, startMs: this.#startMs });
    } else {
      for (const moment of moments) {
        this.#emulator.clock.at(moment.atNs, () => (signal.aborted ? undefined : onMoment(moment)));
      }
    }
    return toCome.length;
  }

  /** Plays nothing more; returns when the last step is done. */
  async stop(): Promise<void> {
    this.#playing.abort();
    this.#playing = new AbortController();
    await this.#played;
  }

  #nowNs(): number {
    return this.#isVirtual ? this.#emulator.clock.nowNs() : (performance.now() - this.#startMs) * 1e6;
  }

  async #carryOut({ atNs, steps }: Moment<TimelineStep>): Promise<void> {
    const changes = steps.flatMap(({ links, forward, reverse }) =>
      links.map((name) => ({ name, forward, reverse })),
    );
    const details = { atMs: atNs / 1e6, links: changes.map(({ name }) => name) };
    try {
      await this.#emulator.setLinks(changes);
      this.#log.info(details, 'timeline: links changed');
    } catch (error) {
      this.#log.warn({ ...details, reason: (error as Error).message }, 'timeline: links not changed');
    }
  }
}
