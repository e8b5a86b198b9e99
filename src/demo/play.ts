/**
 * What the demo shows on its stage, in order: traffic starts, a capture and two filters are attached over the control
 * socket while it runs, rates and matches are shown each second, metrics are scraped, and at the end a report.
 */
import { get } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { plural } from '../cli/format.ts';
import type { Terminal } from '../cli/terminal.ts';
import type { DescriptorResource } from '../control/schemas/resources.ts';
import { formatImpairment } from '../link/impairment.ts';
import { createCapture } from './capture-path.ts';
import { Interrupted, type Stage, TRAFFIC_SECONDS } from './stage.ts';
import { LiveView, reportLines } from './view.ts';

const LINK = 'wan';
const INTERFACE = 'client:eth0';
/** Seconds after the traffic started. */
const ATTACH_AT = 2;
const SCRAPE_AT = 8;
const FILTERS = ['@http', '@tcp-syn'];
/** How long completing the capture may take when the demo ends early. */
const PATIENCE_MS = 1000;
/** Keeps the first 128 bytes of every frame: headers, and little of the data. */
const HEADERS_ONLY = 'ret #128';

const SAMPLES = [
  /^taplab_interface_receive_frames_total/,
  /^taplab_link_drops_total.*reason="loss"/,
  /^taplab_link_queue_bytes/,
  /^taplab_bpf_accepted_total/,
];

/** The capture goes into `folder`. Throws Interrupted when the signal is aborted; the caller closes the stage. */
export async function play(
  stage: Stage,
  terminal: Terminal,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const { client } = stage;
  const goOn = (): void => {
    if (signal.aborted) throw new Interrupted();
  };
  const { forward, endpoints } = await client.link(LINK);
  const ends = endpoints.join(' ⇄ ');
  terminal.print(`lab       ${ends}: ${formatImpairment(forward.settings)}, each way`);
  terminal.print(`on        ${stage.description}`);
  terminal.print(`socket    ${client.socketPath}`);
  goOn();
  const capture = await startCapture(stage, folder);
  try {
    await stage.startTraffic();
    goOn();
    const view = new LiveView(terminal);
    let filters: DescriptorResource[] = [];
    for (let second = 1; second <= TRAFFIC_SECONDS; second++) {
      await stage.second();
      goOn();
      const descriptors = await Promise.all(filters.map(({ id }) => client.descriptor(id)));
      view.show({ second, link: await client.link(LINK), descriptors });
      if (second === ATTACH_AT) {
        filters = await Promise.all(FILTERS.map((filter) => client.attach(INTERFACE, { filter })));
        const attached = filters.map(({ filter, id }) => `${filter} as descriptor ${id}`).join(', ');
        view.note(`attached  ${attached}, over the control socket`);
      }
      if (second === SCRAPE_AT) {
        for (const each of await scrape(stage.metricsUrl)) view.note(each);
      }
      goOn();
    }
    const traffic = await stage.trafficResult();
    goOn();
    const link = await client.link(LINK);
    const descriptors = await Promise.all(filters.map(({ id }) => client.detach(id)));
    const { path, frames, dropped } = await capture.finish();
    terminal.print('');
    for (const each of reportLines(terminal, {
      link,
      descriptors,
      traffic,
      capture: { path, frames, dropped },
    })) {
      terminal.print(each);
    }
  } catch (error) {
    await Promise.race([
      capture.finish().catch(() => undefined),
      sleep(PATIENCE_MS, undefined, { ref: false }),
    ]);
    // A request that failed because the lab is being taken down is no news.
    goOn();
    throw error;
  }
}

type Capture = { finish(): Promise<{ path: string; frames: number; dropped: number }> };

/** Streams what the client's interface carries from the control socket into a pcapng file. */
async function startCapture({ client }: Stage, folder: string): Promise<Capture> {
  const { id } = await client.attach(INTERFACE, { program: HEADERS_ONLY });
  const stream = await client.stream(id, 'pcapng');
  const { path, sink } = await createCapture(folder);
  const written = pipeline(stream, sink);
  // Reported when it is asked for.
  written.catch(() => undefined);
  return {
    finish: async () => {
      const { accepted, dropped } = await client.detach(id);
      await written;
      return { path, frames: accepted - dropped, dropped };
    },
  };
}

/** A few of the samples Prometheus would get. */
async function scrape(url: string): Promise<string[]> {
  const text = await new Promise<string>((resolve, reject) => {
    const request = get(url, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      answer.on('end', () => resolve(body));
      answer.on('error', reject);
    });
    request.on('error', reject);
  });
  const samples = text.split('\n').filter((each) => each.startsWith('taplab_'));
  const shown = SAMPLES.flatMap((pattern) => samples.filter((each) => pattern.test(each)).slice(0, 2));
  return [
    `scraped   ${plural(samples.length, 'sample')} from ${url}, among them`,
    ...shown.map((each) => `          ${each}`),
  ];
}
