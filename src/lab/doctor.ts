/**
 * What this system allows, for `taplab doctor`: each thing that labs need is tried, and what is missing comes with what
 * to do about it, and with what it is needed for. Leaves nothing behind. Labs on memory and pcap devices need only Node.
 *
 * Everything that needs native code is imported inside its check, so that a system where it cannot be loaded gets an
 * answer too.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { runTool } from '../sys/tool.ts';
import {
  CAP_NET_ADMIN,
  CAP_SYS_ADMIN,
  confinement,
  isInContainer,
  isRootReadOnly,
  missingCapability,
} from './confinement.ts';
import { checkSocket } from './sockets-check.ts';

/**
 * `up`: a lab whose nodes taplab makes. `up-joined`: one whose nodes all join, so that it makes nothing. `join`: being
 * a node that joins.
 */
export const PURPOSES = ['up', 'up-joined', 'join'] as const;
export type Purpose = (typeof PURPOSES)[number];

export type Check = {
  readonly name: string;
  /** `fail`: labs on kernel devices do not work. `warn`: something is not as it should be, or limited. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly advice?: string;
  /** What depends on it. */
  readonly neededFor: readonly Purpose[];
  /** What does not work here because of it, in this process as it was started. */
  readonly blocks: readonly Purpose[];
};

/** What a check found. Everything that needs it is blocked when it failed, and nothing else unless `blocks` says so. */
type Result = Omit<Check, 'name' | 'neededFor' | 'blocks'> & { readonly blocks?: readonly Purpose[] };

type Probe = readonly [
  name: string,
  neededFor: readonly Purpose[],
  check: (controlSocket: string) => Result | Promise<Result>,
];

const MIN_NODE = [20, 19] as const;
/** Where read(2) of a TUN or TAP device can be told not to wait, whatever its file says (device/fd.ts). */
const NOWAIT_LINUX = [5, 12] as const;
const TUNGETFEATURES = 0x800454cf;
const SIZEOF_INT = 4;
const UNSHARE_ADVICE = 'start taplab with `unshare -Urnm taplab ...`, or as root';
const TUN_ADVICE = 'in compose `devices: ["/dev/net/tun"]`, or `docker run --device /dev/net/tun`';
const MEMORY_ADVICE = 'labs with `device: memory` work without it';

const DEVICES: readonly Purpose[] = ['up', 'join'];

const PROBES: readonly Probe[] = [
  ['system', PURPOSES, checkSystem],
  ['node', PURPOSES, checkNode],
  ['koffi', PURPOSES, checkKoffi],
  ['/dev/net/tun', DEVICES, checkTun],
  ['tap device', DEVICES, checkTap],
  ['io_uring', [], checkWriteRing],
  ['iproute2', DEVICES, checkIproute],
  ['CAP_NET_ADMIN', DEVICES, () => checkCapability('NET_ADMIN', CAP_NET_ADMIN, DEVICES)],
  ['CAP_SYS_ADMIN', ['up'], () => checkCapability('SYS_ADMIN', CAP_SYS_ADMIN, ['up'])],
  ['network namespaces', ['up'], checkNamespaces],
  ['confinement', PURPOSES, checkConfinement],
  ['state directory', ['up', 'up-joined'], checkStateDirectory],
  ['control socket', ['join'], (path) => checkJoinable(path, false)],
  ['join socket', ['join'], (path) => checkJoinable(path, true)],
  ['labs', [], checkLabs],
  ['tuntap2', [], checkTuntap2],
];

/**
 * Runs every check, or those for one purpose. Never throws: a check that breaks is one that failed.
 *
 * @param controlSocket that of the lab to join; the default one unless given
 */
export async function diagnose(
  options: { readonly purpose?: Purpose | undefined; readonly controlSocket?: string } = {},
): Promise<Check[]> {
  const { purpose } = options;
  const controlSocket = options.controlSocket ?? (await import('./state.ts')).defaultSocketPath();
  const probes = PROBES.filter(([, neededFor]) => purpose === undefined || neededFor.includes(purpose));
  const checks: Check[] = [];
  for (const [name, neededFor, probe] of probes) {
    const result = await resultOf(() => probe(controlSocket));
    const blocks = result.blocks ?? (result.status === 'fail' ? neededFor : []);
    const isFatal = purpose !== undefined && blocks.includes(purpose);
    checks.push({ name, ...result, ...(isFatal && { status: 'fail' }), neededFor, blocks });
  }
  return checks;
}

async function resultOf(check: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await check();
  } catch (error) {
    const [detail, ...advice] = messageOf(error).split('; ');
    const hint = advice.length > 0 ? { advice: advice.join('; ') } : {};
    return { status: 'fail', detail: detail ?? '', ...hint };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function checkSystem(): Result {
  return systemResult(process.platform, release());
}

/** @param version as uname(2) has it, `6.1.0-18-amd64` */
export function systemResult(platform: NodeJS.Platform, version: string): Result {
  if (platform === 'linux') {
    const detail = `Linux ${version}, ${process.arch}`;
    if (isAtLeast(version, NOWAIT_LINUX)) return { status: 'ok', detail };
    return {
      status: 'warn',
      detail: `${detail}: a node that joins can stop the emulator, by making the device that it handed over blocking`,
      advice: `use Linux ${NOWAIT_LINUX.join('.')} or newer, or let only nodes join that are trusted`,
    };
  }
  return {
    status: 'fail',
    detail: `${platform}: TAP devices and network namespaces are those of Linux`,
    advice: 'use a Linux machine, WSL2 or a container; labs with `device: memory` work here',
  };
}

function checkNode(): Result {
  const detail = `v${process.versions.node}`;
  if (isAtLeast(process.versions.node, MIN_NODE)) return { status: 'ok', detail };
  return { status: 'fail', detail, advice: `install Node.js ${MIN_NODE.join('.')} or newer` };
}

function isAtLeast(version: string, [least, leastMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major > least || (major === least && minor >= leastMinor);
}

async function checkKoffi(): Promise<Result> {
  try {
    await import('../sys/libc.ts');
    return { status: 'ok', detail: 'loads' };
  } catch (error) {
    return {
      status: 'fail',
      detail: `cannot be loaded: ${messageOf(error).split('\n')[0]}`,
      advice: 'run `npm install` again on this system; koffi has prebuilt binaries for glibc and musl',
    };
  }
}

async function checkTun(): Promise<Result> {
  const { check, close, errno, errnoName, ioctl, open, O_CLOEXEC, O_RDWR, SystemError } = await import(
    '../sys/libc.ts'
  );
  const { deviceAdvice } = await import('../device/tap.ts');
  const fd = open('/dev/net/tun', O_RDWR | O_CLOEXEC);
  if (fd === -1) {
    const why = errno();
    const isWithheld = isInContainer() && ['ENOENT', 'EPERM'].includes(errnoName(why));
    throw new SystemError('open', '/dev/net/tun', why, isWithheld ? TUN_ADVICE : deviceAdvice(why));
  }
  try {
    // Any file can be opened; what this asks, only the TUN driver answers.
    const isTun = ioctl(fd, TUNGETFEATURES, new Uint8Array(SIZEOF_INT)) !== -1;
    if (!isTun) check(-1, 'ioctl TUNGETFEATURES', '/dev/net/tun', deviceAdvice(errno()));
  } finally {
    close(fd);
  }
  return { status: 'ok', detail: 'can be opened' };
}

/** Makes a device and closes it, upon which it disappears. */
async function checkTap(): Promise<Result> {
  const { close, SystemError } = await import('../sys/libc.ts');
  const { createTap } = await import('../device/tap.ts');
  try {
    close(createTap(`tldoc${process.pid % 1e9}`, 'tap'));
    return { status: 'ok', detail: 'can be made' };
  } catch (error) {
    if (error instanceof SystemError && error.code === 'EPERM' && (await allowsUserNamespaces())) {
      return inUserNamespaceOnly('can be made inside a user namespace only', DEVICES);
    }
    throw error;
  }
}

/** Whether a user may make namespaces, with all rights inside. */
async function allowsUserNamespaces(): Promise<boolean> {
  try {
    await runTool('unshare', ['-Urnm', 'true'], { attempt: 'make a user namespace' });
    return true;
  } catch {
    return false;
  }
}

async function checkIproute(): Promise<Result> {
  const { stdout } = await runTool('ip', ['-V'], { attempt: 'run ip' });
  const version = /iproute2-(\S+?),?(\s|$)/.exec(stdout)?.[1];
  if (version !== undefined) return { status: 'ok', detail: version };
  return {
    status: 'fail',
    detail: `\`ip -V\` says "${stdout.trim()}", which is not iproute2`,
    advice: 'install iproute2 (`apt install iproute2`); the ip of BusyBox is not enough',
  };
}

async function checkCapability(name: string, bit: number, neededFor: readonly Purpose[]): Promise<Result> {
  const found = confinement();
  if (found === undefined)
    return { status: 'warn', detail: '/proc/self/status cannot be read', advice: 'mount /proc' };
  const missing = missingCapability(found, bit, name);
  if (missing === undefined) return { status: 'ok', detail: 'effective' };
  if (!isInContainer() && (await allowsUserNamespaces()))
    return inUserNamespaceOnly(missing.detail, neededFor);
  return { status: 'fail', detail: missing.detail, advice: `${missing.advice}; ${MEMORY_ADVICE}` };
}

/** A warning: nothing has to be installed or allowed, but as it was started it does not work. */
function inUserNamespaceOnly(detail: string, blocks: readonly Purpose[]): Result {
  return { status: 'warn', detail, advice: UNSHARE_ADVICE, blocks };
}

/** None of it is in the way of anything; it is what to know when something else is. */
function checkConfinement(): Result {
  const found = confinement();
  const seccomp = ['off', 'strict', 'a filter'][found?.seccomp ?? 0];
  const root = { true: 'read-only', false: 'writable' }[String(isRootReadOnly())] ?? 'unknown';
  return {
    status: 'ok',
    detail: `no-new-privileges ${found?.noNewPrivileges ? 'on' : 'off'}, seccomp ${seccomp}, root file system ${root}`,
  };
}

async function checkJoinable(controlSocket: string, isForJoin: boolean): Promise<Result> {
  const { joinSocketPath } = await import('./state.ts');
  const path = isForJoin ? joinSocketPath(controlSocket) : controlSocket;
  const { isReachable, ...found } = await checkSocket(path, isForJoin);
  // Where no lab is up nothing is wrong; there is none to join.
  return { status: 'ok', ...found, blocks: isReachable ? [] : ['join'] };
}

async function checkNamespaces(): Promise<Result> {
  try {
    await runTool('unshare', ['--net', '--mount', 'true'], { attempt: 'make a network namespace' });
    return { status: 'ok', detail: 'can be made' };
  } catch (error) {
    if (await allowsUserNamespaces()) {
      return inUserNamespaceOnly('can be made inside a user namespace only', ['up']);
    }
    const advice = isInContainer()
      ? `\`docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined\`, or let the nodes join (\`join: true\`), which needs none of it`
      : `run as root; for users, the system has to allow user namespaces; ${MEMORY_ADVICE}`;
    return { status: 'fail', detail: messageOf(error).trim(), advice };
  }
}

async function checkStateDirectory(): Promise<Result> {
  const { ensureStateDirectory, stateAdvice } = await import('./state.ts');
  const directory = ensureStateDirectory();
  const file = join(directory, `.doctor.${process.pid}.tmp`);
  try {
    writeFileSync(file, 'x'.repeat(4096));
    return { status: 'ok', detail: `${directory} is writable` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const detail = `${directory} cannot be written to: ${code}`;
    return { status: 'fail', detail, advice: stateAdvice(code) };
  } finally {
    rmSync(file, { force: true });
  }
}

async function checkLabs(): Promise<Result> {
  const { listLabs } = await import('./state.ts');
  const labs = listLabs();
  const running = labs.filter((lab) => lab.running).map((lab) => `${lab.lab} (pid ${lab.pid})`);
  const stale = labs.filter((lab) => !lab.running);
  const detail = running.length === 0 ? 'none running' : `running: ${running.join(', ')}`;
  if (stale.length === 0) return { status: 'ok', detail };
  const remains = stale.map((lab) => `${lab.lab} (pid ${lab.pid}, ${lab.namespaces.length} namespaces)`);
  return {
    status: 'warn',
    detail: `${detail}; ended without clean-up: ${remains.join(', ')}`,
    advice:
      '`taplab down` removes what it left (with --socket, if it had one), and so does `taplab up` of the same lab',
  };
}

/** Labs do without it, but need more time for small frames then. */
async function checkWriteRing(): Promise<Result> {
  const [{ openWriteRing }, { SystemError }] = await Promise.all([
    import('../engine/write-batch.ts'),
    import('../sys/libc.ts'),
  ]);
  try {
    openWriteRing('uring')?.close();
    return { status: 'ok', detail: 'allowed: frames are written many at a time' };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return {
      status: 'warn',
      detail: `${error.message}: frames are written one by one`,
      advice:
        'for more small packets a second: Linux 6.0, kernel.io_uring_disabled=0, and a seccomp profile that allows io_uring',
    };
  }
}

async function checkTuntap2(): Promise<Result> {
  const { loadTuntap2, Tuntap2Error } = await import('../device/tuntap2.ts');
  try {
    const { name } = await loadTuntap2();
    return { status: 'ok', detail: `installed, class ${name}` };
  } catch (error) {
    const isMissing = error instanceof Tuntap2Error && error.message.includes('is not installed');
    if (isMissing) return { status: 'ok', detail: 'not installed (optional, for `device: tuntap2`)' };
    return { status: 'warn', detail: messageOf(error), advice: 'reinstall it, or use `device: tap`' };
  }
}
