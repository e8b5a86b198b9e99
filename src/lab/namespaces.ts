/**
 * The nodes of a lab: one network namespace each, `taplab-LAB-NODE`, made with ip(8).
 *
 * create() makes all namespaces or none. Then the caller opens the devices inside them, and configure() gives them
 * addresses, brings them up and sets routes. remove() takes everything down, whatever state it is in.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readlinkSync, statSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { runTool, ToolError } from '../sys/tool.ts';
import { configureNode, NodeError } from './configure.ts';
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

/** The nodes' namespaces while a lab is up. */
export class Nodes {
  readonly #lab: Lab;
  readonly #namespaces: Map<string, Namespace> = new Map();

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  /**
   * Makes the namespaces of all nodes. When one cannot be made, those made before are removed again.
   * Throws NodeError: a namespace of the name exists, no rights, no iproute2.
   */
  static async create(lab: Lab): Promise<Nodes> {
    const nodes = new Nodes(lab);
    await nodes.add(nodesToMake(lab).map(({ name }) => name));
    return nodes;
  }

  /** Makes the namespaces of more nodes, all or none. Throws as create(). */
  async add(nodes: readonly string[]): Promise<void> {
    if (nodes.length === 0) return;
    const names = nodes.map((node) => namespaceName(this.#lab.name, node));
    await prepareNetnsDirectory();
    const taken = names.filter(namespaceExists);
    if (taken.length > 0) throw new NodeError(`create network namespaces: ${existsMessage(taken)}`);
    const namespaces: Namespace[] = [];
    try {
      await addNamespaces(names);
      for (const [i, node] of nodes.entries()) {
        const path = `${NETNS_DIRECTORY}/${names[i]}`;
        namespaces.push({ node, name: names[i]!, path, fd: openSync(path, 'r') });
      }
    } catch (error) {
      for (const { fd } of namespaces) closeSync(fd);
      const made = error instanceof PartialCreation ? names.slice(0, error.made) : names;
      await removeNamespaces(made);
      const cause = error instanceof PartialCreation ? error.cause : error;
      throw new NodeError(cause instanceof Error ? cause.message : String(cause), undefined, cause);
    }
    for (const namespace of namespaces) this.#namespaces.set(namespace.node, namespace);
  }

  /** The namespace of a node. Throws when the lab has no node of that name. */
  namespace(node: string): Namespace {
    const namespace = this.#namespaces.get(node);
    if (namespace === undefined) throw new NodeError(`no node "${node}" in lab ${this.#lab.name}`, node);
    return namespace;
  }

  /**
   * Settings under net, loopback up, then for every interface hardware address, MTU, addresses and up, then routes, of
   * the nodes it was created with. The devices must have been opened. Throws NodeError with the kernel's own words.
   *
   * @param onNode told after each node how many are done; may throw to go no further
   */
  async configure(onNode: (done: number, total: number) => void = () => {}): Promise<void> {
    const nodes = nodesToMake(this.#lab);
    for (const [i, node] of nodes.entries()) {
      this.configureNode(node);
      onNode(i + 1, nodes.length);
      // A signal may have come.
      await setImmediate();
    }
  }

  /** The same of one node, of which something may be configured already; see configureNode(). */
  configureNode(node: LabNode, was?: LabNode): void {
    configureNode(node, this.namespace(node.name), was);
  }

  /** Ends whatever runs inside the nodes, or inside one; see endProcesses(). */
  async endProcesses(node?: string): Promise<void> {
    await endProcesses(
      this.#some(node)
        .map(({ name }) => name)
        .filter(namespaceExists),
    );
  }

  /**
   * endProcesses() and remove() in one go, for a process that is ending and can wait for nothing. What goes wrong is
   * left to the next claim of the lab.
   */
  abandon(): void {
    const names = [...this.#namespaces.values()].map(({ name }) => name);
    if (names.length === 0) return;
    endProcessesNow(names);
    const input = names.map((name) => `netns del ${name}\n`).join('');
    spawnSync('ip', ['-force', '-batch', '-'], { input });
  }

  /** Removes all namespaces, the last made first, through errors; or that of one node. Idempotent. */
  async remove(node?: string): Promise<RemovalReport> {
    const namespaces = this.#some(node);
    for (const each of namespaces) {
      this.#namespaces.delete(each.node);
      closeSync(each.fd);
    }
    return removeNamespaces(namespaces.map(({ name }) => name));
  }

  #some(node?: string): Namespace[] {
    return [...this.#namespaces.values()].filter((each) => node === undefined || each.node === node);
  }
}

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
  const there = [...names].reverse().filter(namespaceExists);
  if (there.length === 0) return { processes: [], errors: [] };
  const processes = processesIn(there);
  try {
    await runTool('ip', ['-force', '-batch', '-'], {
      attempt: 'remove network namespaces',
      input: there.map((name) => `netns del ${name}\n`).join(''),
    });
    return { processes, errors: [] };
  } catch (error) {
    // One error for each that is still there, in the words of ip; the command itself when none is.
    const { stderr = '' } = error as Partial<ToolError>;
    const errors = there.filter(namespaceExists).map((name) => {
      const said = stderr.split('\n').find((line) => line.includes(name)) ?? (error as Error).message;
      return new Error(`remove network namespace ${name}: ${said.trim()}`, { cause: error });
    });
    return { processes, errors: errors.length === 0 ? [error as Error] : errors };
  }
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
