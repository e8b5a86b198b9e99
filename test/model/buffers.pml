/*
 * The two buffers of one descriptor, its readers, and who wakes them (src/bpf/buffers.ts, src/bpf/reader.ts,
 * src/bpf/descriptor.ts): workers store records, readers take them a buffer at a time and keep it as long as they
 * like, another asks whether there is something to read, and the control thread flushes, changes the mode, takes the
 * interface away and closes meanwhile. A worker may die at any step, also with the lock.
 *
 * Proven of it (README.md says how each is checked):
 *   - a half-written record is never read; every stored record is read exactly once, in order, or was flushed;
 *   - no lost wake-up: nobody sleeps while what he waits for is there;
 *   - an interface that goes away loses nothing: the end comes after the last record;
 *   - the roles of the buffers are whole whenever the control thread has the lock, whoever died with it before;
 *   - the buffers are freed only when nobody uses them; no deadlock.
 *
 * The lock is one step here; that it is a lock is what mutex.pml shows. Mutations: see model.test.ts.
 */

#ifndef TAPPERS
#define TAPPERS 2
#endif
#ifndef FRAMES
#define FRAMES 2        /* per tapper */
#endif
#ifndef CAPACITY
#define CAPACITY 1      /* records in a buffer */
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef ONE_READS_ONCE
#define ONE_READS_ONCE 0        /* 1: the first reader takes one buffer and leaves */
#endif
#ifndef POLL
#define POLL 0          /* 1: somebody waits in poll() */
#endif
#ifndef IMMEDIATE
#define IMMEDIATE 1
#endif
#ifndef READ_TIMEOUT
#define READ_TIMEOUT 0  /* 1: a reader that waits for a full buffer gives up waiting at some time */
#endif
/* Tasks of the control thread, each once, at any time: */
#ifndef FLUSH
#define FLUSH 0
#endif
#ifndef SET_IMMEDIATE
#define SET_IMMEDIATE 0
#endif
#ifndef GONE
#define GONE 0
#endif
#ifndef CLOSE
#define CLOSE 0
#endif

#define NOBODY 0
#define CONTROL 1
#define FIRST_WORKER 2
#define RECORDS (TAPPERS * FRAMES)
#define TORN 255                /* a record that is being written */

/* D_WAIT */
#define WAIT_NOTHING 0
#define WAIT_RECORD 1
#define WAIT_HOLD 2

/* Shared memory: bpf/layout.ts. */
byte lockOwner = NOBODY;                        /* IF_LOCK */
bool listed = true;                             /* the descriptor is in the list of the bpf_if */
bool dead[FIRST_WORKER + TAPPERS];              /* THREAD_STATE == THREAD_DEAD */
byte waitWord = WAIT_NOTHING;                   /* D_WAIT */
byte content[2 * CAPACITY];                     /* the buffers, 1 and 2: the number of each record */

#ifdef ROTATE_FIELD_BY_FIELD
/* One word each for D_STORE, D_STORE_LENGTH, D_HOLD, D_HOLD_LENGTH and D_FREE: a thread may die between two. */
byte store = 1, storeLength = 0, hold = 0, holdLength = 0, freeBuffer = 2;
#define STORE store
#define STORE_LENGTH storeLength
#define HOLD hold
#define HOLD_LENGTH holdLength
#define FREE freeBuffer
#else
/* All roles in one word: bit 0 says which buffer is the store, bit 1 that the other is a hold, not a free buffer. */
byte roles = 0;                                 /* D_ROLES */
byte length[3];                                 /* D_LENGTH, of either buffer */
#define STORE (1 + (roles & 1))
#define OTHER (2 - (roles & 1))
#define HELD (roles & 2)
#define STORE_LENGTH length[STORE]
#define HOLD (HELD -> OTHER : 0)
#define HOLD_LENGTH length[OTHER]
#define FREE (HELD -> 0 : OTHER)
#endif
#define AT(buffer, index) content[((buffer) - 1) * CAPACITY + (index)]

/*
 * The control thread's own memory: class DescriptorReader. Its tasks give way to each other only at an await. A turn in
 * which a task touches no shared memory is one step; the other turns hold `eventLoop`.
 */
bool eventLoop = false;
bool immediate = IMMEDIATE;
bool attachedField = true;
bool closedField = false;
bool inUse = false;             /* #inUse: a reader has the hold buffer */
bool timedOut = false;          /* #timedOut */
#ifdef WISH_OF_ALL
byte wish = WAIT_NOTHING;
#endif

/* Not in the program: what is proven about it. */
#define NEVER 0
#define STORED 1
#define READ 2
#define FLUSHED 3
byte fate[RECORDS + 1];
byte lastStored = 0, lastRead = 0;
bool freed = false;
#define SLEEPERS (READERS + POLL)
bool asleep[SLEEPERS];          /* in Atomics.waitAsync on D_WAIT */
byte readersLeft = READERS;
bool stop[FIRST_WORKER + TAPPERS];
hidden byte at, other;

#define LOCK_IS_FREE (lockOwner == NOBODY || dead[lockOwner])

/* withBpfIf(): the task gives way until it has the lock, and goes on with it in the same turn */
inline withBpfIf()
{
	atomic { !eventLoop && LOCK_IS_FREE -> eventLoop = true; lockOwner = CONTROL };
	checkBuffers()
}

/* The critical section is over, and the turn with it. */
inline unlockAndAwait() { d_step { lockOwner = NOBODY; eventLoop = false } }

/* The roles are whole, and what counts as stored is. */
inline checkBuffers()
{
	d_step {
		assert(STORE != 0 && STORE != HOLD && STORE != FREE);
		assert((HOLD == 0) != (FREE == 0));
		at = 0;
		do
		:: at < STORE_LENGTH ->
			assert(AT(STORE, at) != TORN);
			assert(fate[AT(STORE, at)] == STORED);
			at++
		:: else -> break
		od
	}
}

/* rotate(): store becomes hold, free becomes store */
inline rotate()
{
#ifdef ROTATE_FIELD_BY_FIELD
	hold = store;
	holdLength = storeLength;
	store = freeBuffer;
	storeLength = 0;
	freeBuffer = 0
#else
	roles = (roles ^ 1) | 2         /* a free buffer has length 0: release() */
#endif
}

/* release(): hold becomes free */
inline release()
{
#ifdef ROTATE_FIELD_BY_FIELD
	freeBuffer = hold;
	hold = 0;
	holdLength = 0
#else
	HOLD_LENGTH = 0;
	roles = roles & 1
#endif
}

/* wakeReader(): the wait word, then Atomics.notify */
inline wakeReader()
{
	waitWord = WAIT_NOTHING;
	d_step {
		asleep[0] = false
#if SLEEPERS > 1
		; asleep[1] = false
#endif
	}
}

/* wake() */
inline wake(what)
{
	wanted = waitWord;
	if
#ifdef NEVER_WAKE_FOR_RECORD
	:: what == WAIT_RECORD -> skip
	:: what == WAIT_HOLD && wanted != WAIT_NOTHING -> wakeReader()
	:: else
#else
	:: wanted == WAIT_NOTHING || (wanted == WAIT_HOLD && what != WAIT_HOLD) -> skip
	:: else -> wakeReader()
#endif
	fi;
	wanted = 0
}

/* A worker: bpfTap() and catchPacket(), once per frame. */
proctype Tapper(byte self)
{
	byte frame, index, wanted, number;

	{
	do
	:: frame == FRAMES -> break
	:: else ->
		atomic { LOCK_IS_FREE -> lockOwner = self };
		if
		:: !listed -> goto shown
		:: else
		fi;
		assert(!freed);

		/* catchPacket() */
		index = STORE_LENGTH;
		if
		:: index == CAPACITY && FREE == 0 -> goto shown         /* D_DROPPED */
		:: index == CAPACITY && FREE != 0 ->
			rotate();
			wake(WAIT_HOLD);
			index = 0
		:: else
		fi;
#ifdef LENGTH_FIRST
		d_step { lastStored++; number = lastStored; fate[number] = STORED };
		STORE_LENGTH = index + 1;
		AT(STORE, index) = TORN;
		AT(STORE, index) = number;
#else
		AT(STORE, index) = TORN;
		d_step { lastStored++; number = lastStored; AT(STORE, index) = number };
		d_step { STORE_LENGTH = index + 1; fate[number] = STORED };
#endif
		wake(WAIT_RECORD);
shown:		skip;
		d_step { lockOwner = NOBODY; index = 0; number = 0; frame++ }
	od
	} unless { stop[self] -> goto dies };
	goto over;

	/* 'exit' of the worker (src/engine/threads.ts): its locks may be taken over, and every reader looks again. */
dies:	atomic { !eventLoop -> eventLoop = true };
	dead[self] = true;
#ifndef NO_WAKE_AFTER_DEATH
	wakeReader();
#endif
	eventLoop = false;
over:	skip
}

/* #wishFor(), under the lock: who waits for less decides */
inline wishFor(what)
{
#ifdef WISH_OVERWRITES
	wish = what;
#else
	wish = (waitWord == WAIT_NOTHING || what < waitWord -> what : waitWord);
#endif
	waitWord = wish
}

/* #wait(): waitWhile(D_WAIT, wish) compares and goes to sleep in one step */
inline sleepUnlessWoken()
{
	d_step {
		!eventLoop ->
#ifdef SLEEP_WITHOUT_COMPARE
		asleep[me] = true;
#else
		asleep[me] = (waitWord == wish);
#endif
#ifndef WISH_OF_ALL
		wish = WAIT_NOTHING
#endif
	}
}

/*
 * A task of the control thread that reads until the end: DescriptorReader.take() again and again. The readers do not
 * queue up here, as non-blocking ones do not.
 */
proctype Reader(byte me)
{
	byte offset, bytes, index, number;
#ifndef WISH_OF_ALL
	byte wish;                      /* Found.wish */
#endif
	bool handOver, nothing, gone, timed;    /* handOver: whether a store that is not full is handed over too */

turn:	skip;	/* #take() */
	d_step { !eventLoop -> handOver = timedOut; timedOut = false };

again:	skip;
#ifdef CLOSED_BEFORE_LOCK
	atomic { !eventLoop -> gone = closedField };
	if
	:: gone -> goto finished
	:: else
	fi;
#endif
#ifdef MODE_BEFORE_LOCK
	atomic { !eventLoop -> handOver = handOver || immediate || !attachedField };
#endif

	/* #look() */
	withBpfIf();
#ifndef CLOSED_BEFORE_LOCK
	if
	:: closedField -> unlockAndAwait(); goto finished
	:: else
	fi;
#endif
	assert(!freed);
	nothing = (STORE_LENGTH == 0);
	if
#ifndef NO_IN_USE
	:: inUse ->
		timed = false;
		wishFor(WAIT_HOLD);
		d_step { nothing = false; lockOwner = NOBODY; eventLoop = false };
		goto wait
	:: else
#else
	:: true
#endif
	fi;
#ifndef MODE_BEFORE_LOCK
	handOver = handOver || immediate || !attachedField;
#endif
	if
	:: HOLD == 0 && handOver && !nothing -> rotate()
	:: else
	fi;
	offset = HOLD;
	bytes = (offset != 0 -> HOLD_LENGTH : 0);
	if
	:: offset != 0 -> inUse = true
	:: offset == 0 && !attachedField ->
		/* ENXIO: nothing that was captured is left. */
		d_step {
			for (at : 1 .. RECORDS) { assert(fate[at] != STORED) };
			nothing = false; lockOwner = NOBODY; eventLoop = false
		};
		goto finished
	:: else -> timed = !nothing; wishFor((nothing -> WAIT_RECORD : WAIT_HOLD))
	fi;
	d_step { nothing = false; lockOwner = NOBODY; eventLoop = false };
	if
	:: offset == 0 -> goto wait
	:: else
	fi;

	/* #take() goes on in a later turn. What was closed meanwhile is not given out, only back. */
	d_step { !eventLoop -> gone = closedField };
	/* The reader has the buffer, over many turns, while workers go on and the descriptor may be closed. */
	for (index : 0 .. CAPACITY - 1) {
		if
		:: !gone && index < bytes ->
			assert(!freed);
			d_step {
				number = AT(offset, index);
				assert(number != TORN);                 /* whole */
				assert(fate[number] == STORED);         /* once, and not flushed */
				assert(number > lastRead);              /* in order */
				fate[number] = READ;
				lastRead = number;
				number = 0
			}
		:: else
		fi
	};
	index = 0;
	/* #release() */
	withBpfIf();
	inUse = false;
	if
	:: closedField
	:: !closedField ->
		assert(!freed);
		release();
#ifndef NO_WAKE_AFTER_RELEASE
		wakeReader()
#endif
	fi;
	d_step { offset = 0; bytes = 0; handOver = false; lockOwner = NOBODY; eventLoop = false };
	if
	:: gone -> goto finished
#if ONE_READS_ONCE
	:: !gone && me == 0 -> goto finished
	:: !gone && me != 0 -> goto turn        /* returns the batch */
#else
	:: !gone -> goto turn           /* returns the batch */
#endif
	fi;

wait:	sleepUnlessWoken();
end_asleep:	if
	:: !asleep[me] -> handOver = false
#if READ_TIMEOUT
	:: atomic { asleep[me] && timed -> asleep[me] = false; handOver = true }
#endif
	fi;
	timed = false;
	goto again;

finished: readersLeft--
}

#if POLL
/* A task of the control thread: DescriptorReader.poll(), once. */
active proctype Poll()
{
	byte me = READERS;
#ifndef WISH_OF_ALL
	byte wish;
#endif
	bool atOnce;

again:	/* #isReady() */
	withBpfIf();
	if
	:: closedField || !attachedField -> goto ready
	:: else
	fi;
	assert(!freed);
	atOnce = immediate || timedOut;
	if
	:: !inUse && (HOLD != 0 || (atOnce && STORE_LENGTH != 0)) -> goto ready
	:: else -> wishFor((atOnce && !inUse -> WAIT_RECORD : WAIT_HOLD))
	fi;
	d_step { atOnce = false; lockOwner = NOBODY; eventLoop = false };
	sleepUnlessWoken();
end_asleep:	if
	:: !asleep[me]
#if READ_TIMEOUT
	:: d_step { !eventLoop && asleep[me] && !timedOut -> asleep[me] = false; timedOut = true }
#endif
	fi;
	goto again;

ready:	atOnce = false;
	unlockAndAwait()
}
#endif

/* Descriptor #detach(): the interface is gone, or close() */
inline detachDescriptor()
{
	withBpfIf();
	if
	:: attachedField ->
		listed = false;                 /* bpf-if.ts detach() */
		wakeReader();
		attachedField = false
	:: else
	fi;
	wakeReader();
	unlockAndAwait()
}

#if FLUSH
/* Descriptor.flush(): #reset() and buffers.ts reset(). A hold buffer that is in use stays the reader's. */
active proctype Flush()
{
	withBpfIf();
	d_step {
		for (at : 0 .. CAPACITY - 1) {
			if
			:: at < STORE_LENGTH -> fate[AT(STORE, at)] = FLUSHED
			:: else
			fi;
			if
			:: HOLD != 0 && !inUse && at < HOLD_LENGTH -> fate[AT(HOLD, at)] = FLUSHED
			:: else
			fi
		}
	};
	STORE_LENGTH = 0;
	if
#ifdef FLUSH_IN_USE
	:: HOLD != 0 -> release()
#else
	:: HOLD != 0 && !inUse -> release()
#endif
	:: else
	fi;
	unlockAndAwait()
}
#endif

#if SET_IMMEDIATE
/* Descriptor.setImmediate(): without the lock. */
active proctype SetImmediate()
{
	atomic { !eventLoop -> eventLoop = true };
	immediate = true;
	wakeReader();
	eventLoop = false
}
#endif

#if GONE
/* Descriptor.detach(), also of DescriptorTable.detachAll(): what is buffered can still be read */
active proctype Detach()
{
	detachDescriptor()
}
#endif

#if CLOSE
active proctype Close()
{
	d_step { !eventLoop -> closedField = true };
	detachDescriptor();
#ifndef FREE_WITH_READER
	d_step { !eventLoop && !inUse -> freed = true }         /* DescriptorReader.end(), Heap.free() */
#else
	d_step { !eventLoop -> freed = true }
#endif
}
#endif

/* When nothing can happen any more, who sleeps has nothing to wake up for. */
active proctype Quiescence()
{
end:	timeout ->
	d_step {
		for (at : 0 .. SLEEPERS - 1) {
			assert(!asleep[at] || (attachedField && !closedField && !inUse && HOLD == 0));
			assert(!asleep[at] || STORE_LENGTH == 0 || (!immediate && !READ_TIMEOUT))
		}
	}
}

#if GONE || CLOSE
/* Under weak fairness every reader comes to the end. */
ltl drained { <> (readersLeft == 0) }
#endif

init
{
	atomic {
		for (other : 1 .. TAPPERS) { run Tapper(FIRST_WORKER + other - 1) };
		for (other : 1 .. READERS) { run Reader(other - 1) }
	};
#ifndef NO_DEATH
	/* One worker dies, between any two steps; or none does. */
	if
	:: stop[FIRST_WORKER] = true
	:: true
	fi
#endif
}
