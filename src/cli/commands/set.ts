/** `taplab set`: changes what a link does to frames, while it runs. */
import { Command, Option } from 'commander';
import { formatImpairment, ImpairmentError, parseImpairment } from '../../link/impairment.ts';
import { quote, tokens } from '../../link/words.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_USAGE } from '../errors.ts';

type SetOptions = { readonly direction?: 'forward' | 'reverse'; readonly json?: true };

export function setCommand(context: Context): Command {
  return new Command('set')
    .summary('change a link while it runs')
    .description(
      'Changes what a link does to the frames that arrive from now on: delay, jitter, distribution, loss, duplicate, reorder, corrupt, ber, rate, burst, peakrate, limit, queue, slot, mtu, carrier, and match for some frames only (docs/links.md). What is not named stays as it is; `clear` takes everything away.',
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
  $ taplab set wan 'loss gemodel 1% 10% queue fq_codel'
  $ taplab set wan 'match "udp port 53" loss 30%'
  $ taplab set wan clear`,
    )
    .action(async (link: string, words: string[], { direction, json }: SetOptions) => {
      const { client, terminal } = context;
      const text = impairmentText(words);
      checkImpairment(text);
      for (const { word, time } of bareTimes(text)) {
        terminal.say(
          `taplab: ${word} ${time} is taken as ${time}us, as tc(8) does; write ${time}ms for milliseconds`,
        );
      }
      const { before, after } = await client.changeLink(link, { [direction ?? 'impair']: text });
      if (json) return terminal.printJson({ before, after });
      const directions = direction === undefined ? (['forward', 'reverse'] as const) : [direction];
      for (const each of directions) {
        const [was, is] = [before[each], after[each]].map(({ settings }) => formatImpairment(settings));
        terminal.print(`${link} ${after[each].from} > ${after[each].to}: ${was} → ${is}`);
      }
    });
}

/** @throws CliError with the exit status of a usage error, when the words make no impairment */
function checkImpairment(text: string): void {
  try {
    parseImpairment(text);
  } catch (error) {
    if (error instanceof ImpairmentError) throw new CliError(error.message, EXIT_USAGE);
    throw error;
  }
}

/** The arguments as one text. A filter that the shell has unquoted is quoted again. */
function impairmentText(words: readonly string[]): string {
  return words
    .map((word, i) => (/^(?:match|class)$/.test(words[i - 1] ?? '') ? quote(word) : word))
    .join(' ');
}

/** How many times follow these words, before there are percentages. */
const TIMES: Readonly<Record<string, number>> = { delay: 2, jitter: 1, slot: 2 };

/** Times without a unit, which tc(8) and so taplab take as microseconds, while most people mean milliseconds. */
function bareTimes(text: string): { word: string; time: string }[] {
  const found: { word: string; time: string }[] = [];
  let word = '';
  let left = 0;
  for (const { text: token } of tokens(text)) {
    if (/^[a-z]/i.test(token)) [word, left] = [token, TIMES[token] ?? 0];
    else if (left-- > 0 && /^[\d.]+$/.test(token) && Number(token) > 0) found.push({ word, time: token });
  }
  return found;
}
