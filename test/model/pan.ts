/**
 * Runs the model checker: spin makes a verifier of a model, gcc compiles it, and the verifier visits every state.
 */
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MODELS = import.meta.dirname;
const MAX_OUTPUT = 64 * 2 ** 20;

/**
 * `safety`: assertions, deadlocks, invalid array indexes. `fairness`: the model's ltl formula, under weak fairness.
 */
export type Check = 'safety' | 'fairness';

export type Verdict = {
  /** The first error, as the verifier puts it; undefined when every state was visited and none was wrong. */
  readonly error: string | undefined;
  readonly states: number;
  /** The steps to the error, as spin replays them. */
  readonly trail: string;
  /** Lines of the model that have a statement, and those of them that no state reached. */
  readonly lines: ReadonlySet<number>;
  readonly unreached: ReadonlySet<number>;
};

/** Why models cannot be checked here, said aloud. */
export function isCheckerMissing(): boolean {
  for (const tool of [['spin', '-V'] as const, ['gcc', '--version'] as const]) {
    try {
      execFileSync(tool[0], [tool[1]], { stdio: 'ignore' });
    } catch {
      console.warn(`SKIPPED: ${tool[0]} is missing; the models are not checked (apt-get install spin gcc)`);
      return true;
    }
  }
  return false;
}

/** A run takes up to half a gigabyte, and there are two cores. */
const AT_ONCE = 2;
let running = 0;
const waiting: (() => void)[] = [];

/** What is over in no time is not worth optimizing; -O2 takes longer to compile than it saves. */
export type Optimization = '-O0' | '-O1';

/** Checks a model of this folder with the given macros, as `TAPPERS=3`. Throws unless the search was complete. */
export async function verify(
  model: string,
  macros: readonly string[],
  check: Check,
  optimization: Optimization = '-O1',
): Promise<Verdict> {
  if (running === AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await visitAll(model, macros, check, optimization);
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

async function visitAll(
  model: string,
  macros: readonly string[],
  check: Check,
  optimization: Optimization,
): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-model-'));
  const inFolder = { cwd: folder, maxBuffer: MAX_OUTPUT };
  const defines = macros.map((macro) => `-D${macro}`);
  try {
    copyFileSync(join(MODELS, model), join(folder, model));
    await run('spin', ['-a', ...defines, model], inFolder);
    const how = check === 'safety' ? ['-DSAFETY', '-DNOCLAIM'] : ['-DNFAIR=4'];
    await run('gcc', [optimization, '-w', '-DMEMLIM=2000', ...how, '-o', 'pan', 'pan.c'], inFolder);
    const search = check === 'safety' ? [] : ['-a', '-f'];
    const { stdout } = await run('./pan', ['-m200000', ...search], inFolder);
    const error = /^pan:\d+: (.*) \(at depth/m.exec(stdout)?.[1];
    const errors = Number(/errors: (\d+)/.exec(stdout)?.[1]);
    // A search that was cut short proves nothing.
    if (/max search depth too small|out of memory|Search not completed/.test(stdout) && error === undefined) {
      throw new Error(`${model} ${macros.join(' ')}: the search was not complete\n${stdout}`);
    }
    if (Number.isNaN(errors) || errors > 0 !== (error !== undefined)) throw new Error(stdout);
    const replay =
      error === undefined ? undefined : await run('spin', ['-t', '-p', '-g', ...defines, model], inFolder);
    const table = await run('./pan', ['-d'], inFolder);
    return {
      error,
      states: Number(/(\d+) states, stored/.exec(stdout)?.[1]),
      trail: replay?.stdout ?? '',
      lines: linesIn(table.stdout, model),
      unreached: linesIn(stdout.slice(stdout.indexOf('unreached in')), model),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function linesIn(text: string, model: string): ReadonlySet<number> {
  const at = new RegExp(`${model.replace('.', '\\.')}:(\\d+)`, 'g');
  return new Set([...text.matchAll(at)].map((match) => Number(match[1])));
}
