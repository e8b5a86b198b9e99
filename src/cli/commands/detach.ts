/** `taplab detach`: closes a descriptor. */
import { Command } from 'commander';
import { jsonOption, wholeNumber } from '../arguments.ts';
import type { Context } from '../context.ts';
import { count } from '../format.ts';

export function detachCommand(context: Context): Command {
  return new Command('detach')
    .summary('close a descriptor')
    .description('Closes a descriptor, of this user or as root of anyone. Its streams end complete.')
    .argument('<id>', 'number of the descriptor', wholeNumber(0))
    .addOption(jsonOption('print its last counters as JSON'))
    .action(async (id: number, { json }: { json?: true }) => {
      const last = await context.client.detach(id);
      if (json) return context.terminal.printJson(last);
      const { received, accepted, dropped } = last;
      context.terminal.say(
        `detached ${id} from ${last.interface}: ${count(received)} received, ${count(accepted)} accepted, ${count(dropped)} dropped`,
      );
    });
}
