/** `taplab filter list`: the ready-made filters. */
import { Command } from 'commander';
import { readyFilters } from '../../control/filter.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { table, texts } from '../table.ts';

export function filterListCommand({ terminal }: Context): Command {
  return new Command('list')
    .summary('list the ready-made filters')
    .description('Lists the ready-made filters, which every FILTER can name as @name.')
    .addOption(jsonOption('print them as JSON'))
    .addHelpText('after', '\nExamples:\n  $ taplab filter list\n  $ taplab filter explain @tcp-syn')
    .action(({ json }: { json?: true }) => {
      const filters = readyFilters().map(({ name, purpose }) => ({ name: `@${name}`, purpose }));
      if (json) return terminal.printJson(filters);
      const rows = filters.map(({ name, purpose }) => [name, purpose]);
      for (const line of table(terminal, texts('NAME', 'PURPOSE'), rows)) terminal.print(line);
    });
}
