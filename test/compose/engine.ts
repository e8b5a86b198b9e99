/** The container engine: running docker and docker-compose, and whether there is one. */
import { spawn, spawnSync } from 'node:child_process';
import { ROOT } from '../helpers/dist.ts';

export type Result = { readonly status: number; readonly stdout: string; readonly stderr: string };

export type RunOptions = {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Return the result of a program that fails instead of throwing. */
  readonly mayFail?: boolean;
};

/** Runs a program to its end. Throws when it fails, with what it said. */
export async function run(
  command: readonly string[],
  { env, input, mayFail }: RunOptions = {},
): Promise<Result> {
  const { status, stdout, stderr } = await runForBytes(command, { ...(env && { env }), input: input ?? '' });
  const result = { status, stdout: stdout.toString(), stderr };
  if (status !== 0 && !mayFail) {
    throw new Error(`${command.join(' ')}: exit status ${status}\n${result.stdout}${stderr}`);
  }
  return result;
}

/** As run(), for output that is no text; never throws. */
export function runForBytes(
  [file, ...args]: readonly string[],
  { env = process.env, input = '' }: { readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {},
): Promise<{ readonly status: number; readonly stdout: Buffer; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file!, args, { cwd: ROOT, env, stdio: 'pipe' });
    const out: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.on('error', reject);
    // A program that ends early does not read the rest.
    child.stdin.on('error', () => undefined).end(input);
    child.on('close', (status) => resolve({ status: status ?? 1, stdout: Buffer.concat(out), stderr }));
  });
}

/** Why containers cannot be run here; undefined when they can. */
export function noEngine(): string | undefined {
  const { status, error, stderr } = spawnSync('docker', ['info'], { encoding: 'utf8' });
  if (error !== undefined) return `docker: ${error.message}`;
  if (status !== 0) return `docker info: ${stderr.trim()}`;
  return composeCommand() === undefined ? 'neither `docker compose` nor docker-compose is there' : undefined;
}

/** Compose v2 or v1, whichever there is. */
export function composeCommand(): readonly string[] | undefined {
  const there = ([file, ...args]: readonly string[]): boolean =>
    spawnSync(file!, [...args, 'version'], { stdio: 'ignore' }).status === 0;
  return [['docker', 'compose'], ['docker-compose']].find(there);
}
