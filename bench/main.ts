/**
 * `npm run bench -- NAME`: measurements, side by side in one run. Prints a table; with --write also keeps it, and the
 * numbers as JSON, under docs/performance/.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { PACKAGE_ROOT } from '../src/package.ts';
import { benchAccuracy, chartAccuracy, formatAccuracy } from './accuracy.ts';
import { BPF_PARTS, type BpfPart, benchBpf, formatBpf } from './bpf.ts';
import { benchBringUp, chartBringUp, formatBringUp } from './bringup.ts';
import { benchIo, formatIo } from './io.ts';
import { benchLink, formatLink } from './link.ts';
import { benchNet, chartNet, formatNet } from './net.ts';
import { benchScale, formatScale } from './scale.ts';
import { benchVm, formatTables } from './vm.ts';

type Options = { readonly seconds: string; readonly json?: boolean; readonly write?: boolean };

/** Prints results, and keeps them under docs/performance/ when asked to. */
function report(
  name: string,
  title: string,
  results: unknown,
  tables: string,
  { json, write }: { json?: boolean | undefined; write?: boolean | undefined },
  chart?: string,
): void {
  const text = JSON.stringify(results, undefined, 2);
  process.stdout.write(`${json ? text : tables}\n`);
  if (!write) return;
  const folder = join(PACKAGE_ROOT, 'docs', 'performance');
  mkdirSync(folder, { recursive: true });
  if (chart !== undefined) writeFileSync(join(folder, `${name}.svg`), chart);
  const picture = chart === undefined ? '' : `![${name}](${name}.svg)\n\n`;
  const head = `${title}\n\nMade by \`npm run bench -- ${name} --write\`.\n\n`;
  writeFileSync(join(folder, `${name}.md`), `${head}${picture}${tables}`);
  writeFileSync(join(folder, `${name}.json`), `${text}\n`);
}

const program = new Command('bench').description('Measures, side by side in one run.');

program
  .command('vm')
  .description("the filter engines beside libpcap's bpf_filter() in C (needs gcc and libpcap-dev)")
  .option('--seconds <n>', 'about how long to measure', '30')
  .option('--json', 'print JSON instead of tables')
  .option('--write', 'also write docs/performance/vm.md and vm.json')
  .action(async ({ seconds, json, write }: Options) => {
    const results = await benchVm({ seconds: Number(seconds) });
    report('vm', '# The filter engines', results, formatTables(results), { json, write });
  });

type NetOptions = { seconds: string; rounds: string; only?: string[]; json?: boolean; write?: boolean };

program
  .command('net')
  .description(
    'taplab between two namespaces, beside a C forwarder, vde and the kernel (needs root, iperf3, gcc)',
  )
  .option('--seconds <n>', 'seconds of traffic in one turn', '2')
  .option('--rounds <n>', 'how often each takes its turn', '3')
  .option('--only <names...>', 'only contenders whose name contains one of these')
  .option('--json', 'print JSON instead of a table')
  .option('--write', 'also write docs/performance/net.md, net.json and net.svg')
  .action(async ({ seconds, rounds, only, json, write }: NetOptions) => {
    const results = await benchNet({
      seconds: Number(seconds),
      rounds: Number(rounds),
      ...(only && { only }),
      onProgress: (what) => process.stderr.write(`${what}\n`),
    });
    report(
      'net',
      '# Between two namespaces',
      results,
      formatNet(results),
      { json, write },
      chartNet(results),
    );
  });

program
  .command('accuracy')
  .description(
    'what links are asked to do beside what they do: delay, jitter, rate, loss; beside wirefilter (needs root, iperf3, gcc)',
  )
  .option('--seconds <n>', 'seconds of traffic in one turn', '1')
  .option('--rounds <n>', 'how often each takes its turn', '3')
  .option('--only <names...>', 'only emulators whose name contains one of these')
  .option('--json', 'print JSON instead of tables')
  .option('--write', 'also write docs/performance/accuracy.md, accuracy.json and accuracy.svg')
  .action(async ({ seconds, rounds, only, json, write }: NetOptions) => {
    const results = await benchAccuracy({
      seconds: Number(seconds),
      rounds: Number(rounds),
      ...(only && { only }),
      onProgress: (what) => process.stderr.write(`${what}\n`),
    });
    report(
      'accuracy',
      '# What links are asked to do, and what they do',
      results,
      formatAccuracy(results),
      { json, write },
      chartAccuracy(results),
    );
  });

type BringUpOptions = { rounds: string; nodes: string[]; json?: boolean; write?: boolean };

program
  .command('bringup')
  .description('how long labs of many nodes take to come up and go down, beside Mininet (needs root)')
  .option('--rounds <n>', 'how often each takes its turn', '3')
  .option('--nodes <n...>', 'sizes of the chains and of the switches', ['2', '100', '500'])
  .option('--json', 'print JSON instead of a table')
  .option('--write', 'also write docs/performance/bringup.md, bringup.json and bringup.svg')
  .action(async ({ rounds, nodes, json, write }: BringUpOptions) => {
    const results = await benchBringUp({
      rounds: Number(rounds),
      nodes: nodes.map(Number),
      onProgress: (what) => process.stderr.write(`${what}\n`),
    });
    report(
      'bringup',
      '# Bringing labs up and down',
      results,
      formatBringUp(results),
      { json, write },
      chartBringUp(results),
    );
  });

program
  .command('io')
  .description(
    'frames written together by io_uring beside one write each and C (needs root, Linux 6.0, iperf3, gcc)',
  )
  .option('--seconds <n>', 'seconds of traffic in one turn', '2')
  .option('--rounds <n>', 'how often each takes its turn', '7')
  .option('--json', 'print JSON instead of a table')
  .option('--write', 'also write docs/performance/io.md and io.json')
  .action(async ({ seconds, rounds, json, write }: Options & { rounds: string }) => {
    const results = await benchIo({
      seconds: Number(seconds),
      rounds: Number(rounds),
      onProgress: (what) => process.stderr.write(`${what}\n`),
    });
    report('io', '# Frames written together', results, formatIo(results), { json, write });
  });

type ScaleOptions = {
  seconds: string;
  rounds: string;
  nodes: string[];
  beside?: string;
  json?: boolean;
  write?: boolean;
};

program
  .command('scale')
  .description('what a frame costs in a lab of many nodes beside one of two (needs root, gcc)')
  .option('--seconds <n>', 'seconds of traffic in one turn', '2')
  .option('--rounds <n>', 'how often each takes its turn', '5')
  .option('--nodes <n...>', 'sizes of the chains', ['2', '500'])
  .option('--beside <dist>', 'also measure another build, the folder dist/ of it')
  .option('--json', 'print JSON instead of tables')
  .option('--write', 'also write docs/performance/scale.md and scale.json')
  .action(async ({ seconds, rounds, nodes, beside, json, write }: ScaleOptions) => {
    const results = await benchScale({
      seconds: Number(seconds),
      rounds: Number(rounds),
      nodes: nodes.map(Number),
      ...(beside !== undefined && { beside }),
      onProgress: (what) => process.stderr.write(`${what}\n`),
    });
    report('scale', '# Labs of many nodes', results, formatScale(results), { json, write });
  });

type BpfOptions = {
  rounds: string;
  seconds: string;
  only?: readonly BpfPart[];
  json?: boolean;
  write?: boolean;
};

program
  .command('bpf')
  .description(
    'what attaching, the bpf_if lock, delivery and reading cost, and what BPF costs when nobody listens',
  )
  .option('--rounds <n>', 'how often each takes its turn', '15')
  .option('--seconds <n>', 'seconds of reading in one turn', '1')
  .addOption(new Option('--only <parts...>', 'only these parts').choices(BPF_PARTS))
  .option('--json', 'print JSON instead of tables')
  .option('--write', 'also write docs/performance/bpf.md and bpf.json')
  .action(async ({ rounds, seconds, only, json, write }: BpfOptions) => {
    const results = await benchBpf({
      rounds: Number(rounds),
      seconds: Number(seconds),
      parts: only ?? BPF_PARTS,
      onProgress: (what) => process.stderr.write(`${what}\n`),
    });
    report('bpf', '# BPF descriptors', results, formatBpf(results), { json, write });
  });

type LinkOptions = { rounds: string; beside?: string; json?: boolean; write?: boolean };

program
  .command('link')
  .description('what a frame costs on a link: of each impairment, by links and by frames in flight')
  .option('--rounds <n>', 'how often each takes its turn', '15')
  .option('--beside <dist>', 'also measure another build, the folder dist/ of it')
  .option('--json', 'print JSON instead of tables')
  .option('--write', 'also write docs/performance/link.md and link.json')
  .action(async ({ rounds, beside, json, write }: LinkOptions) => {
    const results = await benchLink({
      rounds: Number(rounds),
      ...(beside !== undefined && { beside }),
      onProgress: (what) => process.stderr.write(`${what}\n`),
    });
    report('link', '# Links', results, formatLink(results), { json, write });
  });

await program.parseAsync();
