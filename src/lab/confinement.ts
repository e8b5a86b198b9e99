/**
 * How far this process is confined, for `taplab doctor`: its capabilities, no_new_privs, seccomp and the root file
 * system, as /proc has them (proc(5)); and, inside a container, what to write to be given more.
 */
import { existsSync, readFileSync } from 'node:fs';

/** Numbers of capabilities(7). */
export const CAP_NET_ADMIN = 12;
export const CAP_SYS_ADMIN = 21;

export type Confinement = {
  /** Capability sets as bits. */
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly bounding: bigint;
  readonly noNewPrivileges: boolean;
  /** 0 off, 1 strict, 2 a filter. */
  readonly seccomp: number;
};

/** What /proc/self/status says, or a text like it. Undefined where there is none, as on another system. */
export function confinement(
  status: string | undefined = readIfThere('/proc/self/status'),
): Confinement | undefined {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(status ?? '')?.[1];
  const bits = (name: string): bigint => BigInt(`0x${field(name) ?? '0'}`);
  if (field('CapEff') === undefined) return undefined;
  return {
    effective: bits('CapEff'),
    permitted: bits('CapPrm'),
    bounding: bits('CapBnd'),
    noNewPrivileges: field('NoNewPrivs') === '1',
    seccomp: Number(field('Seccomp') ?? 0),
  };
}

/** What keeps a process from having a capability, and what to do about it; undefined when it has it. */
export function missingCapability(
  { effective, permitted, bounding, noNewPrivileges }: Confinement,
  bit: number,
  name: string,
): { readonly detail: string; readonly advice: string } | undefined {
  const isIn = (set: bigint): boolean => ((set >> BigInt(bit)) & 1n) === 1n;
  if (isIn(effective)) return undefined;
  if (isIn(permitted)) {
    return {
      detail: 'permitted, not effective',
      advice: 'whoever started this has lowered it; raise it again',
    };
  }
  if (!isIn(bounding)) {
    const give = `in compose \`cap_add: [${name}]\`, or \`docker run --cap-add ${name}\``;
    return {
      detail: 'not in the bounding set: this process cannot get it',
      advice: isInContainer() ? give : `start taplab as root; in a container: ${give}`,
    };
  }
  const uid = process.geteuid?.() ?? 0;
  const user = isInContainer()
    ? 'in compose `user: "0"`, or `docker run --user 0`; capabilities do not reach another user there'
    : 'run as root';
  const sudo = noNewPrivileges ? '; with no-new-privileges neither sudo nor file capabilities help' : '';
  return { detail: `allowed to root, and this is uid ${uid}`, advice: `${user}${sudo}` };
}

/** Whether this runs in a container, as far as that can be told. Changes only what advice says. */
export function isInContainer(): boolean {
  return existsSync('/.dockerenv') || existsSync('/run/.containerenv') || process.env.container !== undefined;
}

/** Whether the root file system is mounted read-only; undefined where that cannot be told. */
export function isRootReadOnly(
  mounts: string | undefined = readIfThere('/proc/self/mounts'),
): boolean | undefined {
  // The last one mounted there is the one that is seen.
  const options = mounts
    ?.split('\n')
    .map((line) => line.split(' '))
    .filter(([, target]) => target === '/')
    .at(-1)?.[3];
  return options?.split(',').includes('ro');
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
