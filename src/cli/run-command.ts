/** Running a command of the user's with this terminal, as a shell would: signals reach it, its exit status is passed on. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CliError } from './errors.ts';

/** What a shell reports for a command that was ended by a signal, plus the signal's number. */
export const SIGNAL_STATUS = 128;
const COMMAND_NOT_EXECUTABLE = 126;
export const COMMAND_NOT_FOUND = 127;
/** Where the programs that lead into a node come from. */
const PACKAGES: Readonly<Record<string, string>> = { ip: 'iproute2', nsenter: 'util-linux' };

/**
 * Runs a command to its end. Resolves with its exit status; 128 and the number of the signal when one ended it.
 *
 * @throws CliError when it cannot be run, with the exit status that a shell would give
 */
export function runCommand(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  // On a terminal Ctrl-C reaches the command as well, by itself; twice would be once too often.
  const interrupt = (signal: NodeJS.Signals): void => {
    if (process.stdin.isTTY !== true) pass(signal);
  };
  process.on('SIGINT', interrupt).on('SIGQUIT', interrupt).on('SIGTERM', pass).on('SIGHUP', pass);
  return new Promise((resolve, reject) => {
    child.on('error', ({ code }: NodeJS.ErrnoException) => {
      const install = PACKAGES[program];
      const advice = install === undefined ? '' : `; install ${install}`;
      const status = code === 'ENOENT' ? COMMAND_NOT_FOUND : COMMAND_NOT_EXECUTABLE;
      reject(new CliError(`cannot run ${program}: ${code}${advice}`, status));
    });
    child.on('exit', (status, signal) => {
      resolve(status ?? SIGNAL_STATUS + constants.signals[signal ?? 'SIGKILL']);
    });
  });
}
