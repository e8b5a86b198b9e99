/**
 * The one table from an interface's name to its bpf_if. Attach finds an interface here, by name, whatever their
 * number; nothing else leads from a name to a bpf_if.
 *
 * The table belongs to the control thread. It is changed only between two awaits, which is its lock. An entry's
 * generation is compared under the bpf_if lock before anything is attached (bpf/descriptor.ts), so that a look-up
 * from before the interface went away finds nothing.
 *
 *   add ─▶ in the table ─▶ retire: no attach any more ─▶ forget: the name is free ─▶ reclaim: so is the index
 *
 * An index is reclaimed only after a grace period, in which every worker has passed a point where it holds no frame:
 * a worker may have found peers present and stand before the lock of a bpf_if that is gone (topology.ts).
 */
import { type Arena, CONTROL_THREAD } from '../arena/arena.ts';
import { generationOf, retire, setHardwareAddress, withBpfIf } from '../bpf/bpf-if.ts';
import { LINKTYPE_ETHERNET } from '../device/link-type.ts';
import type { LabInterface } from '../lab/model.ts';
import { LabChangeError } from './contract.ts';

/** The bytes of a hardware address, written as `02:00:00:00:00:01`. */
export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));
}

export type RegisteredInterface = {
  readonly name: string;
  /** Index of its records in the arena: bpf_if and counters. */
  readonly index: number;
  readonly generation: number;
  readonly linkType: number;
  readonly definition: LabInterface;
  /** The workers that read its device, whichever that is: one for each of its queues. */
  readers: readonly number[];
};

export class Registry {
  readonly #arena: Arena;
  readonly #byName: Map<string, RegisteredInterface> = new Map();
  /** Interfaces that have gone, each with the end of its retirement. */
  readonly #gone: Map<RegisteredInterface, Promise<void>> = new Map();
  /** The next to be used last. */
  readonly #free: number[];

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#free = Array.from({ length: arena.capacity.interfaces }, (_, i) => i).reverse();
  }

  /**
   * Adds an interface; its bpf_if record is there from now on, and its counters are 0.
   * Throws LabChangeError: EEXIST, ENOSPC (the arena has no room for more).
   *
   * @param reader the worker that reads its first queue; those after it read the others
   */
  add(definition: LabInterface, linkType: number, reader?: number): RegisteredInterface {
    const { name } = definition;
    const { interfaces, workers } = this.#arena.capacity;
    if (this.#byName.has(name)) throw new LabChangeError('EEXIST', `there is an interface ${name} already`);
    const index = this.#free.pop();
    if (index === undefined) {
      throw new LabChangeError(
        'ENOSPC',
        `${name}: this run has room for ${interfaces} interfaces; take the lab down and up`,
      );
    }
    this.#arena.f64.fill(0, this.#arena.interfaceCounters(index), this.#arena.interfaceCounters(index + 1));
    const generation = generationOf(this.#arena, index);
    const first = reader ?? index % workers;
    const readers = Array.from({ length: definition.queues ?? 1 }, (_, queue) => (first + queue) % workers);
    const entry = { name, index, generation, linkType, definition, readers };
    const address = linkType === LINKTYPE_ETHERNET ? macBytes(definition.mac) : undefined;
    setHardwareAddress(this.#arena, index, address);
    this.#byName.set(name, entry);
    return entry;
  }

  get(name: string): RegisteredInterface | undefined {
    return this.#byName.get(name);
  }

  list(): RegisteredInterface[] {
    return [...this.#byName.values()];
  }

  isGone(entry: RegisteredInterface): boolean {
    return this.#gone.has(entry);
  }

  /** From now on nothing can be attached to the interface. Its records stay: descriptors still read theirs. */
  retire(entry: RegisteredInterface): Promise<void> {
    const retired =
      this.#gone.get(entry) ??
      withBpfIf(this.#arena, CONTROL_THREAD, entry.index, () => retire(this.#arena, entry.index));
    this.#gone.set(entry, retired);
    return retired;
  }

  /** Takes an interface out of the table: its name can be used again. */
  forget(entry: RegisteredInterface): void {
    this.#byName.delete(entry.name);
  }

  /** The grace period of an interface that was retired and forgotten is over: its index can be used again. */
  reclaim(entry: RegisteredInterface): void {
    this.#gone.delete(entry);
    this.#free.push(entry.index);
  }
}
