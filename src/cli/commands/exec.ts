/** `taplab exec`: runs a command inside a node, as if it had been started there. */
import { constants } from 'node:os';
import { Command } from 'commander';
import { execInNode } from '../../lab/namespaces.ts';
import { didYouMean } from '../../text/suggest.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';

/** What a shell reports for a command that was ended by a signal, plus the signal's number. */
const SIGNAL_STATUS = 128;
const COMMAND_NOT_FOUND = 127;

export function execCommand(context: Context): Command {
  return new Command('exec')
    .summary('run a command inside a node')
    .description(
      'Runs a command in the network namespace of a node, with this terminal. Its exit status is passed on; 128 and the number of the signal when one ended it.',
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
      if (found.namespace === null) {
        throw new CliError(
          `lab ${lab.name} runs on memory devices: its nodes have no namespace to run a command in`,
        );
      }
      context.exitStatus = await run(lab.name, node, command, args);
    });
}

function run(lab: string, node: string, command: string, args: readonly string[]): Promise<number> {
  const child = execInNode(lab, node, command, args, { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  // On a terminal Ctrl-C reaches the command as well, by itself; twice would be once too often.
  const interrupt = (signal: NodeJS.Signals): void => {
    if (process.stdin.isTTY !== true) pass(signal);
  };
  process.on('SIGINT', interrupt).on('SIGQUIT', interrupt).on('SIGTERM', pass).on('SIGHUP', pass);
  return new Promise((resolve, reject) => {
    child.on('error', ({ code }: NodeJS.ErrnoException) => {
      reject(new CliError(`cannot run ip(8): ${code}; install iproute2`, COMMAND_NOT_FOUND));
    });
    child.on('exit', (status, signal) => {
      resolve(status ?? SIGNAL_STATUS + constants.signals[signal ?? 'SIGKILL']);
    });
  });
}
