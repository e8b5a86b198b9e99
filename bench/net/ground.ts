/**
 * Where the traffic runs: pairs of namespaces, `a` with 198.18.0.1 and `b` with 198.18.0.2, and the processes that
 * connect them. Everything is named after this process and taken down at the end, whatever happens, signals included.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type Side = 'a' | 'b';
export const ADDRESS: Readonly<Record<Side, string>> = { a: '198.18.0.1', b: '198.18.0.2' };

/** Clock ticks of /proc/PID/stat; the kernel's USER_HZ, 100 on every platform Node runs on. */
const TICK_MS = 10;

/** For a command to end by itself. */
const PATIENCE_MS = 60_000;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class Ground {
  /** A folder for sockets, lab files and compiled programs. */
  readonly folder: string = mkdtempSync(join(tmpdir(), 'taplab-bench-'));
  readonly #namespaces: Set<string> = new Set();
  readonly #children: Set<ChildProcess> = new Set();
  readonly #uninterrupted: Set<Promise<unknown>> = new Set();
  #pairs = 0;
  #closing: Promise<void> | undefined;
  readonly #interrupt = (signal: (typeof SIGNALS)[number]): void => {
    process.stderr.write(`${signal}: everything is taken down\n`);
    const exit = (): void => process.exit(128 + constants.signals[signal]);
    this.close().then(exit, exit);
  };

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#interrupt);
  }

  /** Two new namespaces with nothing in them. */
  pair(): Pair {
    const number = ++this.#pairs;
    const a = this.namespace(`${number}a`);
    const b = this.namespace(`${number}b`);
    return new Pair(this, number, { a, b });
  }

  /** A new namespace with nothing in it; returns its full name. */
  namespace(label: string): string {
    this.#refuseWhenClosing();
    const name = `taplabbench-${process.pid}-${label}`;
    ip('netns', 'add', name);
    this.#namespaces.add(name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
    return name;
  }

  /** Starts a process that runs until the end; resolves when it prints a line that matches `ready`. */
  async start(command: string, args: readonly string[], ready?: RegExp): Promise<ChildProcess> {
    this.#refuseWhenClosing();
    // What taplab keeps for later runs goes with the folder.
    const env = { ...process.env, TAPLAB_STATE_DIRECTORY: this.folder };
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    this.#children.add(child);
    let said = '';
    const failed = once(child, 'exit').then(([status]) => {
      this.#children.delete(child);
      throw new Error(`${command} ${args.join(' ')} ended with status ${status}: ${said}`);
    });
    const isReady = new Promise<void>((resolve) => {
      if (!ready) resolve();
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          if (said.length < 10_000) said += `${line}\n`;
          if (ready?.test(line)) resolve();
        });
      }
    });
    failed.catch(() => {});
    await Promise.race([isReady, failed]);
    return child;
  }

  /** Runs a command to its end, or to that of the ground; returns what it printed. */
  async run(command: readonly string[], timeoutMs: number = PATIENCE_MS, input = ''): Promise<string> {
    this.#refuseWhenClosing();
    const onStart = (child: ChildProcess): void => {
      this.#children.add(child);
      child.once('close', () => this.#children.delete(child));
    };
    return await output(command, timeoutMs, { input, onStart });
  }

  /**
   * Does what leaves nothing behind when it comes to its end, and only then: taking down waits for it. The processes it
   * starts are its own, with output(); a Ctrl-C must not reach them.
   */
  async uninterrupted<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseWhenClosing();
    const done = work();
    this.#uninterrupted.add(done);
    try {
      return await done;
    } finally {
      this.#uninterrupted.delete(done);
    }
  }

  /** Ends a process and waits for it. */
  async stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(timer);
  }

  /** Whoever was interrupted goes on when its processes have ended, and must not start others that nobody would end. */
  #refuseWhenClosing(): void {
    if (this.#closing !== undefined) throw new Error('everything is being taken down');
  }

  /** Ends all processes and removes the namespaces and the folder. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const stopped = [...this.#children].map((child) => this.stop(child));
    await Promise.allSettled([...stopped, ...this.#uninterrupted]);
    for (const name of this.#namespaces) ip('netns', 'del', name);
    this.#namespaces.clear();
    rmSync(this.folder, { recursive: true, force: true });
    for (const signal of SIGNALS) process.off(signal, this.#interrupt);
  }
}

export class Pair {
  readonly ground: Ground;
  readonly number: number;
  readonly namespace: Readonly<Record<Side, string>>;

  constructor(ground: Ground, number: number, namespace: Readonly<Record<Side, string>>) {
    this.ground = ground;
    this.number = number;
    this.namespace = namespace;
  }

  /** The same pair with other namespaces in its place. */
  withNamespaces(namespace: Readonly<Record<Side, string>>): Pair {
    return new Pair(this.ground, this.number, namespace);
  }

  /** Moves a device from this process's namespace into one of the pair, as eth0 with its address. */
  adopt(side: Side, device: string): void {
    const name = this.namespace[side];
    ip('link', 'set', device, 'netns', name);
    ip('-n', name, 'link', 'set', device, 'name', 'eth0');
    this.address(side);
  }

  /** Gives eth0 its address and brings it up. */
  address(side: Side): void {
    const name = this.namespace[side];
    ip('-n', name, 'addr', 'add', `${ADDRESS[side]}/24`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
  }

  /** Runs a command to its end inside a namespace; returns what it printed. */
  run(side: Side, command: readonly string[], timeoutMs?: number): Promise<string> {
    return this.ground.run(['ip', 'netns', 'exec', this.namespace[side], ...command], timeoutMs);
  }

  /** Starts a command inside a namespace; see Ground.start(). */
  start(side: Side, command: readonly string[], ready?: RegExp): Promise<ChildProcess> {
    return this.ground.start('ip', ['netns', 'exec', this.namespace[side], ...command], ready);
  }
}

export function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/**
 * Runs a command to its end, out of reach of a terminal's Ctrl-C; returns what it printed. Throws when it fails or takes
 * too long.
 */
export function output(
  command: readonly string[],
  timeoutMs: number = PATIENCE_MS,
  { input = '', onStart }: { input?: string; onStart?: (child: ChildProcess) => void } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), { stdio: 'pipe', detached: true });
    onStart?.(child);
    child.stdin.on('error', () => {}).end(input);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      if (status === 0) resolve(stdout);
      else reject(new Error(`${command.join(' ')} ended with status ${status}: ${stderr || stdout}`));
    });
  });
}

/** Milliseconds of processor time that processes have used, all threads, user and system. */
export function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MS;
}

/** A command that is installed, looked for as a shell would and in the administrator's folders. */
export function isInstalled(command: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => folder !== '' && existsSync(join(folder, command)));
}

/** Compiles a program of bench/c; returns its path, or why it cannot be compiled. */
export function compileC(ground: Ground, name: string): { path: string } | { missing: string } {
  const source = ['../../c', '../c', '../../../bench/c']
    .map((folder) => join(import.meta.dirname, folder, `${name}.c`))
    .find((path) => existsSync(path));
  if (source === undefined) return { missing: `bench/c/${name}.c is not there` };
  const path = join(ground.folder, name);
  try {
    execFileSync('gcc', ['-O2', '-o', path, source], { stdio: 'pipe' });
  } catch (error) {
    return { missing: `gcc does not compile ${name}.c: ${String(error).split('\n')[0]}` };
  }
  return { path };
}
