/**
 * Nobody reads the output any more. A command that only prints ends at once, as by SIGPIPE; one that has something to
 * take down first says what to do instead.
 */

/** What a shell reports for a program that was ended by SIGPIPE, which Node ignores. */
const PIPE_CLOSED = 141;

let onBroken = (): void => process.exit(PIPE_CLOSED);

/** Replaces what happens when stdout or stderr is closed by its reader. */
export function whenPipeBreaks(action: () => void): void {
  onBroken = action;
}

/** To be called once, before anything is printed. */
export function watchPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      onBroken();
    });
  }
}
