/** `taplab filter run`: the packets of a capture that a filter accepts, shown, written or counted. */
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { linkTypeByNumber } from '../../../vm/compiler/index.ts';
import type { Dialect, Engine } from '../../../vm/index.ts';
import { jsonOption } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_USAGE } from '../errors.ts';
import { refuseInput } from '../filter/byte-sink.ts';
import { type CaptureInput, openCapture } from '../filter/capture-input.ts';
import { requireFilter } from '../filter/capture-program.ts';
import { dialectOption } from '../filter/options.ts';
import { type OutputOpener, onlyCount, showPackets, writePackets } from '../filter/packet-output.ts';
import { Progress } from '../filter/progress.ts';
import { type RunResult, runFilter } from '../filter/run.ts';
import { type FilterSource, readFilter } from '../filter/source.ts';
import { count } from '../format.ts';
import type { Terminal } from '../terminal.ts';
import { FILTER_HELP } from './attach.ts';

type Options = {
  readonly write?: string;
  readonly count?: true;
  readonly engine: Engine;
  readonly dialect?: Dialect;
  readonly json?: true;
};

const STDOUT = 1;
const CAPTURE_NAME = /\.(?:pcap|pcapng|cap)$/;

export function filterRunCommand(context: Context): Command {
  return new Command('run')
    .summary('filter a capture')
    .description(
      'Runs a filter over a pcap or pcapng file, or - for stdin: shows the packets that match, one line each, or writes them with -w. How many matched is said on stderr.',
    )
    .usage('[options] <filter...> <capture>')
    .argument('<filter-and-capture...>', 'which packets, and last the capture file')
    .option(
      '-w, --write <file>',
      'write the packets that match: to .pcap or .pcapng by the name, - for stdout in the format of the input',
    )
    .option('--count', 'print only how many packets match')
    .addOption(
      new Option('--engine <engine>', 'what runs the program')
        .choices(['wasm', 'interpreter'])
        .default('wasm'),
    )
    .addOption(dialectOption('bsd, or linux for expressions that need it'))
    .addOption(jsonOption('print what was counted as JSON, instead of packets'))
    .addHelpText(
      'after',
      `${FILTER_HELP}
'' is the filter that accepts every packet. A program that returns less than a packet's length keeps that many bytes
of it with -w.
inbound and outbound work where the capture says which way a packet went: pcapng flags, Linux cooked headers. ifindex N
is the interface of a Linux cooked header (LINUX_SLL2), and in other pcapng packets the N-th interface that the file
describes, from 1.

Examples:
  $ taplab filter run tcp port 80 capture.pcapng
  $ taplab filter run @dns big.pcap -w dns.pcapng
  $ taplab filter run 'icmp or arp' capture.pcap --count
  $ tcpdump -i eth0 -U -w - | taplab filter run 'tcp[tcpflags] & tcp-rst != 0' -
  $ taplab filter run '' old.pcap -w new.pcapng`,
    )
    .action(async (words: string[], options: Options) => {
      const path = words.at(-1)!;
      requireOrder(words, path);
      requireOneUseOfStdout(options);
      const source = await readFilter(words.slice(0, -1));
      requireFilter(source, options.dialect);
      const input = await openCapture(path);
      await run(context, source, input, options);
    });
}

/** The filter comes first, as in tcpdump's manual, but the capture is what one thinks of first. */
function requireOrder(words: readonly string[], path: string): void {
  if (words.length < 2) {
    throw new CliError(
      `a filter and a capture are needed, there is only "${path}"; for every packet say: taplab filter run '' ${path}`,
      EXIT_USAGE,
    );
  }
  const [first, ...others] = words;
  if (CAPTURE_NAME.test(first!) && existsSync(first!) && !existsSync(path)) {
    throw new CliError(
      `the capture comes last: taplab filter run '${others.join(' ')}' ${first}`,
      EXIT_USAGE,
    );
  }
}

function requireOneUseOfStdout({ write, count: countOnly, json }: Options): void {
  if (countOnly && json)
    throw new CliError('--json says how many match already; leave --count out', EXIT_USAGE);
  const other = countOnly ? '--count' : json ? '--json' : undefined;
  if (write === '-' && other !== undefined) {
    throw new CliError(`-w - and ${other} both want stdout; write the packets to a file`, EXIT_USAGE);
  }
}

async function run(
  { terminal }: Context,
  source: FilterSource,
  input: CaptureInput,
  options: Options,
): Promise<void> {
  const { write, engine, dialect } = options;
  const startMs = performance.now();
  const openOutput = await outputFor(terminal, source, input, options);
  const showsPackets = write === undefined && !options.count && !options.json;
  const quiet = showsPackets && terminal.out.isTTY === true;
  const progress = new Progress(terminal, input.name, input.totalBytes, !quiet);
  const result = await runFilter({ source, dialect, input, engine, openOutput, progress });
  if (options.json) {
    terminal.printJson(asJson(source, input, options, result, performance.now() - startMs));
    return;
  }
  if (options.count) terminal.print(String(result.matchedPackets));
  else terminal.say(report(input, write, result));
}

async function outputFor(
  terminal: Terminal,
  source: FilterSource,
  input: CaptureInput,
  { write, count: countOnly, json }: Options,
): Promise<OutputOpener> {
  if (write === '-' && terminal.out.isTTY === true) {
    throw new CliError('a capture is not for terminals; write it to a file with -w, or into a pipe');
  }
  if (write !== undefined && write !== '-') {
    refuseInput(input.status, write, write);
    return writePackets(write, terminal.out, source.name);
  }
  if (terminal.out === process.stdout) refuseInput(input.status, STDOUT, 'standard output');
  if (write === '-') return writePackets(write, terminal.out, source.name);
  return countOnly || json ? onlyCount() : showPackets(terminal.out);
}

function report(input: CaptureInput, write: string | undefined, result: RunResult): string {
  const { packets, bytes, matchedPackets, matchedBytes } = result;
  const to = write === undefined || write === '-' ? '' : `; written to ${write}`;
  return (
    `${input.name}: ${count(matchedPackets)} of ${count(packets)} packets match, ` +
    `${count(matchedBytes)} of ${count(bytes)} bytes${to}`
  );
}

function asJson(
  source: FilterSource,
  input: CaptureInput,
  { write, engine }: Options,
  result: RunResult,
  elapsedMs: number,
): object {
  const { format, packets, bytes, matchedPackets, matchedBytes, linkTypes } = result;
  return {
    capture: input.name,
    format,
    filter: source.name,
    engine,
    packets,
    bytes,
    matchedPackets,
    matchedBytes,
    linkTypes: linkTypes.map((each) => ({
      linkType: each.linkType,
      name: linkTypeByNumber(each.linkType)?.name ?? null,
      instructions: each.program.length,
      packets: each.packets,
      matchedPackets: each.matchedPackets,
    })),
    output: write ?? null,
    elapsedMs: Math.round(elapsedMs * 10) / 10,
  };
}
