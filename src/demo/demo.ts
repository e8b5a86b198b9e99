/**
 * The demo that `npm start` runs: a lab of two nodes and a WAN link, traffic, filters, metrics and a capture, in about
 * 15 seconds, after which nothing is left but the capture.
 *
 * It runs on kernel devices where it may, in a user namespace of its own where only that is allowed, and on memory
 * devices with a virtual clock elsewhere. Exit status: 0; 130 when it was interrupted, at whatever moment; 1 when
 * something failed. In each case the lab is taken down first. A demo that is killed takes everything with it, and what
 * is left when its lab is killed as well, the next demo removes.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { explain } from '../cli/errors.ts';
import { whenStdinCloses } from '../cli/stdin-closes.ts';
import { Terminal } from '../cli/terminal.ts';
import type { Check } from '../lab/doctor.ts';
import { PACKAGE_ROOT } from '../package.ts';
import { removeFolders } from './leftovers.ts';
import { play } from './play.ts';
import { Interrupted, type Stage } from './stage.ts';
import { canUnshare, isInside, obstacle, runInside, SIGNALS } from './surroundings.ts';

const LAB_FILE: string = join(PACKAGE_ROOT, 'examples', 'demo.yaml');
const INTERRUPTED_STATUS = 130;
/** How long the system may take to tell that a process has ended, after its connections have. */
const NEWS_MS = 500;

process.exitCode = await main(new Terminal(process.stdout, process.stderr, process.env));

async function main(terminal: Terminal): Promise<number> {
  const interruption = new AbortController();
  const { signal } = interruption;
  const interrupt = (): void => interruption.abort();
  // Also when interrupted again: the lab is on its way down then, and nothing must stop that.
  for (const name of SIGNALS) process.on(name, interrupt);
  // Whoever read our output has gone, as in `npm start | head`.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', interrupt);
  if (isInside()) whenStdinCloses(interrupt);
  removeFolders();
  try {
    const obstructed = await obstacle();
    if (signal.aborted) return INTERRUPTED_STATUS;
    if (obstructed !== undefined && canUnshare()) return await runInside(fileURLToPath(import.meta.url));
    await perform(obstructed, terminal, signal);
    return 0;
  } catch (error) {
    if (signal.aborted || error instanceof Interrupted) {
      terminal.say('\ninterrupted; the lab is down');
      return INTERRUPTED_STATUS;
    }
    terminal.say(explain(error));
    return 1;
  }
}

async function perform(
  obstructed: Check | undefined,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const stage = await setUp(obstructed, terminal, signal);
  try {
    await Promise.race([play(stage, terminal, process.cwd(), signal), stage.broken]);
  } catch (error) {
    // A lab that breaks down closes its connections first, and why it did is the better news.
    if (!signal.aborted) await Promise.race([stage.broken, sleep(NEWS_MS)]);
    throw error;
  } finally {
    await stage.close();
  }
  terminal.print('  nothing else is left: no namespace, device, socket or process');
}

/** Each kind of stage is loaded when it is used: not every system has what the other one needs. */
async function setUp(obstructed: Check | undefined, terminal: Terminal, signal: AbortSignal): Promise<Stage> {
  if (obstructed === undefined) {
    const { KernelStage } = await import('./kernel-stage.ts');
    return KernelStage.up(LAB_FILE, signal);
  }
  terminal.print(
    `no kernel devices here (${obstructed.name}: ${obstructed.detail}), so memory devices are used`,
  );
  const { VirtualStage } = await import('./virtual-stage.ts');
  return VirtualStage.up(LAB_FILE, signal);
}
