/**
 * The emulator's side of `taplab join`: takes devices that nodes have opened where they run, and connects them to
 * their interfaces. A node is a member as long as its connection is open; when that ends, its interfaces go down and
 * wait for it to come back. Nothing that a node sends or hands over does harm: it is checked, or closed.
 *
 * A received file is closed here, after the emulator has let go of it.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from '../control/access.ts';
import { ProblemError } from '../control/problem.ts';
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../device/link-type.ts';
import { acceptDevice, WrongDeviceError } from '../device/received.ts';
import { setCarrier } from '../device/tap.ts';
import type { Lab, LabInterface, LabNode } from '../lab/model.ts';
import { close } from '../sys/libc.ts';
import { didYouMean } from '../text/suggest.ts';
import { type Answer, HELLO_TIMEOUT_MS, type Hello } from './protocol.ts';
import { RefusedError, readHello } from './read-hello.ts';

/** What joins need of the emulator. */
export type JoinedLab = {
  readonly lab: Lab;
  /** Frames are read from and written to `fd` from now on, until disconnect() has returned. */
  connect(
    interfaceName: string,
    port: {
      readonly fd: number;
      readonly linkType: number;
      readonly offload: boolean;
      readonly process?: number;
    },
  ): Promise<void>;
  /** The interface stays, and is down. */
  disconnect(interfaceName: string): Promise<void>;
};

export type HandoverOptions = {
  readonly emulator: JoinedLab;
  readonly access: Access;
  readonly log: {
    info(details: object, message: string): void;
    warn(details: object, message: string): void;
    error(details: object, message: string): void;
  };
  readonly helloTimeoutMs?: number;
};

type Member = {
  readonly node: LabNode;
  readonly pid: number;
  readonly socket: Socket;
  /** Resolves when its interfaces are free for another. */
  readonly left: Promise<void>;
};

type Device = { readonly labInterface: LabInterface; readonly fd: number; readonly offload: boolean };

/** As many as may be in the middle of joining, besides those that have. */
const MAX_CONNECTIONS = 512;
/** The end of the old connection may be noticed after the new one. */
const LEAVING_MS = 1000;
/** How long a node that was refused has to read why. */
const FAREWELL_MS = 1000;

export class Handover {
  /** To be listened on. Close it with close(). */
  readonly server: Server;
  readonly #options: HandoverOptions;
  readonly #members: Map<string, Member> = new Map();
  readonly #connections: Set<Socket> = new Set();

  constructor(options: HandoverOptions) {
    this.#options = options;
    this.server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      this.#connections.add(socket);
      // Its 'close' follows.
      socket.on('error', () => undefined);
      socket.on('close', () => this.#connections.delete(socket));
      void this.#serve(socket);
    });
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  /** Ends every membership: devices are given back, and nodes try again until there is an emulator to join. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    const members = [...this.#members.values()];
    for (const socket of this.#connections) socket.destroy();
    await Promise.all(members.map(({ left }) => left));
    await closed;
  }

  /** Ends the membership of a node whose definition has changed, or whose device is gone; it comes back by itself. */
  release(node: string): void {
    this.#members.get(node)?.socket.destroy();
  }

  async #serve(socket: Socket): Promise<void> {
    const { log, access, helloTimeoutMs = HELLO_TIMEOUT_MS } = this.#options;
    try {
      access.requireOperator(socket, 'let a node join');
      const pid = access.owner(socket).pid;
      const message = await readHello(socket, helloTimeoutMs);
      if (message === undefined) socket.destroy();
      else await this.#admit(socket, pid, message.hello, message.fds);
    } catch (error) {
      const isExpected =
        error instanceof RefusedError || error instanceof WrongDeviceError || error instanceof ProblemError;
      const peer = access.peer(socket);
      if (isExpected) log.warn({ peer, reason: error.message }, 'a node was refused');
      else log.error({ peer, err: error }, 'a node could not join');
      const retry = error instanceof RefusedError ? error.retry : !isExpected;
      refuse(socket, { error: (error as Error).message, retry });
    }
  }

  /** Takes the files over, in any case. Throws why the node may not join. */
  async #admit(socket: Socket, pid: number, hello: Hello, fds: readonly number[]): Promise<void> {
    let isMember = false;
    try {
      const node = this.#findNode(hello.node);
      const devices = devicesOf(node, hello, fds);
      await this.#whenFree(node.name);
      // From here to where it is a member nothing is awaited: only one can be.
      const other = this.#members.get(node.name);
      if (other !== undefined) {
        // A process of another PID namespace, as in another container, has no number here: SO_PEERCRED says 0.
        const where = other.pid === 0 ? 'another container' : `process ${other.pid}`;
        const message = `node ${node.name} has joined already, from ${where}; stop that one first`;
        throw new RefusedError(message);
      }
      isMember = true;
      await this.#join(socket, pid, node, devices);
    } finally {
      if (!isMember) for (const fd of fds) close(fd);
    }
  }

  #findNode(name: string): LabNode {
    const { lab } = this.#options.emulator;
    const node = lab.nodes.find((each) => each.name === name);
    if (node?.join === true) return node;
    if (node !== undefined) {
      throw new RefusedError(
        `node ${name} of lab ${lab.name} is made by the emulator; give it \`join: true\``,
      );
    }
    const joining = lab.nodes.filter(({ join }) => join === true).map((each) => each.name);
    const hint = didYouMean(name, joining) || `; nodes that may join: ${joining.join(', ') || 'none'}`;
    throw new RefusedError(`lab ${lab.name} has no node "${name}"${hint}`);
  }

  /** Waits for an old connection of the node that is ending, but not for one that is not. */
  async #whenFree(node: string): Promise<void> {
    const member = this.#members.get(node);
    if (member === undefined) return;
    const patience = new AbortController();
    const tooLong = sleep(LEAVING_MS, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([member.left, tooLong]);
    patience.abort();
  }

  async #join(socket: Socket, pid: number, node: LabNode, devices: readonly Device[]): Promise<void> {
    const { emulator, log } = this.#options;
    let leave!: () => void;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#members.set(node.name, { node, pid, socket, left });
    const connected: string[] = [];
    const letGo = async (): Promise<void> => {
      for (const name of connected) {
        // An interface that is not part of the lab any more has let go of its file.
        await emulator.disconnect(name).catch((error: Error & { code?: string }) => {
          if (error.code !== 'ENXIO')
            log.error({ err: error, interface: name }, 'could not disconnect a device');
        });
      }
      for (const { fd } of devices) close(fd);
      this.#members.delete(node.name);
      leave();
    };
    try {
      for (const { labInterface, fd, offload } of devices) {
        // Plugged in, until a worker says that the link is down: the node had it out while nobody read it.
        setCarrier(fd, true);
        const linkType = labInterface.kind === 'tun' ? LINKTYPE_RAW : LINKTYPE_ETHERNET;
        await emulator.connect(labInterface.name, {
          fd,
          linkType,
          offload,
          ...(pid !== 0 && { process: pid }),
        });
        connected.push(labInterface.name);
      }
    } catch (error) {
      await letGo();
      throw error;
    }
    log.info({ node: node.name, pid }, 'a node has joined');
    const answer: Answer = { joined: true, lab: emulator.lab.name, pid: process.pid };
    const ended = whenEnded(socket);
    socket.write(`${JSON.stringify(answer)}\n`);
    void ended.then(async () => {
      await letGo();
      log.info({ node: node.name, pid }, 'a node has left');
      // Tells a node that waits for it that its devices are free.
      socket.end();
    });
  }
}

/** Reads and throws away what comes, until nothing can come any more. Files in it are dropped by the kernel. */
function whenEnded(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('end', resolve).once('close', () => resolve());
    if (socket.destroyed) resolve();
    socket.resume();
  });
}

function refuse(socket: Socket, answer: Answer): void {
  // What it may still be saying is read, as otherwise the kernel would take the answer for lost.
  socket.resume();
  socket.end(`${JSON.stringify(answer)}\n`);
  setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
}

/** The files by interface, each checked. Throws RefusedError, WrongDeviceError. */
function devicesOf(node: LabNode, hello: Hello, fds: readonly number[]): Device[] {
  const expected = node.interfaces.map(({ device }) => device);
  const given = new Set(hello.interfaces);
  const fits = given.size === hello.interfaces.length && expected.length === given.size;
  if (!fits || !expected.every((name) => given.has(name))) {
    const message = `node ${node.name} has the interfaces ${expected.join(', ')}, and ${hello.interfaces.join(', ')} were handed over`;
    throw new RefusedError(message, true);
  }
  return hello.interfaces.map((name, i) => {
    const labInterface = node.interfaces.find(({ device }) => device === name)!;
    const found = acceptDevice(fds[i]!, labInterface.name, labInterface.kind === 'tun' ? 'tun' : 'tap');
    return { labInterface, fd: fds[i]!, offload: found.offloadHeader };
  });
}
