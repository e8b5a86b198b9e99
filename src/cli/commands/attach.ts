/** `taplab attach`: opens a descriptor that stays until it is detached. */
import { Command } from 'commander';
import type { Direction } from '../../bpf/record.ts';
import { directionOption, filterBody, jsonOption, size } from '../arguments.ts';
import type { Context } from '../context.ts';

type AttachOptions = {
  readonly direction?: Direction;
  readonly immediate?: true;
  readonly buffer?: number;
  readonly json?: true;
};

/** How FILTER arguments are explained, wherever there is one. */
export const FILTER_HELP = `
FILTER is a pcap-filter(7) expression, @name of a ready-made filter, or a file with a program
(tcpdump -d, -dd or -ddd output, or bpf_asm source). Without one every frame is accepted.`;

export function attachCommand(context: Context): Command {
  return new Command('attach')
    .summary('attach a BPF descriptor to an interface')
    .description('Attaches a descriptor to an interface and prints its id. It stays until `taplab detach`.')
    .argument('<node:interface>', 'interface')
    .argument('[filter...]', 'which frames to accept')
    .addOption(directionOption())
    .option('--immediate', 'give frames to readers at once, not when a buffer is full or the timeout over')
    .option('--buffer <size>', 'size of each buffer, such as 64kb', size)
    .addOption(jsonOption('print the descriptor as JSON'))
    .addHelpText(
      'after',
      `${FILTER_HELP}

Examples:
  $ taplab attach client:eth0 @dns
  $ taplab attach client:eth0 --direction in 'tcp port 80'`,
    )
    .action(async (interfaceName: string, words: string[], options: AttachOptions) => {
      const { direction, immediate, buffer, json } = options;
      const descriptor = await context.client.attach(interfaceName, {
        ...filterBody(words),
        ...(direction && { direction }),
        ...(immediate && { immediate }),
        ...(buffer !== undefined && { bufferBytes: buffer }),
      });
      if (json) context.terminal.printJson(descriptor);
      else context.terminal.print(String(descriptor.id));
    });
}
