/** The compose lab as a user meets it: up, traffic, captures, a link that is changed, metrics, down. */
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { FAMILIES } from '../../src/metrics/catalogue.ts';
import { processMetrics } from '../../src/metrics/metrics.ts';
import { type Dashboard, queriesOf } from '../helpers/dashboard.ts';
import { ROOT } from '../helpers/dist.ts';
import { cli, eventually } from '../helpers/real.ts';
import { ComposeLab, NODES } from './compose-lab.ts';
import { run, runForBytes } from './engine.ts';
import { brokenRules, query } from './prometheus.ts';

const image = inject('image');
/** CAP_NET_ADMIN is number 12 (capabilities(7)). */
const NET_ADMIN = '0000000000001000';
const NONE = '0000000000000000';
/** Over its base, what the image may weigh. */
const MAX_IMAGE_BYTES = 260e6;

let lab: ComposeLab;

/** The lab with two switches besides that carry nothing, so that there is something of everything to be measured. */
function withSwitches(): string {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-compose-'));
  const file = join(folder, 'lab.yaml');
  const text = readFileSync(join(ROOT, 'docker', 'lab.yaml'), 'utf8');
  const uplink = '  - { name: uplink, endpoints: [sw0:up, sw1:up] }';
  const switches = 'switches: { sw0: { ports: [{ name: up }] }, sw1: { ports: [{ name: up }] } }';
  writeFileSync(file, `${text.trimEnd()}\n${uplink}\n${switches}\n`);
  // The emulator in its container is another user.
  chmodSync(folder, 0o755);
  const override = join(folder, 'switches.yaml');
  const services = { emulator: { volumes: [`${file}:/lab.yaml:ro`] } };
  writeFileSync(override, JSON.stringify({ services }));
  return override;
}

describe.skipIf(image === '')('the compose lab', () => {
  beforeAll(async () => {
    lab = await ComposeLab.create(image, withSwitches());
    await lab.up();
  });
  afterAll(() => lab?.down());

  test('the image carries what runs, and nothing that builds', async () => {
    const sizes = await run([
      'docker',
      'image',
      'inspect',
      '-f',
      '{{.Size}}',
      image,
      'node:24-bookworm-slim',
    ]);
    const [size, base] = sizes.stdout.trim().split('\n').map(Number);
    expect(size! - base!).toBeLessThan(MAX_IMAGE_BYTES);
    const list =
      'ls /opt/taplab /opt/taplab/node_modules; for f in gcc g++ make python3 tsc; do command -v $f; done';
    const { stdout } = await lab.exec('emulator', ['sh', '-c', list], { mayFail: true });
    expect(stdout).toMatch(/^koffi$/m);
    expect(stdout).not.toMatch(/^(typescript|vitest|test|src|\/.*\/(gcc|g\+\+|make|python3|tsc))$/m);
  });

  test('the emulator has no capability, nodes have NET_ADMIN; nobody can gain more, or write outside of volumes', async () => {
    for (const service of ['emulator', 'prometheus', ...NODES] as const) {
      const look = 'cat /proc/self/status; touch /taplab-was-here';
      const { stdout: status, stderr } = await lab.exec(service, ['sh', '-c', look], { mayFail: true });
      const field = (name: string): string => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)![1]!;
      const isNode = service !== 'emulator' && service !== 'prometheus';
      for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
        expect(field(set), `${service} ${set}`).toBe(isNode ? NET_ADMIN : NONE);
      for (const set of ['CapInh', 'CapAmb']) expect(field(set), `${service} ${set}`).toBe(NONE);
      expect(field('NoNewPrivs'), service).toBe('1');
      if (service === 'emulator') expect(field('Uid')).toBe('1000\t1000\t1000\t1000');
      expect(stderr, service).toMatch(/Read-only file system/);
    }
  });

  test('a node has no way out but through the emulator', async () => {
    for (const node of NODES) {
      const links = JSON.parse((await lab.exec(node, ['ip', '-json', 'link'])).stdout) as {
        ifname: string;
      }[];
      expect(links.map(({ ifname }) => ifname)).toEqual(
        node === 'router' ? ['lo', 'eth0', 'eth1'] : ['lo', 'eth0'],
      );
    }
  });

  test('the engine finds emulator and nodes healthy', async () => {
    for (const service of ['emulator', ...NODES] as const) {
      await eventually(
        async () => (await lab.inspect(service, '{{.State.Health.Status}}')) === 'healthy',
        40_000,
      );
    }
  });

  test('nodes reach each other over the links, with their delays', async () => {
    const times = await lab.ping(5);
    expect(times).toHaveLength(5);
    // 1 ms and 20 ms, there and back.
    expect(Math.min(...times)).toBeGreaterThanOrEqual(42);
    expect(Math.min(...times)).toBeLessThan(80);
  });

  test('TCP gets through, at most at the rate of the link', async () => {
    const bytes = 1_000_000;
    const serve = `require('node:net').createServer((s) => s.end(Buffer.alloc(${bytes}))).listen(8000)`;
    await run(['docker', 'exec', '-d', await lab.container('server'), 'node', '-e', serve]);
    const fetchAll = `let n = 0, t = 0; const go = () => require('node:net').connect(8000, '198.18.1.1')
      .on('connect', () => { t = performance.now(); })
      .on('error', () => setTimeout(go, 100))
      .on('data', (d) => { n += d.length; })
      .on('end', () => console.log(JSON.stringify({ bytes: n, ms: performance.now() - t }))); go();`;
    const { stdout } = await lab.exec('client', ['node', '-e', fetchAll]);
    const result = JSON.parse(stdout) as { bytes: number; ms: number };
    expect(result.bytes).toBe(bytes);
    // At 10 Mbit/s; what queues hold may arrive a little faster at the end.
    expect(result.ms).toBeGreaterThan(700);
  });

  test('a filter attached from another container counts what the server gets', async () => {
    const id = Number((await lab.exec('client', ['taplab', 'attach', 'server:eth0', 'icmp'])).stdout);
    await lab.ping(3);
    const descriptor = await lab.client.descriptor(id);
    expect(descriptor).toMatchObject({ filter: 'icmp', accepted: 6, dropped: 0 });
    expect(descriptor.owner.uid).toBe(0);
  });

  test('the host captures through the shared socket, and reads back what it captured', async () => {
    const dump = runForBytes([process.execPath, cli, 'dump', 'client:eth0', 'icmp', '-c', '4', '-w', '-'], {
      env: { ...process.env, TAPLAB_SOCKET: lab.socketPath },
    });
    await eventually(async () =>
      (await lab.client.descriptors()).some((each) => each.interface === 'client:eth0'),
    );
    await lab.ping(2);
    const { stdout } = await dump;
    const file = join(mkdtempSync(join(tmpdir(), 'compose-')), 'icmp.pcapng');
    writeFileSync(file, stdout);
    const read = await run([process.execPath, cli, 'filter', 'run', 'icmp and host 198.18.1.1', file]);
    expect(read.stdout.trim().split('\n')).toHaveLength(4);
  });

  test('a link that is changed is changed for traffic: delay and loss are those asked for', async () => {
    await lab.exec('emulator', ['taplab', 'set', 'wan', 'delay 100ms loss 30%']);
    const times = await lab.ping(30);
    expect(times.length).toBeGreaterThan(3);
    expect(times.length).toBeLessThan(27);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(202);
    await lab.exec('emulator', ['taplab', 'set', 'wan', 'delay 20ms loss 0%']);
    expect(Math.min(...(await lab.ping(5)))).toBeLessThan(100);
  });

  test('Prometheus has every metric of docs/metrics.md', async () => {
    const names = [
      ...FAMILIES.flatMap(({ metrics }) =>
        metrics.map(({ name, type }) => (type === 'histogram' ? `${name}_count` : name)),
      ),
      ...(await processMetrics()).map(({ name, type }) => (type === 'histogram' ? `${name}_count` : name)),
    ];
    await missingIsEmpty(names);
    expect(await query(lab.prometheusUrl, 'up{job="taplab"}')).toMatchObject([{ value: 1 }]);
    const [delivered] = await query(
      lab.prometheusUrl,
      'taplab_link_delivered_frames_total{link="wan",direction="forward"}',
    );
    const { forward } = await lab.client.link('wan');
    expect(delivered!.value).toBeLessThanOrEqual(forward.delivered.frames);
    expect(delivered!.value).toBeGreaterThan(0);
  });

  test('every query of the dashboard finds data, and no rule is broken', async () => {
    const file = join(ROOT, 'docker', 'grafana', 'dashboards', 'taplab.json');
    const queries = queriesOf(JSON.parse(readFileSync(file, 'utf8')) as Dashboard);
    await missingIsEmpty(queries.map(({ expr }) => expr));
    expect(await brokenRules(lab.prometheusUrl)).toEqual([]);
  });

  test('metrics are on 127.0.0.1 only', async () => {
    for (const service of ['emulator', 'prometheus'] as const) {
      const hosts = await lab.inspect(
        service,
        '{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}',
      );
      expect(hosts.split(' ')).toEqual(['127.0.0.1']);
    }
    expect(await (await fetch(lab.metricsUrl)).text()).toContain('taplab_build_info');
  });

  test('down leaves nothing', async () => {
    expect((await lab.leftovers()).length).toBeGreaterThan(5);
    await lab.down();
    expect(await lab.leftovers()).toEqual([]);
  });
});

/** Waits until every expression has a result: rates need two scrapes. */
async function missingIsEmpty(expressions: readonly string[]): Promise<void> {
  const missing = async (): Promise<string[]> => {
    const results = await Promise.all(expressions.map((each) => query(lab.prometheusUrl, each)));
    return expressions.filter((_, i) => results[i]!.length === 0);
  };
  await eventually(async () => (await missing()).length === 0, 30_000).catch(() => undefined);
  expect(await missing()).toEqual([]);
}
