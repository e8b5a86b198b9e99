/** The command line: which commands there are, and what every one of them has in common. */
import { Command, InvalidArgumentError } from 'commander';
import { VERSION } from '../package.ts';
import { attachCommand } from './commands/attach.ts';
import { completionCommand } from './commands/completion.ts';
import { descriptorCommand } from './commands/descriptor.ts';
import { detachCommand } from './commands/detach.ts';
import { doctorCommand } from './commands/doctor.ts';
import { downCommand } from './commands/down.ts';
import { dumpCommand } from './commands/dump.ts';
import { execCommand } from './commands/exec.ts';
import { filterCommand } from './commands/filter.ts';
import { importCommand } from './commands/import.ts';
import { joinCommand } from './commands/join.ts';
import { playCommand } from './commands/play.ts';
import { psCommand } from './commands/ps.ts';
import { reloadCommand } from './commands/reload.ts';
import { replayCommand } from './commands/replay.ts';
import { setCommand } from './commands/set.ts';
import { statsCommand } from './commands/stats.ts';
import { switchCommand } from './commands/switch.ts';
import { upCommand } from './commands/up.ts';
import { verifyCommand } from './commands/verify.ts';
import type { Context } from './context.ts';
import { visible } from './terminal.ts';

const COMMANDS: readonly ((context: Context) => Command)[] = [
  upCommand,
  downCommand,
  psCommand,
  statsCommand,
  execCommand,
  joinCommand,
  attachCommand,
  detachCommand,
  descriptorCommand,
  dumpCommand,
  setCommand,
  playCommand,
  switchCommand,
  reloadCommand,
  importCommand,
  filterCommand,
  replayCommand,
  verifyCommand,
  doctorCommand,
  completionCommand,
];

/** The program. Parsing throws CommanderError instead of ending the process. */
export function createProgram(context: Context): Command {
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
  for (const create of COMMANDS) program.addCommand(create(context));
  configure(program, '', context);
  return program;
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
