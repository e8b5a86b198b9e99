/**
 * The descriptors of one arena: opening them, finding them, and giving their room back.
 *
 * Belongs to the control thread. Memory is taken before the bpf_if lock and given back after it.
 */
import { type Arena, CONTROL_THREAD } from '../arena/arena.ts';
import type { Heap } from '../arena/heap.ts';
import { attach, generationOf, withBpfIf } from './bpf-if.ts';
import { bufferStride } from './buffers.ts';
import { checkSettings } from './check-settings.ts';
import { type Attachment, checkLinkType, Descriptor, type Room, storeProgram } from './descriptor.ts';
import { type AttachOptions, BpfError } from './types.ts';
import { checkDialect } from './writer.ts';

const NONE: ReadonlySet<Descriptor> = new Set();

/** The descriptors of one arena, by id. Ids are never used twice; record slots are. */
export class DescriptorTable {
  readonly #arena: Arena;
  readonly #heap: Heap;
  readonly #open: Map<number, Descriptor> = new Map();
  readonly #byInterface: Map<number, Set<Descriptor>> = new Map();
  readonly #onChange: (interfaceIndex: number) => void;
  readonly #freeSlots: number[];
  #lastId = 0;

  /** @param onChange the list of an interface, or a filter in it, has changed */
  constructor(arena: Arena, heap: Heap, onChange: (interfaceIndex: number) => void = () => {}) {
    this.#arena = arena;
    this.#heap = heap;
    this.#onChange = onChange;
    this.#freeSlots = Array.from({ length: arena.capacity.descriptors }, (_, i) => i).reverse();
  }

  get(id: number): Descriptor | undefined {
    return this.#open.get(id);
  }

  list(): Descriptor[] {
    return [...this.#open.values()];
  }

  /** The descriptors opened on an interface. */
  on(interfaceIndex: number): ReadonlySet<Descriptor> {
    return this.#byInterface.get(interfaceIndex) ?? NONE;
  }

  /**
   * Opens a descriptor and attaches it: O(1) in the number of interfaces.
   * Throws BpfError: EINVAL (a setting that there is not, buffer size, link type, dialect of a filter), ENOBUFS (no memory or no descriptor left), ENXIO (interface gone).
   */
  async attach(to: Attachment, options: AttachOptions): Promise<Descriptor> {
    const arena = this.#arena;
    if (options.linkType !== undefined) checkLinkType(to.name, [to.linkType], options.linkType);
    const room = this.#reserve(options);
    const id = ++this.#lastId;
    const descriptor = new Descriptor(arena, this.#heap, id, to, options, room, {
      changed: () => this.#onChange(to.index),
      closed: () => this.#forget(descriptor, room.slot),
    });
    const critical = (): boolean => {
      if (generationOf(arena, to.index) !== to.generation) return false;
      attach(arena, to.index, room.slot);
      descriptor.begin();
      return true;
    };
    // In the same turn, so that whoever takes the interface away finds all that is attached to it.
    const attached = await withBpfIf(arena, CONTROL_THREAD, to.index, critical, (isAttached) => {
      if (isAttached) this.#remember(descriptor);
    });
    if (!attached) {
      this.#unreserve(room);
      throw new BpfError('ENXIO', `interface ${to.name} is gone`);
    }
    this.#onChange(to.index);
    return descriptor;
  }

  #remember(descriptor: Descriptor): void {
    const { id, interfaceIndex } = descriptor;
    const others = this.#byInterface.get(interfaceIndex) ?? new Set();
    this.#byInterface.set(interfaceIndex, others.add(descriptor));
    this.#open.set(id, descriptor);
  }

  #forget(descriptor: Descriptor, slot: number): void {
    this.#open.delete(descriptor.id);
    this.#byInterface.get(descriptor.interfaceIndex)?.delete(descriptor);
    this.#freeSlots.push(slot);
  }

  /** The interface is gone: its descriptors can be read to the end, then report ENXIO. */
  async detachAll(interfaceIndex: number): Promise<void> {
    const gone = this.on(interfaceIndex);
    // The index may be another interface's next.
    this.#byInterface.delete(interfaceIndex);
    for (const descriptor of gone) await descriptor.detach();
  }

  #reserve(options: AttachOptions): Room {
    checkSettings(options);
    const { bufferBytes, program, writeFilter } = options;
    checkDialect(program);
    if (writeFilter !== undefined) checkDialect(writeFilter.program);
    const slot = this.#freeSlots.pop();
    if (slot === undefined) {
      throw new BpfError('ENOBUFS', `all ${this.#arena.capacity.descriptors} descriptors are in use`);
    }
    const buffers = this.#heap.allocate(2 * bufferStride(bufferBytes)) ?? 0;
    const filter = buffers === 0 ? undefined : storeProgram(this.#arena, this.#heap, program);
    if (filter === undefined) {
      this.#unreserve({ slot, buffers, filter: 0 });
      throw new BpfError(
        'ENOBUFS',
        `no room for two buffers of ${bufferBytes} bytes; detach something or ask for less`,
      );
    }
    return { slot, buffers, filter };
  }

  #unreserve({ slot, buffers, filter }: Room): void {
    this.#freeSlots.push(slot);
    if (buffers !== 0) this.#heap.free(buffers);
    if (filter !== 0) this.#heap.free(filter);
  }
}
