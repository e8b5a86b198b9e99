/**
 * The output takes nothing any more: its reader has gone, or its disk is full. A command that only prints ends at once;
 * one that has something to take down first says what to do instead.
 */
import { writeSync } from 'node:fs';

/** What a shell reports for a program that was ended by SIGPIPE, which Node ignores. */
const PIPE_CLOSED = 141;
const WRITE_FAILED = 1;
const STDERR = 2;

type OnBroken = (reason: string, exitStatus: number) => void;

let onBroken: OnBroken = (_reason, exitStatus) => process.exit(exitStatus);

/** Replaces what happens when stdout or stderr takes nothing any more. `reason` is for a log. */
export function whenPipeBreaks(action: OnBroken): void {
  onBroken = action;
}

/** To be called once, before anything is printed. */
export function watchPipes(): void {
  for (const [name, stream] of [
    ['stdout', process.stdout],
    ['stderr', process.stderr],
  ] as const) {
    stream.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'EPIPE') {
        onBroken(`nobody reads ${name} any more`, PIPE_CLOSED);
        return;
      }
      const reason = `cannot write to ${name}: ${code ?? message}`;
      say(`taplab: ${reason}\n`);
      onBroken(reason, WRITE_FAILED);
    });
  }
}

function say(message: string): void {
  try {
    writeSync(STDERR, message);
  } catch {
    // It is stderr that takes nothing.
  }
}
