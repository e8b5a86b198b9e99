/** `taplab descriptor write`: sends the frames of a capture, or one in hexadecimal, to the node of an interface. */
import type { Command } from 'commander';
import { readCapture } from '../../capture/reader.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { onDescriptor } from '../descriptor-settings.ts';
import { CliError, EXIT_USAGE } from '../errors.ts';
import { openCapture } from '../filter/capture-input.ts';
import { plural } from '../format.ts';

/** What one request holds: in base64 they stay below the limit of a body, 1 MiB. */
const MAX_BATCH_BYTES = 500_000;
const MAX_BATCH_FRAMES = 1000;

type WriteOptions = { readonly hex?: string; readonly json?: true };

export function descriptorWriteCommand(context: Context): Command {
  return onDescriptor('write', 'send frames to the node, through the write filter of a descriptor')
    .argument('[file]', 'pcap or pcapng with the frames, - for stdin; they are sent as fast as possible')
    .option('--hex <bytes>', 'one frame in hexadecimal, its link header included')
    .addOption(jsonOption('print how many were sent as JSON'))
    .action(async (id: number, file: string | undefined, { hex, json }: WriteOptions) => {
      if ((file === undefined) === (hex === undefined)) {
        throw new CliError('give either a file with frames or --hex', EXIT_USAGE);
      }
      const frames = hex === undefined ? framesOf(file!) : [fromHex(hex)];
      const written = await writeAll(context, id, frames);
      if (json) context.terminal.printJson({ written });
      else context.terminal.say(`${plural(written, 'frame')} sent`);
    });
}

async function writeAll(
  { client }: Context,
  id: number,
  frames: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<number> {
  let written = 0;
  let batch: Uint8Array[] = [];
  let bytes = 0;
  const send = async (): Promise<void> => {
    if (batch.length > 0) written += await client.writeFrames(id, batch);
    batch = [];
    bytes = 0;
  };
  for await (const frame of frames) {
    if (bytes + frame.byteLength > MAX_BATCH_BYTES || batch.length === MAX_BATCH_FRAMES) await send();
    batch.push(frame);
    bytes += frame.byteLength;
  }
  await send();
  return written;
}

async function* framesOf(file: string): AsyncGenerator<Uint8Array> {
  const { name, chunks } = await openCapture(file);
  for await (const { bytes, wireLength } of readCapture(chunks)) {
    if (bytes.byteLength < wireLength) {
      throw new CliError(
        `${name}: a frame is cut, of ${wireLength} bytes there are ${bytes.byteLength}; capture whole frames to send them`,
      );
    }
    yield bytes;
  }
}

function fromHex(text: string): Uint8Array {
  const digits = text.replace(/[\s:]/g, '');
  if (digits.length % 2 === 0 && /^[\da-f]+$/i.test(digits)) return Buffer.from(digits, 'hex');
  throw new CliError(
    '--hex: expected pairs of hexadecimal digits, such as "ffffffffffff 020000000001 0800"',
    EXIT_USAGE,
  );
}
