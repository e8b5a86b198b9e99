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
import { MATCH_BYTES, runProgram } from '../../vm/index.ts';
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
  IF_GENERATION,
  IF_HEAD,
  IF_LOCK,
  IF_SEEN_IN,
  IF_SEEN_OUT,
  IF_VERSION,
} from './layout.ts';
import { DIRECTION_IN, DIRECTION_OUT } from './record.ts';

/** Whether any descriptor is attached to the interface. Lockless: the only cost of BPF when nobody listens. */
export function bpfPeersPresent(arena: Arena, interfaceIndex: number): boolean {
  return Atomics.load(arena.i32, arena.bpfIfWord(interfaceIndex) + IF_HEAD) !== 0;
}

/**
 * Shows one frame to every descriptor attached to an interface. Call it only when bpfPeersPresent().
 *
 * @param self the calling thread's number @param frame byte offset of the frame in the arena
 * @param direction DIRECTION_IN or DIRECTION_OUT @param stamp when the frame was seen
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
  arena.f64[(bpfIf >>> 1) + (direction === DIRECTION_IN ? IF_SEEN_IN : IF_SEEN_OUT)]!++;
  if (compiled !== undefined && compiled.version === i32[bpfIf + IF_VERSION]) {
    matchCompiled(arena, compiled, frame, length, direction, stamp);
  } else {
    for (let next = i32[bpfIf + IF_HEAD]!; next !== 0; ) {
      const d = arena.descriptorWord(next - 1);
      next = i32[d + D_NEXT]!;
      if ((i32[d + D_DIRECTION]! & direction) === 0) continue;
      const program = i32[d + D_PROGRAM]! >>> 2;
      const snapLength = runProgram(i32, program, i32[d + D_INSTRUCTIONS]!, arena.u8, frame, length, length);
      if (snapLength !== 0) accept(arena, d, frame, length, snapLength, direction, stamp);
    }
  }
  unlock(arena, bpfIf + IF_LOCK);
}

/** All filters at once, then one look at each match. */
function matchCompiled(
  arena: Arena,
  { match, descriptors, matchArea }: CompiledFilters,
  frame: number,
  length: number,
  direction: number,
  stamp: Stamp,
): void {
  const { i32 } = arena;
  const count = match(frame, length, length, matchArea);
  for (let at = matchArea >>> 2, end = at + count * (MATCH_BYTES / 4); at < end; at += MATCH_BYTES / 4) {
    const d = descriptors[i32[at]!]!;
    if ((i32[d + D_DIRECTION]! & direction) === 0) continue;
    accept(arena, d, frame, length, i32[at + 1]! >>> 0, direction, stamp);
  }
}

function accept(
  arena: Arena,
  d: number,
  frame: number,
  length: number,
  snapLength: number,
  direction: number,
  stamp: Stamp,
): void {
  arena.f64[(d >>> 1) + D_ACCEPTED]!++;
  catchPacket(arena, d, frame, length, snapLength, direction, stamp);
}

/** Frames that an interface has shown in the given directions. */
export function framesSeen(arena: Arena, interfaceIndex: number, directions: number): number {
  const counters = arena.bpfIfWord(interfaceIndex) >>> 1;
  const seenIn = (directions & DIRECTION_IN) !== 0 ? arena.f64[counters + IF_SEEN_IN]! : 0;
  const seenOut = (directions & DIRECTION_OUT) !== 0 ? arena.f64[counters + IF_SEEN_OUT]! : 0;
  return seenIn + seenOut;
}

/** Version of the list of descriptors and their filters. */
export function versionOf(arena: Arena, interfaceIndex: number): number {
  return arena.i32[arena.bpfIfWord(interfaceIndex) + IF_VERSION]!;
}

/** The list or a filter in it has changed: compiled filters no longer fit. With the lock held. */
export function newVersion(arena: Arena, interfaceIndex: number): void {
  arena.i32[arena.bpfIfWord(interfaceIndex) + IF_VERSION]!++;
}

/** Runs `critical` with the bpf_if lock held by the control thread. `critical` must not await. */
export async function withBpfIf<T>(
  arena: Arena,
  self: number,
  interfaceIndex: number,
  critical: () => T,
): Promise<T> {
  return whileLocked(arena, arena.bpfIfWord(interfaceIndex) + IF_LOCK, self, critical);
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
