/** Runs one command line from arguments to exit status. */
import { CommanderError } from 'commander';
import { Context } from './context.ts';
import { CliError, EXIT_FAILURE, EXIT_USAGE, explain } from './errors.ts';
import { createProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

/**
 * Runs a command line, without node and script name. Resolves with the exit status: 0 when it did what was asked, 2
 * when the arguments make no sense, 1 or the command's own otherwise. Never throws; errors have been printed.
 */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const context = new Context(terminal);
  try {
    const program = await createProgram(context, args);
    await program.parseAsync(args, { from: 'user' });
    return context.exitStatus;
  } catch (error) {
    // Commander has printed what was wrong, or the help or version that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    terminal.say(explain(error));
    return error instanceof CliError ? error.exitStatus : EXIT_FAILURE;
  } finally {
    context.dispose();
  }
}
