/** `taplab dump`: shows the frames of interfaces, or writes them to a file, until Ctrl-C or so many. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Command, Option } from 'commander';
import type { Direction } from '../../bpf/record.ts';
import { CAPTURE_FORMATS, type CaptureFormat } from '../../capture/formats.ts';
import { type AttachBody, ConnectionError, type ControlClient } from '../../control/client.ts';
import type { DescriptorResource } from '../../control/schemas/resources.ts';
import { bufferSize, directionOption, wholeNumber } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_USAGE } from '../errors.ts';
import { count, plural } from '../format.ts';
import { FrameCounter } from '../frame-counter.ts';
import { FrameListing } from '../frame-listing.ts';
import { type FrameOutput, openOutput } from '../frame-output.ts';
import { attach, FILTER_HELP } from './attach.ts';

type DumpOptions = {
  readonly all?: true;
  readonly write?: string;
  readonly count?: number;
  readonly format?: CaptureFormat;
  readonly direction?: Direction;
  readonly drops?: true;
  readonly buffer?: number;
};

/** Exit status after a second Ctrl-C, as a shell reports it. */
const INTERRUPTED = 130;

export function dumpCommand(context: Context): Command {
  return new Command('dump')
    .summary('show or write the frames of interfaces')
    .description(
      'Shows one line per frame, or writes the frames, until Ctrl-C. Directions are seen from taplab: in is what the node sends.',
    )
    .usage('[options] <node:interface...> [filter...]')
    .argument('[words...]', 'interfaces, whose frames are merged in the order of time, then which frames')
    .option('-a, --all', 'all interfaces of the lab')
    .option('-w, --write <file>', 'write to a file, - for stdout')
    .option('-c, --count <n>', 'end after so many frames', wholeNumber(1))
    .addOption(
      new Option('--format <format>', 'pcapng (default with -w), bpf records, or JSON lines').choices(
        CAPTURE_FORMATS,
      ),
    )
    .addOption(directionOption())
    .addOption(
      new Option(
        '--drops',
        'also frames that links drop, with the reason; the same as --direction all',
      ).conflicts('direction'),
    )
    .option('--buffer <size>', 'size of each buffer, such as 4mb', bufferSize)
    .addHelpText(
      'after',
      `${FILTER_HELP}

Examples:
  $ taplab dump client:eth0
  $ taplab dump client:eth0 tcp port 80 -w http.pcapng
  $ taplab dump client:eth0 @icmp -c 10 --format json
  $ taplab dump client:eth0 server:eth0 --drops icmp
  $ taplab dump --all -w lab.pcapng
  $ taplab dump client:eth0 -w - | wireshark -k -i -`,
    )
    .action(async (words: string[], options: DumpOptions) => {
      const { names, filter } = await whatToDump(context, words, options);
      const output = await openOutput(context.terminal, options);
      if (names.length > 1 && output.format === 'bpf') {
        throw new CliError(
          'format bpf cannot say which interface a frame is from; dump one, or choose pcapng',
          EXIT_USAGE,
        );
      }
      const direction = options.drops ? 'all' : options.direction;
      const body = {
        immediate: true,
        ephemeral: true,
        ...(direction && { direction }),
        ...(options.buffer !== undefined && { bufferBytes: options.buffer }),
      };
      await capture(context, await attachAll(context, names, filter, body), output, options.count);
    });
}

/**
 * Which of the words are interfaces: with --all none, else the first, and those after it that the lab has.
 *
 * @throws CliError when there is none
 */
async function whatToDump(
  { client }: Context,
  words: readonly string[],
  { all }: DumpOptions,
): Promise<{ names: string[]; filter: string[] }> {
  if (all) {
    const names = (await client.interfaces()).filter(({ up }) => up).map(({ name }) => name);
    if (names.length === 0) throw new CliError('this lab has no interface that is up');
    return { names, filter: [...words] };
  }
  const [first, ...others] = words;
  if (first === undefined)
    throw new CliError("missing required argument 'node:interface', or --all", EXIT_USAGE);
  if (others.length === 0) return { names: [first], filter: [] };
  const known = new Set((await client.interfaces()).map(({ name }) => name));
  const end = others.findIndex((word) => !known.has(word));
  const count = end === -1 ? others.length : end;
  return { names: [...new Set([first, ...others.slice(0, count)])], filter: others.slice(count) };
}

/** Attaches to all of them, or to none. */
async function attachAll(
  { client }: Context,
  names: readonly string[],
  filter: readonly string[],
  body: AttachBody,
): Promise<DescriptorResource[]> {
  const attached: DescriptorResource[] = [];
  try {
    for (const name of names) attached.push(await attach(client, name, filter, body));
    return attached;
  } catch (error) {
    await Promise.allSettled(attached.map(({ id }) => client.detach(id)));
    if (names.length === 1 || !(error instanceof Error)) throw error;
    throw new CliError(`${names[attached.length]}: ${error.message}`);
  }
}

/** Passes the frames of descriptors on until there are enough, Ctrl-C, or all of them end. */
async function capture(
  context: Context,
  descriptors: readonly DescriptorResource[],
  output: FrameOutput,
  limit: number | undefined,
): Promise<void> {
  const { client, terminal } = context;
  const stream = await openStream(client, descriptors, output.format);
  const counter = new FrameCounter(output.format, limit);
  const listing = output.shown ? new FrameListing(descriptors) : undefined;
  let last: Promise<PromiseSettledResult<DescriptorResource>[]> | undefined;
  const stop = (): void => {
    // One that somebody else has closed in the meantime has no last counters.
    last ??= Promise.allSettled(descriptors.map(({ id }) => client.detach(id)));
  };
  const interrupt = (): void => {
    if (last !== undefined) process.exit(INTERRUPTED);
    stop();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const names = descriptors.map((each) => each.interface).join(', ');
  terminal.say(`capturing on ${names}, filter: ${descriptors[0]!.filter || 'every frame'}; Ctrl-C ends it`);
  // A file that cannot be written any further ends the capture; without a listener it would end the process.
  if (output.isFile) output.sink.on('error', (error) => stream.destroy(error));
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const passing = counter.push(chunk);
      const bytes = listing?.describe(passing) ?? passing;
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
  terminal.say(report(counter.frames, (await last) ?? []));
}

function openStream(
  client: ControlClient,
  descriptors: readonly DescriptorResource[],
  format: CaptureFormat,
): Promise<IncomingMessage> {
  const ids = descriptors.map(({ id }) => id);
  return ids.length === 1 || format === 'bpf'
    ? client.stream(ids[0]!, format)
    : client.mergedStream(ids, format);
}

function report(frames: number, last: readonly PromiseSettledResult<DescriptorResource>[]): string {
  const captured = `${plural(frames, 'frame')} captured`;
  const known = last.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  if (known.length === 0) return `${captured}; the descriptor was closed`;
  const dropped = known.map((descriptor) => {
    // This reader's own losses, when it was the only one, besides those of the descriptor's buffers.
    const lost = descriptor.readers.length === 1 ? descriptor.readers[0]!.lostFrames : 0;
    return descriptor.dropped + lost;
  });
  return `${captured}, ${count(dropped.reduce((sum, each) => sum + each, 0))} dropped`;
}
