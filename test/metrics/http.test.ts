import { afterEach, describe, expect, test } from 'vitest';
import { type MetricsListener, parseMetricsAddress, serveMetrics } from '../../src/metrics/http.ts';

const metrics = { contentType: 'text/plain; version=0.0.4', render: async () => 'up 1\n' };
let listener: MetricsListener | undefined;

afterEach(async () => {
  await listener?.close();
  listener = undefined;
});

test('serves the metrics on the port that was chosen for port 0', async () => {
  listener = (await serveMetrics(metrics, '127.0.0.1:0'))!;
  expect(listener.port).toBeGreaterThan(0);
  const answer = await fetch(listener.url);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4');
  expect(await answer.text()).toBe('up 1\n');
});

test('serves nothing else', async () => {
  listener = (await serveMetrics(metrics, '127.0.0.1:0'))!;
  expect((await fetch(new URL('/v1/lab', listener.url))).status).toBe(404);
  const post = await fetch(listener.url, { method: 'POST', body: 'x' });
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  expect(await (await fetch(listener.url, { method: 'HEAD' })).text()).toBe('');
});

test('`off` serves nothing at all', async () => {
  expect(await serveMetrics(metrics, 'off')).toBeUndefined();
});

test('an address in use is an error that says what to pass', async () => {
  listener = (await serveMetrics(metrics, '127.0.0.1:0'))!;
  await expect(serveMetrics(metrics, `127.0.0.1:${listener.port}`)).rejects.toThrow(
    /something else is listening there; choose another address with --metrics HOST:PORT .* or pass --metrics off/,
  );
});

describe('addresses', () => {
  test.each([
    ['127.0.0.1:9464', { host: '127.0.0.1', port: 9464 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['off', undefined],
  ])('%s', (text, expected) => {
    expect(parseMetricsAddress(text)).toEqual(expected);
  });

  test.each(['', '9464', ':9464', 'localhost', 'localhost:', '127.0.0.1:65536', '::1:80', 'a:b'])(
    '"%s" is none',
    (text) => {
      expect(() => parseMetricsAddress(text)).toThrow(/expected HOST:PORT such as 127.0.0.1:9464/);
    },
  );
});
