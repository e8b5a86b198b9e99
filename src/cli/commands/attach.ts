/** `taplab attach`: opens a descriptor that stays until it is detached. */
import { Command } from 'commander';
import { type AttachBody, type ControlClient, ControlError } from '../../control/client.ts';
import type { DescriptorResource } from '../../control/schemas/resources.ts';
import { bufferSize, filterBody, jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { addSettingOptions, type SettingOptions, settingsBody } from '../descriptor-settings.ts';
import { CliError } from '../errors.ts';

type AttachOptions = SettingOptions & { readonly buffer?: number; readonly json?: true };

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
  const command = new Command('attach')
    .summary('attach a BPF descriptor to an interface')
    .description('Attaches a descriptor to an interface and prints its id. It stays until `taplab detach`.')
    .argument('<node:interface>', 'interface')
    .argument('[filter...]', 'which frames to accept')
    .option('--buffer <size>', 'size of each buffer, such as 64kb', bufferSize);
  return addSettingOptions(command)
    .addOption(jsonOption('print the descriptor as JSON'))
    .addHelpText(
      'after',
      `${FILTER_HELP}

Examples:
  $ taplab attach client:eth0 @dns
  $ taplab attach client:eth0 --direction in 'tcp port 80'
  $ taplab attach client:eth0 --write-filter arp --timestamp nanotime`,
    )
    .action(async (interfaceName: string, words: string[], options: AttachOptions) => {
      const { buffer, json } = options;
      const { writeFilter, ...settings } = settingsBody(options);
      const descriptor = await attach(context.client, interfaceName, words, {
        ...settings,
        // None is what a new descriptor has.
        ...(writeFilter !== undefined && writeFilter !== null && { writeFilter }),
        ...(buffer !== undefined && { bufferBytes: buffer }),
      });
      if (json) context.terminal.printJson(descriptor);
      else context.terminal.print(String(descriptor.id));
    });
}
