/** `taplab attach`: opens a descriptor that stays until it is detached. */
import { Command } from 'commander';
import type { Direction } from '../../bpf/record.ts';
import { type AttachBody, type ControlClient, ControlError } from '../../control/client.ts';
import type { DescriptorResource } from '../../control/schemas/resources.ts';
import { bufferSize, directionOption, filterBody, jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';

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

/**
 * Attaches a descriptor with a FILTER as it was given on the command line.
 *
 * @throws CliError that names the file, when that is what is wrong
 */
export async function attach(
  client: ControlClient,
  interfaceName: string,
  words: readonly string[],
  body: AttachBody,
): Promise<DescriptorResource> {
  const filter = filterBody(words);
  try {
    return await client.attach(interfaceName, { ...filter, ...body });
  } catch (error) {
    const isFile =
      error instanceof ControlError && error.problem.errors?.some(({ pointer }) => pointer === '#/program');
    if (!isFile || filter.program === undefined) throw error;
    // Where it went wrong is a line and a column, which begin the message.
    const where = error.problem.line === undefined ? `filter file ${words[0]}: ` : `${words[0]}:`;
    throw new CliError(`${where}${error.message}`);
  }
}

export function attachCommand(context: Context): Command {
  return new Command('attach')
    .summary('attach a BPF descriptor to an interface')
    .description('Attaches a descriptor to an interface and prints its id. It stays until `taplab detach`.')
    .argument('<node:interface>', 'interface')
    .argument('[filter...]', 'which frames to accept')
    .addOption(directionOption())
    .option('--immediate', 'give frames to readers at once, not when a buffer is full or the timeout over')
    .option('--buffer <size>', 'size of each buffer, such as 64kb', bufferSize)
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
      const descriptor = await attach(context.client, interfaceName, words, {
        ...(direction && { direction }),
        ...(immediate && { immediate }),
        ...(buffer !== undefined && { bufferBytes: buffer }),
      });
      if (json) context.terminal.printJson(descriptor);
      else context.terminal.print(String(descriptor.id));
    });
}
