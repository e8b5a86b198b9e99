/** `taplab filter`: compiles, explains, checks, measures and runs BPF filters. Needs no lab and no privilege. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { filterBenchCommand } from './filter-bench.ts';
import { filterCheckCommand } from './filter-check.ts';
import { filterCompileCommand } from './filter-compile.ts';
import { filterExplainCommand } from './filter-explain.ts';
import { filterListCommand } from './filter-list.ts';
import { filterRunCommand } from './filter-run.ts';

const SUBCOMMANDS: readonly ((context: Context) => Command)[] = [
  filterCompileCommand,
  filterExplainCommand,
  filterRunCommand,
  filterCheckCommand,
  filterBenchCommand,
  filterListCommand,
];

export function filterCommand(context: Context): Command {
  const filter = new Command('filter')
    .summary('compile, explain, run, check and measure BPF filters')
    .description(
      'Works with BPF filters by themselves: no lab, no privilege, on any system that Node runs on.',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ taplab filter explain 'tcp port 80 and host 198.18.0.1'
  $ taplab filter run 'tcp[tcpflags] & tcp-syn != 0' big.pcapng -w syn.pcapng
  $ taplab filter check filters/*.bpf`,
    );
  for (const create of SUBCOMMANDS) filter.addCommand(create(context));
  return filter;
}
