/**
 * What the lab file says of a node, carried out where the node is: settings under net, loopback up, then for every
 * interface hardware address, MTU, addresses and up, then routes. With ip(8), in a namespace of the lab or in this
 * process's own.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { inNamespace, type NamespaceRef } from '../device/in-namespace.ts';
import { runTool, ToolError } from '../sys/tool.ts';
import type { LabNode } from './model.ts';

/** A node could not be set up: which step failed, why, and what to do. */
export class NodeError extends Error {
  readonly node: string | undefined;

  constructor(message: string, node?: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'NodeError';
    this.node = node;
  }
}

/**
 * Configures a node, in the namespace that ip(8) knows by that name, or in this process's own. The devices must have
 * been opened. Throws NodeError with ip's own words.
 *
 * @param was what of it is configured already: its interfaces are not touched, and its routes are replaced
 */
export async function configureNode(node: LabNode, namespace?: NamespaceRef, was?: LabNode): Promise<void> {
  if (namespace === undefined) applySysctls(node, node.sysctls ?? {});
  else inNamespace(namespace, () => applySysctls(node, { ...(was ? {} : HOST_SYSCTLS), ...node.sysctls }));
  const where = namespace === undefined ? [] : ['-n', namespace.name];
  const commands = configurationOf(node, was);
  await removeRoutes(where, node, was);
  if (commands.length === 0) return;
  try {
    await runTool('ip', [...where, '-batch', '-'], {
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

/** Removes the routes that are no more. Those through an interface that is gone have gone with it. */
async function removeRoutes(
  where: readonly string[],
  node: LabNode,
  was: LabNode | undefined,
): Promise<void> {
  const gone = (was?.routes ?? []).filter(({ to }) => !node.routes.some((route) => route.to === to));
  if (gone.length === 0) return;
  const input = gone.map(({ to, via }) => `route del ${to} via ${via}\n`).join('');
  await runTool('ip', [...where, '-force', '-batch', '-'], { attempt: 'remove routes', input }).catch(
    (error: unknown) => {
      if (!(error instanceof ToolError)) throw error;
    },
  );
}

/** The lines for `ip -batch` that configure a node. */
function configurationOf(node: LabNode, was?: LabNode): string[] {
  const commands = was ? [] : ['link set dev lo up'];
  for (const { device, kind, mac, mtu, addresses, name } of node.interfaces) {
    if (was?.interfaces.some((each) => each.name === name)) continue;
    const address = kind === 'tun' ? '' : `address ${mac} `;
    commands.push(`link set dev ${device} ${address}mtu ${mtu}`);
    for (const each of addresses) {
      // Without nodad an IPv6 address cannot be used for the first seconds.
      commands.push(`address add ${each} dev ${device}${each.includes(':') ? ' nodad' : ''}`);
    }
    commands.push(`link set dev ${device} up`);
  }
  for (const { to, via } of node.routes) commands.push(`route ${was ? 'replace' : 'add'} ${to} via ${via}`);
  return commands;
}

/** Sets what is under /proc/sys in the calling thread's network namespace. */
function applySysctls(node: LabNode, settings: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(settings)) {
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
}

/**
 * What a node of the lab's own is unless its `sysctls` say otherwise. A new namespace inherits the machine's settings
 * (net.core.devconf_inherit_init_net), and a lab must not depend on those. One that joins is what it is.
 */
const HOST_SYSCTLS: Readonly<Record<string, string>> = { 'net.ipv4.ip_forward': '0' };

const SYSCTL_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'this kernel has no such setting',
  EROFS:
    '/proc/sys is mounted read-only here (a container?); set it from outside (docker run --sysctl, or `sysctls` in compose)',
  EINVAL: 'the kernel does not accept the value',
  EACCES: 'the setting belongs to the whole system, or root is needed',
};
