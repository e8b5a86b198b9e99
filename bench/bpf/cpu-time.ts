/**
 * CPU time of the calling thread (CLOCK_THREAD_CPUTIME_ID of clock_gettime(2)): what a thread waits for the CPU, because
 * the machine has other things to do, does not count.
 */
import { addressOf, clockGettime } from '../../src/sys/libc.ts';

const CLOCK_THREAD_CPUTIME_ID = 3;
/** struct timespec: 64-bit seconds and nanoseconds. */
const timespec = new Int32Array(4);
const address = addressOf(timespec);

/** Nanoseconds since the thread began. */
export function threadCpuNs(): number {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, address);
  return timespec[0]! * 1e9 + timespec[2]!;
}
