/** A control server on a real unix socket in front of a fake emulator, and a bare HTTP client for it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { Captures } from '../../src/capture/captures.ts';
import type { AccessGroups } from '../../src/control/access.ts';
import type { UserLimits } from '../../src/control/limits.ts';
import type { PeerCredentials } from '../../src/control/peer-credentials.ts';
import { type ControlServer, createControlServer } from '../../src/control/server.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { FakeEmulator } from './fake-emulator.ts';

export type Answer<Body> = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body, when it is JSON. */
  readonly json: Body;
};

/** A peer; its groups are the one in `gid` unless given. */
export type Peer = Omit<PeerCredentials, 'groups'> & { readonly groups?: readonly number[] };

export type Fixture = {
  readonly emulator: FakeEmulator;
  readonly captures: Captures;
  readonly server: ControlServer;
  readonly socketPath: string;
  readonly log: Record<string, unknown>[];
  readonly shutdowns: () => number;
  /** Who the server takes its peers for from now on; undefined: nobody can tell. */
  actAs(peer: Peer | undefined): void;
  send<Body = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<Body>>;
  open(path: string): Promise<IncomingMessage>;
  close(): Promise<void>;
};

export type FixtureOptions = {
  readonly ephemeralGraceMs?: number;
  readonly realCredentials?: boolean;
  readonly groups?: AccessGroups;
  readonly limits?: Partial<UserLimits>;
};

export async function startFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const folder = mkdtempSync(join(tmpdir(), 'taplab-control-'));
  const socketPath = join(folder, 'run', 'taplab.sock');
  const emulator = new FakeEmulator();
  const captures = new Captures(
    'taplab test',
    (name) => emulator.links().find((link) => link.endpoints.includes(name))?.name,
  );
  const log: Record<string, unknown>[] = [];
  const logger = pino({}, { write: (line: string) => void log.push(JSON.parse(line)) });
  let peer: Peer | undefined = { uid: 0, gid: 0, pid: 1 };
  let shutdowns = 0;
  const { realCredentials, ephemeralGraceMs, groups, limits } = options;
  const server = createControlServer({
    emulator,
    captures,
    metrics: createMetrics(emulator),
    logger,
    onShutdown: () => shutdowns++,
    ...(realCredentials ? {} : { credentialsOf: () => peer && { groups: [peer.gid], ...peer } }),
    ...(groups === undefined ? {} : { groups }),
    ...(limits === undefined ? {} : { limits }),
    ...(ephemeralGraceMs === undefined ? {} : { ephemeralGraceMs }),
  });
  await server.listen(socketPath);
  return {
    emulator,
    captures,
    server,
    socketPath,
    log,
    shutdowns: () => shutdowns,
    actAs: (next) => {
      peer = next;
    },
    send: (method, path, body, headers = {}) => send(socketPath, method, path, body, headers),
    open: (path) =>
      new Promise((resolve, reject) => {
        request({ socketPath, path, agent: false }, resolve).on('error', reject).end();
      }),
    async close() {
      for (const handle of emulator.descriptors()) await handle.close();
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function send<Body>(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answer<Body>> {
  const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
  const payload = raw ? body : JSON.stringify(body);
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath, method, path, agent: false, headers: { ...type, ...headers } },
      (answer) => {
        answer.setEncoding('utf8');
        let text = '';
        answer.on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => {
          const isJson = text !== '' && /json/.test(answer.headers['content-type'] ?? '');
          const json = isJson ? JSON.parse(text) : undefined;
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json });
        });
      },
    );
    sent.on('error', reject);
    sent.end(payload as string | Buffer | undefined);
  });
}

/** Polls until something is true, at most two seconds. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < 2000; waitedMs += 10) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`did not happen within two seconds: ${what}`);
}
