/** `taplab exec`: runs a command inside a node, as if it had been started there. */
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { delimiter, join } from 'node:path';
import { Command } from 'commander';
import { didYouMean } from '../../text/suggest.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';

/** What a shell reports for a command that was ended by a signal, plus the signal's number. */
const SIGNAL_STATUS = 128;
const COMMAND_NOT_EXECUTABLE = 126;
const COMMAND_NOT_FOUND = 127;
/** Where the programs that lead into a node come from. */
const PACKAGES: Readonly<Record<string, string>> = { ip: 'iproute2', nsenter: 'util-linux' };

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
      context.exitStatus = await run(program, [...way, command, ...args]);
    });
}

/**
 * What ip(8) does not tell by its exit status. Nodes see the files that this process sees.
 *
 * @throws CliError with the exit status that a shell would give
 */
function requireCommand(command: string): void {
  const folders = command.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
  let isThere = false;
  for (const folder of folders) {
    const path = join(folder, command);
    // Also not where this user may not look.
    if (!existsSync(path)) continue;
    isThere = true;
    if (statSync(path).isFile() && isExecutable(path)) return;
  }
  if (isThere) throw new CliError(`${command} cannot be executed: EACCES`, COMMAND_NOT_EXECUTABLE);
  throw new CliError(`command ${command} is not found`, COMMAND_NOT_FOUND);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function run(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  // On a terminal Ctrl-C reaches the command as well, by itself; twice would be once too often.
  const interrupt = (signal: NodeJS.Signals): void => {
    if (process.stdin.isTTY !== true) pass(signal);
  };
  process.on('SIGINT', interrupt).on('SIGQUIT', interrupt).on('SIGTERM', pass).on('SIGHUP', pass);
  return new Promise((resolve, reject) => {
    child.on('error', ({ code }: NodeJS.ErrnoException) => {
      reject(new CliError(`cannot run ${program}: ${code}; install ${PACKAGES[program]}`, COMMAND_NOT_FOUND));
    });
    child.on('exit', (status, signal) => {
      resolve(status ?? SIGNAL_STATUS + osConstants.signals[signal ?? 'SIGKILL']);
    });
  });
}
