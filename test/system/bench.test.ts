/** Benches that are interrupted leave nothing behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { distPath } from '../helpers/dist.ts';
import { noRealDevices, run } from '../helpers/real.ts';

/** Processes whose arguments name a folder. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      return args.includes(folder) ? [args] : [];
    } catch {
      return [];
    }
  });
}

describe.skipIf(noRealDevices)('a bench', { timeout: 60_000 }, () => {
  test.each([
    ['at its start', 'round 1 ', 0],
    ['while a lab comes up or is up', 'round 1 ', 300],
    ['as the lab of another process comes up', 'round 1 of 50: taplab up --detach', 0],
    ['while the lab of another process comes up or is up', 'round 1 of 50: taplab up --detach', 500],
    ['as the lab of another process is up or goes down', 'round 1 of 50: taplab up --detach', 900],
    ['after others were taken down', 'round 2 ', 200],
  ])('interrupted %s leaves no process, namespace or file', async (_, at, afterMs) => {
    const folder = mkdtempSync(join(tmpdir(), 'taplab-bench-test-'));
    try {
      const args = [distPath('bench/main.js'), 'bringup', '--nodes', '10', '--rounds', '50'];
      const env = { ...process.env, TMPDIR: folder };
      const bench = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
      const exited = once(bench, 'exit');
      for await (const line of createInterface({ input: bench.stderr })) {
        if (line.includes(at)) break;
      }
      await sleep(afterMs);
      bench.kill('SIGINT');
      expect(await exited).toEqual([130, null]);
      const { stdout } = await run('ip', ['netns', 'list']);
      const namespaces = stdout.split('\n').filter((name) => name.includes(`${bench.pid}-`));
      expect([processesOf(folder), namespaces, readdirSync(folder)]).toEqual([[], [], []]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
