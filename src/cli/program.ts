/** The command line: which commands there are, and what every one of them has in common. */
import { Command, InvalidArgumentError } from 'commander';
import { VERSION } from '../package.ts';
import type { Context } from './context.ts';
import { visible } from './terminal.ts';

/** In the order of the help. Each is loaded when it is needed: to load them all takes longer than most take to run. */
const COMMANDS: Readonly<Record<string, () => Promise<(context: Context) => Command>>> = {
  up: async () => (await import('./commands/up.ts')).upCommand,
  down: async () => (await import('./commands/down.ts')).downCommand,
  ps: async () => (await import('./commands/ps.ts')).psCommand,
  stats: async () => (await import('./commands/stats.ts')).statsCommand,
  exec: async () => (await import('./commands/exec.ts')).execCommand,
  join: async () => (await import('./commands/join.ts')).joinCommand,
  attach: async () => (await import('./commands/attach.ts')).attachCommand,
  detach: async () => (await import('./commands/detach.ts')).detachCommand,
  descriptor: async () => (await import('./commands/descriptor.ts')).descriptorCommand,
  dump: async () => (await import('./commands/dump.ts')).dumpCommand,
  set: async () => (await import('./commands/set.ts')).setCommand,
  play: async () => (await import('./commands/play.ts')).playCommand,
  switch: async () => (await import('./commands/switch.ts')).switchCommand,
  reload: async () => (await import('./commands/reload.ts')).reloadCommand,
  import: async () => (await import('./commands/import.ts')).importCommand,
  filter: async () => (await import('./commands/filter.ts')).filterCommand,
  replay: async () => (await import('./commands/replay.ts')).replayCommand,
  verify: async () => (await import('./commands/verify.ts')).verifyCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
  completion: async () => (await import('./commands/completion.ts')).completionCommand,
};

/**
 * The program. Parsing throws CommanderError instead of ending the process.
 *
 * @param args what will be parsed: where it begins with the name of a command, only that is made
 */
export async function createProgram(context: Context, args: readonly string[] = []): Promise<Command> {
  const program = new Command('taplab')
    .description(
      'Userspace network emulator over TUN/TAP: links with delay, loss and rate, and real BPF on every frame.',
    )
    .version(VERSION)
    .option(
      '--socket <path>',
      'control socket (default: $TAPLAB_SOCKET, or control.sock in the state directory)',
      notEmpty,
    )
    .on('option:socket', (path: string) => {
      context.socketOption = path;
    })
    .addHelpText(
      'after',
      `
Examples:
  $ taplab up wan.yaml --detach
  $ taplab exec client -- ping 198.18.0.2
  $ taplab set wan 'delay 50ms loss 2%'
  $ taplab dump client:eth0 @icmp -w ping.pcapng
  $ taplab down`,
    );
  const only = commandOf(args);
  const needed = only === undefined ? Object.values(COMMANDS) : [COMMANDS[only]!];
  for (const create of await Promise.all(needed.map((load) => load()))) program.addCommand(create(context));
  configure(program, '', context);
  return program;
}

/** The command that a command line names, if it can be parsed without knowing the others. */
function commandOf(args: readonly string[]): string | undefined {
  let at = 0;
  while (args[at]?.startsWith('--socket')) at += args[at] === '--socket' ? 2 : 1;
  const name = args[at] ?? '';
  return Object.hasOwn(COMMANDS, name) && name !== 'completion' ? name : undefined;
}

/** What most often was meant by a wrong command line, by command. */
const ERROR_HINTS: Readonly<Record<string, string>> = {
  'exec ': 'Options of the command itself go after --, as in `taplab exec NODE -- ls -l`.\n',
};

function notEmpty(path: string): string {
  if (path === '') throw new InvalidArgumentError('Expected the path of a socket.');
  return path;
}

/** What a command and its subcommands have in common; `path` is the name of the command, those above it before. */
function configure(command: Command, path: string, context: Context): void {
  const { out, err } = context.terminal;
  command
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void out.write(text),
      writeErr: (text) => void err.write(visible(text)),
      outputError: (text, write) => write(text.replace(/^error: /, 'taplab: ')),
    })
    .showHelpAfterError(`${ERROR_HINTS[path] ?? ''}See \`taplab ${path}--help\`.`)
    .showSuggestionAfterError();
  for (const each of command.commands) configure(each, `${path}${each.name()} `, context);
}
