/** What Node would answer by itself gets a problem document as everything else. */
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
});

afterEach(() => fixture.close());

/** What comes back until the connection ends; `next` is sent once something has. */
function answerTo(request: string, next?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(fixture.socketPath, () => socket.write(request));
    socket.setEncoding('utf8').on('error', reject);
    socket.on('data', (chunk: string) => {
      if (text === '' && next !== undefined) socket.write(next);
      text += chunk;
      if (text.endsWith('}')) socket.destroy();
    });
    socket.on('close', () => resolve(text));
  });
}

test.each([
  ['no Host', 'GET /v1/lab HTTP/1.1\r\n\r\n', 400, /needs a Host header/],
  ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', 405, /does not take CONNECT/],
  ['Expect', 'GET /v1/lab HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n', 417, /Expect: tea cannot be met/],
  ['no HTTP', 'hello\r\n\r\n', 400, /not an HTTP\/1\.1 request/],
])('%s', async (_, request, status, detail) => {
  const [head, body] = (await answerTo(request)).split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(head).toMatch(/content-type: application\/problem\+json/i);
  const problem = JSON.parse(body!) as { status: number; detail: string };
  expect(problem.status).toBe(status);
  expect(problem.detail).toMatch(detail);
});

test('HTTP/1.0 needs no Host', async () => {
  expect(await answerTo('GET /v1/lab HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
});

test.each(['hello\r\n\r\n', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'])(
  'nothing is written into a stream: %j behind it ends the connection',
  async (broken) => {
    await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {});
    const stream = 'GET /v1/descriptors/1/stream?format=json HTTP/1.1\r\nHost: x\r\n\r\n';
    const answer = await answerTo(stream, broken);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer.slice(1)).not.toContain('HTTP/1.1');
    expect((await fixture.send('GET', '/v1/lab')).status).toBe(200);
  },
);
