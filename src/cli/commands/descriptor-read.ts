/** `taplab descriptor read`: what a descriptor that is attached has captured, shown or written, as read(2) gives it. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CAPTURE_FORMATS, type CaptureFormat } from '../../capture/formats.ts';
import { type ControlClient, ControlError } from '../../control/client.ts';
import { MAX_READ_WAIT_MS } from '../../control/schemas/requests.ts';
import { milliseconds } from '../arguments.ts';
import type { Context } from '../context.ts';
import { onDescriptor } from '../descriptor-settings.ts';
import { plural } from '../format.ts';
import { FrameCounter } from '../frame-counter.ts';
import { FrameListing } from '../frame-listing.ts';
import { openOutput } from '../frame-output.ts';

/** A descriptor has two; what comes while they are read is for the next time. */
const BUFFERS = 2;
const HTTP_GONE = 410;

type ReadOptions = { readonly wait: number; readonly write?: string; readonly format?: CaptureFormat };

export function descriptorReadCommand(context: Context): Command {
  return onDescriptor('read', 'show or write what a descriptor has captured, and take it out of its buffers')
    .option('--wait <time>', 'how long to wait for a first frame, such as 5s', readWait, 0)
    .option('-w, --write <file>', 'write to a file, - for stdout')
    .addOption(
      new Option('--format <format>', 'pcapng (default with -w), bpf records, or JSON lines').choices(
        CAPTURE_FORMATS,
      ),
    )
    .action(async (id: number, options: ReadOptions) => {
      const { client, terminal } = context;
      const descriptor = await client.descriptor(id);
      // Before anything is read: what could not be written would be lost.
      const { format, sink, shown, isFile } = await openOutput(terminal, options);
      const counter = new FrameCounter(format);
      const frames = counter.push(await readBuffers(client, id, options.wait, format));
      const bytes = shown ? new FrameListing([descriptor]).describe(frames) : frames;
      if (isFile) {
        await new Promise<void>((resolve, reject) => sink.on('error', reject).end(bytes, resolve));
      } else if (bytes.length > 0) {
        sink.write(bytes);
      }
      terminal.say(`${plural(counter.frames, 'frame')} read`);
    });
}

function readWait(text: string): number {
  const ms = milliseconds(text);
  if (ms <= MAX_READ_WAIT_MS) return ms;
  throw new InvalidArgumentError(
    `Expected at most ${MAX_READ_WAIT_MS / 1000}s; \`taplab dump\` waits for ever.`,
  );
}

/** What is in both buffers; empty when nothing was captured in the time given. */
async function readBuffers(
  client: ControlClient,
  id: number,
  waitMs: number,
  format: CaptureFormat,
): Promise<Buffer> {
  const buffers: Buffer[] = [];
  try {
    while (buffers.length < BUFFERS) {
      const buffer = await client.read(id, buffers.length === 0 ? waitMs : 0, format);
      if (buffer === undefined) break;
      buffers.push(buffer);
    }
  } catch (error) {
    // The interface is gone, and the first buffer was the last.
    const isEnd = error instanceof ControlError && error.problem.status === HTTP_GONE;
    if (!isEnd || buffers.length === 0) throw error;
  }
  return Buffer.concat(buffers);
}
