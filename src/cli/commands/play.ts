/** `taplab play`: changes the links of a running lab as a timeline says. */
import { constants } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { formatTime } from '../../link/units.ts';
import { readTimeline, type TimelineRequest } from '../../timeline/file.ts';
import { type Moment, momentsOf } from '../../timeline/moments.ts';
import { play } from '../../timeline/play.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_USAGE } from '../errors.ts';
import { unreadable } from '../files.ts';
import { changeLines } from '../link-change.ts';
import { SIGNAL_STATUS } from '../run-command.ts';

type PlayOptions = { readonly speed: number; readonly loop?: true; readonly json?: true };

const SIDES = ['forward', 'reverse'] as const;
const MIN_SPEED = 0.001;
const MAX_SPEED = 1000;

export function playCommand(context: Context): Command {
  return new Command('play')
    .summary('change links over time')
    .description(
      'Changes the links of a running lab at the times that a timeline says, counted from now, and prints each change (docs/links.md). All that changes at one moment changes at once. Ctrl-C stops between two moments; the links stay as they are then.',
    )
    .argument('<timeline.yaml>', 'the timeline')
    .option('--speed <factor>', 'how much faster than it says, such as 10 or 0.5', speed, 1)
    .option('--loop', 'begin again when its length is over')
    .addOption(jsonOption('print an object for each moment: atMs, lateMs, links (before and after)'))
    .addHelpText(
      'after',
      `
A timeline:
  timeline:
    - { at: 0s, link: wan, set: delay 20ms }
    - { at: 10s, link: [wan, lan], set: { delay: 200ms, loss: 5% } }
    - { at: 20s, link: wan, clear }
  length: 30s

Examples:
  $ taplab play evening.yaml
  $ taplab play evening.yaml --speed 60 --loop`,
    )
    .action(async (file: string, options: PlayOptions) => {
      const { client } = context;
      const links = (await client.links()).map(({ name }) => name);
      const { steps, lengthNs } = await readTimeline(file, links).catch((error: unknown) => {
        throw unreadable('timeline', file, error);
      });
      if (options.loop && lengthNs === 0) {
        throw new CliError(
          `${file}: a timeline without length cannot loop; give it one, as length: 30s`,
          EXIT_USAGE,
        );
      }
      const over = new AbortController();
      const interrupt = (signal: NodeJS.Signals): void => {
        context.exitStatus = SIGNAL_STATUS + constants.signals[signal];
        over.abort();
      };
      process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
      try {
        await play(momentsOf(steps), {
          speed: options.speed,
          turnNs: options.loop ? lengthNs : undefined,
          onMoment: (moment, lateMs) => change(context, moment, lateMs, options),
          signal: over.signal,
        });
      } finally {
        process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      }
    });
}

async function change(
  { client, terminal }: Context,
  { atNs, steps }: Moment<TimelineRequest>,
  lateMs: number,
  { json }: PlayOptions,
): Promise<void> {
  const changes = steps.flatMap(({ links, change: body }) => links.map((link) => [link, body] as const));
  const changed = await client.changeLinks(Object.fromEntries(changes));
  if (json) return terminal.printJson({ atMs: atNs / 1e6, lateMs, links: changed });
  for (const line of changed.flatMap((each) => changeLines(each, SIDES))) {
    terminal.print(`${formatTime(atNs)} ${line}`);
  }
}

function speed(text: string): number {
  const value = Number(text);
  if (value >= MIN_SPEED && value <= MAX_SPEED) return value;
  throw new InvalidArgumentError(`Expected a factor from ${MIN_SPEED} to ${MAX_SPEED}.`);
}
