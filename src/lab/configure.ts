/**
 * What the lab file says of a node, carried out where the node is: settings under net, loopback up, then for every
 * interface hardware address, MTU, addresses and up, then routes. In a namespace of the lab or in this process's own,
 * by rtnetlink: a process of ip(8) for each node would take most of the time in which a large lab comes up.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { inNamespace, type NamespaceRef } from '../device/in-namespace.ts';
import { NetlinkError, RouteSocket } from '../sys/netlink.ts';
import type { LabInterface, LabNode } from './model.ts';
import { addAddress, addRoute, type LinkChange, removeRoute, setLink } from './route-requests.ts';

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
 * Configures a node, in the given namespace or in that of this process. The devices must have been opened. Throws
 * NodeError with the command of ip(8) that does the same, and the kernel's own words.
 *
 * @param was what of it is configured already: its interfaces are not touched, and its routes are replaced
 */
export function configureNode(node: LabNode, namespace?: NamespaceRef, was?: LabNode): void {
  const open = (): RouteSocket => {
    applySysctls(node, { ...(namespace === undefined || was ? {} : HOST_SYSCTLS), ...node.sysctls });
    return RouteSocket.open();
  };
  const socket = namespace === undefined ? open() : inNamespace(namespace, open);
  try {
    for (const step of stepsOf(node, was)) carryOut(step, socket, node.name);
  } finally {
    socket.close();
  }
}

/** What to ask of the kernel, and the command of ip(8) that asks the same. */
type Step = {
  readonly command: string;
  readonly request: (socket: RouteSocket) => void;
  /** What is not there need not be removed. */
  readonly mayFail?: true;
};

function carryOut({ command, request, mayFail }: Step, socket: RouteSocket, node: string): void {
  try {
    request(socket);
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    if (mayFail) return;
    const advice = error.code === 'EPERM' ? '; run as root or with CAP_NET_ADMIN' : '';
    throw new NodeError(`configure node ${node}: \`ip ${command}\`: ${error.message}${advice}`, node, error);
  }
}

function stepsOf(node: LabNode, was?: LabNode): Step[] {
  const steps = removalsOf(node, was);
  if (!was) steps.push({ command: 'link set dev lo up', request: (socket) => setLink(socket, 'lo', UP) });
  for (const each of node.interfaces) {
    if (!was?.interfaces.some(({ name }) => name === each.name)) steps.push(...interfaceSteps(each));
  }
  for (const route of node.routes) {
    steps.push({
      command: `route ${was ? 'replace' : 'add'} ${route.to} via ${route.via}`,
      request: (socket) => addRoute(socket, route, was !== undefined),
    });
  }
  return steps;
}

/** Of the routes that are no more. Those through an interface that is gone have gone with it. */
function removalsOf(node: LabNode, was: LabNode | undefined): Step[] {
  const gone = (was?.routes ?? []).filter(({ to }) => !node.routes.some((route) => route.to === to));
  return gone.map((route) => ({
    command: `route del ${route.to} via ${route.via}`,
    request: (socket) => removeRoute(socket, route),
    mayFail: true,
  }));
}

function interfaceSteps({ device, kind, mac, mtu, addresses }: LabInterface): Step[] {
  const isTun = kind === 'tun';
  return [
    {
      command: `link set dev ${device} ${isTun ? '' : `address ${mac} `}mtu ${mtu}`,
      request: (socket) => setLink(socket, device, isTun ? { mtu } : { mac, mtu }),
    },
    ...addresses.map((address) => ({
      command: `address add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`,
      request: (socket: RouteSocket) => addAddress(socket, device, address),
    })),
    { command: `link set dev ${device} up`, request: (socket) => setLink(socket, device, UP) },
  ];
}

const UP: LinkChange = { up: true };

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
