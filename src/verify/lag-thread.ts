/** A thread that wants to wake up once a millisecond, and writes down how late it does. See lag-meter.ts. */
import { workerData } from 'node:worker_threads';
import { addressOf, PR_SET_TIMERSLACK, ppoll, prctl } from '../sys/libc.ts';

export type LagShared = {
  /** 0: how many there are; 1: set when it is to end. */
  readonly words: Int32Array;
  /** Nanoseconds. */
  readonly late: Float64Array;
};

const INTERVAL_NS = 1e6;

const { words, late } = workerData as LagShared;
const timeout = new Int32Array(4);
const timeoutAddress = addressOf(timeout);
prctl(PR_SET_TIMERSLACK, 1);
for (let count = 0; Atomics.load(words, 1) === 0; count++) {
  const dueNs = performance.now() * 1e6 + INTERVAL_NS;
  timeout[2] = INTERVAL_NS;
  ppoll(timeoutAddress, 0, timeoutAddress, 0);
  late[count % late.length] = performance.now() * 1e6 - dueNs;
  Atomics.store(words, 0, count + 1);
}
