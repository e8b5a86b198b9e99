/** What comes back on a connection of the control socket: the answers in it, and whether each is one that may be given. */
import assert from 'node:assert/strict';

/**
 * Checks everything that came on one connection. The last answer may have been cut off when the client hung up.
 *
 * @param {Buffer} bytes
 * @returns {number[]} the statuses
 */
export function checkAnswers(bytes) {
  const text = bytes.toString('latin1');
  const statuses = [];
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end === -1) break;
    const { status, headers } = readHead(text.slice(at, end));
    statuses.push(status);
    at = end + 4;
    if (status < 200 || status === 204) continue;
    // To HEAD, whose answers say how long they would be.
    if (at === text.length || text.startsWith('HTTP/1.1 ', at)) continue;
    const body = readBody(text, at, headers);
    if (status >= 400) checkProblem(status, headers, body);
    if (body === undefined) break;
    at = body.end;
  }
  return statuses;
}

function readHead(head) {
  const [first, ...lines] = head.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) [ -~]*$/.exec(first)?.[1]);
  assert.ok(status >= 100 && status < 600, `not a status line: ${JSON.stringify(first)}`);
  assert.ok(status < 300 || status >= 400, `redirected: ${head}`);
  assert.notEqual(status, 500, head);
  const headers = new Map(
    lines.map((line) => [line.split(':')[0].toLowerCase(), line.replace(/^[^:]*: ?/, '')]),
  );
  if (status >= 400) assert.equal(headers.get('content-type'), 'application/problem+json', head);
  return { status, headers };
}

/** Undefined when not all of it is there. */
function readBody(text, from, headers) {
  if (headers.get('transfer-encoding') === 'chunked') return readChunks(text, from);
  const length = headers.get('content-length');
  const end = length === undefined ? text.length : from + Number(length);
  return end > text.length ? undefined : { text: text.slice(from, end), end };
}

function readChunks(text, from) {
  let body = '';
  for (let at = from; ; ) {
    const end = text.indexOf('\r\n', at);
    if (end === -1) return undefined;
    const bytes = Number.parseInt(text.slice(at, end), 16);
    assert.ok(bytes >= 0, `not the length of a chunk: ${text.slice(at, end)}`);
    at = end + 2 + bytes + 2;
    if (at > text.length) return undefined;
    if (bytes === 0) return { text: body, end: at };
    body += text.slice(end + 2, end + 2 + bytes);
  }
}

function checkProblem(status, headers, body) {
  assert.ok(headers.has('content-length'), 'a problem document says its length');
  if (body === undefined) return;
  const problem = JSON.parse(Buffer.from(body.text, 'latin1').toString());
  assert.equal(problem.status, status);
  for (const member of ['type', 'title', 'detail']) {
    assert.ok(typeof problem[member] === 'string' && problem[member] !== '', `${member} of ${body.text}`);
  }
  assert.doesNotMatch(body.text, /node_modules|\.js:\d+/);
}
