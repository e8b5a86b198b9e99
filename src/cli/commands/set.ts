/** `taplab set`: changes what a link does to frames, while it runs. */
import { Command, Option } from 'commander';
import { formatImpairment } from '../../link/impairment.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';

type SetOptions = { readonly direction?: 'forward' | 'reverse'; readonly json?: true };

export function setCommand(context: Context): Command {
  return new Command('set')
    .summary('change a link while it runs')
    .description(
      'Changes delay, jitter, loss, rate or limit of a link for the frames that arrive from now on. What is not named stays as it is; `clear` takes everything away.',
    )
    .argument('<link>', 'name of the link')
    .argument('<impairment...>', 'in the words of tc-netem(8)')
    .addOption(
      new Option('--direction <direction>', 'change one direction only').choices(['forward', 'reverse']),
    )
    .addOption(jsonOption('print the link before and after as JSON'))
    .addHelpText(
      'after',
      `
Examples:
  $ taplab set wan 'delay 20ms 2ms loss 1%'
  $ taplab set wan rate 10mbit --direction reverse
  $ taplab set wan clear`,
    )
    .action(async (link: string, words: string[], { direction, json }: SetOptions) => {
      const { client, terminal } = context;
      const { before, after } = await client.changeLink(link, { [direction ?? 'impair']: words.join(' ') });
      if (json) return terminal.printJson({ before, after });
      const directions = direction === undefined ? (['forward', 'reverse'] as const) : [direction];
      for (const each of directions) {
        const [was, is] = [before[each], after[each]].map(({ settings }) => formatImpairment(settings));
        terminal.print(`${link} ${after[each].from} > ${after[each].to}: ${was} → ${is}`);
      }
    });
}
