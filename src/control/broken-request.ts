/**
 * Requests that never reach a route: what is not HTTP, or is a part of HTTP that Node answers by itself, with no more
 * than a status. They get a problem document like all others, and lose their connection.
 */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { PROBLEM_MEDIA_TYPE, type Problem, ProblemError, problem } from './problem.ts';

/** Answers what cannot be read as HTTP, on the bare connection. For node's `clientError`. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  answerBare(socket, brokenRequestProblem(error.code));
}

/** Refuses CONNECT, and expectations other than `100-continue`. */
export function refuseBareRequests(server: Server): void {
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    answerBare(socket, problem(405, 'taplab is no proxy: it does not take CONNECT.'));
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const answer = problem(417, `Expect: ${request.headers.expect} cannot be met, only 100-continue.`);
    const body = JSON.stringify(answer);
    response.writeHead(answer.status, {
      'content-type': PROBLEM_MEDIA_TYPE,
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    });
    response.end(body);
  });
}

/** @throws ProblemError 400 for an HTTP/1.1 request without Host (RFC 9112, 3.2) */
export function requireHost({ httpVersion, headers }: IncomingMessage): void {
  if (httpVersion !== '1.1' || headers.host !== undefined) return;
  throw new ProblemError(400, 'An HTTP/1.1 request needs a Host header; any will do here.');
}

/**
 * Writes a problem document to a connection that no request handler has, and ends it. One on which a stream is going
 * out is only ended: its reader would take the document for a part of the stream.
 */
export function answerBare(socket: Duplex, answer: Problem, headers: readonly string[] = []): void {
  if (isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(answer);
  const head = [
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`,
    `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...headers,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Whether an answer is half out. Node keeps it in a property it does not document, and asks the same before its own. */
function isAnswering(socket: Duplex): boolean {
  const answer = (socket as { readonly _httpMessage?: ServerResponse | null })._httpMessage;
  return answer?.headersSent === true && !answer.writableEnded;
}

function brokenRequestProblem(code: string | undefined): Problem {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return problem(408, 'The request took too long to arrive.');
  if (code === 'HPE_HEADER_OVERFLOW') return problem(431, 'The headers of the request are too large.');
  return problem(400, `This is not an HTTP/1.1 request (${code ?? 'unreadable'}).`);
}
