/**
 * The nodes of a lab: one network namespace each, `taplab-LAB-NODE`, made and configured with ip(8).
 *
 * create() makes all namespaces or none. Then the caller opens the devices inside them, and configure() gives them
 * addresses, brings them up and sets routes. remove() takes everything down, whatever state it is in.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { inNamespace } from '../device/in-namespace.ts';
import { runTool, ToolError } from '../sys/tool.ts';
import { type Lab, type LabNode, nodesToMake } from './model.ts';
import { namespaceName } from './names.ts';
import { NETNS_DIRECTORY, prepareNetnsDirectory } from './netns-directory.ts';
import { endProcesses, endProcessesNow, type NodeProcess, processesIn } from './node-processes.ts';

/** A node's namespace, open: `fd` refers to it whatever happens to its name. */
export type Namespace = {
  readonly node: string;
  readonly name: string;
  readonly path: string;
  readonly fd: number;
};

export type RemovalReport = {
  /** Processes that were still running inside; they keep their namespace alive, without its name. */
  readonly processes: readonly NodeProcess[];
  /** What could not be removed. */
  readonly errors: readonly Error[];
};

/** A node could not be set up: which step failed, why, and what to do. */
export class NodeError extends Error {
  readonly node: string | undefined;

  constructor(message: string, node?: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'NodeError';
    this.node = node;
  }
}

/** The nodes' namespaces while a lab is up. */
export class Nodes {
  readonly #lab: Lab;
  readonly #namespaces: Map<string, Namespace>;

  private constructor(lab: Lab, namespaces: Map<string, Namespace>) {
    this.#lab = lab;
    this.#namespaces = namespaces;
  }

  /**
   * Makes the namespaces of all nodes. When one cannot be made, those made before are removed again.
   * Throws NodeError: a namespace of the name exists, no rights, no iproute2.
   */
  static async create(lab: Lab): Promise<Nodes> {
    const nodes = nodesToMake(lab);
    const names = nodes.map((node) => namespaceName(lab.name, node.name));
    await prepareNetnsDirectory();
    const taken = names.filter(namespaceExists);
    if (taken.length > 0) throw new NodeError(`create network namespaces: ${existsMessage(taken)}`);
    const namespaces = new Map<string, Namespace>();
    try {
      await addNamespaces(names);
      for (const [i, node] of nodes.entries()) {
        const path = `${NETNS_DIRECTORY}/${names[i]}`;
        namespaces.set(node.name, { node: node.name, name: names[i]!, path, fd: openSync(path, 'r') });
      }
    } catch (error) {
      for (const { fd } of namespaces.values()) closeSync(fd);
      const made = error instanceof PartialCreation ? names.slice(0, error.made) : names;
      await removeNamespaces(made);
      const cause = error instanceof PartialCreation ? error.cause : error;
      throw new NodeError(cause instanceof Error ? cause.message : String(cause), undefined, cause);
    }
    return new Nodes(lab, namespaces);
  }

  /** The namespace of a node. Throws when the lab has no node of that name. */
  namespace(node: string): Namespace {
    const namespace = this.#namespaces.get(node);
    if (namespace === undefined) throw new NodeError(`no node "${node}" in lab ${this.#lab.name}`, node);
    return namespace;
  }

  /**
   * Settings under net, loopback up, then for every interface hardware address, MTU, addresses and up, then routes.
   * The devices must have been opened. Throws NodeError with ip's own words.
   */
  async configure(): Promise<void> {
    const results = await Promise.allSettled(nodesToMake(this.#lab).map((node) => this.#configureNode(node)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #configureNode(node: LabNode): Promise<void> {
    const namespace = this.namespace(node.name);
    applySysctls(node, namespace);
    const commands = configurationOf(node);
    try {
      await runTool('ip', ['-n', namespace.name, '-batch', '-'], {
        attempt: `configure node ${node.name}`,
        input: `${commands.join('\n')}\n`,
      });
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      const line = /Command failed -:(\d+)/.exec(error.stderr)?.[1];
      const command = line === undefined ? undefined : commands[Number(line) - 1];
      const said = error.stderr.replace(/\s*Command failed -:\d+\s*/, '').trim();
      const what = command === undefined ? error.message : `\`ip ${command}\`: ${said}`;
      throw new NodeError(`configure node ${node.name}: ${what}`, node.name, error);
    }
  }

  /** Ends whatever runs inside the nodes, see endProcesses(). */
  async endProcesses(): Promise<void> {
    await endProcesses([...this.#namespaces.values()].map(({ name }) => name).filter(namespaceExists));
  }

  /**
   * endProcesses() and remove() in one go, for a process that is ending and can wait for nothing. What goes wrong is
   * left to the next claim of the lab.
   */
  abandon(): void {
    const names = [...this.#namespaces.values()].map(({ name }) => name);
    endProcessesNow(names);
    const input = names.map((name) => `netns del ${name}\n`).join('');
    spawnSync('ip', ['-force', '-batch', '-'], { input });
  }

  /** Removes all namespaces, the last made first, through errors. Idempotent. */
  async remove(): Promise<RemovalReport> {
    const namespaces = [...this.#namespaces.values()];
    this.#namespaces.clear();
    for (const { fd } of namespaces) closeSync(fd);
    return removeNamespaces(namespaces.map(({ name }) => name));
  }
}

/** The lines for `ip -batch` that configure a node. */
function configurationOf(node: LabNode): string[] {
  const commands = ['link set dev lo up'];
  for (const { device, kind, mac, mtu, addresses } of node.interfaces) {
    const address = kind === 'tun' ? '' : `address ${mac} `;
    commands.push(`link set dev ${device} ${address}mtu ${mtu}`);
    for (const each of addresses) {
      // Without nodad an IPv6 address cannot be used for the first seconds.
      commands.push(`address add ${each} dev ${device}${each.includes(':') ? ' nodad' : ''}`);
    }
    commands.push(`link set dev ${device} up`);
  }
  for (const { to, via } of node.routes) commands.push(`route add ${to} via ${via}`);
  return commands;
}

function applySysctls(node: LabNode, namespace: Namespace): void {
  const settings = Object.entries({ ...HOST_SYSCTLS, ...node.sysctls });
  inNamespace(namespace, () => {
    for (const [name, value] of settings) {
      // As in sysctl(8): when the first separator is a dot, dots and slashes change places.
      const isDotted = name.search(/[./]/) === name.indexOf('.');
      const path = isDotted ? name.replace(/[./]/g, (c) => (c === '.' ? '/' : '.')) : name;
      try {
        // Read first: where /proc/sys is read-only, what is already so needs no right to write.
        if (readFileSync(`/proc/sys/${path}`, 'utf8').trim() !== value)
          writeFileSync(`/proc/sys/${path}`, value);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const advice = SYSCTL_ADVICE[code ?? ''] ?? 'see `sysctl -a` for what the kernel knows';
        throw new NodeError(
          `set sysctl ${name} = ${value} in node ${node.name}: ${code}; ${advice}`,
          node.name,
          error,
        );
      }
    }
  });
}

/**
 * What a node is unless its `sysctls` say otherwise. A new namespace inherits the machine's own settings
 * (net.core.devconf_inherit_init_net), and a lab must not depend on those.
 */
const HOST_SYSCTLS: Readonly<Record<string, string>> = { 'net.ipv4.ip_forward': '0' };

const SYSCTL_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'this kernel has no such setting',
  EROFS: '/proc/sys is mounted read-only here (a container?); start the container with --privileged',
  EINVAL: 'the kernel does not accept the value',
  EACCES: 'the setting belongs to the whole system, or root is needed',
};

/** How many namespaces an interrupted `ip -batch` had made. */
class PartialCreation extends Error {
  readonly made: number;

  constructor(made: number, cause: unknown) {
    super('some namespaces were not made', { cause });
    this.made = made;
  }
}

async function addNamespaces(names: readonly string[]): Promise<void> {
  try {
    await runTool('ip', ['-batch', '-'], {
      attempt: 'create network namespaces',
      input: names.map((name) => `netns add ${name}\n`).join(''),
      advice: creationAdvice,
    });
  } catch (error) {
    const line = error instanceof ToolError ? /Command failed -:(\d+)/.exec(error.stderr)?.[1] : undefined;
    // The one that failed may be half made, unless somebody else has it.
    const isTaken = error instanceof ToolError && /File exists/.test(error.stderr);
    throw new PartialCreation(line === undefined ? names.length : Number(line) - (isTaken ? 1 : 0), error);
  }
}

function creationAdvice(stderr: string): string | undefined {
  if (/File exists/.test(stderr)) return 'remove it with `ip netns del NAME`, or give the lab another name';
  if (/not permitted|Permission denied/.test(stderr)) {
    return 'network namespaces need root or CAP_SYS_ADMIN; `unshare -Urnm` gives them to a user where the system allows it';
  }
  return undefined;
}

/** What to say when namespaces of a lab exist that no state file accounts for. */
function existsMessage(names: readonly string[]): string {
  const commands = names.map((name) => `ip netns del ${name}`).join('; ');
  return `EEXIST: ${names.join(', ')} exist${names.length === 1 ? 's' : ''} and was not left by a known run of this lab; \
remove with \`${commands}\`, or give the lab another name`;
}

/** Whether a namespace of that name exists. */
export function namespaceExists(name: string): boolean {
  return statSync(`${NETNS_DIRECTORY}/${name}`, { throwIfNoEntry: false }) !== undefined;
}

/** Removes namespaces by name, the last first, through errors; those that do not exist are skipped. */
export async function removeNamespaces(names: readonly string[]): Promise<RemovalReport> {
  const processes: NodeProcess[] = [];
  const errors: Error[] = [];
  for (const name of [...names].reverse()) {
    if (!namespaceExists(name)) continue;
    try {
      processes.push(...(await processesIn(name)));
    } catch (error) {
      errors.push(error as Error);
    }
    try {
      await runTool('ip', ['netns', 'del', name], { attempt: `remove network namespace ${name}` });
    } catch (error) {
      errors.push(error as Error);
    }
  }
  return { processes, errors };
}

/**
 * The command line that leads into a node of a lab that process `pid` runs, to be followed by a command: ip-netns(8),
 * and before it nsenter(1) when the process has mounts of its own, as under `unshare -Urnm`.
 * Throws NodeError when the namespace has no name any more, in neither place.
 */
export function entrance(lab: string, node: string, pid: number): readonly [string, ...string[]] {
  const name = namespaceName(lab, node);
  if (namespaceExists(name)) return ['ip', 'netns', 'exec', name];
  const isThere = NETNS_DIRECTORIES.some((directory) => existsSync(`/proc/${pid}/root${directory}/${name}`));
  if (!isThere) {
    const why = `the namespace of node ${node} is gone: somebody has removed its name ${name}`;
    throw new NodeError(`${why}; take the lab down and up again`, node);
  }
  // Entering the user namespace one is in already is an error. Without rights to set groups, only the uid becomes root's.
  const user = isSameNamespace(pid, 'user') ? [] : ['-U', '--preserve-credentials', '-S', '0'];
  return ['nsenter', '-t', String(pid), ...user, '-m', '-n', 'ip', 'netns', 'exec', name];
}

/** /var/run is a link to /run on most systems, and a link is followed from this process's root. */
const NETNS_DIRECTORIES = [NETNS_DIRECTORY, '/run/netns'];

function isSameNamespace(pid: number, kind: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`) === readlinkSync(`/proc/self/ns/${kind}`);
  } catch {
    return false;
  }
}
