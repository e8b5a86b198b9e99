/**
 * bpf_if: what connects an interface to the descriptors that listen on it. The design is FreeBSD's fix of June 2006
 * (sys/net/bpf.c): before it, the tap path tested a pointer that the last detach set to null before it was used.
 *
 * 1. Every interface has its bpf_if from the moment it is made; there is no null to test for.
 * 2. bpfPeersPresent() asks whether anybody listens, with one load and without the lock. The answer may be out of
 *    date a moment later, which does no harm: it leads to nothing that a detach could have taken away.
 * 3. bpfTap() takes the bpf_if lock, walks the list as it then is, runs each filter, delivers, lets go.
 * 4. attach() and detach() take the same lock to edit the list. When detach() returns no thread is delivering to
 *    that descriptor, for delivery happens under the lock; its memory can be freed.
 *
 * test/model/bpf_if.pml follows these functions step by step; change both together.
 */
import { MATCH_BYTES } from '../../vm/fused.ts';
import { runProgram } from '../../vm/run-program.ts';
import type { Arena } from '../arena/arena.ts';
import { lock, unlock, whileLocked } from '../arena/mutex.ts';
import { catchPacket, type Stamp, wakeReader } from './buffers.ts';
import type { CompiledFilters } from './compiled.ts';
import {
  D_ACCEPTED,
  D_DIRECTION,
  D_INSTRUCTIONS,
  D_NEXT,
  D_PREVIOUS,
  D_PROGRAM,
  IF_ADDRESS,
  IF_GENERATION,
  IF_HAS_ADDRESS,
  IF_HEAD,
  IF_LOCK,
  IF_SEEN,
  IF_VERSION,
} from './layout.ts';
import { DIRECTION_OUT, DIRECTION_OUT_OTHER } from './record.ts';

/**
 * Whether any descriptor is attached to the interface. Lockless: the only cost of BPF when nobody listens.
 *
 * An ordinary load: it does not tear (ECMA-262, IsNoTearConfiguration), and no order is asked of it, for what it finds is
 * only acted upon under the lock. Atomics.load() is a call in V8 and took 15 ns more (`npm run bench -- bpf`).
 */
export function bpfPeersPresent(arena: Arena, interfaceIndex: number): boolean {
  return arena.i32[arena.bpfIfWord(interfaceIndex) + IF_HEAD] !== 0;
}

/**
 * Shows one frame to every descriptor attached to an interface. Call it only when bpfPeersPresent().
 *
 * @param self the calling thread's number @param frame byte offset of the frame in the arena
 * @param direction DIRECTION_IN, DIRECTION_OUT or droppedBecause() @param stamp when the frame was seen
 * @param compiled the interface's filters, if the calling thread has them; used if they are the current ones
 */
export function bpfTap(
  arena: Arena,
  self: number,
  interfaceIndex: number,
  frame: number,
  length: number,
  direction: number,
  stamp: Stamp,
  compiled?: CompiledFilters,
): void {
  const { i32 } = arena;
  const bpfIf = arena.bpfIfWord(interfaceIndex);
  lock(arena, bpfIf + IF_LOCK, self);
  try {
    const origin = isForAnother(arena, bpfIf, frame, direction) ? DIRECTION_OUT_OTHER : direction;
    arena.f64[(bpfIf >>> 1) + seenBy(origin)]!++;
    if (compiled !== undefined && compiled.version === i32[bpfIf + IF_VERSION]) {
      matchCompiled(arena, compiled, frame, length, origin, stamp);
    } else {
      for (let next = i32[bpfIf + IF_HEAD]!; next !== 0; ) {
        const d = arena.descriptorWord(next - 1);
        next = i32[d + D_NEXT]!;
        if ((i32[d + D_DIRECTION]! & origin) === 0) continue;
        const program = i32[d + D_PROGRAM]! >>> 2;
        const snapLength = runProgram(
          i32,
          program,
          i32[d + D_INSTRUCTIONS]!,
          arena.u8,
          frame,
          length,
          length,
        );
        if (snapLength !== 0) accept(arena, d, frame, length, snapLength, origin, stamp);
      }
    }
  } finally {
    unlock(arena, bpfIf + IF_LOCK);
  }
}

/** All filters at once, then one look at each match. */
function matchCompiled(
  arena: Arena,
  { match, descriptors, matchArea }: CompiledFilters,
  frame: number,
  length: number,
  origin: number,
  stamp: Stamp,
): void {
  const { i32 } = arena;
  const count = match(frame, length, length, matchArea);
  for (let at = matchArea >>> 2, end = at + count * (MATCH_BYTES / 4); at < end; at += MATCH_BYTES / 4) {
    const d = descriptors[i32[at]!]!;
    if ((i32[d + D_DIRECTION]! & origin) === 0) continue;
    accept(arena, d, frame, length, i32[at + 1]! >>> 0, origin, stamp);
  }
}

function accept(
  arena: Arena,
  d: number,
  frame: number,
  length: number,
  snapLength: number,
  origin: number,
  stamp: Stamp,
): void {
  arena.f64[(d >>> 1) + D_ACCEPTED]!++;
  catchPacket(arena, d, frame, length, snapLength, origin, stamp);
}

/** Whether a network card with the interface's address would leave this frame to the node alone. */
function isForAnother(arena: Arena, bpfIf: number, frame: number, direction: number): boolean {
  const { i32, u8 } = arena;
  const end = i32[bpfIf + IF_ADDRESS + 1]!;
  // Group addresses, broadcast among them, have the lowest bit of the first byte set.
  if (direction !== DIRECTION_OUT || end === 0 || (u8[frame]! & 1) !== 0) return false;
  const destination = frame >>> 2;
  return i32[destination] !== i32[bpfIf + IF_ADDRESS] || ((i32[destination + 1]! ^ end) & 0xffff) !== 0;
}

/** Index of the counter of frames seen of an origin: the place of its direction's bit. */
function seenBy(origin: number): number {
  return IF_SEEN + 31 - Math.clz32(origin & 0xff);
}

/** Tells a bpf_if the hardware address of its interface, if that has one, before it carries frames. */
export function setHardwareAddress(
  arena: Arena,
  interfaceIndex: number,
  address: Uint8Array | undefined,
): void {
  const at = arena.bpfIfWord(interfaceIndex) + IF_ADDRESS;
  arena.i32[at + 1] = 0;
  if (address === undefined) return;
  const view = new DataView(address.buffer, address.byteOffset, 6);
  arena.i32[at] = view.getUint32(0, true);
  arena.i32[at + 1] = view.getUint16(4, true) | IF_HAS_ADDRESS;
}

/** Frames that an interface has shown in the given directions. */
export function framesSeen(arena: Arena, interfaceIndex: number, directions: number): number {
  const counters = arena.bpfIfWord(interfaceIndex) >>> 1;
  let seen = 0;
  for (let bit = 1; bit <= DIRECTION_OUT_OTHER; bit <<= 1) {
    if ((directions & bit) !== 0) seen += arena.f64[counters + seenBy(bit)]!;
  }
  return seen;
}

/** Version of the list of descriptors and their filters. */
export function versionOf(arena: Arena, interfaceIndex: number): number {
  return arena.i32[arena.bpfIfWord(interfaceIndex) + IF_VERSION]!;
}

/** The list or a filter in it has changed: compiled filters no longer fit. With the lock held. */
export function newVersion(arena: Arena, interfaceIndex: number): void {
  arena.i32[arena.bpfIfWord(interfaceIndex) + IF_VERSION]!++;
}

/** Runs `critical` with the bpf_if lock held by the control thread, and then `released` without: see whileLocked(). */
export async function withBpfIf<T>(
  arena: Arena,
  self: number,
  interfaceIndex: number,
  critical: () => T,
  released?: (result: T) => void,
): Promise<T> {
  return whileLocked(arena, arena.bpfIfWord(interfaceIndex) + IF_LOCK, self, critical, released);
}

/** Generation of the interface that owns the bpf_if now. */
export function generationOf(arena: Arena, interfaceIndex: number): number {
  return Atomics.load(arena.i32, arena.bpfIfWord(interfaceIndex) + IF_GENERATION);
}

/** Puts a descriptor at the head of the list. With the lock held. */
export function attach(arena: Arena, interfaceIndex: number, descriptor: number): void {
  const { i32 } = arena;
  const bpfIf = arena.bpfIfWord(interfaceIndex);
  const d = arena.descriptorWord(descriptor);
  const head = i32[bpfIf + IF_HEAD]!;
  i32[d + D_NEXT] = head;
  i32[d + D_PREVIOUS] = 0;
  if (head !== 0) i32[arena.descriptorWord(head - 1) + D_PREVIOUS] = descriptor + 1;
  newVersion(arena, interfaceIndex);
  // Seen by bpfPeersPresent() from here on, so last: the record is complete.
  Atomics.store(i32, bpfIf + IF_HEAD, descriptor + 1);
}

/** Takes a descriptor out of the list and wakes its reader. With the lock held. */
export function detach(arena: Arena, interfaceIndex: number, descriptor: number): void {
  const { i32 } = arena;
  const d = arena.descriptorWord(descriptor);
  const [next, previous] = [i32[d + D_NEXT]!, i32[d + D_PREVIOUS]!];
  if (previous !== 0) i32[arena.descriptorWord(previous - 1) + D_NEXT] = next;
  else Atomics.store(i32, arena.bpfIfWord(interfaceIndex) + IF_HEAD, next);
  if (next !== 0) i32[arena.descriptorWord(next - 1) + D_PREVIOUS] = previous;
  i32[d + D_NEXT] = 0;
  i32[d + D_PREVIOUS] = 0;
  newVersion(arena, interfaceIndex);
  wakeReader(arena, d);
}

/** The interface goes away: no attach that was under way may find it any more. With the lock held. */
export function retire(arena: Arena, interfaceIndex: number): void {
  Atomics.add(arena.i32, arena.bpfIfWord(interfaceIndex) + IF_GENERATION, 1);
}
