/** `taplab down`: takes the lab down and waits until everything of it is gone. */
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { processStartTime } from '../../lab/state.ts';
import { wholeNumber } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';

const POLL_MS = 25;

export function downCommand(context: Context): Command {
  return new Command('down')
    .summary('take the lab down')
    .description('Takes the lab down, and returns when its namespaces, devices, socket and process are gone.')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1), 30)
    .addHelpText(
      'after',
      `
Examples:
  $ taplab down
  $ taplab down --socket /run/taplab/other.sock`,
    )
    .action(async ({ timeout }: { timeout: number }) => {
      const { client, terminal, socketPath } = context;
      const lab = await client.lab();
      // In another pid namespace the number means nothing here: then the socket alone has to tell.
      const startTime = processStartTime(lab.pid);
      await client.shutDown();
      client.close();
      const deadline = Date.now() + timeout * 1000;
      while ((await answers(socketPath)) || isRunning(lab.pid, startTime)) {
        if (Date.now() > deadline) {
          throw new CliError(
            `lab ${lab.name} (pid ${lab.pid}) is still going down after ${timeout} seconds; see its log`,
          );
        }
        await sleep(POLL_MS);
      }
      terminal.say(`lab ${lab.name} is down`);
    });
}

function isRunning(pid: number, startTime: number | undefined): boolean {
  return startTime !== undefined && processStartTime(pid) === startTime;
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(socketPath, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
