/** Traffic between the nodes of a lab of pairYaml(). */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { distPath } from './dist.ts';
import type { RunningLab } from './real.ts';

/** The exit status of a process; null when a signal ended it. */
export function exit(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.on('exit', resolve));
}

/** What a process writes to stdout until it ends. Throws when it fails. */
export async function output(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout!.on('data', (chunk) => {
    text += chunk;
  });
  const status = await exit(child);
  if (status !== 0) throw new Error(`${child.spawnargs.join(' ')}: exit status ${status}`);
  return text;
}

/** Median round trip in ms of nine UDP echoes from node a to node b. */
export async function pingMs(lab: RunningLab): Promise<number> {
  const traffic = distPath('src/demo/traffic.js');
  const server = lab.spawnIn('b', traffic, 'serve');
  try {
    await once(server.stdout!, 'data'); // it says so when it listens
    const text = await output(
      lab.spawnIn('a', traffic, 'ping', '198.18.0.2', '--count', '9', '--interval', '20'),
    );
    return JSON.parse(text.trim().split('\n').at(-1)!).rttMs.median as number;
  } finally {
    server.kill('SIGTERM');
    await exit(server);
  }
}
