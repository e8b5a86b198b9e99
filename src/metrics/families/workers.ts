/** The metrics of the threads that carry frames. */
import { type Family, family } from '../family.ts';

export const WORKERS: Family = family(
  { title: 'Workers', each: 'worker', labels: ['worker'] },
  (state) => state.workers,
  ({ index }) => ({ worker: String(index) }),
  [
    {
      name: 'taplab_worker_up',
      help: '1 while the thread runs; without it the lab goes down.',
      value: ({ alive }) => (alive ? 1 : 0),
    },
    {
      name: 'taplab_worker_busy_seconds_total',
      help: 'Time not spent waiting for frames, deadlines and commands.',
      value: ({ busyNs }) => busyNs / 1e9,
    },
    {
      name: 'taplab_worker_spin_seconds_total',
      help: 'Time in which it waited on the clock for links with high precision: not busy, but of a core.',
      value: ({ spinNs }) => spinNs / 1e9,
    },
    {
      name: 'taplab_worker_wakeups_total',
      help: 'How often it has waited for frames, deadlines and commands.',
      value: ({ iterations }) => iterations,
    },
    {
      name: 'taplab_worker_loop_lag_seconds',
      help: 'How late timers ran: the earliest one, each time any was due.',
      histogram: ({ loopLag }) => loopLag,
    },
    {
      name: 'taplab_worker_frame_slots',
      help: 'Frames that its links can hold together.',
      value: ({ slots }) => slots,
    },
    {
      name: 'taplab_worker_frame_slots_used',
      help: 'Frames that they hold.',
      value: ({ slotsUsed }) => slotsUsed,
    },
    {
      name: 'taplab_worker_taps_total',
      help: 'Frames shown to the descriptors of an interface.',
      value: ({ taps }) => taps,
    },
    {
      name: 'taplab_worker_timed_taps_total',
      help: 'Those of them whose filtering and copying was timed, one in 64.',
      value: ({ timedTaps }) => timedTaps,
    },
    {
      name: 'taplab_worker_timed_taps_seconds_total',
      help: 'What the timed ones took: divided by their number, what a frame costs in filters.',
      value: ({ timedTapsNs }) => timedTapsNs / 1e9,
    },
  ],
);
