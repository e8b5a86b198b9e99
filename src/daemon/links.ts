/**
 * The links of a running lab: which worker carries which direction, the settings now in force, and the counters.
 * Belongs to the control thread; the counters are the workers' (link/counters.ts).
 *
 * A direction runs in lanes, one for each queue of the interface that it starts from, each with a worker of its own; so
 * nearly always in one; and when it goes to another worker it goes on in a lane there, while the lane before it ends
 * (engine/handover.ts). A lane has a number, the index of its counters, by which its worker knows it as a direction. The
 * numbers of a link that was removed are used again once its workers have let go of it (topology.ts).
 */
import { isDeepStrictEqual } from 'node:util';
import type { Arena } from '../arena/arena.ts';
import { beginCarrying, isLeft, isTaken } from '../engine/handover.ts';
import { clearHistogram, HISTOGRAM_FIELDS } from '../engine/histogram.ts';
import type { LabLink } from '../lab/model.ts';
import { QUEUE_BYTES, QUEUE_FRAMES } from '../link/counters.ts';
import { filterProblem } from '../link/filter.ts';
import { CurrentSettings } from '../link/over-time/current.ts';
import { Overload, type OverloadCause } from '../link/overload.ts';
import { createRandom, type Random } from '../link/random.ts';
import type { LinkSettings } from '../link/settings.ts';
import { keepsTime, sharedStateProblem } from '../link/shared-state.ts';
import { LabChangeError, type LinkStatus, type NamedLinkChange } from './contract.ts';
import type { Told } from './crew.ts';
import { type Direction, type Lane, type Link, lanesOf, linkStatus, talliesOf } from './link-status.ts';
import { addTally, forgetRules, loadOf, nothingCounted } from './tally.ts';

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

/** What is to be told for a link to go to another worker, in this order, and what to call when it goes or cannot. */
export type Move = {
  /** The interfaces that the new worker reads instead of others. */
  readonly from: readonly string[];
  readonly take: readonly Told[];
  readonly takeBack: readonly Told[];
  readonly leave: readonly Told[];
  readonly moved: () => void;
  readonly givenUp: () => void;
};

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
      const lanes = workers.map((worker, i) => this.#lane(worker, path, i === 0 ? path : `${path}/${i}`));
      return {
        lanes,
        moves: 0,
        leaving: undefined,
        past: nothingCounted(),
        linkType,
        from,
        to,
        path,
        overload: new Overload(loadOf(lanes)),
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

  #lane(worker: number, direction: string, path: string): Lane {
    const index = this.#free.pop()!;
    this.#paths[index] = direction;
    const counters = this.#arena.directionCounters(index);
    const { f64 } = this.#arena;
    const at = this.#arena.delayError(index);
    const errors = f64.subarray(at, at + HISTOGRAM_FIELDS);
    counters.fill(0);
    clearHistogram(f64, at);
    beginCarrying(this.#arena, index);
    return { index, worker, path, counters, errors };
  }

  /** Takes a link out of the table, and returns what its workers must be told, and what to call then. */
  remove(
    name: string,
  ): { commands: Told[]; directions: readonly number[]; released: () => LinkStatus } | undefined {
    const link = this.#links.get(name);
    if (!link) return undefined;
    this.#links.delete(name);
    const directions = [link.forward, link.reverse];
    const lanes = directions.flatMap(lanesOf);
    for (const { to } of directions) this.#towards.delete(to);
    return {
      commands: removalOf(lanes),
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

  /**
   * For both directions of a link to go to a worker; undefined when it has them. Throws LabChangeError: ENXIO, EBUSY (it is
   * still going to another), EINVAL (it has several queues, or impairments that keep time), ENOSPC.
   */
  move(name: string, worker: number, indexOf: (interfaceName: string) => number): Move | undefined {
    const link = this.#links.get(name);
    if (!link) throw new LabChangeError('ENXIO', `there is no link ${name}`);
    const going = SIDES.map((side) => link[side]).filter(({ lanes }) => lanes[0]!.worker !== worker);
    for (const each of going) checkMove(name, each);
    if (this.#free.length < going.length) {
      throw new LabChangeError('ENOSPC', `link ${name}: too many links go to other workers; try again later`);
    }
    if (going.length === 0) return undefined;
    const old = going.map(({ lanes }) => lanes[0]!);
    const lanes = going.map(({ path, moves }) => this.#lane(worker, path, `${path}@${moves + 1}`));
    return {
      from: going.map(({ from }) => from),
      take: going.map((each, i) => this.#linking(each, lanes[i]!, indexOf, old[i]!.index)),
      takeBack: removalOf(lanes),
      leave: old.map((lane) => ({ worker: lane.worker, command: { do: 'leave', direction: lane.index } })),
      moved: () => {
        for (const [i, direction] of going.entries()) {
          direction.leaving = old[i];
          direction.lanes = [lanes[i]!];
          direction.moves++;
          this.#goOn(direction);
        }
      },
      givenUp: () => this.#free.push(...lanes.map(({ index }) => index)),
    };
  }

  /** Takes the lanes out that have been left for good. Returns their numbers, which may be used again. */
  settle(): readonly number[] {
    const directions = [...this.#links.values()].flatMap((link) => SIDES.map((side) => link[side]));
    return directions.flatMap((direction) => {
      const { leaving, past } = direction;
      if (leaving === undefined || !isTaken(this.#arena, leaving.index)) return [];
      addTally(past, leaving);
      direction.leaving = undefined;
      this.#free.push(leaving.index);
      return [leaving.index];
    });
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
        const isChanged = overload.judge(loadOf(talliesOf(link[side])), busiest);
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
    return [forward, reverse].flatMap((each) => each.lanes.map((lane) => this.#linking(each, lane, indexOf)));
  }

  /** For a worker to carry a lane; `after` the lane of that number, if that is said. */
  #linking(
    { from, to, settings }: Direction,
    { worker, index, path }: Lane,
    indexOf: (interfaceName: string) => number,
    after?: number,
  ): Told {
    const what = { direction: index, from: indexOf(from), to: indexOf(to), settings, path, after };
    return { worker, command: { do: 'link', seed: this.#seed, ...what } };
  }

  /** The workers have carried out the wiring of a link: from here on its settings go with time. */
  wired(name: string): void {
    const { forward, reverse } = this.#links.get(name)!;
    for (const direction of [forward, reverse]) this.#goOn(direction);
  }

  /** The settings of a direction go with time from here on, as its worker has them. */
  #goOn(direction: Direction): void {
    const { path } = direction.lanes[0]!;
    const random = (stage: string): Random => createRandom(this.#seed, `${path}/${stage}`);
    direction.current = new CurrentSettings(random, direction.settings, this.#uptimeNs());
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
    const told = (direction: Direction, to: LinkSettings): Told[] =>
      lanesOf(direction).map(({ worker, index }) => ({
        worker,
        command: { do: 'set', direction: index, settings: to },
      }));
    return {
      commands: [...settings].flatMap(([direction, changed]) => told(direction, changed)),
      undo: [...settings.keys()].flatMap((direction) => told(direction, direction.settings)),
      inForce: () => {
        const nowNs = this.#uptimeNs();
        for (const [direction, changed] of settings) {
          // Workers see to that for the lanes that they have not left.
          const { past, leaving, settings: before } = direction;
          forgetRules(past, before, changed);
          if (leaving !== undefined && isLeft(this.#arena, leaving.index))
            forgetRules(leaving, before, changed);
          direction.settings = changed;
          direction.current?.set(changed, nowNs);
        }
      },
    };
  }
}

function removalOf(lanes: readonly Lane[]): Told[] {
  return lanes.map(({ worker, index }) => ({ worker, command: { do: 'remove-link', direction: index } }));
}

/** Throws LabChangeError: EBUSY, EINVAL. */
function checkMove(link: string, { lanes, leaving, settings }: Direction): void {
  const refuse = (code: 'EBUSY' | 'EINVAL', why: string): never => {
    throw new LabChangeError(code, `link ${link}: ${why}`);
  };
  if (lanes.length > 1) refuse('EINVAL', 'it is spread over the workers that read its queues');
  if (leaving !== undefined) {
    refuse(
      'EBUSY',
      `worker ${leaving.worker}, which had it before, still has frames of it; wait until they have left`,
    );
  }
  const word = keepsTime(settings);
  if (word !== undefined)
    refuse('EINVAL', `${word} goes by the time of its worker; set \`${word} none\` first`);
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
