/** `taplab down`: takes the lab down and waits until everything of it is gone. */
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { ConnectionError } from '../../control/client.ts';
import { processStartTime } from '../../lab/state.ts';
import { wholeNumber } from '../arguments.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { plural } from '../format.ts';

/** Nobody listens on the socket. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED']);
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
      try {
        await takeDown(context, timeout);
      } catch (error) {
        // Nobody is there to be asked; what a process that was killed has left can be removed from here.
        const isGone = error instanceof ConnectionError && GONE.has(error.code);
        if (!isGone || !(await cleanUp(context))) throw error;
      }
    });
}

async function takeDown({ client, terminal, socketPath }: Context, timeoutS: number): Promise<void> {
  const deadline = Date.now() + timeoutS * 1000;
  client.timeoutMs = deadline - Date.now();
  const lab = await client.lab();
  // In another pid namespace the number means nothing here: then the socket alone has to tell.
  const startTime = processStartTime(lab.pid);
  client.timeoutMs = deadline - Date.now();
  await client.shutDown();
  client.close();
  while ((await answers(socketPath)) || isRunning(lab.pid, startTime)) {
    if (Date.now() > deadline) {
      throw new CliError(
        `lab ${lab.name} (pid ${lab.pid}) is still going down after ${plural(timeoutS, 'second')}; see its log`,
      );
    }
    await sleep(POLL_MS);
  }
  terminal.say(`lab ${lab.name} is down`);
}

/** Removes what labs on this socket have left that ended without taking it down. False when there is none. */
async function cleanUp({ terminal, socketPath }: Context): Promise<boolean> {
  const { removeDeadLabs } = await import('../../lab/claim.ts');
  const dead = await removeDeadLabs(socketPath);
  for (const { lab, pid, namespaces, socket, processes } of dead) {
    const things = [
      ...(namespaces.length > 0 ? [`namespaces ${namespaces.join(', ')}`] : []),
      ...(socket === undefined ? [] : [`socket ${socket}`]),
    ];
    const removed = things.length > 0 ? `removed ${things.join(' and ')}` : 'nothing of it was left';
    terminal.say(`lab ${lab} (pid ${pid}) had ended without clean-up: ${removed}`);
    for (const each of processes) {
      terminal.say(`  process ${each.pid} (${each.command}) still runs in ${each.namespace}, which is gone`);
    }
  }
  return dead.length > 0;
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
    // EAGAIN: its backlog is full, so somebody is there.
    probe.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EAGAIN'));
  });
}
