/**
 * The shared records of bpf(4): one bpf_if per interface, one record per descriptor. Fields are indexes of 32-bit
 * words from the start of the record; counters are indexes of float64s, so that they count exactly up to 2^53.
 *
 * "the lock" is the lock word of the bpf_if that the descriptor is attached to. "control" is the control thread,
 * the only one that attaches, detaches and allocates; "tappers" are the workers that carry the interface's frames.
 */

/** bpf_if: made with the interface, there as long as the interface is, never null. */
export const IF_LOCK = 0; // the bpf_if lock (arena/mutex.ts)
/**
 * Head of the list of attached descriptors: a descriptor number + 1, or 0 for none. Written by control under the
 * lock. Read under the lock to walk the list, and without it by bpfPeersPresent(), the check of the hot path.
 */
export const IF_HEAD = 1;
/** Incremented by control under the lock when the interface goes away; attach compares it. */
export const IF_GENERATION = 2;

/**
 * Incremented by control under the lock when the list or a filter in it changes. Compiled filters carry the version
 * they were made for, and are used only while it is the current one (compiled.ts).
 */
export const IF_VERSION = 3;
/**
 * Float64 index: frames shown since the interface was made, by direction: DIRECTION_IN, _OUT, _DROP and _OUT_OTHER
 * (record.ts), in that order. Written by tappers under the lock.
 */
export const IF_SEEN = 2;
/**
 * The interface's hardware address: its first four bytes, and in the next word the other two and IF_HAS_ADDRESS; 0
 * when it has none. Written by control before the interface carries frames, read by tappers.
 */
export const IF_ADDRESS = 12;
export const IF_HAS_ADDRESS = 0x10000;

/** Descriptor. Unless it says otherwise: written by control under the lock, read by tappers under the lock. */
export const D_NEXT = 0; // list links: descriptor number + 1, or 0
export const D_PREVIOUS = 1;
export const D_DIRECTION = 2; // directionBits() of record.ts
export const D_PROGRAM = 3; // byte offset in the heap of the packed read filter
export const D_INSTRUCTIONS = 4; // its length; 0 accepts everything
export const D_BUFFER_BYTES = 5; // size of each of the two buffers

/*
 * The three roles that the two buffers take turns in, as in FreeBSD's bpfdesc.h:
 *
 *   store  where tappers put records. There always is one.
 *   hold   full, or handed over early; belongs to the reader (control) until it is given back as free. Its bytes
 *          are read outside of the lock: nobody writes to a hold buffer.
 *   free   empty, waiting to become the store when that is full. There is either a hold or a free buffer.
 *
 * Who has which role is one word, and a free buffer has length 0, so that every change is one store: a thread that
 * dies between two of them leaves a valid record. Written by tappers and control under the lock.
 */
export const D_BUFFERS = 6; // byte offset of buffer 0 in the heap; buffer 1 follows, see bufferStride()
export const D_ROLES = 7; // bit 0: which buffer is the store; bit 1: the other one is the hold buffer, not free
export const D_LENGTH = 8; // bytes of records in buffer 0, and in the next word in buffer 1

export const STORE_INDEX = 1;
export const HAS_HOLD = 2;

/**
 * What the reader waits for: WAIT_NOTHING, WAIT_RECORD or WAIT_HOLD. Set by control under the lock; set back to
 * WAIT_NOTHING by the tapper that makes it true, which then wakes whoever sleeps on this word. Control also sets it
 * back without the lock to have the reader look again, which is never wrong: the reader only looks once too often.
 */
export const D_WAIT = 10;

export const D_TIMESTAMP = 11; // how records are stamped: timestampBits() of record.ts

export const WAIT_NOTHING = 0;
export const WAIT_RECORD = 1; // any record
export const WAIT_HOLD = 2; // a hold buffer

/**
 * Counters, float64 index from the record's start. Written by tappers, and set to 0 by control, under the lock; read by
 * anybody without it. What a
 * descriptor received is not among them: it follows from what its interface has seen since (descriptor.ts).
 */
export const D_ACCEPTED = 9; // frames the filter accepted
export const D_DROPPED = 10; // accepted frames that found no room
export const D_CAPTURED_BYTES = 11; // bytes put into the buffers, record headers not counted
