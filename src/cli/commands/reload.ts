/** `taplab reload`: has the emulator read its lab file again. */
import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';

export function reloadCommand(context: Context): Command {
  return new Command('reload')
    .summary('read the lab file again, and change what differs')
    .description(
      'Has the emulator read its lab file again, and change what differs from before while the lab runs: nodes, interfaces, links and descriptors. What is the same is not touched, and its links lose no frame. SIGHUP does the same. A file with an error, or one that needs the lab to be taken down and up (another name, seed or number of workers), changes nothing. When a change cannot be made, those before it stay; this says which, and reloading again goes on from there.',
    )
    .addOption(jsonOption('print what was changed as JSON'))
    .action(async ({ json }: { json?: true }) => {
      const changes = await context.client.reload();
      if (json) context.terminal.printJson({ changes });
      else for (const line of changes) context.terminal.say(line);
      if (!json && changes.length === 0) context.terminal.say('the lab file says what it said before');
    });
}
