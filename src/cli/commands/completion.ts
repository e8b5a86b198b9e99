/** `taplab completion`: what a shell loads to complete command lines. */
import { Argument, Command } from 'commander';
import { completionScript, SHELLS, type Shell } from '../completion.ts';
import type { Context } from '../context.ts';

export function completionCommand(context: Context): Command {
  const command = new Command('completion');
  return command
    .summary('print the completions for a shell')
    .description('Prints what a shell loads to complete the commands and options of taplab.')
    .addArgument(new Argument('<shell>', 'which shell').choices([...SHELLS]))
    .addHelpText(
      'after',
      `
Examples:
  $ eval "$(taplab completion bash)"
  $ taplab completion fish > ~/.config/fish/completions/taplab.fish`,
    )
    .action((shell: Shell) => context.terminal.print(completionScript(command.parent!, shell).trimEnd()));
}
