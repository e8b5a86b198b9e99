/**
 * Who may do what over the control socket. The socket's mode (0660) decides who may connect and look; this decides
 * who may change something:
 *   - a descriptor: whoever opened it
 *   - links, the lab: nobody else
 *   - root and the user the emulator runs as: everything
 */
import type { Socket } from 'node:net';
import { CONTROL_OWNER, type DescriptorHandle, type Owner } from '../daemon/contract.ts';
import { type PeerCredentials, peerCredentials } from './peer-credentials.ts';
import { ProblemError } from './problem.ts';

/** Looks up who is at the other end of a connection; undefined when that cannot be told. */
export type CredentialsOf = (socket: Socket) => PeerCredentials | undefined;

const ROOT = 0;

/** Remembers the credentials of each connection: the kernel fixed them when it was made. */
export class Access {
  readonly #credentialsOf: CredentialsOf;
  readonly #known = new WeakMap<Socket, { readonly peer: PeerCredentials | undefined }>();

  constructor(credentialsOf: CredentialsOf = peerCredentials) {
    this.#credentialsOf = credentialsOf;
  }

  /** The peer of a connection, or undefined when the system does not tell. */
  peer(socket: Socket): PeerCredentials | undefined {
    const known = this.#known.get(socket);
    if (known !== undefined) return known.peer;
    const peer = this.#credentialsOf(socket);
    this.#known.set(socket, { peer });
    return peer;
  }

  /**
   * The peer as the owner of what it creates.
   *
   * @throws ProblemError 403 when it is unknown
   */
  owner(socket: Socket): Owner {
    const peer = this.peer(socket);
    if (peer === undefined) {
      throw new ProblemError(
        403,
        'The system does not tell who is connected (SO_PEERCRED), so nothing may be changed.',
      );
    }
    return { uid: peer.uid, gid: peer.gid, pid: peer.pid };
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
}

function isOperator(uid: number): boolean {
  return uid === ROOT || uid === CONTROL_OWNER.uid;
}
