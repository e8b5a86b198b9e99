import fc from 'fast-check';
import { expect, it } from 'vitest';
import { frames } from '../../src/bpf/record.ts';
import { type MergedRecord, TimeMerge } from '../../src/capture/time-merge.ts';
import { batchOf, ethernetFrame } from './helper.ts';

const WINDOW_NS = 100_000_000;
const MS = 1_000_000;

/** A batch of frames stamped so many milliseconds after second 1000. */
function at(...times: number[]): Uint8Array {
  return batchOf(...times.map((ms) => ({ ...moment(ms), bytes: ethernetFrame(60, ms % 256) })));
}

function moment(ms: number): { seconds: number; nanoseconds: number } {
  return { seconds: 1000 + Math.floor(ms / 1000), nanoseconds: (ms % 1000) * MS };
}

/** What came out, as `source@milliseconds`. */
function shown(records: readonly MergedRecord[]): string[] {
  return records.map(
    ({ source, seconds, nanoseconds }) => `${source}@${(seconds - 1000) * 1000 + nanoseconds / MS}`,
  );
}

it('gives out the records of several sources in the order of their stamps, whatever order they come in', () => {
  const merge = new TimeMerge(2, WINDOW_NS);
  merge.push(1, at(5, 30, 900));
  merge.push(0, at(1, 20, 950));
  expect(shown(merge.take())).toEqual(['0@1', '1@5', '0@20', '1@30']);
  expect(shown(merge.take(true))).toEqual(['1@900', '0@950']);
});

it('holds records back until every source has been seen to hold nothing older', () => {
  const merge = new TimeMerge(2, WINDOW_NS);
  merge.push(0, at(500));
  expect(shown(merge.take())).toEqual([]);
  merge.mark(1, moment(599));
  expect(shown(merge.take())).toEqual([]);
  merge.mark(0, moment(700));
  merge.mark(1, moment(600));
  expect(shown(merge.take())).toEqual(['0@500']);
});

it('does not wait for a source that has ended', () => {
  const merge = new TimeMerge(2, WINDOW_NS);
  merge.push(0, at(500));
  merge.mark(0, moment(900));
  merge.end(1);
  expect(shown(merge.take())).toEqual(['0@500']);
  merge.push(0, at(1_000));
  merge.end(0);
  expect(shown(merge.take())).toEqual(['0@1000']);
});

it('puts records of one source in order that two threads have stored the other way round', () => {
  const merge = new TimeMerge(1, WINDOW_NS);
  merge.push(0, at(10, 12, 11));
  merge.push(0, at(9));
  merge.mark(0, moment(500));
  expect(shown(merge.take())).toEqual(['0@9', '0@10', '0@11', '0@12']);
  expect(merge.late(0)).toBe(0);
});

it('gives out a record that took longer than the window, and counts it', () => {
  const merge = new TimeMerge(2, WINDOW_NS);
  merge.push(0, at(500));
  merge.mark(0, moment(2000));
  merge.mark(1, moment(2000));
  expect(shown(merge.take())).toEqual(['0@500']);
  merge.push(1, at(400));
  expect(shown(merge.take(true))).toEqual(['1@400']);
  expect([merge.late(0), merge.late(1)]).toEqual([0, 1]);
});

it('crosses the border of a second', () => {
  const merge = new TimeMerge(1, WINDOW_NS);
  merge.push(0, at(999, 1050));
  expect(shown(merge.take())).toEqual([]);
  merge.mark(0, moment(1_099));
  expect(shown(merge.take())).toEqual(['0@999']);
});

it('loses and doubles nothing, and orders all that arrives within the window', () => {
  const arrivals = fc.array(fc.record({ source: fc.nat(3), ms: fc.nat(5000), delayMs: fc.nat(99) }), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(arrivals, (list) => {
      const merge = new TimeMerge(4, WINDOW_NS);
      const out: MergedRecord[] = [];
      const byArrival = [...list].sort((a, b) => a.ms + a.delayMs - (b.ms + b.delayMs));
      for (const { source, ms, delayMs } of byArrival) {
        for (let each = 0; each < 4; each++) merge.mark(each, moment(ms + delayMs));
        out.push(...merge.take());
        merge.push(source, at(ms));
      }
      out.push(...merge.take(true));
      expect(shown(out).sort()).toEqual(list.map(({ source, ms }) => `${source}@${ms}`).sort());
      const times = out.map(({ seconds, nanoseconds }) => seconds * 1e9 + nanoseconds);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(merge.pendingBytes).toBe(0);
      for (const { batch, at: place } of out) expect([...frames(batch.bytes.subarray(place))].length).toBe(1);
    }),
  );
});
