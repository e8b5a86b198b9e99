/**
 * The largest packet of the link: `mtu BYTES`, counted as an interface's MTU is, without the link header. Longer
 * frames are dropped, reason `mtu`, and nobody is told: a path on which MTU discovery fails.
 */
import { linkHeaderBytes } from './headers.ts';
import { type Impairment, type ImpairmentStage, NOWHERE, type Stage, type StageContext } from './stage.ts';
import { UnitError } from './units.ts';
import type { Word } from './words.ts';

export type MtuSettings = {
  /** Without the link header; 0 is no limit. */
  readonly mtuBytes: number;
};

export const NO_MTU: MtuSettings = { mtuBytes: 0 };

const MAX_MTU = 65_535;

export const MTU_WORDS: readonly Word<MtuSettings>[] = [
  {
    name: 'mtu',
    syntax: 'BYTES',
    help: 'Longer packets are dropped, as 1400; 0 is no limit.',
    read: (args) => ({ mtuBytes: args.value(parseMtu, 'bytes such as 1400') }),
    write: ({ mtuBytes }) => (mtuBytes === 0 ? undefined : String(mtuBytes)),
  },
];

function parseMtu(text: string): number {
  const value = Number(text);
  if (!/^\d{1,6}$/.test(text) || value > MAX_MTU) {
    throw new UnitError(`"${text.slice(0, 40)}": expected bytes, at most ${MAX_MTU}`);
  }
  return value;
}

export const mtu: Impairment<MtuSettings> = {
  isOn: ({ mtuBytes }) => mtuBytes > 0,
  create: (context) => new Mtu(context),
};

class Mtu implements ImpairmentStage<MtuSettings> {
  next: Stage = NOWHERE;
  readonly #context: StageContext;
  #mtuBytes = 0;

  constructor(context: StageContext) {
    this.#context = context;
  }

  set({ mtuBytes }: MtuSettings): void {
    this.#mtuBytes = mtuBytes;
  }

  push(frame: number, nowNs: number): void {
    const { frames, linkType, drop } = this.#context;
    const bytes = frames.length[frame]! - linkHeaderBytes(frames, frame, linkType);
    if (bytes > this.#mtuBytes) drop(frame, 'mtu');
    else this.next.push(frame, nowNs);
  }
}
