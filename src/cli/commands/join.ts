/** `taplab join`: makes a node of the place where it runs, as a container, and keeps it in a lab. */
import { Command } from 'commander';
import type { LabNode } from '../../lab/model.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import { whenPipeBreaks } from '../broken-pipe.ts';
import type { Context } from '../context.ts';
import { runCommand } from '../run-command.ts';

type JoinOptions = { readonly wait: number; readonly json?: true };

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function joinCommand(context: Context): Command {
  return new Command('join')
    .summary('join a lab as one of its nodes, from where this runs')
    .description(
      "Joins a lab as a node that its lab file marks with `join: true`: makes the node's devices in the network namespace where this runs, as a container, gives them addresses and routes, and hands them to the emulator over its socket. Stays until Ctrl-C or SIGTERM, which removes the devices; joins again by itself when the emulator has been restarted. Needs CAP_NET_ADMIN and /dev/net/tun, and the emulator needs neither.",
    )
    .argument('<node>', 'name of the node')
    .argument('[command...]', 'run this once the node has joined, after --, and leave with its exit status')
    .option('--wait <seconds>', 'how long to wait for the emulator at first', wholeNumber(0), 0)
    .addOption(jsonOption('print a line of JSON each time the node has joined or lost the emulator'))
    .addHelpText(
      'after',
      `
The emulator's user and root may join. The socket for it is beside the control socket: control.join.sock.

Examples:
  $ taplab join client --wait 30
  $ taplab --socket /run/lab/control.sock join server -- python3 -m http.server 80`,
    )
    .action(async (node: string, command: string[], options: JoinOptions) => {
      const { join } = await import('../../join/join.ts');
      const { terminal, client } = context;
      const stop = new AbortController();
      const leave = (): void => stop.abort();
      whenPipeBreaks(leave);
      // A command that runs is given the signals, and its end is the time to leave.
      for (const signal of SIGNALS) process.on(signal, leave);
      let running: Promise<void> | undefined;
      let failure: unknown;
      const runOnce = ([program, ...args]: string[]): void => {
        if (program === undefined || running !== undefined) return;
        for (const signal of SIGNALS) process.off(signal, leave);
        running = runCommand(program, args).then(
          (status) => {
            context.exitStatus = status;
            leave();
          },
          (error: unknown) => {
            failure = error;
            leave();
          },
        );
      };
      await join({
        node,
        client,
        waitMs: options.wait * 1000,
        stop: stop.signal,
        onJoined: (lab, { interfaces }) => {
          if (options.json) terminal.printJson({ state: 'joined', lab, node, interfaces });
          else terminal.say(`node ${node} has joined lab ${lab}: ${interfaces.map(describe).join('; ')}`);
          runOnce(command);
        },
        onLost: (reason) => {
          if (options.json) terminal.printJson({ state: 'waiting', node, reason });
          else terminal.say(`node ${node} waits for the emulator: ${reason}`);
        },
      });
      if (failure !== undefined) throw failure;
    });
}

function describe({ device, addresses }: LabNode['interfaces'][number]): string {
  return [device, ...addresses].join(' ');
}
