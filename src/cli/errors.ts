/** How a command fails: usage errors with exit status 2, everything else with 1. */
import { ConnectionError } from '../control/client.ts';
import { listLabs } from '../lab/state.ts';

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** Something the user can do something about; the message says what. */
export class CliError extends Error {
  readonly exitStatus: number;

  constructor(message: string, exitStatus: number = EXIT_FAILURE) {
    super(message);
    this.name = 'CliError';
    this.exitStatus = exitStatus;
  }
}

/** Errors that JavaScript raises by itself: behind one of these is a bug, and the stack says where. */
const BUGS = new Set([
  'Error',
  'TypeError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'AssertionError',
  'AggregateError',
]);

/** What to tell the user about an error, in lines. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return `taplab: ${String(error)}`;
  // Each line begins with file:line:column, which editors and terminals make a link of.
  if (error.name === 'LabFileError') return error.message;
  const { code } = error as NodeJS.ErrnoException;
  if (BUGS.has(error.name) && code === undefined) {
    return `taplab: this is a bug: ${error.stack ?? error.message}`;
  }
  const others = error instanceof ConnectionError ? otherLabs(error) : '';
  return `taplab: ${error.message}${others}`;
}

/** The labs that are up, and those that ended without clean-up, when the one that was asked for is not there. */
function otherLabs({ socketPath, code }: ConnectionError): string {
  if (code !== 'ENOENT' && code !== 'ECONNREFUSED') return '';
  const lines = listLabs().map(({ lab, pid, socket, running }) => {
    if (running && socket === socketPath) {
      return `\n  lab ${lab} (pid ${pid}) runs without it: unless it is just coming up, \`kill ${pid}\` takes it down`;
    }
    if (running) return `\n  lab ${lab} (pid ${pid}) is up: --socket ${socket}`;
    const down = socket === socketPath ? 'taplab down' : `taplab --socket ${socket} down`;
    return `\n  lab ${lab} (pid ${pid}) ended without clean-up; \`${down}\` removes what it left`;
  });
  return lines.join('');
}
