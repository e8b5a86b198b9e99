/** GET /metrics over TCP, for Prometheus: a listener that knows nothing else. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './metrics.ts';

/** Where metrics are served unless told: reachable from this machine only. */
export const DEFAULT_METRICS_ADDRESS = '127.0.0.1:9464';

/** A listener that cannot be had; the message says what to pass instead. */
export class MetricsListenError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MetricsListenError';
  }
}

export type MetricsAddress = { readonly host: string; readonly port: number };

export type MetricsListener = MetricsAddress & {
  /** Where to scrape; with the port that was chosen when 0 was asked for. */
  readonly url: string;
  close(): Promise<void>;
};

/**
 * Reads HOST:PORT, [IPV6]:PORT or `off` (undefined).
 *
 * @throws MetricsListenError for anything else
 */
export function parseMetricsAddress(text: string): MetricsAddress | undefined {
  if (text === 'off') return undefined;
  const match = /^(?:\[(?<ipv6>[^\]]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.port);
  const host = match?.groups?.ipv6 ?? match?.groups?.host;
  if (host === undefined || !(port <= 65_535)) {
    throw new MetricsListenError(
      `"${text}" is not an address for metrics; expected HOST:PORT such as ${DEFAULT_METRICS_ADDRESS} (port 0: any), or off`,
    );
  }
  return { host, port };
}

/**
 * Serves the metrics over HTTP until it is closed; undefined when `address` is `off`. A socket that was passed to this
 * process, as by systemd, is used instead of the address.
 *
 * @throws MetricsListenError when the address is not one, or cannot be listened on
 */
export async function serveMetrics(
  metrics: Metrics,
  address: string,
  passedFd?: number,
): Promise<MetricsListener | undefined> {
  const parsed = parseMetricsAddress(address);
  if (parsed === undefined && passedFd === undefined) return undefined;
  const server = createServer((request, response) => {
    answer(metrics, request, response).catch(() => response.destroy());
  });
  await listen(server, passedFd === undefined ? parsed! : { fd: passedFd });
  const { port, address: bound } = server.address() as AddressInfo;
  const host = parsed?.host ?? bound;
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    host,
    port,
    url: `http://${name}:${port}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, where: MetricsAddress | { readonly fd: number }): Promise<void> {
  const shown = 'fd' in where ? `passed socket ${where.fd}` : `${where.host}:${where.port}`;
  return new Promise((resolve, reject) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      const why = code === 'EADDRINUSE' ? 'something else is listening there' : `listen: ${code}`;
      reject(
        new MetricsListenError(
          `cannot serve metrics on ${shown}: ${why}; ` +
            'choose another address with --metrics HOST:PORT (port 0: any free one), or pass --metrics off',
        ),
      );
    });
    server.listen(where, resolve);
  });
}

async function answer(metrics: Metrics, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?', 1)[0];
  if (path !== '/metrics') return plain(response, 404, 'The metrics are at /metrics.\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return plain(response, 405, 'Only GET and HEAD.\n');
  }
  const text = await metrics.render();
  response.writeHead(200, { 'content-type': metrics.contentType });
  response.end(request.method === 'HEAD' ? undefined : text);
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text);
}
