/**
 * The links of a running lab: which worker carries which direction, the settings now in force, and the counters.
 * Belongs to the control thread; the counters are the workers' (link/counters.ts).
 *
 * A direction runs in lanes, one for each queue of the interface that it starts from, each with a worker of its own; so
 * nearly always in one. A lane has a number, the index of its counters, by which its worker knows it as a direction. The
 * numbers of a link that was removed are used again once its workers have let go of it (topology.ts).
 */
import { isDeepStrictEqual } from 'node:util';
import type { Arena } from '../arena/arena.ts';
import { addHistograms, clearHistogram, countAbove, readHistogram } from '../engine/histogram.ts';
import type { LabLink } from '../lab/model.ts';
import { dropCounter, OFFERED_FRAMES, QUEUE_BYTES, QUEUE_FRAMES } from '../link/counters.ts';
import { filterProblem } from '../link/filter.ts';
import { CurrentSettings } from '../link/over-time/current.ts';
import { LATE_NS, type LoadCounts, Overload, type OverloadCause } from '../link/overload.ts';
import { createRandom, type Random } from '../link/random.ts';
import type { LinkSettings } from '../link/settings.ts';
import { sharedStateProblem } from '../link/shared-state.ts';
import { type Histogram, LabChangeError, type LinkStatus, type NamedLinkChange } from './contract.ts';
import type { Told } from './crew.ts';
import { type Direction, type Lane, type Link, linkStatus } from './link-status.ts';

export const SIDES = ['forward', 'reverse'] as const;
type Side = (typeof SIDES)[number];

/** A direction whose overload has changed: begun, ended, or with other causes. */
export type OverloadChange = {
  readonly link: string;
  readonly direction: Side;
  readonly before: readonly OverloadCause[];
  readonly causes: readonly OverloadCause[];
};

/** What a link wants to know of an interface. */
export type LinkEnd = { readonly readers: readonly number[]; readonly linkType: number };

export class LinkTable {
  readonly #arena: Arena;
  readonly #seed: number;
  readonly #uptimeNs: () => number;
  readonly #links: Map<string, Link> = new Map();
  /** By the interface it leads to, whose other end reads. */
  readonly #towards: Map<string, Direction> = new Map();
  /** By number: the path of the direction that has the lane, or had it last. */
  readonly #paths: string[] = [];
  /** Numbers of lanes, the next to be used last. */
  readonly #free: number[];

  /** @param uptimeNs CLOCK_MONOTONIC, or the virtual time */
  constructor(arena: Arena, seed: number, uptimeNs: () => number) {
    this.#arena = arena;
    this.#seed = seed;
    this.#uptimeNs = uptimeNs;
    this.#free = Array.from({ length: arena.capacity.directions }, (_, i) => i).reverse();
  }

  /**
   * Adds a link. The worker that reads an interface carries the direction that starts there. Throws LabChangeError:
   * EEXIST, EBUSY (an interface is linked already), EINVAL (a filter does not fit the link type; several queues do not fit
   * the settings, or each other), ENOSPC.
   */
  add(definition: LabLink, interfaceOf: (name: string) => LinkEnd): void {
    const { name, endpoints } = definition;
    if (this.#links.has(name)) throw new LabChangeError('EEXIST', `there is a link ${name} already`);
    for (const each of endpoints) {
      const other = this.at(each);
      if (other !== undefined)
        throw new LabChangeError('EBUSY', `link ${name}: ${each} is an end of link ${other}`);
    }
    const [{ readers }, { readers: others }] = endpoints.map(interfaceOf) as [LinkEnd, LinkEnd];
    if (readers.length > 1 || others.length > 1) checkQueues(name, readers, others);
    for (const [i, side] of SIDES.entries()) {
      const { linkType } = interfaceOf(endpoints[i]!);
      checkSettings(`${name}/${side}`, definition[side], linkType, readers.length);
    }
    if (this.#free.length < 2 * readers.length) {
      const room = this.#arena.capacity.directions / 2;
      throw new LabChangeError(
        'ENOSPC',
        `link ${name}: this run has room for ${room} links; take the lab down and up`,
      );
    }
    const direction = (side: Side, from: string, to: string): Direction => {
      const path = `${name}/${side}`;
      const { linkType, readers: workers } = interfaceOf(from);
      const lanes = workers.map((worker, i) => this.#lane(worker, path, i));
      const delayError = (): Histogram => addHistograms(lanes.map((lane) => lane.delayError()));
      const overload = new Overload(loadOf(lanes));
      return {
        lanes,
        linkType,
        from,
        to,
        path,
        delayError,
        overload,
        settings: definition[side],
        current: undefined,
      };
    };
    const [first, second] = endpoints;
    const forward = direction('forward', first, second);
    const reverse = direction('reverse', second, first);
    this.#links.set(name, { definition, forward, reverse });
    this.#towards.set(second, forward).set(first, reverse);
  }

  #lane(worker: number, direction: string, queue: number): Lane {
    const index = this.#free.pop()!;
    const path = queue === 0 ? direction : `${direction}/${queue}`;
    this.#paths[index] = direction;
    const counters = this.#arena.directionCounters(index);
    counters.fill(0);
    const { f64 } = this.#arena;
    const at = this.#arena.delayError(index);
    clearHistogram(f64, at);
    const delayError = (): Histogram => readHistogram(f64, at);
    return { index, worker, path, counters, delayError, timed: () => countAbove(f64, at, LATE_NS) };
  }

  /** Takes a link out of the table, and returns what its workers must be told, and what to call then. */
  remove(
    name: string,
  ): { commands: Told[]; directions: readonly number[]; released: () => LinkStatus } | undefined {
    const link = this.#links.get(name);
    if (!link) return undefined;
    this.#links.delete(name);
    const directions = [link.forward, link.reverse];
    const lanes = directions.flatMap((direction) => direction.lanes);
    for (const { to } of directions) this.#towards.delete(to);
    return {
      commands: lanes.map(({ worker, index }) => ({
        worker,
        command: { do: 'remove-link', direction: index },
      })),
      directions: lanes.map(({ index }) => index),
      released: () => {
        for (const { index, counters } of lanes) {
          counters[QUEUE_BYTES] = 0;
          counters[QUEUE_FRAMES] = 0;
          this.#free.push(index);
        }
        return linkStatus(link, this.#uptimeNs());
      },
    };
  }

  /** Names a direction, as `wan/forward`. */
  pathOf(direction: number): string {
    return this.#paths[direction]!;
  }

  list(): LinkStatus[] {
    const nowNs = this.#uptimeNs();
    return [...this.#links.values()].map((link) => linkStatus(link, nowNs));
  }

  get(name: string): LinkStatus | undefined {
    const link = this.#links.get(name);
    return link && linkStatus(link, this.#uptimeNs());
  }

  /**
   * Judges for all directions whether they are overloaded, once in a window (link/overload.ts). Returns what changed.
   * @param busyShare of a worker, in that window
   */
  judgeLoad(busyShare: (worker: number) => number): OverloadChange[] {
    // So that who asks later need not make up for all the time since he last did.
    const nowNs = this.#uptimeNs();
    for (const { forward, reverse } of this.#links.values()) {
      forward.current?.at(nowNs);
      reverse.current?.at(nowNs);
    }
    return [...this.#links.values()].flatMap((link) =>
      SIDES.flatMap((side) => {
        const { overload, lanes } = link[side];
        const before = overload.causes;
        const busiest = Math.max(...lanes.map(({ worker }) => busyShare(worker)));
        const isChanged = overload.judge(loadOf(lanes), busiest);
        return isChanged
          ? [{ link: link.definition.name, direction: side, before, causes: overload.causes }]
          : [];
      }),
    );
  }

  /** A worker that writes to an interface; 0 when no link leads there. */
  workerTowards(interfaceName: string): number {
    return this.#towards.get(interfaceName)?.lanes[0]?.worker ?? 0;
  }

  /** The link that an interface is an end of. */
  at(interfaceName: string): string | undefined {
    const direction = this.#towards.get(interfaceName);
    return direction?.path.slice(0, direction.path.lastIndexOf('/'));
  }

  /** What the workers of a link must be told for it to carry frames. */
  wiring(name: string, indexOf: (interfaceName: string) => number): Told[] {
    const { forward, reverse } = this.#links.get(name)!;
    return [forward, reverse].flatMap(({ lanes, from, to, settings }) =>
      lanes.map(({ worker, index, path }) => ({
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
      })),
    );
  }

  /** The workers have carried out the wiring of a link: from here on its settings go with time. */
  wired(name: string): void {
    const { forward, reverse } = this.#links.get(name)!;
    for (const direction of [forward, reverse]) {
      const random = (stage: string): Random => createRandom(this.#seed, `${direction.path}/${stage}`);
      direction.current = new CurrentSettings(random, direction.settings, this.#uptimeNs());
    }
  }

  /**
   * What the workers must be told for changes to be in force, and what to call then; and what to tell them to have it
   * as before. Throws LabChangeError: ENXIO, EINVAL (a filter does not fit the link type, or several queues the settings).
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
        checkSettings(direction.path, changed, direction.linkType, direction.lanes.length);
        settings.set(direction, changed);
      }
    }
    const told = ({ lanes }: Direction, to: LinkSettings): Told[] =>
      lanes.map(({ worker, index }) => ({ worker, command: { do: 'set', direction: index, settings: to } }));
    return {
      commands: [...settings].flatMap(([direction, changed]) => told(direction, changed)),
      undo: [...settings.keys()].flatMap((direction) => told(direction, direction.settings)),
      inForce: () => {
        const nowNs = this.#uptimeNs();
        for (const [direction, changed] of settings) {
          direction.settings = changed;
          direction.current?.set(changed, nowNs);
        }
      },
    };
  }
}

/** What a direction has counted until now. */
function loadOf(lanes: readonly Lane[]): LoadCounts {
  const sum = (of: (lane: Lane) => number): number => lanes.reduce((total, lane) => total + of(lane), 0);
  return {
    offered: sum(({ counters }) => counters[OFFERED_FRAMES]!),
    timed: sum(({ timed }) => timed().all),
    late: sum(({ timed }) => timed().above),
    pool: sum(({ counters }) => counters[dropCounter('pool')]!),
  };
}

/** Throws LabChangeError: EINVAL. */
function checkSettings(path: string, settings: LinkSettings, linkType: number, queues: number): void {
  const problem =
    filterProblem(settings, linkType) ?? (queues > 1 ? sharedStateProblem(settings) : undefined);
  if (problem !== undefined) throw new LabChangeError('EINVAL', `link ${path}: ${problem}`);
}

/** The same flow must be with the same worker both ways. Throws LabChangeError: EINVAL. */
function checkQueues(link: string, readers: readonly number[], others: readonly number[]): void {
  if (isDeepStrictEqual(readers, others)) return;
  const why =
    readers.length === others.length
      ? 'the queues of its ends are read by different workers; take the lab down and up'
      : 'both ends of a link need as many queues';
  throw new LabChangeError('EINVAL', `link ${link}: ${why}`);
}
