/**
 * How many connections the control socket takes: so many of each user, so many of all users, and some more that are
 * kept for operators, so that root can still look around and take the lab down. Whoever comes when there are too many
 * is told so, in a problem document with Retry-After, and let go.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { type Access, isOperator } from './access.ts';
import { answerBare } from './broken-request.ts';
import { type Problem, problem, problemType } from './problem.ts';

/** Of all users together. A stream takes a connection for as long as it lasts. */
export const MAX_USER_CONNECTIONS = 512;
const FOR_OPERATORS = 256;
/** Refused ones that have not hung up yet. Those beyond are closed without a word. */
const MAX_REFUSED = 256;
/** How long a client that was refused may take to hear it. */
const REFUSAL_MS = 2000;
const RETRY_AFTER_S = 1;

/** Nobody can tell whose these are; they share one allowance. */
const UNKNOWN_UID = -1;

type Limits = { readonly perUser: number; readonly ofUsers?: number };

/** Puts the limits in front of everything that listens for the connections of a server. */
export function limitConnections(server: Server, access: Access, limits: Limits): void {
  const { perUser, ofUsers = MAX_USER_CONNECTIONS } = limits;
  const accept = server.listeners('connection') as ((socket: Socket) => void)[];
  const byUid = new Map<number, number>();
  let total = 0;
  server.removeAllListeners('connection');
  server.maxConnections = ofUsers + FOR_OPERATORS + MAX_REFUSED;
  server.on('connection', (socket: Socket) => {
    const uid = access.peer(socket)?.uid ?? UNKNOWN_UID;
    const own = byUid.get(uid) ?? 0;
    const refusal = refuse(uid, own);
    if (refusal !== undefined) {
      letGo(socket, refusal);
      return;
    }
    total++;
    byUid.set(uid, own + 1);
    socket.once('close', () => {
      total--;
      const left = byUid.get(uid)! - 1;
      if (left === 0) byUid.delete(uid);
      else byUid.set(uid, left);
    });
    for (const listener of accept) listener.call(server, socket);
  });

  function refuse(uid: number, own: number): Problem | undefined {
    const type = problemType('limit');
    const title = 'Too many connections';
    if (isOperator(uid)) {
      if (total < ofUsers + FOR_OPERATORS) return undefined;
    } else if (own >= perUser) {
      const detail = `uid ${uid} has ${own} connections, and may have ${perUser}; end some of its streams, or try again later.`;
      return problem(429, detail, { type, title });
    } else if (total < ofUsers) return undefined;
    const detail = `taplab has ${total} connections, and takes no more; end some streams, or try again later.`;
    return problem(503, detail, { type, title });
  }
}

function letGo(socket: Socket, refusal: Problem): void {
  const timer = setTimeout(() => socket.destroy(), REFUSAL_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => socket.destroy());
  answerBare(socket, refusal, [`Retry-After: ${RETRY_AFTER_S}`]);
  // A request that was not read when the connection is closed would have the kernel reset it, answer and all.
  socket.resume();
}
