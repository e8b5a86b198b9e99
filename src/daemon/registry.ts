/**
 * The one table from an interface's name to its bpf_if. Attach finds an interface here, by name, whatever their
 * number; nothing else leads from a name to a bpf_if.
 *
 * The table belongs to the control thread. It is changed only between two awaits, which is its lock. An entry's
 * generation is compared under the bpf_if lock before anything is attached (bpf/descriptor.ts), so that a look-up
 * from before the interface went away finds nothing.
 */
import { type Arena, CONTROL_THREAD } from '../arena/arena.ts';
import { generationOf, retire, withBpfIf } from '../bpf/bpf-if.ts';
import type { LabInterface } from '../lab/model.ts';

export type RegisteredInterface = {
  readonly name: string;
  /** Index of its records in the arena: bpf_if and counters. */
  readonly index: number;
  readonly generation: number;
  readonly linkType: number;
  readonly definition: LabInterface;
};

export class Registry {
  readonly #arena: Arena;
  readonly #byName: Map<string, RegisteredInterface> = new Map();
  /** Interfaces that have gone, each with the end of its retirement. */
  readonly #gone: Map<string, Promise<void>> = new Map();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Adds an interface under the next free index; its bpf_if record is there from now on. */
  add(definition: LabInterface, linkType: number): RegisteredInterface {
    const index = this.#byName.size;
    const entry: RegisteredInterface = {
      name: definition.name,
      index,
      generation: generationOf(this.#arena, index),
      linkType,
      definition,
    };
    this.#byName.set(definition.name, entry);
    return entry;
  }

  get(name: string): RegisteredInterface | undefined {
    return this.#byName.get(name);
  }

  list(): RegisteredInterface[] {
    return [...this.#byName.values()];
  }

  isGone(name: string): boolean {
    return this.#gone.has(name);
  }

  /** From now on nothing can be attached to the interface. Its records stay: descriptors still read theirs. */
  retire(entry: RegisteredInterface): Promise<void> {
    const retired =
      this.#gone.get(entry.name) ??
      withBpfIf(this.#arena, CONTROL_THREAD, entry.index, () => retire(this.#arena, entry.index));
    this.#gone.set(entry.name, retired);
    return retired;
  }
}
