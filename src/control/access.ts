/**
 * Who may do what over the control socket. The socket's mode (0660), and its access list when there is a read group,
 * decide who may connect; this decides what for:
 *
 *   operators   root, and the user the emulator runs as: everything
 *   users       who may connect otherwise: look, attach descriptors of their own, and do with these what they like
 *   viewers     with a read group, whoever is not in the control group: look, and capture with descriptors of their
 *               own, but send no frame and flush nothing
 *
 * A descriptor belongs to the uid that opened it; links and the lab to operators.
 */
import type { Socket } from 'node:net';
import { CONTROL_OWNER, type DescriptorHandle, type Owner } from '../daemon/contract.ts';
import { type PeerCredentials, peerCredentials } from './peer-credentials.ts';
import { ProblemError } from './problem.ts';

/** Looks up who is at the other end of a connection; undefined when that cannot be told. */
export type CredentialsOf = (socket: Socket) => PeerCredentials | undefined;

/** The groups, as gids, whose members may use the control socket. */
export type AccessGroups = {
  /** The group that the socket belongs to; this process's unless given. */
  readonly group?: number | undefined;
  /** The group that may only look. Without one, whoever may connect is a user. */
  readonly readGroup?: number | undefined;
};

const ROOT = 0;

/** Remembers the credentials of each connection: the kernel fixed them when it was made. */
export class Access {
  readonly #credentialsOf: CredentialsOf;
  readonly #groups: AccessGroups;
  readonly #known = new WeakMap<Socket, { readonly peer: PeerCredentials | undefined }>();

  constructor(credentialsOf: CredentialsOf = peerCredentials, groups: AccessGroups = {}) {
    this.#credentialsOf = credentialsOf;
    this.#groups = groups;
  }

  /** The peer of a connection, or undefined when the system does not tell. */
  peer(socket: Socket): Owner | undefined {
    const peer = this.#credentials(socket);
    return peer && { uid: peer.uid, gid: peer.gid, pid: peer.pid };
  }

  /**
   * The peer as the owner of what it creates.
   *
   * @throws ProblemError 403 when it is unknown
   */
  owner(socket: Socket): Owner {
    const peer = this.peer(socket);
    if (peer !== undefined) return peer;
    throw new ProblemError(
      403,
      'The system does not tell who is connected (SO_PEERCRED), so nothing may be changed.',
    );
  }

  /** @throws ProblemError 403 unless the peer is root or the user the emulator runs as */
  requireOperator(socket: Socket, action: string): void {
    const { uid } = this.owner(socket);
    if (isOperator(uid)) return;
    const who =
      CONTROL_OWNER.uid === ROOT ? 'root' : `root or uid ${CONTROL_OWNER.uid}, which taplab runs as,`;
    throw new ProblemError(403, `Only ${who} may ${action}; you are uid ${uid}.`);
  }

  /** @throws ProblemError 403 unless the peer opened the descriptor or is an operator */
  requireDescriptor(socket: Socket, handle: DescriptorHandle): void {
    const { uid } = this.owner(socket);
    if (uid === handle.owner.uid || isOperator(uid)) return;
    throw new ProblemError(
      403,
      `Descriptor ${handle.id} belongs to uid ${handle.owner.uid}, and you are uid ${uid}; open one of your own.`,
    );
  }

  /** As requireDescriptor(), and of viewers not even their own. */
  requireDescriptorToChange(socket: Socket, handle: DescriptorHandle, action: string): void {
    this.requireDescriptor(socket, handle);
    const { readGroup, group } = this.#groups;
    const peer = this.#credentials(socket)!;
    if (readGroup === undefined || isOperator(peer.uid)) return;
    const required = group ?? CONTROL_OWNER.gid;
    if (peer.groups.includes(required)) return;
    throw new ProblemError(
      403,
      `Members of gid ${readGroup} may look and capture; to ${action}, uid ${peer.uid} has to be in gid ${required}.`,
    );
  }

  #credentials(socket: Socket): PeerCredentials | undefined {
    const known = this.#known.get(socket);
    if (known !== undefined) return known.peer;
    const peer = this.#credentialsOf(socket);
    this.#known.set(socket, { peer });
    return peer;
  }
}

/** Whether a uid may do everything: root, and the user the emulator runs as. */
export function isOperator(uid: number): boolean {
  return uid === ROOT || uid === CONTROL_OWNER.uid;
}
