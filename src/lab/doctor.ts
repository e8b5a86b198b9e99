/**
 * What this system allows, for `taplab doctor`: each thing that a lab on kernel devices needs is tried, and what is
 * missing comes with what to do about it. Leaves nothing behind. Labs on memory and pcap devices need only Node.
 *
 * Everything that needs native code is imported inside its check, so that a system where it cannot be loaded gets an
 * answer too.
 */
import { readFileSync } from 'node:fs';
import { runTool } from '../sys/tool.ts';

export type Check = {
  readonly name: string;
  /** `fail`: labs on kernel devices do not work. `warn`: something is not as it should be, or limited. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly advice?: string;
};

type Result = Omit<Check, 'name'>;

const MIN_NODE = [20, 19] as const;
const CAP_NET_ADMIN = 12;
const CAP_SYS_ADMIN = 21;
const TUNGETFEATURES = 0x800454cf;
const SIZEOF_INT = 4;
const UNSHARE_ADVICE = 'start taplab with `unshare -Urnm taplab ...`, or as root';
const MEMORY_ADVICE = 'labs with `device: memory` work without it';

const CHECKS: readonly (readonly [string, () => Result | Promise<Result>])[] = [
  ['system', checkSystem],
  ['node', checkNode],
  ['koffi', checkKoffi],
  ['/dev/net/tun', checkTun],
  ['tap device', checkTap],
  ['iproute2', checkIproute],
  ['rights', checkRights],
  ['network namespaces', checkNamespaces],
  ['state directory', checkStateDirectory],
  ['labs', checkLabs],
  ['tuntap2', checkTuntap2],
];

/** Runs every check. Never throws: a check that breaks is one that failed. */
export async function diagnose(): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [name, check] of CHECKS) {
    try {
      checks.push({ name, ...(await check()) });
    } catch (error) {
      const [detail, ...advice] = messageOf(error).split('; ');
      const hint = advice.length > 0 ? { advice: advice.join('; ') } : {};
      checks.push({ name, status: 'fail', detail: detail ?? '', ...hint });
    }
  }
  return checks;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function checkSystem(): Result {
  if (process.platform === 'linux') return { status: 'ok', detail: `Linux, ${process.arch}` };
  return {
    status: 'fail',
    detail: `${process.platform}: TAP devices and network namespaces are those of Linux`,
    advice: 'use a Linux machine, WSL2 or a container; labs with `device: memory` work here',
  };
}

function checkNode(): Result {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isEnough = major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  const detail = `v${process.versions.node}`;
  if (isEnough) return { status: 'ok', detail };
  return { status: 'fail', detail, advice: `install Node.js ${MIN_NODE.join('.')} or newer` };
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
  const { check, close, errno, ioctl, open, O_CLOEXEC, O_RDWR } = await import('../sys/libc.ts');
  const { deviceAdvice } = await import('../device/tap.ts');
  const fd = open('/dev/net/tun', O_RDWR | O_CLOEXEC);
  if (fd === -1) check(fd, 'open', '/dev/net/tun', deviceAdvice(errno()));
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
      return { status: 'warn', detail: 'can be made inside a user namespace only', advice: UNSHARE_ADVICE };
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

/** The effective capabilities of this process as bits; undefined where /proc is missing. */
function effectiveCapabilities(): bigint | undefined {
  try {
    const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return match === null ? undefined : BigInt(`0x${match[1]}`);
  } catch {
    return undefined;
  }
}

async function checkRights(): Promise<Result> {
  const capabilities = effectiveCapabilities();
  if (capabilities === undefined) return { status: 'warn', detail: '/proc/self/status cannot be read' };
  const has = (bit: number): boolean => ((capabilities >> BigInt(bit)) & 1n) === 1n;
  const missing: string[] = [];
  if (!has(CAP_NET_ADMIN)) missing.push('CAP_NET_ADMIN (devices)');
  if (!has(CAP_SYS_ADMIN)) missing.push('CAP_SYS_ADMIN (namespaces)');
  if (missing.length === 0) return { status: 'ok', detail: 'CAP_NET_ADMIN and CAP_SYS_ADMIN' };
  const detail = `missing ${missing.join(' and ')}`;
  if (await allowsUserNamespaces()) return { status: 'warn', detail, advice: UNSHARE_ADVICE };
  return {
    status: 'fail',
    detail,
    advice: `run as root, in a container with --cap-add, or under \`unshare -Urnm\`; ${MEMORY_ADVICE}`,
  };
}

async function checkNamespaces(): Promise<Result> {
  try {
    await runTool('unshare', ['--net', '--mount', 'true'], { attempt: 'make a network namespace' });
    return { status: 'ok', detail: 'can be made' };
  } catch (error) {
    if (await allowsUserNamespaces()) {
      return { status: 'warn', detail: 'can be made inside a user namespace only', advice: UNSHARE_ADVICE };
    }
    const advice = `run as root; for users, the system has to allow user namespaces; ${MEMORY_ADVICE}`;
    return { status: 'fail', detail: messageOf(error).trim(), advice };
  }
}

async function checkStateDirectory(): Promise<Result> {
  const { ensureStateDirectory } = await import('./state.ts');
  return { status: 'ok', detail: ensureStateDirectory() };
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
