/**
 * Compiles the filters of an interface into one function, in the background, on a thread of its own.
 *
 * A change of the list makes the workers fall back to the interpreter at once (the versions differ); some
 * milliseconds after the last change the new function is made and handed to them. A lab under a storm of attaching
 * and detaching is not held up by a compiler.
 */
import type { Arena } from '../arena/arena.ts';
import { versionOf } from './bpf-if.ts';
import type { CompiledModule } from './compiled.ts';
import type { Descriptor } from './descriptor.ts';
import { FusionThread } from './fusion-thread.ts';

/** How long the list must have been left alone. */
const QUIET_MS = 5;
/** Compiling takes at most this part of a processor's time, as one in so many. */
const SHARE = 10;

export class FilterFuser {
  readonly #arena: Arena;
  readonly #descriptorsOn: (interfaceIndex: number) => Iterable<Descriptor>;
  readonly #install: (compiled: CompiledModule) => Promise<boolean>;
  readonly #pending: Map<number, NodeJS.Timeout> = new Map();
  readonly #installed: Map<number, number> = new Map();
  readonly #thread = new FusionThread();
  #waitMs = QUIET_MS;
  #closed = false;

  /** @param install hands a compiled list to every worker; resolves when they have it, false when one has ended */
  constructor(
    arena: Arena,
    descriptorsOn: (interfaceIndex: number) => Iterable<Descriptor>,
    install: (compiled: CompiledModule) => Promise<boolean>,
  ) {
    this.#arena = arena;
    this.#descriptorsOn = descriptorsOn;
    this.#install = install;
  }

  /** The list of an interface, or a filter in it, has changed. */
  changed(interfaceIndex: number): void {
    if (this.#closed) return;
    clearTimeout(this.#pending.get(interfaceIndex));
    const timer = setTimeout(() => void this.#fuse(interfaceIndex), this.#waitMs);
    timer.unref();
    this.#pending.set(interfaceIndex, timer);
  }

  /** Whether the workers run the compiled form of the interface's current list. */
  isCompiled(interfaceIndex: number): boolean {
    return this.#installed.get(interfaceIndex) === versionOf(this.#arena, interfaceIndex);
  }

  /** Compiles nothing any more. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#pending.values()) clearTimeout(timer);
    this.#pending.clear();
    this.#thread.close();
  }

  async #fuse(interfaceIndex: number): Promise<void> {
    this.#pending.delete(interfaceIndex);
    const startMs = performance.now();
    // Taken together, with nothing awaited between: the list and the version belong to each other.
    const version = versionOf(this.#arena, interfaceIndex);
    const filters = [...this.#descriptorsOn(interfaceIndex)]
      .filter((descriptor) => descriptor.attached)
      .map((descriptor) => descriptor.filter);
    if (filters.length === 0) return;
    try {
      const module = await this.#thread.fuse(filters.map(({ program }) => program));
      this.#waitMs = Math.max(QUIET_MS, SHARE * (performance.now() - startMs));
      if (this.#closed || versionOf(this.#arena, interfaceIndex) !== version) return;
      const descriptors = Int32Array.from(filters, ({ record }) => record);
      const installed = await this.#install({ interfaceIndex, version, module, descriptors });
      if (installed) this.#installed.set(interfaceIndex, version);
    } catch {
      // Too much to compile, or no memory for it: the interpreter goes on, and isCompiled() says so.
    }
  }
}
