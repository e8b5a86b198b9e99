/**
 * The links of a running lab: which worker carries which direction, the settings now in force, and the counters.
 * Belongs to the control thread; the counters are the workers' (link/counters.ts).
 *
 * A direction has a number, the index of its counters. The number of a link that was removed is used again once its
 * workers have let go of it (topology.ts).
 */
import type { Arena } from '../arena/arena.ts';
import type { Command } from '../engine/commands.ts';
import { clearHistogram, countAbove, readHistogram } from '../engine/histogram.ts';
import type { LabLink } from '../lab/model.ts';
import {
  DELAYED_FRAMES,
  DELIVERED_BYTES,
  DELIVERED_FRAMES,
  DUPLICATED_FRAMES,
  dropCounter,
  OFFERED_BYTES,
  OFFERED_FRAMES,
  QUEUE_BYTES,
  QUEUE_FRAMES,
  RULE_BYTES,
  RULE_DROPS,
  RULE_FRAMES,
  ruleCounters,
} from '../link/counters.ts';
import { filterProblem } from '../link/filter.ts';
import { LATE_NS, type LoadCounts, Overload, type OverloadCause } from '../link/overload.ts';
import { DROP_REASONS, type DropReason, type LinkSettings } from '../link/settings.ts';
import {
  type DirectionStatus,
  type Histogram,
  LabChangeError,
  type LinkStatus,
  type NamedLinkChange,
} from './contract.ts';

export const SIDES = ['forward', 'reverse'] as const;
type Side = (typeof SIDES)[number];

type Direction = {
  readonly index: number;
  readonly worker: number;
  /** Of its frames, as in pcap. */
  readonly linkType: number;
  readonly from: string;
  readonly to: string;
  readonly path: string;
  readonly counters: Float64Array;
  /** What is counted of its delay errors until now. */
  readonly delayError: () => Histogram;
  readonly load: () => LoadCounts;
  readonly overload: Overload;
  settings: LinkSettings;
};

type Link = { readonly definition: LabLink; readonly forward: Direction; readonly reverse: Direction };

/** A direction whose overload has changed: begun, ended, or with other causes. */
export type OverloadChange = {
  readonly link: string;
  readonly direction: Side;
  readonly before: readonly OverloadCause[];
  readonly causes: readonly OverloadCause[];
};

/** A command, and the worker it is for. */
export type Told = { readonly worker: number; readonly command: Command };

export class LinkTable {
  readonly #arena: Arena;
  readonly #seed: number;
  readonly #links: Map<string, Link> = new Map();
  /** By the interface it leads to, whose other end reads. */
  readonly #towards: Map<string, Direction> = new Map();
  /** By number: the path of the direction that has it, or had it last. */
  readonly #paths: string[] = [];
  /** Numbers of directions, the next to be used last. */
  readonly #free: number[];

  constructor(arena: Arena, seed: number) {
    this.#arena = arena;
    this.#seed = seed;
    this.#free = Array.from({ length: arena.capacity.directions }, (_, i) => i).reverse();
  }

  /**
   * Adds a link. The worker that reads an interface carries the direction that starts there. Throws LabChangeError:
   * EEXIST, EBUSY (an interface is linked already), EINVAL (a filter does not fit the link type), ENOSPC.
   */
  add(definition: LabLink, interfaceOf: (name: string) => { reader: number; linkType: number }): void {
    const { name, endpoints } = definition;
    if (this.#links.has(name)) throw new LabChangeError('EEXIST', `there is a link ${name} already`);
    for (const each of endpoints) {
      const other = this.at(each);
      if (other !== undefined)
        throw new LabChangeError('EBUSY', `link ${name}: ${each} is an end of link ${other}`);
    }
    for (const [i, side] of SIDES.entries()) {
      checkFilters(`${name}/${side}`, definition[side], interfaceOf(endpoints[i]!).linkType);
    }
    if (this.#free.length < 2) {
      const room = this.#arena.capacity.directions / 2;
      throw new LabChangeError(
        'ENOSPC',
        `link ${name}: this run has room for ${room} links; take the lab down and up`,
      );
    }
    const direction = (side: Side, from: string, to: string): Direction => {
      const index = this.#free.pop()!;
      const counters = this.#arena.directionCounters(index);
      counters.fill(0);
      const at = this.#arena.delayError(index);
      clearHistogram(this.#arena.f64, at);
      const delayError = (): Histogram => readHistogram(this.#arena.f64, at);
      const load = (): LoadCounts => loadOf(counters, this.#arena.f64, at);
      const path = `${name}/${side}`;
      this.#paths[index] = path;
      const { reader, linkType } = interfaceOf(from);
      return {
        index,
        worker: reader,
        linkType,
        from,
        to,
        path,
        counters,
        delayError,
        load,
        overload: new Overload(load()),
        settings: definition[side],
      };
    };
    const [first, second] = endpoints;
    const forward = direction('forward', first, second);
    const reverse = direction('reverse', second, first);
    this.#links.set(name, { definition, forward, reverse });
    this.#towards.set(second, forward).set(first, reverse);
  }

  /** Takes a link out of the table, and returns what its workers must be told, and what to call then. */
  remove(
    name: string,
  ): { commands: Told[]; directions: readonly number[]; released: () => LinkStatus } | undefined {
    const link = this.#links.get(name);
    if (!link) return undefined;
    this.#links.delete(name);
    const directions = [link.forward, link.reverse];
    for (const { to } of directions) this.#towards.delete(to);
    return {
      commands: directions.map(({ worker, index }) => ({
        worker,
        command: { do: 'remove-link', direction: index },
      })),
      directions: directions.map(({ index }) => index),
      released: () => {
        for (const { index, counters } of directions) {
          counters[QUEUE_BYTES] = 0;
          counters[QUEUE_FRAMES] = 0;
          this.#free.push(index);
        }
        return linkStatus(link);
      },
    };
  }

  /** Names a direction, as `wan/forward`. */
  pathOf(direction: number): string {
    return this.#paths[direction]!;
  }

  list(): LinkStatus[] {
    return [...this.#links.values()].map(linkStatus);
  }

  get(name: string): LinkStatus | undefined {
    const link = this.#links.get(name);
    return link && linkStatus(link);
  }

  /**
   * Judges for all directions whether they are overloaded, once in a window (link/overload.ts). Returns what changed.
   * @param busyShare of a worker, in that window
   */
  judgeLoad(busyShare: (worker: number) => number): OverloadChange[] {
    return [...this.#links.values()].flatMap((link) =>
      SIDES.flatMap((side) => {
        const { overload, worker, load } = link[side];
        const before = overload.causes;
        const isChanged = overload.judge(load(), busyShare(worker));
        return isChanged
          ? [{ link: link.definition.name, direction: side, before, causes: overload.causes }]
          : [];
      }),
    );
  }

  /** The worker that writes to an interface; 0 when no link leads there. */
  workerTowards(interfaceName: string): number {
    return this.#towards.get(interfaceName)?.worker ?? 0;
  }

  /** The link that an interface is an end of. */
  at(interfaceName: string): string | undefined {
    const direction = this.#towards.get(interfaceName);
    return direction?.path.slice(0, direction.path.lastIndexOf('/'));
  }

  /** What the workers of a link must be told for it to carry frames. */
  wiring(name: string, indexOf: (interfaceName: string) => number): Told[] {
    const { forward, reverse } = this.#links.get(name)!;
    return [forward, reverse].map(({ worker, index, from, to, settings, path }) => ({
      worker,
      command: {
        do: 'link',
        direction: index,
        from: indexOf(from),
        to: indexOf(to),
        settings,
        seed: this.#seed,
        path,
      },
    }));
  }

  /**
   * What the workers must be told for changes to be in force, and what to call then; and what to tell them to have it
   * as before. Throws LabChangeError: ENXIO, EINVAL (a filter does not fit the link type).
   */
  change(changes: readonly NamedLinkChange[]): { commands: Told[]; undo: Told[]; inForce: () => void } {
    const settings = new Map<Direction, LinkSettings>();
    for (const { name, ...change } of changes) {
      const link = this.#links.get(name);
      if (!link) throw new LabChangeError('ENXIO', `there is no link ${name}`);
      for (const side of SIDES) {
        const direction = link[side];
        if (!change[side]) continue;
        const changed = { ...(settings.get(direction) ?? direction.settings), ...change[side] };
        checkFilters(direction.path, changed, direction.linkType);
        settings.set(direction, changed);
      }
    }
    const told = ({ worker, index }: Direction, to: LinkSettings): Told => ({
      worker,
      command: { do: 'set', direction: index, settings: to },
    });
    return {
      commands: [...settings].map(([direction, changed]) => told(direction, changed)),
      undo: [...settings.keys()].map((direction) => told(direction, direction.settings)),
      inForce: () => {
        for (const [direction, changed] of settings) direction.settings = changed;
      },
    };
  }
}

/** What a direction has counted until now. */
function loadOf(counters: Float64Array, f64: Float64Array, delayError: number): LoadCounts {
  const { all, above } = countAbove(f64, delayError, LATE_NS);
  return {
    offered: counters[OFFERED_FRAMES]!,
    timed: all,
    late: above,
    pool: counters[dropCounter('pool')]!,
  };
}

/** Throws LabChangeError: EINVAL. */
function checkFilters(path: string, settings: LinkSettings, linkType: number): void {
  const problem = filterProblem(settings, linkType);
  if (problem !== undefined) throw new LabChangeError('EINVAL', `link ${path}: ${problem}`);
}

function linkStatus({ definition, forward, reverse }: Link): LinkStatus {
  return {
    name: definition.name,
    endpoints: definition.endpoints,
    forward: directionStatus(forward),
    reverse: directionStatus(reverse),
  };
}

function directionStatus({ from, to, settings, counters, delayError, overload }: Direction): DirectionStatus {
  const drops = Object.fromEntries(
    DROP_REASONS.map((reason) => [reason, counters[dropCounter(reason)]!]),
  ) as Record<DropReason, number>;
  const dropped = Object.values(drops).reduce((sum, each) => sum + each, 0);
  // Read after what leaves and before what enters, the difference can only be too large by frames that just came.
  const delivered = { frames: counters[DELIVERED_FRAMES]!, bytes: counters[DELIVERED_BYTES]! };
  const duplicated = counters[DUPLICATED_FRAMES]!;
  const offered = { frames: counters[OFFERED_FRAMES]!, bytes: counters[OFFERED_BYTES]! };
  return {
    from,
    to,
    settings,
    offered,
    delivered,
    delayed: counters[DELAYED_FRAMES]!,
    duplicated,
    drops,
    queueBytes: counters[QUEUE_BYTES]!,
    queueFrames: counters[QUEUE_FRAMES]!,
    delayError: delayError(),
    overloaded: overload.causes,
    inFlight: Math.max(0, offered.frames + duplicated - delivered.frames - dropped),
    rules: settings.rules.map(({ match }, i) => ({
      match,
      matched: {
        frames: counters[ruleCounters(i) + RULE_FRAMES]!,
        bytes: counters[ruleCounters(i) + RULE_BYTES]!,
      },
      dropped: counters[ruleCounters(i) + RULE_DROPS]!,
    })),
  };
}
