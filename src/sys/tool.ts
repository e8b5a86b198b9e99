/**
 * Running command-line tools such as ip(8): never through a shell, output bounded, errors in the tool's own words.
 */
import { spawn } from 'node:child_process';

const MAX_OUTPUT_BYTES = 4_194_304;
const DEFAULT_TIMEOUT_MS = 30_000;

export type ToolResult = { readonly stdout: string; readonly stderr: string };

/** A tool that could not be run, or that reported failure. `message` reads `attempt: what the tool said; advice`. */
export class ToolError extends Error {
  readonly command: string;
  /** Exit status; undefined when it did not run or was ended by a signal. */
  readonly status: number | undefined;
  readonly stderr: string;
  /** ENOENT and the like, when it did not run. */
  readonly code: string | undefined;

  constructor(
    command: string,
    attempt: string,
    why: { status?: number | undefined; stderr: string; code?: string | undefined },
    advice?: string,
  ) {
    super(`${attempt}: ${inOneLine(why.stderr) || 'no reason given'}${advice ? `; ${advice}` : ''}`);
    this.name = 'ToolError';
    this.command = command;
    this.status = why.status;
    this.stderr = why.stderr;
    this.code = why.code;
  }
}

/** What a tool said, without the line of `ip -batch` that names the line of its input. */
function inOneLine(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !/^Command failed -:\d+$/.test(line)).join(', ');
}

export type ToolOptions = {
  /** What the caller wants to achieve, as `create namespaces`; begins the error message. */
  readonly attempt: string;
  readonly input?: string;
  readonly timeoutMs?: number;
  /** What the user may do, given what the tool said. */
  readonly advice?: (stderr: string) => string | undefined;
};

/** Tools that run at once; the others wait, and the time limit of each starts when it does. */
const MAX_RUNNING = 16;
let running = 0;
const waiting: (() => void)[] = [];

/**
 * Runs a tool to its end. It gets a session of its own: a Ctrl-C on the terminal is for this process, which takes
 * down what the tool made. Throws ToolError.
 */
export async function runTool(
  command: string,
  args: readonly string[],
  options: ToolOptions,
): Promise<ToolResult> {
  if (running < MAX_RUNNING) running++;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await run(command, args, options);
  } finally {
    // Whoever waits longest takes this place over.
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}

function run(command: string, args: readonly string[], options: ToolOptions): Promise<ToolResult> {
  const { attempt, input = '', timeoutMs = DEFAULT_TIMEOUT_MS, advice } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    });
    const collected = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (collected[name].length < MAX_OUTPUT_BYTES) collected[name] += text;
      });
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const missing = error.code === 'ENOENT';
      const stderr = missing ? `${command} is not installed` : error.message;
      const install = missing && command === 'ip' ? 'install iproute2 (`apt install iproute2`)' : undefined;
      reject(new ToolError(command, attempt, { stderr, code: error.code }, install));
    });
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) {
        resolve(collected);
        return;
      }
      const stderr =
        signal === null ? collected.stderr : `${command} was ended by ${signal}\n${collected.stderr}`;
      reject(new ToolError(command, attempt, { status: status ?? undefined, stderr }, advice?.(stderr)));
    });
    // A tool that fails early does not read its input; its own message says why.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
