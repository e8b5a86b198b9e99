/**
 * The control server: HTTP/1.1 and JSON over a unix socket, described by its own GET /openapi.json.
 *
 * Everything that fails is answered by a problem document (RFC 9457), also what is not HTTP at all. Each request that
 * may change something is logged with the uid, gid and pid that asked. Nothing a client sends ends the process.
 */
import swagger from '@fastify/swagger';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
} from 'fastify-type-provider-zod';
import type { Captures } from '../capture/captures.ts';
import type { DescriptorHandle, EmulatorControl } from '../daemon/contract.ts';
import { VERSION } from '../package.ts';
import { Access, type AccessGroups, type CredentialsOf } from './access.ts';
import { answerBrokenRequest, refuseBareRequests, requireHost } from './broken-request.ts';
import { limitConnections } from './connections.ts';
import type { App, ControlContext, MetricsSource } from './context.ts';
import { Ephemerals } from './ephemerals.ts';
import { DEFAULT_USER_LIMITS, type UserLimits } from './limits.ts';
import { listenOnPassed, listenOnSocket } from './listen.ts';
import { notFoundHandler, watchRoutes } from './not-found.ts';
import { PROBLEM_MEDIA_TYPE } from './problem.ts';
import { descriptorRoutes } from './routes/descriptors.ts';
import { frameRoutes } from './routes/frames.ts';
import { interfaceRoutes } from './routes/interfaces.ts';
import { labRoutes } from './routes/lab.ts';
import { linkRoutes } from './routes/links.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { readRoutes } from './routes/read.ts';
import { streamRoutes } from './routes/stream.ts';
import { switchRoutes } from './routes/switches.ts';
import { workerRoutes } from './routes/workers.ts';
import { toProblem } from './to-problem.ts';
import { UserQuota } from './user-quota.ts';
import { validatorCompiler } from './validation.ts';

/** Larger bodies are refused with 413. */
export const BODY_LIMIT_BYTES = 1_048_576;
/** How long a request may take to arrive: one that stops half-way must not hold its connection for ever. */
const REQUEST_TIMEOUT_MS = 30_000;
/** How often that is looked at. */
const REQUEST_CHECK_MS = 5000;
/** How long close() waits for streams to deliver what they hold. */
const CLOSE_GRACE_MS = 2000;

export type ControlServerOptions = {
  readonly emulator: EmulatorControl;
  /** The one Captures of the daemon. */
  readonly captures: Captures;
  readonly metrics: MetricsSource;
  readonly logger: FastifyBaseLogger;
  /** Called when somebody who may has asked to take the lab down, after the answer was sent. */
  readonly onShutdown: () => void;
  /** Called after each request that has changed something, before it is answered. */
  readonly onChange?: (isEphemeral: (descriptor: DescriptorHandle) => boolean) => void;
  /** Reads the lab file again; what was changed, a line each. Throws what is wrong with it. */
  readonly onReload?: () => Promise<string[]>;
  /** How to find out who is connected; SO_PEERCRED unless told. */
  readonly credentialsOf?: CredentialsOf;
  /** The groups whose members may use the socket; this process's group unless told. */
  readonly groups?: AccessGroups;
  /** What a user who is no operator may take. */
  readonly limits?: Partial<UserLimits>;
  /** How long an ephemeral descriptor waits for its first reader. */
  readonly ephemeralGraceMs?: number;
};

export type ControlServer = {
  /**
   * Listens on a unix socket, mode 0660, for its owner and the groups; or on one that was passed to this process.
   *
   * @throws SocketError saying what is in the way
   */
  listen(path: string, passedFd?: number): Promise<void>;
  /**
   * Stops listening, which removes the socket, and ends the connections: those that are idle at once, streams when
   * they have ended, all after two seconds. Close the descriptors first, so that streams end complete.
   */
  close(): Promise<void>;
};

/** Makes the server; nothing is bound before listen(). */
export function createControlServer(options: ControlServerOptions): ControlServer {
  const { emulator, captures, metrics, logger, onShutdown, onReload } = options;
  const access = new Access(options.credentialsOf, options.groups);
  const limits = { ...DEFAULT_USER_LIMITS, ...options.limits };
  const quota = new UserQuota(limits);
  const onError = (error: unknown): void => logger.error({ err: error }, 'closing an ephemeral descriptor');
  const ephemerals = new Ephemerals(captures, onError, options.ephemeralGraceMs);
  const app = createApp(logger);
  limitConnections(app.server, access, { perUser: limits.connections });
  const routes = watchRoutes(app);
  logChanges(app, access);
  app.addHook('onSend', async ({ method }, { statusCode }) => {
    const hasChanged = method !== 'GET' && method !== 'HEAD' && statusCode < 400;
    if (hasChanged) options.onChange?.((descriptor) => ephemerals.has(descriptor));
  });
  app.setErrorHandler(answerError);
  describe(app);
  app.after(() => {
    addRoutes(app, { emulator, captures, metrics, access, quota, ephemerals, onShutdown, onReload });
    app.setNotFoundHandler(notFoundHandler(routes));
  });
  return {
    async listen(path, passedFd) {
      await app.ready();
      if (passedFd !== undefined) await listenOnPassed(app.server, passedFd);
      else await listenOnSocket(app.server, path, options.groups);
    },
    async close() {
      // Connections that do not end by themselves would keep close() waiting for ever.
      const timer = setTimeout(() => app.server.closeAllConnections(), CLOSE_GRACE_MS);
      await app.close();
      clearTimeout(timer);
    },
  };
}

/** Instead of fastify's own, so that it does not load ajv and what goes with it for compilers that are not its own. */
function neverUsed(): never {
  throw new Error(
    'the schemas are of zod, and compiled by setValidatorCompiler() and setSerializerCompiler()',
  );
}

function createApp(logger: FastifyBaseLogger): App {
  const app: App = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Not connectionTimeout: it would end streams on which nothing happens.
    http: {
      // Node takes the longer of both for the body, and this is longer unless told.
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: REQUEST_CHECK_MS,
      requireHostHeader: false,
    },
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenRequest,
    schemaController: { compilersFactory: { buildValidator: neverUsed, buildSerializer: neverUsed } },
    // While closing, requests on connections that are still open are answered as usual.
    return503OnClosing: false,
  });
  refuseBareRequests(app.server);
  app.addHook('onRequest', async (request) => requireHost(request.raw));
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  return app;
}

function describe(app: App): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'taplab control socket',
        description: 'Interfaces, BPF descriptors, links and captures of a running lab.',
        version: VERSION,
      },
      servers: [{ url: 'http://localhost', description: 'over the unix socket, as curl --unix-socket' }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
}

function addRoutes(app: App, context: ControlContext): void {
  interfaceRoutes(app, context);
  descriptorRoutes(app, context);
  streamRoutes(app, context);
  readRoutes(app, context);
  frameRoutes(app, context);
  linkRoutes(app, context);
  switchRoutes(app, context);
  workerRoutes(app, context);
  labRoutes(app, context);
  metricsRoutes(app, context);
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}

/**
 * One log line for each request: who asked, for what, the outcome. At level info what may have changed something, and
 * streams; at level debug what only looked.
 */
function logChanges(app: App, access: Access): void {
  app.addHook('onRequest', async (request) => {
    // While the connection is open: afterwards nobody can tell who it was.
    access.peer(request.raw.socket);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, url } = request;
    const looks = (method === 'GET' && !url.includes('/stream')) || method === 'HEAD';
    const peer = access.peer(request.raw.socket);
    const durationMs = Math.round(reply.elapsedTime);
    const details = { peer, method, url, status: reply.statusCode, durationMs };
    if (looks) request.log.debug(details, 'request');
    else request.log.info(details, 'request');
  });
}

/** Everything that is thrown while a request is handled ends here. */
function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const answer = toProblem(error, request.routeOptions.url?.startsWith('/v1/descriptors/'));
  if (answer.status >= 500) request.log.error({ err: error }, 'request failed');
  // As bytes: to text fastify would add a charset, which application/problem+json does not have.
  reply
    .code(answer.status)
    .type(PROBLEM_MEDIA_TYPE)
    .send(Buffer.from(JSON.stringify(answer)));
}
