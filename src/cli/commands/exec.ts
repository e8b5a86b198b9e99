/** `taplab exec`: runs a command inside a node, as if it had been started there. */
import { Command } from 'commander';
import { commandProblem } from '../../sys/command.ts';
import { didYouMean } from '../../text/suggest.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { COMMAND_NOT_FOUND, runCommand } from '../run-command.ts';

const COMMAND_NOT_EXECUTABLE = 126;

export function execCommand(context: Context): Command {
  return new Command('exec')
    .summary('run a command inside a node')
    .description(
      'Runs a command in the network namespace of a node, with this terminal. Its exit status is passed on; 128 and the number of the signal when one ended it, 127 when there is no such command, 126 when it cannot be executed.',
    )
    .argument('<node>', 'name of the node')
    .argument('<command...>', 'command and its arguments, after --')
    .addHelpText(
      'after',
      `
Examples:
  $ taplab exec client -- ip address
  $ taplab exec server -- python3 -m http.server 80`,
    )
    .action(async (node: string, [command, ...args]: [string, ...string[]]) => {
      const lab = await context.client.lab();
      context.client.close();
      const found = lab.nodes.find(({ name }) => name === node);
      if (found === undefined) {
        const names = lab.nodes.map(({ name }) => name);
        const hint = didYouMean(node, names) || `; there are ${names.join(', ')}`;
        throw new CliError(`lab ${lab.name} has no node "${node}"${hint}`);
      }
      if (found.join) {
        throw new CliError(
          `node ${node} runs elsewhere and has joined lab ${lab.name}; run the command there`,
        );
      }
      if (found.namespace === null) {
        throw new CliError(
          `lab ${lab.name} runs on memory devices: its nodes have no namespace to run a command in`,
        );
      }
      // Loaded here: it brings native code, which other commands do without.
      const { entrance } = await import('../../lab/namespaces.ts');
      const [program, ...way] = entrance(lab.name, node, lab.pid);
      // With mounts of its own the lab may have other files.
      if (program === 'ip') requireCommand(command);
      context.exitStatus = await runCommand(program, [...way, command, ...args]);
    });
}

/**
 * What ip(8) does not tell by its exit status. Nodes see the files that this process sees.
 *
 * @throws CliError with the exit status that a shell would give
 */
function requireCommand(command: string): void {
  const problem = commandProblem(command);
  if (problem === 'EACCES') {
    throw new CliError(`${command} cannot be executed: EACCES`, COMMAND_NOT_EXECUTABLE);
  }
  if (problem !== undefined) throw new CliError(`command ${command} is not found`, COMMAND_NOT_FOUND);
}
