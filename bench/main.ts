/**
 * `npm run bench -- NAME`: measurements, side by side in one run. Prints a table; with --write also keeps it, and the
 * numbers as JSON, under docs/performance/.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { PACKAGE_ROOT } from '../src/package.ts';
import { benchVm, formatTables } from './vm.ts';

type Options = { readonly seconds: string; readonly json?: boolean; readonly write?: boolean };

const program = new Command('bench').description('Measures, side by side in one run.');

program
  .command('vm')
  .description("the filter engines beside libpcap's bpf_filter() in C (needs gcc and libpcap-dev)")
  .option('--seconds <n>', 'about how long to measure', '30')
  .option('--json', 'print JSON instead of tables')
  .option('--write', 'also write docs/performance/vm.md and vm.json')
  .action(async ({ seconds, json, write }: Options) => {
    const results = await benchVm({ seconds: Number(seconds) });
    const tables = formatTables(results);
    const text = JSON.stringify(results, undefined, 2);
    process.stdout.write(`${json ? text : tables}\n`);
    if (!write) return;
    const folder = join(PACKAGE_ROOT, 'docs', 'performance');
    mkdirSync(folder, { recursive: true });
    const head = '# The filter engines\n\nMade by `npm run bench -- vm --write`.\n\n';
    writeFileSync(join(folder, 'vm.md'), `${head}${tables}`);
    writeFileSync(join(folder, 'vm.json'), `${text}\n`);
  });

await program.parseAsync();
