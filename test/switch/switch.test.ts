/** What a switch decides, by itself: any traffic, on a clock that the test moves. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FILTERED, FLOODED, FORWARDED, SWITCH_FIELDS, VLAN_REFUSED } from '../../src/switch/counters.ts';
import {
  ELSEWHERE,
  KNOWN,
  MAC_ENTRIES,
  MAC_TABLE_BYTES,
  MacTable,
  NEW,
  NO_ROOM,
  UNKNOWN,
} from '../../src/switch/mac-table.ts';
import type { PortVlans } from '../../src/switch/settings.ts';
import { Switch } from '../../src/switch/switch.ts';
import { changedLength, copyChanged, POP, PUSH, RENUMBER } from '../../src/switch/vlan.ts';

const AGEING_NS = 300e9;
const HIGH = 0x0200;

function table(ageingNs = AGEING_NS): MacTable {
  return new MacTable(new SharedArrayBuffer(MAC_TABLE_BYTES), 0, ageingNs);
}

describe('the table of addresses', () => {
  it('says what learning came to', () => {
    const macs = table();
    expect(macs.learn(0, HIGH, 1, 3, 0)).toBe(NEW);
    expect(macs.learn(0, HIGH, 1, 3, 1)).toBe(KNOWN);
    expect(macs.learn(0, HIGH, 1, 4, 2)).toBe(ELSEWHERE);
    expect(macs.learn(1, HIGH, 1, 3, 2)).toBe(NEW);
    expect([macs.find(0, HIGH, 1, 3), macs.find(1, HIGH, 1, 3), macs.find(2, HIGH, 1, 3)]).toEqual([
      4,
      3,
      UNKNOWN,
    ]);
  });

  it('ages an address by its last frame, to the nanosecond', () => {
    const macs = table(100);
    macs.learn(0, HIGH, 1, 3, 0);
    macs.learn(0, HIGH, 1, 3, 50);
    expect(macs.find(0, HIGH, 1, 149)).toBe(3);
    expect(macs.list(149)).toEqual([{ mac: '02:00:00:00:00:01', vlan: 0, port: 3, seenNs: 50 }]);
    expect(macs.find(0, HIGH, 1, 150)).toBe(UNKNOWN);
    expect(macs.list(150)).toEqual([]);
    expect(macs.learn(0, HIGH, 1, 3, 150)).toBe(NEW);
    expect(macs.count(150)).toBe(1);
  });

  it('with an ageing time of 0 knows nobody', () => {
    const macs = table(0);
    expect(macs.learn(0, HIGH, 1, 3, 5)).toBe(NEW);
    expect(macs.find(0, HIGH, 1, 5)).toBe(UNKNOWN);
  });

  it('is bounded under a flood of addresses, which drives out nobody', () => {
    const macs = table();
    const residents = Array.from({ length: 100 }, (_, i) => i * 7919);
    for (const low of residents) macs.learn(0, HIGH, low, 1, 0);
    // All different: an odd number times 1, 2, 3 ... modulo 2^32.
    const flood = Array.from({ length: 40_000 }, (_, i) => Math.imul(i + 1, 0x9e37_79b1));
    const refused = flood.filter((low) => macs.learn(0, 0x0600, low, 2, 1) === NO_ROOM).length;
    expect(refused).toBe(40_000 - (macs.count(1) - residents.length));
    expect(macs.count(1)).toBeLessThanOrEqual(MAC_ENTRIES);
    // Nearly all places are used before any is refused in earnest.
    expect(macs.count(1)).toBeGreaterThan(0.99 * MAC_ENTRIES);
    for (const low of residents) expect(macs.find(0, HIGH, low, 1)).toBe(1);
    // What is aged makes room again.
    expect(macs.learn(0, 0x0600, flood.at(-1)!, 2, 1 + AGEING_NS)).toBe(NEW);
    expect(macs.count(1 + AGEING_NS)).toBe(1);
  });

  it('holds what a map with times holds, as long as there is room', () => {
    const step = fc.record({
      vlan: fc.integer({ min: 0, max: 3 }),
      low: fc.integer({ min: 0, max: 20 }),
      port: fc.integer({ min: 0, max: 5 }),
      afterNs: fc.integer({ min: 0, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const macs = table(100);
        const model = new Map<string, { port: number; seenNs: number }>();
        let nowNs = 0;
        for (const { vlan, low, port, afterNs } of steps) {
          nowNs += afterNs;
          const known = model.get(`${vlan}/${low}`);
          const isAlive = known !== undefined && nowNs - known.seenNs < 100;
          expect(macs.find(vlan, HIGH, low, nowNs)).toBe(isAlive ? known.port : UNKNOWN);
          const expected = !isAlive ? NEW : known.port === port ? KNOWN : ELSEWHERE;
          expect(macs.learn(vlan, HIGH, low, port, nowNs)).toBe(expected);
          model.set(`${vlan}/${low}`, { port, seenNs: nowNs });
        }
        const alive = [...model.values()].filter(({ seenNs }) => nowNs - seenNs < 100);
        expect(macs.count(nowNs)).toBe(alive.length);
      }),
    );
  });
});

/** What a port carries of a VLAN: with a tag, without, or nothing. */
function carries(vlans: PortVlans, vlan: number): 'tagged' | 'untagged' | undefined {
  if (vlans.untagged === vlan) return 'untagged';
  return vlans.tagged.includes(vlan) ? 'tagged' : undefined;
}

const vlanNumber = fc.integer({ min: 1, max: 4 });
const portVlans = fc.record({
  untagged: fc.option(vlanNumber),
  tagged: fc.uniqueArray(vlanNumber, { maxLength: 3 }),
});
const traffic = fc.array(
  fc.record({
    port: fc.nat(),
    from: fc.integer({ min: 0, max: 7 }),
    to: fc.integer({ min: 0, max: 8 }),
    tag: fc.option(fc.integer({ min: 0, max: 5 })),
  }),
  { maxLength: 60 },
);

/** A frame between stations; station 8 is everybody. */
function frame(from: number, to: number, tag: number | null): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(to === 8 ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 0, to]);
  bytes.set([2, 0, 0, 0, 0, from], 6);
  bytes.set(tag === null ? [0x88, 0xb5] : [0x81, 0x00, 0xa0, tag, 0x88, 0xb5], 12);
  return bytes;
}

describe('a switch, whatever comes', () => {
  it('sends nothing back, a known address to one port, the rest to its whole VLAN and to none else', () => {
    fc.assert(
      fc.property(fc.array(portVlans, { minLength: 2, maxLength: 6 }), traffic, (vlans, list) => {
        const counters = new Float64Array(SWITCH_FIELDS);
        const ports = vlans.map((each) => ({ vlans: each, mirrored: false }));
        const core = new Switch({ kind: 'switch', ageingNs: AGEING_NS, ports }, table(), counters);
        const learned = new Map<string, number>();
        for (const { port: any, from, to, tag } of list) {
          const port = any % vlans.length;
          const bytes = frame(from, to, tag);
          const count = core.forward(port, bytes, 0, bytes.length, 0);
          const targets = [...core.targets.subarray(0, count)];
          const vlan = tag ? tag : vlans[port]!.untagged;
          if (vlan === null || carries(vlans[port]!, vlan) === undefined) {
            expect(targets).toEqual([]);
            continue;
          }
          learned.set(`${vlan}/${from}`, port);
          const others = vlans.flatMap((each, i) => (i !== port && carries(each, vlan) ? [i] : []));
          const where = learned.get(`${vlan}/${to}`);
          expect(targets).toEqual(where === undefined ? others : where === port ? [] : [where]);
          for (const target of targets) expect(changed(core, target, bytes)).toEqual(wanted(target));
          function wanted(target: number): Uint8Array {
            const hasTag = carries(vlans[target]!, vlan!) === 'tagged';
            const expected = frame(from, to, hasTag ? vlan : null);
            // A tag that is put on has no priority; one that stays keeps it.
            if (hasTag && tag === null) expected[14] = 0;
            const length = 64 + (hasTag ? 4 : 0) - (tag === null ? 0 : 4);
            const whole = new Uint8Array(length);
            whole.set(expected.subarray(0, Math.min(length, 64)));
            return whole;
          }
        }
        const [forwarded, flooded] = [counters[FORWARDED]!, counters[FLOODED]!];
        expect(forwarded + flooded + counters[FILTERED]! + counters[VLAN_REFUSED]!).toBe(list.length);
      }),
    );
  });

  it('as a hub sends to all others', () => {
    const ports = [0, 1, 2].map(() => ({ vlans: null, mirrored: false }));
    const core = new Switch({ kind: 'hub', ageingNs: 0, ports }, table(), new Float64Array(SWITCH_FIELDS));
    for (const to of [0, 1, 8]) {
      expect(core.forward(1, frame(1, to, null), 0, 64, 0)).toBe(2);
      expect([...core.targets.subarray(0, 2)]).toEqual([0, 2]);
    }
  });

  it.each<[string, (bytes: Uint8Array) => number]>([
    ['shorter than an Ethernet header', () => 13],
    [
      'from a group',
      (bytes) => {
        bytes[6] = 3;
        return 64;
      },
    ],
    [
      'to the addresses of bridges',
      (bytes) => {
        bytes.set([0x01, 0x80, 0xc2, 0, 0, 0x0f]);
        return 64;
      },
    ],
  ])('sends nowhere what is %s', (_, spoil) => {
    const counters = new Float64Array(SWITCH_FIELDS);
    const ports = [0, 1].map(() => ({ vlans: null, mirrored: false }));
    const core = new Switch({ kind: 'switch', ageingNs: AGEING_NS, ports }, table(), counters);
    const bytes = frame(1, 8, null);
    expect(core.forward(0, bytes, 0, spoil(bytes), 0)).toBe(0);
    expect(counters[FILTERED]).toBe(1);
  });
});

/** The frame as it leaves by a port. */
function changed(core: Switch, target: number, bytes: Uint8Array): Uint8Array {
  const change = core.tagChange(target, bytes, 0);
  const length = changedLength(bytes.length, change);
  const memory = new Uint8Array(200);
  memory.set(bytes);
  if (change === PUSH || change === POP || change === RENUMBER) {
    copyChanged(memory, 0, bytes.length, 100, change, core.vlan);
    return memory.slice(100, 100 + length);
  }
  return memory.slice(0, length);
}
