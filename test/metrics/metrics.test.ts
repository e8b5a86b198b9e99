import { beforeEach, describe, expect, test } from 'vitest';
import type { LinkStatus } from '../../src/daemon/contract.ts';
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts';
import { Program } from '../../vm/index.ts';
import { FakeEmulator } from '../control/fake-emulator.ts';

let emulator: FakeEmulator;
let metrics: Metrics;

beforeEach(() => {
  emulator = new FakeEmulator();
  metrics = createMetrics(emulator);
});

type Family = { readonly help: string; readonly type: string; readonly samples: Map<string, number> };

/** Parses the text format line by line; a line of no known form is an error. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, { help: string; type: string; samples: Map<string, number> }>();
  let current = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\w+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, what, name, rest] = comment;
      current = name!;
      const family = families.get(current) ?? { help: '', type: '', samples: new Map() };
      families.set(current, what === 'HELP' ? { ...family, help: rest! } : { ...family, type: rest! });
      continue;
    }
    const sample = /^(\w+)(\{(?:\w+="[^"]*",?)*\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`not a line of the text format: ${line}`);
    expect(sample[1]!.startsWith(current), line).toBe(true);
    families.get(current)!.samples.set(`${sample[1]}${sample[2] ?? ''}`, Number(sample[3]));
  }
  return families;
}

async function scrape(): Promise<Map<string, Family>> {
  return parse(await metrics.render());
}

const attachOptions = {
  filter: '',
  program: Program.from([]),
  direction: 'inout',
  immediate: false,
  readTimeoutMs: 0,
  bufferBytes: 4096,
  owner: { uid: 0, gid: 0, pid: 0 },
} as const;

function setForward(change: Partial<LinkStatus['forward']>): void {
  const link = emulator.linkState[0]!;
  emulator.linkState[0] = { ...link, forward: { ...link.forward, ...change } };
}

test('every metric of taplab has help, a type that fits its name, and labels from the lab or a fixed list', async () => {
  await emulator.attach('client:eth0', attachOptions);
  const families = [...(await scrape())].filter(([name]) => name.startsWith('taplab_'));
  expect(families.map(([name]) => name).sort()).toEqual([
    'taplab_bpf_accepted_total',
    'taplab_bpf_dropped_total',
    'taplab_bpf_received_total',
    'taplab_build_info',
    'taplab_interface_receive_bytes_total',
    'taplab_interface_receive_frames_total',
    'taplab_interface_transmit_bytes_total',
    'taplab_interface_transmit_frames_total',
    'taplab_interface_up',
    'taplab_link_delayed_frames_total',
    'taplab_link_delivered_bytes_total',
    'taplab_link_delivered_frames_total',
    'taplab_link_drops_total',
    'taplab_link_in_flight_frames',
    'taplab_link_offered_bytes_total',
    'taplab_link_offered_frames_total',
    'taplab_link_queue_bytes',
    'taplab_link_queue_frames',
  ]);
  for (const [name, { help, type, samples }] of families) {
    expect(help, name).not.toBe('');
    expect(type, name).toBe(name.endsWith('_total') ? 'counter' : 'gauge');
    for (const key of samples.keys()) {
      expect(key).toMatch(/\{((interface|link|direction|reason|descriptor|version|node)="[^"]*",?)+\}$/);
    }
  }
});

test('counters are those of the emulator, and another scrape does not count them again', async () => {
  emulator.interfaceState[0]!.receive = { frames: 5, bytes: 500 };
  emulator.interfaceState[0]!.transmit = { frames: 7, bytes: 700 };
  setForward({ queueBytes: 1234, drops: { loss: 2, queue: 3, pool: 0, mtu: 0, carrier: 0, device: 0 } });
  for (let scrapes = 0; scrapes < 3; scrapes++) {
    const families = await scrape();
    const value = (name: string, labels: string): number | undefined =>
      families.get(name)?.samples.get(`${name}{${labels}}`);
    expect(value('taplab_interface_receive_frames_total', 'interface="client:eth0"')).toBe(5);
    expect(value('taplab_interface_transmit_bytes_total', 'interface="client:eth0"')).toBe(700);
    expect(value('taplab_interface_receive_frames_total', 'interface="server:eth0"')).toBe(0);
    expect(value('taplab_link_queue_bytes', 'link="wan",direction="forward"')).toBe(1234);
    expect(value('taplab_link_drops_total', 'link="wan",direction="forward",reason="loss"')).toBe(2);
    expect(value('taplab_link_drops_total', 'link="wan",direction="forward",reason="queue"')).toBe(3);
    expect(value('taplab_link_drops_total', 'link="wan",direction="reverse",reason="loss"')).toBe(0);
  }
});

test('a descriptor that is closed disappears', async () => {
  const [first] = [
    await emulator.attach('client:eth0', attachOptions),
    await emulator.attach('client:eth0', attachOptions),
  ];
  first.capture(Buffer.alloc(60));
  const received = async (): Promise<[string, number][]> => [
    ...((await scrape()).get('taplab_bpf_received_total')?.samples ?? []),
  ];
  expect(await received()).toEqual([
    ['taplab_bpf_received_total{interface="client:eth0",descriptor="1"}', 1],
    ['taplab_bpf_received_total{interface="client:eth0",descriptor="2"}', 0],
  ]);
  await first.close();
  expect((await received()).map(([key]) => key)).toEqual([
    'taplab_bpf_received_total{interface="client:eth0",descriptor="2"}',
  ]);
});

test('scrapes at the same time do not mix', async () => {
  emulator.interfaceState[0]!.receive = { frames: 5, bytes: 500 };
  const key = 'taplab_interface_receive_frames_total{interface="client:eth0"} 5';
  for (const text of await Promise.all([1, 2, 3, 4].map(() => metrics.render()))) {
    expect(text.split(key)).toHaveLength(2);
  }
});

describe('of the process', () => {
  test('the usual metrics are there', async () => {
    const families = await scrape();
    for (const name of [
      'process_cpu_seconds_total',
      'nodejs_eventloop_lag_seconds',
      'nodejs_heap_size_used_bytes',
    ]) {
      expect(families.has(name), name).toBe(true);
    }
  });
});
