/** `taplab filter bench`: what a filter costs per packet, and to be compiled. */
import { Command } from 'commander';
import { LINK_TYPES } from '../../../vm/compiler/index.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { type BenchResult, benchFilter } from '../filter/bench.ts';
import { compileSource, readFilter } from '../filter/source.ts';
import { numbers, table, texts } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { FILTER_HELP } from './attach.ts';

export function filterBenchCommand({ terminal }: Context): Command {
  return new Command('bench')
    .summary('measure what a filter costs')
    .description(
      'Measures a filter for about two seconds over a fixed mixture of Ethernet frames, in the interpreter and as WebAssembly, and how long it takes to compile. Medians; compare only what was measured on one machine.',
    )
    .argument('<filter...>', 'what to measure')
    .addOption(jsonOption('print the numbers as JSON'))
    .addHelpText(
      'after',
      `${FILTER_HELP}

Examples:
  $ taplab filter bench tcp port 80
  $ taplab filter bench 'host 198.18.0.1 and tcp[tcpflags] & tcp-syn != 0' --json`,
    )
    .action(async (words: string[], { json }: { json?: true }) => {
      const source = await readFilter(words);
      const result = benchFilter(() => compileSource(source, LINK_TYPES.EN10MB));
      if (json) terminal.printJson({ filter: source.name, ...result });
      else print(terminal, source.name, result);
    });
}

function print(terminal: Terminal, name: string, result: BenchResult): void {
  const { instructions, frames, matchedFrames, interpreterNsPerPacket, wasmNsPerPacket } = result;
  terminal.print(
    `${name || 'every packet'}: ${instructions} instructions, ${matchedFrames} of ${frames} frames match`,
  );
  terminal.print('');
  const row = (engine: string, ns: number): string[] => [engine, ns.toFixed(1), (1000 / ns).toFixed(1)];
  const rows = [row('interpreter', interpreterNsPerPacket), row('wasm', wasmNsPerPacket)];
  const columns = [...texts('ENGINE'), ...numbers('NS/PACKET', 'MPPS')];
  for (const line of table(terminal, columns, rows)) terminal.print(line);
  terminal.print('');
  terminal.print(
    `compiled in ${result.compileMs.toFixed(3)} ms, from there to the first verdict in wasm ${result.wasmCompileMs.toFixed(3)} ms`,
  );
}
