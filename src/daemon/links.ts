/**
 * The links of a running lab: which worker carries which direction, the settings now in force, and the counters.
 * Belongs to the control thread; the counters are the workers' (link/counters.ts).
 */
import type { Arena } from '../arena/arena.ts';
import type { Command } from '../engine/commands.ts';
import type { Lab, LabLink } from '../lab/model.ts';
import {
  DELAYED_FRAMES,
  DELIVERED_BYTES,
  DELIVERED_FRAMES,
  dropCounter,
  OFFERED_BYTES,
  OFFERED_FRAMES,
  QUEUE_BYTES,
  QUEUE_FRAMES,
} from '../link/counters.ts';
import { DROP_REASONS, type DropReason, type LinkSettings } from '../link/settings.ts';
import type { DirectionStatus, LinkChange, LinkStatus } from './contract.ts';

type Side = 'forward' | 'reverse';

type Direction = {
  readonly index: number;
  readonly worker: number;
  readonly from: string;
  readonly to: string;
  readonly path: string;
  readonly counters: Float64Array;
  settings: LinkSettings;
};

type Link = { readonly definition: LabLink; readonly forward: Direction; readonly reverse: Direction };

export class LinkTable {
  readonly #seed: number;
  readonly #links: Map<string, Link> = new Map();
  readonly #workerTowards: Map<string, number> = new Map();

  constructor(arena: Arena, lab: Lab) {
    this.#seed = lab.seed;
    for (const definition of lab.links) {
      const direction = (side: Side): Direction => {
        const index = 2 * this.#links.size + (side === 'forward' ? 0 : 1);
        const [from, to] = side === 'forward' ? definition.endpoints : definition.endpoints.toReversed();
        const worker = index % arena.capacity.workers;
        this.#workerTowards.set(to!, worker);
        return {
          index,
          worker,
          from: from!,
          to: to!,
          path: `${definition.name}/${side}`,
          counters: arena.directionCounters(index),
          settings: definition[side],
        };
      };
      this.#links.set(definition.name, {
        definition,
        forward: direction('forward'),
        reverse: direction('reverse'),
      });
    }
  }

  list(): LinkStatus[] {
    return [...this.#links.values()].map(linkStatus);
  }

  get(name: string): LinkStatus | undefined {
    const link = this.#links.get(name);
    return link && linkStatus(link);
  }

  /** The worker that writes to an interface; 0 when no link leads there. */
  workerTowards(interfaceName: string): number {
    return this.#workerTowards.get(interfaceName) ?? 0;
  }

  /** What each direction's worker must be told at the start. */
  wiring(
    indexOf: (interfaceName: string) => number,
  ): { worker: number; command: Extract<Command, { do: 'connect' }> }[] {
    return this.#directions().map(({ worker, index, from, to, settings, path }) => ({
      worker,
      command: {
        do: 'connect',
        direction: index,
        from: indexOf(from),
        to: indexOf(to),
        settings,
        seed: this.#seed,
        path,
      },
    }));
  }

  /** Takes over a change, and returns what the workers must be told. */
  change(name: string, change: LinkChange): { worker: number; command: Command }[] {
    const link = this.#links.get(name)!;
    return (['forward', 'reverse'] as const).flatMap((side) => {
      const direction = link[side];
      if (!change[side]) return [];
      direction.settings = { ...direction.settings, ...change[side] };
      const { worker, index, settings } = direction;
      return [{ worker, command: { do: 'set', direction: index, settings } as const }];
    });
  }

  #directions(): Direction[] {
    return [...this.#links.values()].flatMap((link) => [link.forward, link.reverse]);
  }
}

function linkStatus({ definition, forward, reverse }: Link): LinkStatus {
  return {
    name: definition.name,
    endpoints: definition.endpoints,
    forward: directionStatus(forward),
    reverse: directionStatus(reverse),
  };
}

function directionStatus({ from, to, settings, counters }: Direction): DirectionStatus {
  const drops = Object.fromEntries(
    DROP_REASONS.map((reason) => [reason, counters[dropCounter(reason)]!]),
  ) as Record<DropReason, number>;
  const dropped = Object.values(drops).reduce((sum, each) => sum + each, 0);
  // Read after what leaves and before what enters, the difference can only be too large by frames that just came.
  const delivered = { frames: counters[DELIVERED_FRAMES]!, bytes: counters[DELIVERED_BYTES]! };
  const offered = { frames: counters[OFFERED_FRAMES]!, bytes: counters[OFFERED_BYTES]! };
  return {
    from,
    to,
    settings,
    offered,
    delivered,
    delayed: counters[DELAYED_FRAMES]!,
    drops,
    queueBytes: counters[QUEUE_BYTES]!,
    queueFrames: counters[QUEUE_FRAMES]!,
    inFlight: Math.max(0, offered.frames - delivered.frames - dropped),
  };
}
