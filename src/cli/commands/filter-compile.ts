/** `taplab filter compile`: an expression to a program, in the form that another tool takes. */
import { writeFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { unwritable } from '../files.ts';
import { type CompiledFilter, PROGRAM_FORMATS, type ProgramFormat, render } from '../filter/formats.ts';
import { addCompileOptions, type CompileOptions, linkTypeOf, settingsFor } from '../filter/options.ts';
import { compileSource, readFilter } from '../filter/source.ts';
import { FILTER_HELP } from './attach.ts';

type Options = CompileOptions & { readonly format: ProgramFormat; readonly output?: string };

export function filterCompileCommand(context: Context): Command {
  const command = new Command('compile')
    .summary('compile a filter')
    .description(
      'Compiles a filter and prints the program: bpf_asm source, what tcpdump -d, -dd or -ddd print, JSON, C, or the WebAssembly module that taplab runs.',
    )
    .argument('<filter...>', 'what to compile');
  return addCompileOptions(command)
    .addOption(
      new Option('-f, --format <format>', 'form of the program').choices(PROGRAM_FORMATS).default('asm'),
    )
    .option('-o, --output <file>', 'write to a file instead of stdout')
    .addHelpText(
      'after',
      `${FILTER_HELP}

The module of --format wasm imports a memory as e.m and exports match(offset, wireLength, bufferLength), which
returns the bytes to keep of the packet at offset, 0 to reject it. One of dialect linux reads the packet's metadata at 0.

Host names are those of /etc/hosts and DNS, of \`ether host\` and \`gateway\` those of /etc/ethers.

Examples:
  $ taplab filter compile tcp port 80 -o http.bpf
  $ taplab filter compile 'ip broadcast' --netmask 255.255.255.0 --format c
  $ iptables -A INPUT -m bpf --bytecode "$(taplab filter compile udp port 53 \\
      --link-type RAW --dialect linux --format ddd | paste -sd,)" -j DROP`,
    )
    .action(async (words: string[], options: Options) => {
      const source = await readFilter(words);
      const settings = settingsFor(source, options);
      const linkType = linkTypeOf(options);
      const compiled: CompiledFilter = {
        program: compileSource(source, linkType, settings),
        title: source.name,
        linkType: source.kind === 'program' ? undefined : linkType,
      };
      write(context, render(compiled, options.format), options);
    });
}

function write({ terminal }: Context, data: string | Uint8Array, { format, output }: Options): void {
  if (output === undefined) {
    if (typeof data !== 'string' && terminal.out.isTTY === true) {
      throw new CliError(`${format} is not for terminals; write it to a file with -o, or into a pipe`);
    }
    terminal.out.write(data);
    return;
  }
  try {
    writeFileSync(output, data);
  } catch (error) {
    throw unwritable(output, error);
  }
}
