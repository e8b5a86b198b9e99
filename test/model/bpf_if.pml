/*
 * The bpf_if and the life of its descriptors (src/bpf/bpf-if.ts, descriptor-table.ts, descriptor.ts, fuser.ts,
 * src/daemon/registry.ts): workers show frames of one interface to whoever is attached, while the control thread
 * attaches, detaches, frees and uses memory again, compiles filters, and takes the interface away. A worker may die
 * at any step, also with the lock.
 *
 * Proven of it (README.md says how each is checked):
 *   - no use of a descriptor that was freed; no delivery after detach() returned;
 *   - no lost attach: a frame that begins after attach() returned and ends before detach() begins is delivered,
 *     exactly once;
 *   - removal is safe: nothing is attached after retire() returned, nothing is left when detachAll() has;
 *   - the list is whole whenever the control thread holds the lock, whoever died with it before;
 *   - no deadlock.
 *
 * The lock is one step here; that it is a lock is what mutex.pml shows. What happens inside the buffers of one
 * descriptor is in buffers.pml. Mutations, each of which must fail: see model.test.ts.
 */

#ifndef TAPPERS
#define TAPPERS 2
#endif
#ifndef FRAMES
#define FRAMES 1        /* per tapper */
#endif
#ifndef CLIENTS
#define CLIENTS 2       /* tasks that attach and close */
#endif
#ifndef CYCLES
#define CYCLES 1        /* how often each */
#endif
#ifndef REMOVALS
#define REMOVALS 1      /* 1: the interface goes away, at any time */
#endif
#ifndef FUSES
#define FUSES 0         /* how often the filters are compiled, at any times */
#endif
#ifndef SLOTS
#define SLOTS 2         /* descriptor records; fewer than CLIENTS * CYCLES, so that they are used again */
#endif

#define NOBODY 0
#define CONTROL 1
#define FIRST_WORKER 2
#define BIT(slot) (1 << (slot))

/* Shared memory: bpf/layout.ts. A slot is a descriptor number + 1; 0 is none. */
byte lockOwner = NOBODY;                /* IF_LOCK */
byte head = 0;                          /* IF_HEAD */
byte generation = 0;                    /* IF_GENERATION */
byte version = 0;                       /* IF_VERSION */
byte next[SLOTS + 1];                   /* D_NEXT */
byte previous[SLOTS + 1];               /* D_PREVIOUS */
bool dead[FIRST_WORKER + TAPPERS];      /* THREAD_STATE == THREAD_DEAD */

/*
 * The control thread's own memory. Its tasks give way to each other only at an await. A turn in which a task touches
 * no shared memory is one step; the other turns hold `eventLoop`.
 */
bool eventLoop = false;
bool attachedField[SLOTS + 1];          /* Descriptor #attached of the object that has the slot */
byte object[SLOTS + 1];                 /* which Descriptor object that is */
byte postedVersion = 0;                 /* what FilterFuser has sent last: CompiledModule */
byte postedSet = 0;

/* Not in the program: what is proven about it. */
bool allocated[SLOTS + 1];              /* record, buffers and filter are a descriptor's; #freeSlots has the others */
bool detachReturned[SLOTS + 1];
bool steady[SLOTS + 1];                 /* attach() has returned and detach() not begun */
bool retireReturned = false;
byte must[FIRST_WORKER + TAPPERS];      /* who is to get the frame that this worker has in hand */
byte got[FIRST_WORKER + TAPPERS];       /* who got it */
hidden byte each;
bool stop[FIRST_WORKER + TAPPERS];      /* the worker is to die before its next step */

/* lock(), whileLocked(): free, or its owner is dead */
#ifdef NO_TAKEOVER
#define LOCK_IS_FREE (lockOwner == NOBODY)
#else
#define LOCK_IS_FREE (lockOwner == NOBODY || dead[lockOwner])
#endif

/*
 * withBpfIf(): the task gives way until it has the lock, and goes on with it in the same turn of the event loop.
 * AWAIT_WITH_LOCK is what an `await whileLocked()` before the critical section amounts to: other tasks run while this
 * one has the lock.
 */
inline withBpfIf()
{
#ifdef AWAIT_WITH_LOCK
	atomic { !eventLoop && LOCK_IS_FREE -> lockOwner = CONTROL };
	atomic { !eventLoop -> eventLoop = true };
#else
	atomic { !eventLoop && LOCK_IS_FREE -> eventLoop = true; lockOwner = CONTROL };
#endif
	checkList()
}

inline unlock() { lockOwner = NOBODY }

#if FUSES
inline newVersion() { version++ }
#else
inline newVersion() { skip }            /* nobody compares it: fewer states */
#endif

/* The list as a task of the control thread finds it: doubly linked, with an end, holding just what is attached. */
inline checkList()
{
	d_step {
		at = head; before = 0; members = 0; expected = 0;
		do
		:: at != 0 ->
			assert(allocated[at] && previous[at] == before && !(members & BIT(at)));
			members = members | BIT(at);
			before = at;
			at = next[at]
		:: else -> break
		od;
		for (at : 1 .. SLOTS) {
			expected = expected | (attachedField[at] -> BIT(at) : 0)
		}
		assert(members == expected)
	}
}
hidden byte at, before, members, expected;

/* A tapper touches a descriptor's record, filter or buffer. */
inline use(slot)
{
	assert(allocated[slot]);                /* no use after free */
	assert(!detachReturned[slot])           /* no delivery after detach() returned */
}

/* The filter runs and the frame is stored: runProgram(), catchPacket(). It takes a while. */
inline deliver(slot)
{
	use(slot);
	d_step { use(slot); assert(!(got[self] & BIT(slot))); got[self] = got[self] | BIT(slot) }
}

/* A worker: DataPlane #received() (src/engine/data-plane.ts), once per frame. */
proctype Tapper(byte self)
{
	byte frame, slot, following;
	byte compiledVersion, compiledSet;      /* CompiledFilters; version 0 for none */
#ifdef PEERS_FROM_LAST_FRAME
	bool present;
#endif

	{
	do
	:: frame == FRAMES -> break
	:: else ->
#ifdef INLINE_PLANE
		atomic { !eventLoop -> eventLoop = true };      /* engine/inline.ts: in the control thread */
#endif
#if FUSES
		/* DataPlane.install(), between two frames; or not yet */
		if
		:: atomic { postedVersion != compiledVersion ->
			compiledVersion = postedVersion; compiledSet = postedSet }
		:: true
		fi;
#endif
		d_step {        /* The frame comes. */
			for (each : 1 .. SLOTS) { must[self] = must[self] | (steady[each] -> BIT(each) : 0) }
		};

		/* bpfPeersPresent() */
#ifdef PEERS_FROM_LAST_FRAME
		atomic {
			skip;
			if
			:: !present -> present = (head != 0); goto shown
			:: else
			fi
		};
#else
		if
		:: head == 0 -> goto shown
		:: else
		fi;
#endif

		/* bpfTap() */
#ifndef TAP_WITHOUT_LOCK
		atomic { LOCK_IS_FREE -> lockOwner = self };
#endif
		if
#ifdef NO_VERSION_CHECK
		:: compiledVersion != 0 ->
#else
		:: compiledVersion != 0 && compiledVersion == version ->        /* version 0: none compiled */
#endif
			/* matchCompiled(): the worker's own list of descriptors */
			for (slot : 1 .. SLOTS) {
				if
				:: compiledSet & BIT(slot) -> deliver(slot)
				:: else
				fi
			}
		:: else ->
			slot = head;
			do
			:: slot == 0 -> break
			:: else ->
				d_step { use(slot); following = next[slot] };
				deliver(slot);
				slot = following
			od
		fi;
#ifndef TAP_WITHOUT_LOCK
		unlock();
#endif
shown:		skip;
		d_step {
			assert((must[self] & ~got[self]) == 0);         /* no lost attach */
			must[self] = 0; got[self] = 0; slot = 0; following = 0;
			frame++
		}
#ifdef INLINE_PLANE
		; eventLoop = false
#endif
	od
	} unless { stop[self] -> goto dies };
	goto over;

	/* 'exit' of the worker (src/engine/threads.ts) */
dies:	atomic { must[self] = 0; got[self] = 0; dead[self] = true };
over:	skip
}

/* Descriptor #detach(), of the object `which` that has or had the slot; its first turn, up to the lock */
inline detachBegins(slot)
{
	d_step {
		!eventLoop ->
		steady[slot] = false;           /* frames from here on need not be delivered */
		for (each : FIRST_WORKER .. FIRST_WORKER + TAPPERS - 1) { must[each] = must[each] & ~BIT(slot) }
#ifdef FREE_BEFORE_DETACH
		; allocated[slot] = false
#endif
	}
}

inline detachDescriptor(slot, which)
{
	detachBegins(slot);
#ifdef DETACH_WITHOUT_LOCK
	atomic { !eventLoop -> eventLoop = true };
#else
	withBpfIf();
#endif
	if
	:: object[slot] == which && attachedField[slot] ->
		/* bpf-if.ts detach() */
		if
		:: previous[slot] != 0 -> next[previous[slot]] = next[slot]
		:: else -> head = next[slot]
		fi;
		if
		:: next[slot] != 0 -> previous[next[slot]] = previous[slot]
		:: else
		fi;
		next[slot] = 0;
		previous[slot] = 0;
		newVersion();
		attachedField[slot] = false
	:: else
	fi;
	/* wakeReader(): also when the slot is somebody else's by now; buffers.pml shows that it does no harm */
	d_step {
#ifndef DETACH_WITHOUT_LOCK
		lockOwner = NOBODY;
#endif
		if
		:: object[slot] == which -> detachReturned[slot] = true
		:: else
		fi;
		eventLoop = false
	}
}

/* A task of the control thread: DescriptorTable.attach(), later Descriptor.close(). */
proctype Client()
{
	byte slot, cycle, mine;
	bool there;

	for (cycle : 1 .. CYCLES) {
		/* DescriptorTable #reserve(), new Descriptor(): takes room and fills the record */
		d_step {
			!eventLoop ->
			for (each : 1 .. SLOTS) {
				if
				:: slot == 0 && !allocated[each] -> slot = each
				:: else
				fi
			};
			if
			:: slot != 0 ->
				allocated[slot] = true;
				detachReturned[slot] = false;
				object[slot]++;
				mine = object[slot];
				for (each : FIRST_WORKER .. FIRST_WORKER + TAPPERS - 1) { got[each] = got[each] & ~BIT(slot) }
			:: else
			fi
#ifdef COMPARE_BEFORE_LOCK
			; there = (generation == 0)
#endif
		};
		if
		:: slot == 0 -> goto over               /* ENOBUFS */
		:: else
		fi;
		withBpfIf();
		/* generationOf(), against the one in the registry's entry */
#ifdef NO_GENERATION
		there = true;
#elif !defined(COMPARE_BEFORE_LOCK)
		there = (generation == 0);
#endif
		if
		:: !there ->
			d_step { lockOwner = NOBODY; eventLoop = false };
			allocated[slot] = false;        /* #unreserve(), ENXIO */
			goto over
		:: else
		fi;

		/* bpf-if.ts attach() */
		assert(!retireReturned);
		next[slot] = head;
		previous[slot] = 0;
		if
		:: head != 0 -> previous[head] = slot
		:: else
		fi;
		newVersion();
		d_step { head = slot; attachedField[slot] = true };
		d_step { lockOwner = NOBODY; steady[slot] = true; eventLoop = false };

		/* Descriptor.close(), at any later time */
		detachDescriptor(slot, mine);
		/* Heap.free(), DescriptorTable #forget() */
		d_step { !eventLoop -> allocated[slot] = false; slot = 0; mine = 0; there = false }
	};
over:	skip
}

/* Emulator #retire(): Registry.retire(), then DescriptorTable.detachAll(). */
proctype Removal()
{
	byte slot;
	byte copy[SLOTS + 1];           /* [...this.on(interfaceIndex)] */

	withBpfIf();
	generation++;                   /* bpf-if.ts retire() */
	d_step {
		lockOwner = NOBODY;
		retireReturned = true;
		for (each : 1 .. SLOTS) { copy[each] = (attachedField[each] -> object[each] : 0) };
		eventLoop = false
	};
	for (slot : 1 .. SLOTS) {
		if
		:: copy[slot] != 0 -> detachDescriptor(slot, copy[slot])         /* Descriptor.detach() */
		:: else
		fi
	};
	assert(head == 0)
}

#if FUSES
/* FilterFuser #fuse(): list and version are read in one turn of the event loop. */
proctype Fuser()
{
	byte round;

	for (round : 1 .. FUSES) {
		d_step {
			!eventLoop ->
			postedSet = 0;
			for (each : 1 .. SLOTS) { postedSet = postedSet | (attachedField[each] -> BIT(each) : 0) };
			postedVersion = (postedSet != 0 -> version : 0)
		}
	}
}
#endif

init
{
	atomic {
		for (each : 1 .. TAPPERS) { run Tapper(FIRST_WORKER + each - 1) };
		for (each : 1 .. CLIENTS) { run Client() };
#if REMOVALS
		run Removal();
#endif
#if FUSES
		run Fuser();
#endif
		skip
	};
#ifndef INLINE_PLANE
	/* One worker dies, between any two steps; or none does. */
	if
	:: stop[FIRST_WORKER] = true
	:: true
	fi
#endif
}
