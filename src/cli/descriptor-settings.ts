/** What commands about one descriptor share: its settings as options, when it is attached and when it is changed. */
import { Command, Option } from 'commander';
import { type Direction, TIMESTAMPS, type Timestamp } from '../bpf/record.ts';
import type { DescriptorChange } from '../control/schemas/requests.ts';
import { directionOption, linkTypeNumber, milliseconds, onOff, wholeNumber } from './arguments.ts';

export type SettingOptions = {
  readonly direction?: Direction;
  /** True when it is given without on or off. */
  readonly immediate?: boolean;
  readonly readTimeout?: number;
  readonly writeFilter?: string;
  readonly linkType?: number;
  readonly promiscuous?: boolean;
  readonly headerComplete?: boolean;
  readonly feedback?: boolean;
  readonly timestamp?: Timestamp;
};

export type SettingsBody = Omit<DescriptorChange, 'filter' | 'program' | 'keepBuffers'>;

/** Adds them to a command. */
export function addSettingOptions(command: Command): Command {
  return command
    .addOption(directionOption())
    .option(
      '--immediate [on|off]',
      'give frames to readers at once, not when a buffer is full or the timeout over',
      onOff,
    )
    .option(
      '--read-timeout <time>',
      'after how long readers get what there is, such as 50ms; 0 is never',
      milliseconds,
    )
    .option('--write-filter <filter>', 'send only frames that it accepts; none lets all pass')
    .option('--link-type <type>', 'link type of the frames, by name or number', linkTypeNumber)
    .option('--promiscuous <on|off>', 'see frames to the node that are not for its address too', onOff)
    .option('--header-complete <on|off>', 'leave the source address of frames that are sent as it is', onOff)
    .option('--feedback <on|off>', 'have frames that are sent come back as input', onOff)
    .addOption(
      new Option('--timestamp <kind>', 'resolution and clock of time stamps in format bpf').choices(
        TIMESTAMPS,
      ),
    );
}

/** What was given of them, as members of a request. */
export function settingsBody(options: SettingOptions): SettingsBody {
  const { direction, immediate, readTimeout, writeFilter, linkType } = options;
  const { promiscuous, headerComplete, feedback, timestamp } = options;
  const body: SettingsBody = {
    direction,
    immediate,
    readTimeoutMs: readTimeout,
    writeFilter: writeFilter === 'none' ? null : writeFilter,
    linkType,
    promiscuous,
    headerComplete,
    feedback,
    timestamp,
  };
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}

/** A subcommand that is about one descriptor. */
export function onDescriptor(name: string, summary: string): Command {
  return new Command(name)
    .summary(summary)
    .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
    .argument('<id>', 'number of the descriptor', wholeNumber(0));
}
