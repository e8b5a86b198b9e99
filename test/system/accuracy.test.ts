/**
 * Links on real TAP devices are as exact as they say, measured by the programs of `npm run bench -- accuracy`.
 *
 * What else the machine does makes frames late too. So a link is measured for as long as it takes, up to a limit, and
 * the best quarter of a second counts: a link that is exact has one as soon as the machine leaves it alone for so long,
 * one whose timers are coarse never has. That no frame is early holds for all.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { errorsOf } from '../../bench/accuracy/delay.ts';
import { delaysMs, sendProbes } from '../../bench/accuracy/probes.ts';
import { compileC, Ground, Pair } from '../../bench/net/ground.ts';
import { quantile } from '../../bench/net/work.ts';
import {
  noRealDevices,
  pairYaml,
  type RunningLab,
  removeNamespaces,
  run,
  startLab,
  taplab,
  uniqueLabName,
} from '../helpers/real.ts';
import { isMissing } from '../helpers/requirements.ts';
import { exit, output } from '../helpers/traffic.ts';

const TRANSFER = join(import.meta.dirname, 'transfer.mjs');

const PER_SECOND = 1009;
const DATAGRAMS = 2500;
const MOST_ROUNDS = 15;
/** Datagrams that count together. */
const WINDOW = 250;
const WINDOW_STEP = 25;
const MEDIAN_MS = 0.1;
const P99_MS = 0.5;

const TCP_BYTES = 5_000_000;
const MOST_TRANSFERS = 6;
/** Of TCP with time stamps, in frames of 1,514 bytes. */
const PAYLOAD_OF_FRAME = 1448 / 1514;

const cleanUps: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function pair(impair = '{}'): Promise<RunningLab> {
  const name = uniqueLabName();
  cleanUps.push(() => removeNamespaces(name));
  const lab = await startLab(name, pairYaml(name, '', impair));
  cleanUps.push(() => lab.stop());
  return lab;
}

describe.skipIf(noRealDevices || isMissing('gcc'))('datagrams, a thousand a second', () => {
  let ground: Ground;
  let program: string;
  beforeAll(() => {
    ground = new Ground();
    const probe = compileC(ground, 'probe');
    if ('missing' in probe) throw new Error(probe.missing);
    program = probe.path;
  });
  afterAll(() => ground.close());

  test.each([5, 0.2])(
    'are %d ms late on a link of as much: 0.1 ms at the median and 0.5 ms at p99',
    async (asked) => {
      const lab = await pair();
      const between = new Pair(ground, 0, { a: lab.namespace('a'), b: lab.namespace('b') });
      const windows = async (): Promise<number[][]> => {
        const plan = { bytes: 64, perSecond: PER_SECOND, count: DATAGRAMS };
        const arrivals = (await sendProbes(between, program, plan)).sort((x, y) => x.number - y.number);
        const starts = Math.floor((arrivals.length - WINDOW) / WINDOW_STEP) + 1;
        return Array.from({ length: starts }, (_, i) =>
          delaysMs(arrivals.slice(i * WINDOW_STEP, i * WINDOW_STEP + WINDOW)),
        );
      };
      // What devices and kernels need without a delay.
      const base = Math.min(...(await windows()).map((delays) => quantile(delays, 0.5)));
      expect(await taplab(['set', 'ab', `delay ${asked}ms`], lab.socket)).toMatchObject({ status: 0 });
      const seen: string[] = [];
      for (let i = 0; i < MOST_ROUNDS; i++) {
        for (const delays of await windows()) {
          expect(delays[0]).toBeGreaterThanOrEqual(asked);
          const errors = errorsOf(delays, asked + base);
          const [median, p99] = [quantile(errors, 0.5), quantile(errors, 0.99)];
          if (median <= MEDIAN_MS && p99 <= P99_MS) return;
          seen.push(`${median.toFixed(3)}/${p99.toFixed(3)}`);
        }
      }
      expect.fail(
        `never exact; base ${base.toFixed(3)} ms, medians/p99 beyond it: ${seen.slice(-50).join(' ')}`,
      );
    },
    90_000,
  );
});

/** Mbit/s of payload that TCP carries from a to b. */
async function tcpMbitPerSecond(lab: RunningLab): Promise<number> {
  const receiver = lab.spawnIn('b', TRANSFER, 'receive', '9001');
  cleanUps.push(() => receiver.kill('SIGKILL'));
  await once(receiver.stdout!, 'data'); // it says so when it listens
  const said = output(receiver);
  await exit(lab.spawnIn('a', TRANSFER, 'send', '198.18.0.2', '9001', String(TCP_BYTES), '7'));
  const { bitsPerSecond } = JSON.parse((await said).trim().split('\n').at(-1)!) as { bitsPerSecond: number };
  return bitsPerSecond / 1e6;
}

test.skipIf(noRealDevices)(
  'TCP over a link of 20 Mbit/s has what headers leave of it, within 2 %',
  async () => {
    const lab = await pair('rate 20mbit');
    // It keeps the queue in front of the link filled, and every kernel has it.
    const reno = 'echo reno > /proc/sys/net/ipv4/tcp_congestion_control';
    await run('ip', ['netns', 'exec', lab.namespace('a'), 'sh', '-c', reno]);
    const reached: number[] = [];
    while (reached.length < MOST_TRANSFERS) {
      const share = (await tcpMbitPerSecond(lab)) / (20 * PAYLOAD_OF_FRAME);
      if (Math.abs(share - 1) <= 0.02) return;
      reached.push(share);
    }
    expect.fail(`no transfer within 2 % of 1: ${reached.map((share) => share.toFixed(3)).join(' ')}`);
  },
  60_000,
);
