/*
 * The mutex in shared memory (src/arena/mutex.ts), step by step: one line of this model is one access to shared
 * memory. THREADS threads take and give back one lock, TIMES times each; one of them may die at any step.
 *
 * Proven of it (README.md says how each is checked):
 *   - mutual exclusion, also when the lock of a dead thread is taken over;
 *   - no deadlock and no lost wake-up: every thread that has not died gets the lock each time (`served`);
 *   - without a death nobody ever depends on the recheck timeout (-DNO_DEATH -DNO_RECHECK).
 *
 * Thread 1 is the control thread. It takes the lock with whileLocked(), which makes the same accesses in the same
 * order as lock(), and does not die. Mutations, each of which must fail: see model.test.ts.
 */

#ifndef THREADS
#define THREADS 3
#endif
#ifndef TIMES
#define TIMES 2
#endif

#define WAITERS 8
#define OWNER(w) ((w) & 7)

byte word = 0;                  /* 0 free, else owner | WAITERS */
bool asleep[THREADS + 1];       /* the list of those in Atomics.wait or waitAsync on `word` */
bool dead[THREADS + 1];         /* THREAD_STATE == THREAD_DEAD */

/* Not in the program: what is proven about it. */
byte inside = 0;                /* who is in the critical section */
bool stop[THREADS + 1];         /* the thread is to die before its next step */
bool finished[THREADS + 1];

/* The critical section begins. Its last owner has left it, or died in it. */
inline enter()
{
	assert(inside == 0 || dead[inside]);
	inside = self
}

/* tryLock(): compareExchange(word, 0, self) */
inline tryLock()
{
	d_step {
		got = (word == 0);
		if
		:: got -> word = self; enter()
		:: else
		fi
	}
}

/* ownerIsDead(): a load of the owner's THREAD_STATE, some time after the load of the word */
#ifdef NO_TAKEOVER
#define IS_FREE(w) ((w) == 0)
#else
#define IS_FREE(w) ((w) == 0 || dead[OWNER(w)])
#endif

#ifdef SLEEP_WITHOUT_WAITERS
#define MARKED(w) (w)
#else
#define MARKED(w) ((w) | WAITERS)
#endif

#ifdef ENDLESS
#define COUNTED (self == 1)     /* all threads but the first take the lock again and again */
#else
#define COUNTED 1
#endif

/* prepareSleep(): compareExchange(word, seen, next); with `free`, the lock is taken by it */
inline exchangePrepared()
{
	d_step {
#ifdef TAKE_OVER_BY_STORE
		ok = (word == seen || free);
#else
		ok = (word == seen);
#endif
		if
		:: ok -> word = next;
			if
			:: free -> enter()
			:: else
			fi
		:: else
		fi
	}
}

/* Atomics.notify(word): every sleeper */
inline notifyAll()
{
	d_step {
		for (each : 1 .. THREADS) { asleep[each] = false }
	}
}
hidden byte each;

proctype Thread(byte self)
{
	byte seen, next, times;
	bool got, free, ok;

	{
	do
	:: times == TIMES -> break
	:: else ->
		/* lock(), whileLocked(): the uncontended case */
		tryLock();
		if
		:: got -> goto critical
		:: else
		fi;

		/* spin(): SPINS looks; here any number, of which at most one finds the lock free and lost again */
		if
		:: word == 0 -> tryLock();
			if
			:: got -> goto critical
			:: else
			fi
		:: true
		fi;

		/* lockContended() */
prepare:	/* prepareSleep() */
		seen = word;
		d_step {
			free = IS_FREE(seen);
			next = (free -> self | WAITERS : MARKED(seen))
		};
		exchangePrepared();
		if
		:: !ok -> goto prepare
		:: ok && free -> goto critical
		:: ok && !free
		fi;

		/* Atomics.wait(word, next, RECHECK_MS): compares and goes to sleep in one step */
		atomic {
			if
			:: word != next -> goto prepare
			:: word == next -> asleep[self] = true
			fi
		};
		if
		:: !asleep[self]                                /* notified */
#ifndef NO_RECHECK
		:: d_step { asleep[self] -> asleep[self] = false }      /* timed out */
#endif
		fi;
		goto prepare;

critical:	skip;
		d_step { seen = 0; next = 0; got = false; free = false; ok = false };   /* fewer states */
		assert(inside == self);

		/* unlock(): exchange(word, 0) ... */
#ifdef UNLOCK_IN_TWO_STEPS
		seen = word;
		d_step { inside = 0; word = 0 };
#else
		d_step { assert(inside == self); inside = 0; seen = word; word = 0 };
#endif
		/* ... and notify(word) if it had WAITERS */
		if
#ifdef UNLOCK_WITHOUT_NOTIFY
		:: seen & WAITERS -> skip
#else
		:: seen & WAITERS -> notifyAll()
#endif
		:: else
		fi;
		d_step {
			seen = 0;
			times = times + COUNTED
		}
	od;
	finished[self] = true
	} unless { stop[self] -> goto dies };
	goto over;

	/* The thread has stopped; some time later the control thread marks it (engine/threads.ts, 'exit'). */
dies:	atomic { asleep[self] = false; dead[self] = true; finished[self] = true };
over:	skip
}

init
{
	atomic {
		for (each : 1 .. THREADS) {
			run Thread(each)
		}
	}
#ifndef NO_DEATH
	/* One worker dies, between any two steps; or none does. */
	if
	:: stop[2] = true
#if THREADS > 2
	:: stop[3] = true
#endif
	:: true
	fi
#endif
}

/* Under weak fairness everybody who lives has had the lock TIMES times. */
#ifdef ENDLESS
ltl served { <> finished[1] }
#elif THREADS > 2
ltl served { <> (finished[1] && finished[2] && finished[3]) }
#else
ltl served { <> (finished[1] && finished[2]) }
#endif
