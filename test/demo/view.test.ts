import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Terminal } from '../../src/cli/terminal.ts';
import type { DescriptorResource } from '../../src/control/schemas/resources.ts';
import type { DirectionStatus, LinkStatus } from '../../src/daemon/contract.ts';
import { LiveView, reportLines } from '../../src/demo/view.ts';
import { CLEAR_LINK } from '../../src/link/settings.ts';

function direction(from: string, to: string, frames: number, loss: number): DirectionStatus {
  return {
    from,
    to,
    workers: [0],
    settings: CLEAR_LINK,
    now: null,
    offered: { frames: frames + loss, bytes: (frames + loss) * 1000 },
    delivered: { frames, bytes: frames * 1000 },
    delayed: frames,
    duplicated: 0,
    drops: { loss, queue: 0, pool: 0, mtu: 0, carrier: 0, device: 0, aqm: 0, filter: 0 },
    queueBytes: 2000,
    queueFrames: 2,
    inFlight: 3,
    delayError: { upperBoundsNs: [], counts: [0], sumNs: 0 },
    overloaded: [],
    rules: [],
  };
}

function link(frames: number, loss: number): LinkStatus {
  return {
    name: 'wan',
    endpoints: ['client:eth0', 'server:eth0'],
    forward: direction('client:eth0', 'server:eth0', frames, loss),
    reverse: direction('server:eth0', 'client:eth0', 2 * frames, 0),
  };
}

const HTTP: DescriptorResource = {
  id: 2,
  interface: 'client:eth0',
  linkType: 1,
  filter: '@http',
  instructions: 20,
  direction: 'inout',
  immediate: false,
  readTimeoutMs: 100,
  bufferBytes: 4096,
  promiscuous: true,
  headerComplete: true,
  feedback: false,
  timestamp: 'microtime',
  writeFilter: null,
  locked: false,
  ephemeral: false,
  owner: { uid: 0, gid: 0, pid: 0 },
  attached: true,
  received: 1500,
  accepted: 1234,
  dropped: 0,
  capturedBytes: 0,
  written: 0,
  storeBytes: 0,
  holdBytes: 0,
  writeFiltered: 0,
  writeDropped: 0,
  readers: [],
  errors: [],
};

function terminalOf(properties: object): { terminal: Terminal; text: () => string } {
  const out = Object.assign(new PassThrough(), properties);
  return { terminal: new Terminal(out, out), text: () => String(out.read() ?? '') };
}

describe('the live view', () => {
  it('elsewhere than on a terminal is a line each second, with rates since the second before', () => {
    const { terminal, text } = terminalOf({});
    const view = new LiveView(terminal);
    view.show({ second: 1, link: link(100, 1), descriptors: [] });
    view.show({ second: 2, link: link(350, 3), descriptors: [HTTP] });
    expect(text().split('\n')).toEqual([
      ' 1s  client → server 100 frames/s 800.0 kbit/s queue 2.0 kB | server → client 200 frames/s 1.6 Mbit/s queue 2.0 kB | lost 1',
      ' 2s  client → server 250 frames/s 2.0 Mbit/s queue 2.0 kB | server → client 500 frames/s 4.0 Mbit/s queue 2.0 kB | lost 3 | @http 1,234/1,500',
      '',
    ]);
  });

  it('on a terminal paints over what it painted before, but not over notes', () => {
    const { terminal, text } = terminalOf({ isTTY: true, columns: 80 });
    const view = new LiveView(terminal);
    view.show({ second: 1, link: link(1, 0), descriptors: [] });
    const first = text();
    const painted = first.split('\n').length - 1;
    expect(first).not.toContain('\u001b[4A');
    view.show({ second: 2, link: link(2, 0), descriptors: [] });
    expect(text().startsWith(`\u001b[${painted}A\u001b[J`)).toBe(true);
    view.note('attached');
    view.show({ second: 3, link: link(3, 0), descriptors: [] });
    expect(text()).not.toContain('A\u001b[J');
  });

  it('on a narrow terminal is lines, which may wrap', () => {
    const { terminal, text } = terminalOf({ isTTY: true, columns: 79 });
    new LiveView(terminal).show({ second: 1, link: link(1, 0), descriptors: [] });
    expect(text()).toMatch(/^ 1s {2}client/);
  });
});

it('the report says what was sent, delayed, lost, matched, and where the capture is', () => {
  const { terminal } = terminalOf({});
  const lines = reportLines(terminal, {
    link: link(990, 10),
    descriptors: [HTTP],
    traffic: {
      ping: { sent: 100, received: 97, lost: 3, rttMs: { min: 40, median: 40.25, mean: 41, max: 50 } },
      tcp: { connections: 1, bytes: 300_000, seconds: 1, bitsPerSecond: 2_400_000 },
    },
    capture: { path: '/tmp/taplab-demo.pcapng', frames: 2000, dropped: 1 },
  });
  expect(lines.map((each) => each.trim())).toEqual([
    'sent     2,980 frames, 3.0 MB, in both directions',
    'delayed  2,970 frames',
    'lost     10 frames: 10 by loss',
    'matched  @http 1,234 of 1,500 frames on client:eth0',
    'pings    97 of 100 answered, round trip 40.3 ms at the median',
    'tcp      1 transfer, 300.0 kB, 2.4 Mbit/s',
    'capture  /tmp/taplab-demo.pcapng (2,000 frames, 1 missed); open it in Wireshark',
  ]);
});
