/**
 * The models of this folder, checked by spin: the old protocol fails, today's does not, and every single rule that
 * today's is made of is needed, for without it the model fails. README.md says what the names mean.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { type Check, isCheckerMissing, type Verdict, verify } from './pan.ts';

/** They queue up, two at a time. */
const TIMEOUT_MS = 300_000;

/** What is proven: every state of these is right. */
const PROVEN: readonly [model: string, what: string, macros: string, check?: Check][] = [
  ['mutex.pml', 'three threads, one of which may die', ''],
  ['mutex.pml', 'without a death, nobody needs the recheck timeout', 'NO_DEATH NO_RECHECK'],
  ['mutex.pml', 'everybody gets the lock', 'TIMES=1', 'fairness'],
  ['mutex.pml', 'everybody gets the lock, again and again', 'THREADS=2 TIMES=3', 'fairness'],

  ['bpf_if.pml', 'two workers, two clients, the interface goes away', ''],
  ['bpf_if.pml', 'three workers, one client', 'TAPPERS=3 CLIENTS=1'],
  ['bpf_if.pml', 'a record that is used again', 'FRAMES=2 CLIENTS=1 CYCLES=2 SLOTS=1'],
  ['bpf_if.pml', 'too few records', 'TAPPERS=1 SLOTS=1'],
  ['bpf_if.pml', 'compiled filters', 'TAPPERS=1 FUSES=1'],
  [
    'bpf_if.pml',
    'compiled filters of a record that is used again',
    'TAPPERS=1 FUSES=2 CLIENTS=1 SLOTS=1 CYCLES=2',
  ],
  ['bpf_if.pml', 'a data plane in the control thread', 'INLINE_PLANE TAPPERS=1 FRAMES=2'],

  ['buffers.pml', 'an immediate reader', 'FRAMES=3 CAPACITY=2'],
  ['buffers.pml', 'a reader with a timeout', 'IMMEDIATE=0 READ_TIMEOUT=1'],
  ['buffers.pml', 'three workers, the interface goes away', 'TAPPERS=3 FRAMES=1 GONE=1'],
  ['buffers.pml', 'flushed while it is read', 'FRAMES=3 FLUSH=1'],
  ['buffers.pml', 'flushed, and the interface goes away', 'GONE=1 FLUSH=1 IMMEDIATE=0 READ_TIMEOUT=1'],
  ['buffers.pml', 'made immediate while it is read', 'IMMEDIATE=0 SET_IMMEDIATE=1 CAPACITY=2'],
  ['buffers.pml', 'closed while it is read', 'CLOSE=1 GONE=1'],
  ['buffers.pml', 'two readers', 'READERS=2'],
  ['buffers.pml', 'two readers, flushed', 'READERS=2 FLUSH=1 FRAMES=1 CAPACITY=2'],
  ['buffers.pml', 'two readers of a closed descriptor', 'READERS=2 CLOSE=1 FRAMES=1'],
  ['buffers.pml', 'two readers, one of which leaves', 'TAPPERS=1 FRAMES=3 READERS=2 ONE_READS_ONCE=1'],
  [
    'buffers.pml',
    'polled while it is read',
    'TAPPERS=1 FRAMES=3 POLL=1 IMMEDIATE=0 READ_TIMEOUT=1 CAPACITY=2',
  ],
  ['buffers.pml', 'closed while it is polled', 'POLL=1 CLOSE=1 GONE=1 FRAMES=1'],
  ['buffers.pml', 'every reader comes to the end', 'GONE=1', 'fairness'],
  [
    'buffers.pml',
    'every reader comes to the end of a closed descriptor',
    'CLOSE=1 READERS=2 FRAMES=1',
    'fairness',
  ],
];

const ASSERTION = /^assertion violated/;
const DEADLOCK = /^invalid end state/;
const STARVATION = /^acceptance cycle/;

/** Without one of its rules the protocol fails, and the model shows how. */
const NEEDED: readonly [model: string, rule: string, macros: string, error: RegExp, check?: Check][] = [
  ['mutex.pml', 'sleepers look again: who was to wake them may have died', 'NO_RECHECK', DEADLOCK],
  ['mutex.pml', 'unlock() notifies', 'NO_DEATH NO_RECHECK UNLOCK_WITHOUT_NOTIFY', DEADLOCK],
  ['mutex.pml', 'prepareSleep() sets WAITERS', 'NO_DEATH NO_RECHECK SLEEP_WITHOUT_WAITERS', DEADLOCK],
  ['mutex.pml', 'unlock() is one exchange', 'NO_DEATH NO_RECHECK UNLOCK_IN_TWO_STEPS', DEADLOCK],
  ['mutex.pml', 'a dead owner is replaced by compare-exchange', 'TAKE_OVER_BY_STORE', ASSERTION],
  ['mutex.pml', 'a dead owner is replaced', 'THREADS=2 NO_TAKEOVER', STARVATION, 'fairness'],
  ['mutex.pml', 'no thread takes the lock for ever', 'THREADS=2 NO_DEATH ENDLESS', STARVATION, 'fairness'],

  ['bpf_if.pml', 'bpfTap() holds the lock', 'TAP_WITHOUT_LOCK', ASSERTION],
  ['bpf_if.pml', 'detach() holds the lock', 'DETACH_WITHOUT_LOCK', ASSERTION],
  ['bpf_if.pml', 'memory is freed after detach()', 'FREE_BEFORE_DETACH', ASSERTION],
  ['bpf_if.pml', 'attach() compares the generation', 'NO_GENERATION', ASSERTION],
  ['bpf_if.pml', 'attach() compares it with the lock held', 'COMPARE_BEFORE_LOCK', ASSERTION],
  ['bpf_if.pml', 'bpfPeersPresent() is asked for every frame', 'FRAMES=2 PEERS_FROM_LAST_FRAME', ASSERTION],
  ['bpf_if.pml', 'the lock of a dead worker is taken over', 'NO_TAKEOVER', DEADLOCK],
  [
    'bpf_if.pml',
    'compiled filters fit the version of the list',
    'TAPPERS=1 FUSES=1 NO_VERSION_CHECK',
    ASSERTION,
  ],
  ['bpf_if.pml', 'no await while the lock is held', 'INLINE_PLANE TAPPERS=1 AWAIT_WITH_LOCK', DEADLOCK],

  ['buffers.pml', 'the length of a buffer is written last', 'LENGTH_FIRST', ASSERTION],
  ['buffers.pml', 'the roles of the buffers are one word', 'ROTATE_FIELD_BY_FIELD', ASSERTION],
  ['buffers.pml', 'a record wakes who waits for one', 'NEVER_WAKE_FOR_RECORD', ASSERTION],
  ['buffers.pml', 'the wait word is compared', 'NO_DEATH SLEEP_WITHOUT_COMPARE', ASSERTION],
  ['buffers.pml', 'a death wakes every reader', 'NO_WAKE_AFTER_DEATH', ASSERTION],
  [
    'buffers.pml',
    'the reader sees with the lock held that the interface went',
    'NO_DEATH GONE=1 IMMEDIATE=0 MODE_BEFORE_LOCK',
    ASSERTION,
  ],
  [
    'buffers.pml',
    'the reader looks at its mode with the lock held',
    'NO_DEATH SET_IMMEDIATE=1 IMMEDIATE=0 CAPACITY=2 MODE_BEFORE_LOCK',
    ASSERTION,
  ],
  [
    'buffers.pml',
    'flushing leaves a hold buffer that is in use alone',
    'NO_DEATH FLUSH=1 FRAMES=3 FLUSH_IN_USE',
    ASSERTION,
  ],
  ['buffers.pml', 'a hold buffer has one reader at a time', 'READERS=2 NO_IN_USE', ASSERTION],
  [
    'buffers.pml',
    'who gives a hold buffer back wakes those who wait for it',
    'NO_DEATH READERS=2 ONE_READS_ONCE=1 NO_WAKE_AFTER_RELEASE',
    ASSERTION,
  ],
  [
    'buffers.pml',
    'of those who wait who is content with less decides',
    'NO_DEATH TAPPERS=1 FRAMES=3 POLL=1 IMMEDIATE=0 READ_TIMEOUT=1 CAPACITY=2 WISH_OVERWRITES',
    ASSERTION,
  ],
  [
    'buffers.pml',
    'everybody remembers himself what he waits for',
    'NO_DEATH TAPPERS=1 FRAMES=3 POLL=1 IMMEDIATE=0 READ_TIMEOUT=1 CAPACITY=2 WISH_OF_ALL',
    ASSERTION,
  ],
  ['buffers.pml', 'a hold buffer in use is not freed', 'CLOSE=1 FREE_WITH_READER', ASSERTION],
  [
    'buffers.pml',
    'the reader sees with the lock held that the descriptor is closed',
    'NO_DEATH CLOSE=1 CLOSED_BEFORE_LOCK',
    ASSERTION,
  ],
];

const split = (macros: string): string[] => macros.split(' ').filter((macro) => macro !== '');

describe.skipIf(isCheckerMissing())('spin', { timeout: TIMEOUT_MS }, () => {
  describe('finds the panic of 2006', () => {
    it('a worker uses the pointer that the last detach has set to null', async () => {
      const { error, trail } = await verify('bpf_2006_old.pml', [], 'safety');
      expect(error).toContain('bp!=0');
      // First the check, then the detach, then the use.
      const [check, detach, use] = [/\[\(\(if_bpf!=0\)\)\]/g, /\[if_bpf = 0\]/g, /\[bp = if_bpf\]/g].map(
        (step) => Math.max(...[...trail.matchAll(step)].map((match) => match.index)),
      );
      expect(check).toBeGreaterThan(0);
      expect(detach).toBeGreaterThan(check!);
      expect(use).toBeGreaterThan(detach!);
    });
  });

  describe('finds nothing wrong with', () => {
    const done = new Map<string, Verdict[]>();

    it.concurrent.each(PROVEN)('%s: %s (%s)', async (model, _what, macros, check = 'safety') => {
      const verdict = await verify(model, split(macros), check);
      expect(verdict.error, verdict.trail).toBeUndefined();
      expect(verdict.states).toBeGreaterThan(1_000);
      done.set(model, [...(done.get(model) ?? []), verdict]);
    });

    it('and has been everywhere in the models', () => {
      expect(done.size).toBe(3);
      for (const [model, verdicts] of done) {
        const all = new Set(verdicts.flatMap(({ lines }) => [...lines]));
        expect(all.size, model).toBeGreaterThan(20);
        for (const { lines, unreached } of verdicts) {
          for (const line of lines) if (!unreached.has(line)) all.delete(line);
        }
        expect([...all], `lines of ${model} that no run has reached`).toEqual([]);
      }
    });

    afterAll(() => {
      const states = [...done.values()].flat().reduce((sum, verdict) => sum + verdict.states, 0);
      console.log(`spin visited ${states} states of the protocol`);
    });
  });

  describe('finds what goes wrong unless', () => {
    it.concurrent.each(NEEDED)('%s: %s (%s)', async (model, _rule, macros, error, check = 'safety') => {
      const verdict = await verify(model, split(macros), check, '-O0');
      expect(verdict.error).toMatch(error);
      expect(verdict.trail).not.toBe('');
    });
  });
});
