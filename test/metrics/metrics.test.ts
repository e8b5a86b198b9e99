import { spawnSync } from 'node:child_process';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LinkStatus } from '../../src/daemon/contract.ts';
import { CLEAR_LINK } from '../../src/link/settings.ts';
import { FAMILIES } from '../../src/metrics/catalogue.ts';
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts';
import { FakeEmulator } from '../control/fake-emulator.ts';
import { EVERY_FRAME } from '../helpers/lab.ts';
import { isMissing } from '../helpers/requirements.ts';

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

const attachOptions = { ...EVERY_FRAME, immediate: false, readTimeoutMs: 0, bufferBytes: 4096 };

function setForward(change: Partial<LinkStatus['forward']>): void {
  const link = emulator.linkState[0]!;
  emulator.linkState[0] = { ...link, forward: { ...link.forward, ...change } };
}

test('what is served are the metrics of the catalogue, with their types, labels and number of series', async () => {
  await emulator.attach('client:eth0', attachOptions);
  setForward({ rules: [{ match: 'icmp', matched: { frames: 1, bytes: 2 }, dropped: 0 }] });
  setForward({ settings: { ...emulator.linkState[0]!.forward.settings, rateBitsPerSecond: 8000 } });
  const families = await scrape();
  const definitions = FAMILIES.flatMap((family) => family.metrics);
  const served = [...families.keys()].filter((name) => name.startsWith('taplab_'));
  expect(served).toEqual(definitions.map(({ name }) => name));
  for (const { name, help, type, labels, series } of definitions) {
    const family = families.get(name)!;
    expect({ help: family.help, type: family.type }, name).toEqual({ help, type });
    const keys = [...family.samples.keys()];
    expect(keys.length % series, name).toBe(0);
    expect(keys.length, name).toBeGreaterThan(0);
    for (const key of keys) {
      const hasNoBound = /_(sum|count)\{/.test(key);
      expect(labelNames(key), name).toEqual(labels.filter((label) => !(hasNoBound && label === 'le')));
    }
  }
});

/** The label names of a series, in order. */
function labelNames(key: string): string[] {
  return [...key.matchAll(/(\w+)="/g)].map(([, name]) => name!);
}

test.skipIf(isMissing('promtool'))('promtool has nothing to say about them', async () => {
  await emulator.attach('client:eth0', attachOptions);
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await metrics.render(),
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});

test('every value is the one of the emulator, and another scrape does not count it again', async () => {
  Object.assign(emulator.interfaceState[0]!, {
    receive: { frames: 1, bytes: 2 },
    transmit: { frames: 3, bytes: 4 },
    up: false,
  });
  setForward({
    settings: {
      ...CLEAR_LINK,
      delayNs: 22e6,
      jitterNs: 23e6,
      loss: 0.24,
      rateBitsPerSecond: 200,
      limitBytes: 26,
    },
    offered: { frames: 5, bytes: 6 },
    delivered: { frames: 7, bytes: 8 },
    delayed: 9,
    rules: [{ match: 'icmp', matched: { frames: 43, bytes: 44 }, dropped: 45 }],
    duplicated: 33,
    queueBytes: 10,
    queueFrames: 11,
    inFlight: 12,
    delayError: { upperBoundsNs: [1e3, 1e6], counts: [3, 2, 1], sumNs: 4e9 },
    overloaded: ['pool'],
    drops: { loss: 13, queue: 14, pool: 15, mtu: 16, carrier: 17, device: 18, aqm: 34, filter: 35 },
  });
  const descriptor = await emulator.attach('server:eth0', attachOptions);
  Object.assign(descriptor.state, {
    received: 19,
    accepted: 20,
    dropped: 21,
    capturedBytes: 27,
    writeFiltered: 29,
    writeDropped: 30,
    holdBytes: 32,
    written: 28,
  });
  Object.assign(emulator.workerState, {
    busyNs: 33e9,
    spinNs: 46e9,
    iterations: 34,
    loopLag: { upperBoundsNs: [1e3], counts: [35, 1], sumNs: 37e9 },
    slotsUsed: 38,
    taps: 39,
    timedTaps: 40,
    timedTapsNs: 41e9,
  });
  const client = 'interface="client:eth0"';
  const forward = 'link="wan",direction="forward"';
  const attached = 'interface="server:eth0",descriptor="1"';
  const expected: [name: string, labels: string, value: number | undefined][] = [
    ['taplab_interface_receive_frames_total', client, 1],
    ['taplab_interface_receive_bytes_total', client, 2],
    ['taplab_interface_transmit_frames_total', client, 3],
    ['taplab_interface_transmit_bytes_total', client, 4],
    ['taplab_interface_up', client, 0],
    ['taplab_interface_up', 'interface="server:eth0"', 1],
    ['taplab_interface_receive_frames_total', 'interface="server:eth0"', 0],
    ['taplab_link_offered_frames_total', forward, 5],
    ['taplab_link_offered_bytes_total', forward, 6],
    ['taplab_link_delivered_frames_total', forward, 7],
    ['taplab_link_delivered_bytes_total', forward, 8],
    ['taplab_link_delayed_frames_total', forward, 9],
    ['taplab_link_queue_bytes', forward, 10],
    ['taplab_link_queue_frames', forward, 11],
    ['taplab_link_in_flight_frames', forward, 12],
    ['taplab_link_drops_total', `${forward},reason="loss"`, 13],
    ['taplab_link_drops_total', `${forward},reason="queue"`, 14],
    ['taplab_link_drops_total', `${forward},reason="pool"`, 15],
    ['taplab_link_drops_total', `${forward},reason="mtu"`, 16],
    ['taplab_link_drops_total', `${forward},reason="carrier"`, 17],
    ['taplab_link_drops_total', `${forward},reason="device"`, 18],
    ['taplab_link_drops_total', 'link="wan",direction="reverse",reason="loss"', 0],
    ['taplab_bpf_received_total', attached, 19],
    ['taplab_bpf_accepted_total', attached, 20],
    ['taplab_bpf_dropped_total', attached, 21],
    ['taplab_link_configured_delay_seconds', forward, 0.022],
    ['taplab_link_configured_jitter_seconds', forward, 0.023],
    ['taplab_link_configured_loss_ratio', forward, 0.24],
    ['taplab_link_configured_rate_bytes_per_second', forward, 25],
    ['taplab_link_configured_rate_bytes_per_second', 'link="wan",direction="reverse"', undefined],
    ['taplab_link_configured_queue_limit_bytes', forward, 26],
    ['taplab_bpf_captured_bytes_total', attached, 27],
    ['taplab_bpf_written_frames_total', attached, 28],
    ['taplab_bpf_filter_instructions', attached, 0],
    ['taplab_bpf_buffer_bytes', attached, 4096],
    ['taplab_link_info', `${forward},from="client:eth0",to="server:eth0"`, 1],
    ['taplab_interface_info', 'interface="server:tun0",kind="tun"', 1],
    ['taplab_interface_mtu_bytes', client, 1500],
    ['taplab_interface_descriptors', 'interface="server:eth0"', 1],
    ['taplab_interface_filters_compiled', client, 0],
    ['taplab_lab_info', 'lab="fake"', 1],
    ['taplab_link_delay_error_seconds_bucket', `${forward},le="0.000001"`, 3],
    ['taplab_link_delay_error_seconds_bucket', `${forward},le="0.001"`, 5],
    ['taplab_link_delay_error_seconds_bucket', `${forward},le="+Inf"`, 6],
    ['taplab_link_delay_error_seconds_sum', forward, 4],
    ['taplab_link_delay_error_seconds_count', forward, 6],
    ['taplab_bpf_write_filtered_frames_total', attached, 29],
    ['taplab_bpf_write_dropped_frames_total', attached, 30],
    ['taplab_bpf_buffered_bytes', attached, 32],
    ['taplab_link_duplicated_frames_total', forward, 33],
    ['taplab_link_rule_matched_frames_total', `${forward},rule="0"`, 43],
    ['taplab_link_rule_matched_bytes_total', `${forward},rule="0"`, 44],
    ['taplab_link_rule_drops_total', `${forward},rule="0"`, 45],
    ['taplab_link_overloaded', `${forward},cause="pool"`, 1],
    ['taplab_link_overloaded', `${forward},cause="late"`, 0],
    ['taplab_worker_up', 'worker="0"', 1],
    ['taplab_worker_busy_seconds_total', 'worker="0"', 33],
    ['taplab_worker_spin_seconds_total', 'worker="0"', 46],
    ['taplab_worker_wakeups_total', 'worker="0"', 34],
    ['taplab_worker_loop_lag_seconds_bucket', 'worker="0",le="0.000001"', 35],
    ['taplab_worker_loop_lag_seconds_sum', 'worker="0"', 37],
    ['taplab_worker_frame_slots', 'worker="0"', 16],
    ['taplab_worker_frame_slots_used', 'worker="0"', 38],
    ['taplab_worker_taps_total', 'worker="0"', 39],
    ['taplab_worker_timed_taps_total', 'worker="0"', 40],
    ['taplab_worker_timed_taps_seconds_total', 'worker="0"', 41],
  ];
  for (let scrapes = 0; scrapes < 2; scrapes++) {
    const families = await scrape();
    const actual = expected.map(([name, labels]) => {
      const family = families.get(name.replace(/_(bucket|sum|count)$/, ''));
      return [name, labels, family?.samples.get(`${name}{${labels}}`)];
    });
    expect(actual).toEqual(expected);
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
