/** `taplab descriptor`: looking at one descriptor, and what can be done to it while it is attached. */
import { Command } from 'commander';
import type { DescriptorResource } from '../../control/schemas/resources.ts';
import { formatSize } from '../../link/units.ts';
import { filterBody, jsonOption, linkTypeName } from '../arguments.ts';
import type { Context } from '../context.ts';
import {
  addSettingOptions,
  onDescriptor,
  type SettingOptions,
  settingsBody,
} from '../descriptor-settings.ts';
import { CliError, EXIT_USAGE } from '../errors.ts';
import { count } from '../format.ts';
import { visible } from '../terminal.ts';
import { descriptorReadCommand } from './descriptor-read.ts';
import { descriptorWriteCommand } from './descriptor-write.ts';

type Json = { readonly json?: true };
type SetOptions = SettingOptions & Json & { readonly filter?: string; readonly keep?: true };

export function descriptorCommand(context: Context): Command {
  return new Command('descriptor')
    .summary('show and change one descriptor, lock it, read it, or send frames through it')
    .description('Does to a descriptor what the ioctls of bpf(4) do. `taplab ps` lists them, with their ids.')
    .addHelpText(
      'after',
      `
Examples:
  $ taplab descriptor show 3
  $ taplab descriptor set 3 --filter 'tcp port 443' --keep
  $ taplab descriptor lock 3
  $ taplab descriptor read 3 --wait 5s
  $ taplab descriptor write 3 frames.pcapng`,
    )
    .addCommand(showCommand(context))
    .addCommand(setCommand(context))
    .addCommand(flushCommand(context))
    .addCommand(lockCommand(context))
    .addCommand(descriptorReadCommand(context))
    .addCommand(descriptorWriteCommand(context));
}

function showCommand(context: Context): Command {
  return onDescriptor('show', 'show the settings and counters of a descriptor')
    .addOption(jsonOption())
    .action(async (id: number, options: Json) =>
      print(context, await context.client.descriptor(id), options),
    );
}

function setCommand(context: Context): Command {
  const command = onDescriptor('set', 'change settings of a descriptor; what is not named stays as it is')
    .option('--filter <filter>', 'expression, @name, or file with a program; resets buffers and counters')
    .option('--keep', 'with --filter: leave buffers and counters alone');
  return addSettingOptions(command)
    .addOption(jsonOption())
    .action(async (id: number, options: SetOptions) => {
      const { filter, keep } = options;
      if (keep && filter === undefined) throw new CliError('--keep goes with --filter', EXIT_USAGE);
      const change = {
        ...settingsBody(options),
        ...(filter !== undefined && filterBody([filter])),
        ...(keep && { keepBuffers: true }),
      };
      if (Object.keys(change).length === 0) {
        throw new CliError(
          'nothing to change: give an option, see `taplab descriptor set --help`',
          EXIT_USAGE,
        );
      }
      print(context, await context.client.changeDescriptor(id, change), options);
    });
}

function flushCommand(context: Context): Command {
  return onDescriptor('flush', 'discard what a descriptor has captured, and reset its counters')
    .addOption(jsonOption())
    .action(async (id: number, options: Json) => print(context, await context.client.flush(id), options));
}

function lockCommand(context: Context): Command {
  return onDescriptor(
    'lock',
    'lock a descriptor for good: its filters and direction can no longer be changed',
  )
    .addOption(jsonOption())
    .action(async (id: number, options: Json) => print(context, await context.client.lock(id), options));
}

function print({ terminal }: Context, descriptor: DescriptorResource, { json }: Json): void {
  if (json) {
    terminal.printJson(descriptor);
    return;
  }
  const rows = described(descriptor);
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows)
    terminal.print(`${name.padEnd(width)}  ${visible(value).replace(/\s+/g, ' ')}`);
}

function described(descriptor: DescriptorResource): [name: string, value: string][] {
  const yes = (value: boolean): string => (value ? 'on' : 'off');
  const { owner, attached } = descriptor;
  return [
    ['descriptor', String(descriptor.id)],
    ['interface', attached ? descriptor.interface : `${descriptor.interface}, which is gone`],
    ['owner', `uid ${owner.uid}, gid ${owner.gid}, pid ${owner.pid}`],
    ['link type', linkTypeName(descriptor.linkType)],
    ['filter', descriptor.filter || '(all)'],
    ['write filter', descriptor.writeFilter ?? '(none)'],
    ['direction', descriptor.direction],
    ['immediate', yes(descriptor.immediate)],
    ['read timeout', descriptor.readTimeoutMs === 0 ? 'never' : `${descriptor.readTimeoutMs}ms`],
    ['buffer size', formatSize(descriptor.bufferBytes)],
    ['promiscuous', yes(descriptor.promiscuous)],
    ['header complete', yes(descriptor.headerComplete)],
    ['feedback', yes(descriptor.feedback)],
    ['timestamp', descriptor.timestamp],
    ['locked', descriptor.locked ? 'yes' : 'no'],
    ['readers', String(descriptor.readers.length)],
    ['buffered', `${count(descriptor.storeBytes)} B in store, ${count(descriptor.holdBytes)} B in hold`],
    [
      'frames',
      `${count(descriptor.received)} received, ${count(descriptor.accepted)} accepted, ${count(descriptor.dropped)} dropped`,
    ],
    [
      'writes',
      `${count(descriptor.written)} sent, ${count(descriptor.writeFiltered)} filtered, ${count(descriptor.writeDropped)} dropped`,
    ],
  ];
}
