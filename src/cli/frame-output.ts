/** Where the frames of a capture go: as lines for people on stdout, or in a format to stdout or a file. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import type { CaptureFormat } from '../capture/formats.ts';
import { CliError } from './errors.ts';
import { unwritable } from './files.ts';
import type { Terminal } from './terminal.ts';

export type FrameOutput = {
  readonly format: CaptureFormat;
  readonly sink: Writable;
  /** Whether the frames are shown, a line each, instead of written as they are. */
  readonly shown: boolean;
  /** A file, which is to be closed. */
  readonly isFile: boolean;
};

/**
 * @param write a file, or `-` for stdout; lines for people on stdout when neither it nor a format is given
 * @throws CliError for a file that cannot be written, and for bytes on a terminal
 */
export async function openOutput(
  { out }: Terminal,
  { write, format }: { readonly write?: string | undefined; readonly format?: CaptureFormat | undefined },
): Promise<FrameOutput> {
  if (write === undefined && format === undefined) {
    return { format: 'json', sink: out, shown: true, isFile: false };
  }
  const chosen = format ?? 'pcapng';
  if (write !== undefined && write !== '-') {
    const sink = createWriteStream(write);
    // The error of write(2) does not say of which file.
    sink.prependListener('error', (error) => {
      error.message = `${write}: ${error.message}`;
    });
    try {
      await once(sink, 'open');
    } catch (error) {
      throw unwritable(write, error);
    }
    return { format: chosen, sink, shown: false, isFile: true };
  }
  if (out.isTTY === true && chosen !== 'json') {
    throw new CliError(`${chosen} is not for terminals; write it to a file with -w, or into a pipe`);
  }
  return { format: chosen, sink: out, shown: false, isFile: false };
}
