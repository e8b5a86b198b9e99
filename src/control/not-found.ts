/** Requests that no route takes: 405 with the methods that the path knows, or 404. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App } from './context.ts';
import { ProblemError } from './problem.ts';

/** Methods by path pattern, as the routes are added; call before any is. */
export function watchRoutes(app: App): Map<string, Set<string>> {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const each of [method].flat()) known.add(each);
    methods.set(url, known);
  });
  return methods;
}

/** The handler for them. */
export function notFoundHandler(
  routes: ReadonlyMap<string, ReadonlySet<string>>,
): (request: FastifyRequest, reply: FastifyReply) => never {
  const patterns = [...routes].map(([url, methods]) => ({ segments: url.split('/'), methods }));
  return (request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    const segments = path.split('/');
    const match = patterns.find((pattern) => matches(pattern.segments, segments));
    if (match !== undefined && !match.methods.has(request.method)) {
      const allowed = [...match.methods].sort().join(', ');
      reply.header('allow', allowed);
      throw new ProblemError(405, `${path} does not take ${request.method}, but ${allowed}.`);
    }
    throw new ProblemError(404, `There is nothing at ${path}; GET /openapi.json describes what there is.`);
  };
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, i) => (part.startsWith(':') ? segments[i] !== '' : part === segments[i]));
}
