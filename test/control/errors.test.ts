import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Problem } from '../../src/control/problem.ts';
import { BODY_LIMIT_BYTES } from '../../src/control/server.ts';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await startFixture();
  await fixture.send('POST', '/v1/interfaces/client:eth0/descriptors', {});
});

afterAll(() => fixture.close());

const attach = '/v1/interfaces/client:eth0/descriptors';
const link = '/v1/links/wan';

type Case = {
  readonly does: string;
  readonly request: readonly [method: string, path: string, body?: unknown, type?: string];
  readonly expected: Partial<Problem>;
  /** Words the detail must hold. */
  readonly says: RegExp;
};

const cases: Case[] = [
  {
    does: 'an unknown route',
    request: ['GET', '/v2/nothing'],
    expected: { status: 404 },
    says: /\/v2\/nothing.*openapi/,
  },
  {
    does: 'an unknown interface',
    request: ['GET', '/v1/interfaces/client:eth1'],
    expected: { status: 404 },
    says: /"client:eth1"; did you mean "client:eth0"/,
  },
  {
    does: 'attaching to an unknown interface',
    request: ['POST', '/v1/interfaces/nobody/descriptors', {}],
    expected: { status: 404 },
    says: /there are client:eth0, server:eth0, server:tun0/,
  },
  {
    does: 'an unknown descriptor',
    request: ['GET', '/v1/descriptors/99'],
    expected: { status: 404 },
    says: /99/,
  },
  {
    does: 'a descriptor id that is not a number',
    request: ['GET', '/v1/descriptors/x'],
    expected: { status: 400, errors: [{ parameter: 'id', detail: expect.any(String) }] },
    says: /path/,
  },
  {
    does: 'an unknown link',
    request: ['PATCH', '/v1/links/x', { impair: 'clear' }],
    expected: { status: 404 },
    says: /"x"/,
  },
  {
    does: 'an unknown stream format',
    request: ['GET', '/v1/descriptors/1/stream?format=pcap'],
    expected: { status: 400, errors: [{ parameter: 'format', detail: expect.stringContaining('pcapng') }] },
    says: /query/,
  },
  {
    does: 'malformed JSON',
    request: ['POST', attach, '{"filter": '],
    expected: { status: 400 },
    says: /JSON/i,
  },
  {
    does: 'a body that is not an object',
    request: ['POST', attach, '7'],
    expected: { status: 400 },
    says: /map/,
  },
  { does: 'no body', request: ['POST', attach], expected: { status: 400 }, says: /body/ },
  {
    does: 'an unknown media type',
    request: ['POST', attach, 'filter=arp', 'application/x-www-form-urlencoded'],
    expected: { status: 415 },
    says: /application\/json/,
  },
  {
    does: 'bytes where JSON is expected',
    request: ['POST', attach, Buffer.from('abc'), 'application/octet-stream'],
    expected: { status: 400 },
    says: /body/,
  },
  {
    does: 'an unknown key',
    request: ['POST', attach, { fliter: 'arp' }],
    expected: { status: 400, errors: [{ pointer: '#/fliter', detail: expect.stringContaining('"filter"') }] },
    says: /fliter/,
  },
  {
    does: 'a value out of range',
    request: ['POST', attach, { bufferBytes: 1e9 }],
    expected: {
      status: 400,
      errors: [{ pointer: '#/bufferBytes', detail: expect.stringContaining('16777216') }],
    },
    says: /16777216/,
  },
  {
    does: 'filter and program together',
    request: ['POST', attach, { filter: '@arp', program: 'ret #0' }],
    expected: {
      status: 400,
      errors: [{ pointer: '#/program', detail: expect.stringContaining('not both') }],
    },
    says: /not both/,
  },
  {
    does: 'an unknown ready-made filter',
    request: ['POST', attach, { filter: '@tcpsyn' }],
    expected: { status: 400, errors: [{ pointer: '#/filter', detail: expect.stringContaining('tcp-syn') }] },
    says: /did you mean "@tcp-syn".*@arp/,
  },
  {
    does: 'a ready-made filter on an interface without Ethernet header',
    request: ['POST', '/v1/interfaces/server:tun0/descriptors', { filter: '@arp' }],
    expected: { status: 400 },
    says: /Ethernet.*link type 101/,
  },
  {
    does: 'an expression that would take long to compile',
    request: ['POST', attach, { filter: 'tcp or '.repeat(3000) }],
    expected: { status: 400, errors: [{ pointer: '#/filter', detail: expect.stringContaining('16384') }] },
    says: /16384/,
  },
  {
    does: 'an expression that makes no sense',
    request: ['POST', attach, { filter: 'tcp prot 80' }],
    expected: { status: 400, position: 4, errors: [{ pointer: '#/filter', detail: expect.any(String) }] },
    says: /character 5: .*prot/,
  },
  {
    does: 'an invalid program',
    request: ['POST', attach, { program: [{ code: 0x28, jt: 0, jf: 0, k: 12 }] }],
    expected: { status: 400, pc: 0, reason: 'the last instruction is not a RET' },
    says: /instruction 0.*RET/,
  },
  {
    does: 'an instruction with a field out of range',
    request: ['POST', attach, { program: [{ code: 6, jt: 256, jf: 0, k: 0 }] }],
    expected: { status: 400 },
    says: /255/,
  },
  {
    does: 'program text that cannot be read',
    request: ['POST', attach, { program: 'ldh [12]\nfrob #1' }],
    expected: { status: 400, line: 2, column: 1 },
    says: /2:1: .*frob/,
  },
  {
    does: 'base64 that is none',
    request: ['POST', '/v1/descriptors/1/frames', { frames: ['!!!'] }],
    expected: { status: 400 },
    says: /frames|base64/,
  },
  {
    does: 'no frames',
    request: ['POST', '/v1/descriptors/1/frames', { frames: [] }],
    expected: { status: 400 },
    says: /1/,
  },
  {
    does: 'a link change without a change',
    request: ['PATCH', link, {}],
    expected: { status: 400 },
    says: /nothing to change/,
  },
  {
    does: 'keepBuffers without a filter',
    request: ['PATCH', '/v1/descriptors/1', { keepBuffers: true }],
    expected: { status: 400, errors: [{ pointer: '#/keepBuffers', detail: expect.any(String) }] },
    says: /goes with/,
  },
  {
    does: 'a prototype in JSON',
    request: ['POST', attach, '{"__proto__": {"filter": "x"}}'],
    expected: { status: 400 },
    says: /./,
  },
  {
    does: 'a path with a bad escape',
    request: ['GET', '/v1/interfaces/%zz'],
    expected: { status: 400 },
    says: /%zz/,
  },
];

describe('a problem document answers', () => {
  test.each(cases)('$does', async ({ request, expected, says }) => {
    const [method, path, body, type] = request;
    const headers = type === undefined ? {} : { 'content-type': type };
    const answer = await fixture.send<Problem>(method, path, body, headers);
    expect(answer.status).toBe(expected.status);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json).toMatchObject(expected);
    expect(answer.json.detail).toMatch(says);
    expect(answer.json.title).toBeTruthy();
    expect(answer.text).not.toMatch(/\.ts:|node_modules/);
  });

  test.each([
    ['PUT', '/v1/interfaces', 'GET, HEAD'],
    ['DELETE', '/v1/links/wan', 'GET, HEAD, PATCH'],
    ['GET', '/v1/descriptors/1/flush', 'POST'],
    ['HEAD', '/v1/descriptors/1/stream', 'GET'],
    ['POST', '/metrics?x=1', 'GET, HEAD'],
  ])('%s %s, a method the path does not take, with what it takes', async (method, path, allowed) => {
    const answer = await fixture.send<Problem>(method, path);
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe(allowed);
  });

  test('a body beyond the limit, declared or not', async () => {
    const body = JSON.stringify({ filter: 'x'.repeat(BODY_LIMIT_BYTES) });
    const declared = await fixture.send<Problem>('POST', attach, body);
    expect(declared.json).toMatchObject({ status: 413, detail: expect.stringContaining('1 MiB') });
    const chunked = await fixture.send<Problem>('POST', attach, body, { 'transfer-encoding': 'chunked' });
    expect(chunked.json).toMatchObject({ status: 413 });
  });
});

/** Sends bytes as they are; resolves with everything that comes back until the server closes. */
function sendBytes(bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = createConnection(fixture.socketPath, () => socket.write(bytes));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('end', () => resolve(answer)).on('error', reject);
  });
}

describe('what is not HTTP', () => {
  test.each([
    ['text', 'hello\r\n\r\n', 400],
    ['TLS', Buffer.from('16030100a5010000a1', 'hex'), 400],
    ['zeros', Buffer.alloc(1000), 400],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`, 431],
    ['a body length that is none', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
  ])('%s is answered with a problem document, and the connection closed', async (_what, bytes, status) => {
    const answer = await sendBytes(bytes);
    const [head, body] = answer.split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head).toContain('application/problem+json');
    expect(JSON.parse(body!)).toMatchObject({ status });
  });

  test('leaves the server unharmed', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = createConnection(fixture.socketPath);
      socket.on('error', () => undefined);
      socket.write('POST /v1/interfaces/client:eth0/descriptors HTTP/1.1\r\nContent-Length: 100\r\n\r\n{');
      socket.destroySoon();
    }
    expect((await fixture.send('GET', '/v1/lab')).status).toBe(200);
  });
});
