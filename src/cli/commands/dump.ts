/** `taplab dump`: shows the frames of an interface, or writes them to a file, until Ctrl-C or so many. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { Command, Option } from 'commander';
import type { Direction } from '../../bpf/record.ts';
import { CAPTURE_FORMATS, type CaptureFormat } from '../../capture/formats.ts';
import { ConnectionError } from '../../control/client.ts';
import type { DescriptorResource } from '../../control/schemas/resources.ts';
import { bufferSize, directionOption, wholeNumber } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { count, plural } from '../format.ts';
import { FrameCounter } from '../frame-counter.ts';
import { summarize } from '../summary.ts';
import { attach, FILTER_HELP } from './attach.ts';

type DumpOptions = {
  readonly write?: string;
  readonly count?: number;
  readonly format?: CaptureFormat;
  readonly direction?: Direction;
  readonly buffer?: number;
};

/** Exit status after a second Ctrl-C, as a shell reports it. */
const INTERRUPTED = 130;

export function dumpCommand(context: Context): Command {
  return new Command('dump')
    .summary('show or write the frames of an interface')
    .description(
      'Shows one line per frame, or writes the frames, until Ctrl-C. Directions are seen from taplab: in is what the node sends.',
    )
    .argument('<node:interface>', 'interface')
    .argument('[filter...]', 'which frames')
    .option('-w, --write <file>', 'write to a file, - for stdout')
    .option('-c, --count <n>', 'end after so many frames', wholeNumber(1))
    .addOption(
      new Option('--format <format>', 'pcapng (default with -w), bpf records, or JSON lines').choices(
        CAPTURE_FORMATS,
      ),
    )
    .addOption(directionOption())
    .option('--buffer <size>', 'size of each buffer, such as 4mb', bufferSize)
    .addHelpText(
      'after',
      `${FILTER_HELP}

Examples:
  $ taplab dump client:eth0
  $ taplab dump client:eth0 tcp port 80 -w http.pcapng
  $ taplab dump client:eth0 @icmp -c 10 --format json
  $ taplab dump client:eth0 -w - | wireshark -k -i -`,
    )
    .action(async (interfaceName: string, words: string[], options: DumpOptions) => {
      const output = await openOutput(context, options);
      const body = {
        immediate: true,
        ephemeral: true,
        ...(options.direction && { direction: options.direction }),
        ...(options.buffer !== undefined && { bufferBytes: options.buffer }),
      };
      await capture(context, await attach(context.client, interfaceName, words, body), output, options.count);
    });
}

type DumpOutput = {
  readonly format: CaptureFormat;
  readonly sink: Writable;
  /** Whether the frames are shown, a line each, instead of written as they are. */
  readonly shown: boolean;
  /** A file, which is to be closed. */
  readonly isFile: boolean;
};

async function openOutput({ terminal }: Context, { write, format }: DumpOptions): Promise<DumpOutput> {
  if (write === undefined && format === undefined) {
    return { format: 'json', sink: terminal.out, shown: true, isFile: false };
  }
  const chosen = format ?? 'pcapng';
  if (write !== undefined && write !== '-') {
    const sink = createWriteStream(write);
    try {
      await once(sink, 'open');
    } catch (error) {
      throw new CliError(`cannot write ${write}: ${(error as NodeJS.ErrnoException).code}`);
    }
    return { format: chosen, sink, shown: false, isFile: true };
  }
  if (terminal.out.isTTY === true && chosen !== 'json') {
    throw new CliError(`${chosen} is not for terminals; write it to a file with -w, or into a pipe`);
  }
  return { format: chosen, sink: terminal.out, shown: false, isFile: false };
}

/** Passes the frames of a descriptor on until there are enough, Ctrl-C, or the descriptor ends. */
async function capture(
  context: Context,
  descriptor: DescriptorResource,
  output: DumpOutput,
  limit: number | undefined,
): Promise<void> {
  const { client, terminal } = context;
  const stream = await client.stream(descriptor.id, output.format);
  const counter = new FrameCounter(output.format, limit);
  let last: Promise<DescriptorResource> | undefined;
  const stop = (): void => {
    // Closed by somebody else in the meantime: then there are no last counters.
    last ??= client.detach(descriptor.id);
    last.catch(() => undefined);
  };
  const interrupt = (): void => {
    if (last !== undefined) process.exit(INTERRUPTED);
    stop();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  terminal.say(
    `capturing on ${descriptor.interface}, filter: ${descriptor.filter || 'every frame'}; Ctrl-C ends it`,
  );
  // A file that cannot be written any further ends the capture; without a listener it would end the process.
  if (output.isFile) output.sink.on('error', (error) => stream.destroy(error));
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const passing = counter.push(chunk);
      const bytes = output.shown ? describe(passing, descriptor.linkType) : passing;
      if (bytes.length > 0 && !output.sink.write(bytes)) await once(output.sink, 'drain');
      // The stream goes on to its end, so that what is written has its trailer.
      if (counter.full) stop();
    }
    if (output.isFile) await new Promise<void>((resolve) => output.sink.end(resolve));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ECONNRESET') throw new ConnectionError(client.socketPath, code);
    throw new CliError(`the capture ended after ${plural(counter.frames, 'frame')}: ${message}`);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  terminal.say(report(counter.frames, await last?.catch(() => undefined)));
}

function report(frames: number, last: DescriptorResource | undefined): string {
  const captured = `${plural(frames, 'frame')} captured`;
  if (last === undefined) return `${captured}; the descriptor was closed`;
  // This reader's own losses, when it was the only one, besides those of the descriptor's buffers.
  const lost = last.readers.length === 1 ? last.readers[0]!.lostFrames : 0;
  return `${captured}, ${count(last.dropped + lost)} dropped`;
}

type JsonFrame = {
  readonly time: string;
  readonly direction: 'in' | 'out';
  readonly length: number;
  readonly data: string;
};

/** JSON lines as lines for people. */
function describe(jsonLines: Buffer, linkType: number): string {
  let text = '';
  for (const line of jsonLines.toString('latin1').split('\n')) {
    if (line === '') continue;
    const { time, direction, length, data } = JSON.parse(line) as JsonFrame;
    const summary = summarize(Buffer.from(data, 'base64'), linkType);
    text += `${localTime(time)} ${direction.padEnd(3)} ${String(length).padStart(5)}  ${summary}\n`;
  }
  return text;
}

/** The time of day here, with microseconds. */
function localTime(time: string): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const micros = /\.(\d{6})/.exec(time)?.[1] ?? '000000';
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${micros}`;
}
