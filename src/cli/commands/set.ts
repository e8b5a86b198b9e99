/** `taplab set`: changes what links do to frames, while they run. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { parse } from 'yaml';
import type { ChangedLink } from '../../daemon/contract.ts';
import { IMPAIRMENT_WORDS, ImpairmentError, parseImpairment } from '../../link/impairment.ts';
import { ineffective } from '../../link/ineffective.ts';
import { quote, tokens } from '../../link/words.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_USAGE } from '../errors.ts';
import { changeLines, type LinkSide } from '../link-change.ts';

type SetOptions = {
  readonly direction?: 'forward' | 'reverse';
  readonly worker?: number;
  readonly json?: true;
};

export function setCommand(context: Context): Command {
  return new Command('set')
    .summary('change links while they run')
    .description(
      'Changes what links do to the frames that arrive from now on: delay, jitter, distribution, loss, duplicate, reorder, corrupt, ber, rate, burst, peakrate, limit, queue, slot, mtu, carrier, flap, precision, markov, and match for some frames only (docs/links.md). What is not named stays as it is; `clear` takes everything away. Several links change at one moment, all or none.',
    )
    .argument('<link>', 'name of the link; names of more links may follow')
    .argument('[impairment...]', 'in the words of tc-netem(8), or as a map in YAML')
    .addOption(
      new Option('--direction <direction>', 'change one direction only').choices(['forward', 'reverse']),
    )
    .addOption(
      new Option(
        '--worker <number>',
        'have this worker carry the link from now on, both directions',
      ).argParser(parseWorker),
    )
    .addOption(jsonOption('print the link before and after as JSON; of several links, a list of these'))
    .addHelpText(
      'after',
      `
Examples:
  $ taplab set wan 'delay 20ms 2ms loss 1%'
  $ taplab set wan rate 10mbit --direction reverse
  $ taplab set wan '{ delay: 20ms, loss: 1% }'
  $ taplab set wan 'loss gemodel 1% 10% queue fq_codel'
  $ taplab set wan 'match "udp port 53" loss 30%'
  $ taplab set wan clear
  $ taplab set wan lan uplink 'carrier down'
  $ taplab set wan --worker 1`,
    )
    .action(async (link: string, words: string[], { direction, worker, json }: SetOptions) => {
      const { client, terminal } = context;
      const more = otherLinks(words);
      const links = [...new Set([link, ...more])];
      const rest = words.slice(more.length);
      if (rest.length === 0 && worker === undefined) {
        throw new CliError("missing required argument 'impairment'", EXIT_USAGE);
      }
      if (worker !== undefined && links.length > 1) {
        throw new CliError('--worker is for one link at a time', EXIT_USAGE);
      }
      const impairment = rest.length === 0 ? {} : readImpairment(rest);
      if (rest.length > 0) checkImpairment(impairment);
      for (const { word, time } of bareTimes(impairment)) {
        terminal.say(
          `taplab: ${word} ${time} is taken as ${time}us, as tc(8) does; write ${time}ms for milliseconds`,
        );
      }
      const change = rest.length === 0 ? {} : { [direction ?? 'impair']: impairment };
      const changed =
        links.length === 1
          ? [await client.changeLink(link, { ...change, ...(worker !== undefined && { worker }) })]
          : await client.changeLinks(Object.fromEntries(links.map((name) => [name, change])));
      const sides = direction === undefined ? (['forward', 'reverse'] as const) : [direction];
      for (const note of idleNotes(changed, sides)) terminal.say(`taplab: ${note}`);
      if (json) return terminal.printJson(links.length === 1 ? changed[0]! : { links: changed });
      if (worker !== undefined) terminal.print(`link ${link}: carried by worker ${worker}`);
      if (rest.length === 0) return;
      for (const each of changed) for (const line of changeLines(each, sides)) terminal.print(line);
    });
}

function parseWorker(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('expected the number of a worker, from 0 on.');
  return Number(text);
}

/**
 * Names of links before the impairment, which begins with the first argument that starts with one of its words.
 * Without such an argument nothing is a name: then what is there is a word misspelt.
 */
function otherLinks(words: readonly string[]): readonly string[] {
  const starts = new Set([...IMPAIRMENT_WORDS.map(({ name }) => name), 'match', 'clear']);
  const first = words.findIndex((word) => isMap(word) || starts.has(word.trim().split(/[\s,]/)[0]!));
  const names = words.slice(0, Math.max(0, first));
  return names.every((name) => /^[\w:/.-]+$/.test(name)) ? names : [];
}

type Impairment = string | Readonly<Record<string, unknown>>;

/** The words as one text, or the map that they are in YAML, as in a lab file: `{ delay: 20ms, loss: 1% }`. */
function readImpairment(words: readonly string[]): Impairment {
  if (!isMap(words[0]!)) return impairmentText(words);
  try {
    return parse(words.join(' '));
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new CliError(`not a map in YAML, such as { delay: 20ms, loss: 1% }: ${reason}`, EXIT_USAGE);
  }
}

function isMap(word: string): boolean {
  return word.trimStart().startsWith('{');
}

/** @throws CliError with the exit status of a usage error, when the words make no impairment */
function checkImpairment(impairment: Impairment): void {
  try {
    parseImpairment(impairment);
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

/** What of the new settings does nothing, once where it is so in both directions. */
function idleNotes(changed: readonly ChangedLink[], sides: readonly LinkSide[]): Set<string> {
  return new Set(
    changed.flatMap(({ after }) =>
      sides.flatMap((side) => ineffective(after[side].settings).map((text) => `${after.name}: ${text}`)),
    ),
  );
}

/** How many times follow these words, before there are percentages. */
const TIMES: Readonly<Record<string, number>> = { delay: 2, jitter: 1, slot: 2 };

/** Times without a unit, which tc(8) and so taplab take as microseconds, while most people mean milliseconds. */
function bareTimes(impairment: Impairment): { word: string; time: string }[] {
  const text =
    typeof impairment === 'string' ? impairment : Object.entries(impairment).flat().map(String).join(' ');
  const found: { word: string; time: string }[] = [];
  let word = '';
  let left = 0;
  for (const { text: token } of tokens(text)) {
    if (/^[a-z]/i.test(token)) [word, left] = [token, TIMES[token] ?? 0];
    else if (left-- > 0 && /^[\d.]+$/.test(token) && Number(token) > 0) found.push({ word, time: token });
  }
  return found;
}
