/** What the fuzzing of the control socket begins with, and the words that it puts in: see control.fuzz.mjs. */
const get = (path, ...headers) => [`GET ${path} HTTP/1.1`, 'Host: x', ...headers, '', ''].join('\r\n');
const bare = (method, path) => get(path).replace('GET', method);
const json = (method, path, body) =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n${JSON.stringify(body)}`;

const LOOKS = [
  '/openapi.json',
  '/metrics',
  '/v1/interfaces',
  '/v1/interfaces/a:eth0',
  '/v1/interfaces/a%3aeth0',
  '/v1/descriptors',
  '/v1/descriptors/{id}',
  '/v1/descriptors/{id}/read?format=pcapng&timeout=1',
  '/v1/descriptors/{id}/read?format=json',
  '/v1/descriptors/{id}/stream?format=bpf',
  '/v1/descriptors/{id}/stream?format=json',
  '/v1/stream?descriptors={id},{id}&format=pcapng',
  '/v1/links/ab',
  '/v1/switches/s',
  '/v1/switches/s/addresses',
  '/v1/workers',
  '/v1/nodes/a',
];
const settings = {
  direction: 'in',
  immediate: true,
  readTimeoutMs: 0,
  promiscuous: false,
  headerComplete: false,
  feedback: true,
  timestamp: 'bintime-monotonic',
  linkType: 1,
  writeFilter: 'not ip6',
};
const CHANGES = [
  ['POST', '/v1/interfaces/a:eth0/descriptors', { filter: '@tcp-syn', ephemeral: true, ...settings }],
  ['POST', '/v1/interfaces/s:mirror/descriptors', { program: 'ldh [12]\njeq #0x800, 1\nret #0\nret #-1' }],
  ['POST', '/v1/interfaces/b:eth0/descriptors', { program: [{ code: 6, jt: 0, jf: 0, k: 4294967295 }] }],
  ['PATCH', '/v1/descriptors/{id}', { ...settings, filter: 'tcp port 80 or (vlan and net 198.18.0.0/15)' }],
  ['PATCH', '/v1/descriptors/{id}', { filter: '', keepBuffers: true, bufferBytes: 1e300, x: [null, -1] }],
  ['POST', '/v1/descriptors/{id}/frames', { frames: ['AAAAAAAAAAAAAAAAAAAAAAA=', ''] }],
  ['PATCH', '/v1/links/ab', { impair: 'delay 1ms 1ms 25% loss 1% rate 1mbit', reverse: { loss: '100%' } }],
  ['PATCH', '/v1/links/ab', { forward: { rules: [{ match: 'icmp', delay: '5ms' }], queue: 'fq_codel' } }],
  ['PATCH', '/v1/links', { links: { ab: { impair: 'duplicate 100% corrupt 1%' }, x: { impair: 'clear' } } }],
];

export const words = [
  ...['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS', ' HTTP/1.1\r\n', '\r\n', '\r\n\r\n', '0\r\n\r\n'],
  ...['Content-Length: {length}\r\n', 'Transfer-Encoding: chunked\r\n', 'Content-Type: application/json\r\n'],
  ...['Content-Type: application/octet-stream\r\n', 'Expect: 100-continue\r\n', 'Upgrade: h2c\r\n'],
  ...[
    '/v1/',
    '/descriptors/',
    '{id}',
    '/stream',
    '/read',
    '?format=bpf',
    '&timeout=1',
    '%00',
    '%2f',
    '%',
    '..',
  ],
  ...[
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    'null',
    'true',
    '-1',
    '1e999',
    '0.5',
    '4294967296',
    '"\\ud800"',
  ],
  ...[
    '"__proto__":',
    '"constructor":',
    '"filter":',
    '"rules":',
    'loss ',
    'delay ',
    'rate ',
    'match ',
    'state ',
  ],
];

/** Every route as it is meant to be used, and what else a client may say. */
export function seeds() {
  const requests = [
    ...LOOKS.map((path) => get(path)),
    ...CHANGES.map((change) => json(...change)),
    ...['flush', 'lock'].map((what) => bare('POST', `/v1/descriptors/{id}/${what}`)),
    bare('DELETE', '/v1/descriptors/{id}'),
    bare('DELETE', '/v1/lab'),
    bare('POST', '/v1/lab/reload'),
    bare('HEAD', '/v1/lab') + bare('OPTIONS', '*') + get('/v1/descriptors/18446744073709551616'),
    get('/v1/descriptors/{id}/stream', 'Connection: Upgrade', 'Upgrade: websocket') + get('/v1/stream'),
    get('/v1/lab', 'Expect: 100-continue', 'Accept-Encoding: gzip') + get('/v1/lab', 'Expect: tea'),
    bare('CONNECT', 'x:1'),
    'GET http://x/v1/lab HTTP/1.0\r\n\r\n',
    'POST /v1/descriptors/{id}/frames HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n' +
      'Content-Length: {length}\r\n\r\n\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\x06',
    'PATCH /v1/links/ab HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; charset=utf-16\r\n' +
      'Transfer-Encoding: chunked\r\n\r\n8;a=b\r\n{"impair\r\n9\r\n":"clear"}\r\n0\r\nx: y\r\n\r\n',
    'POST /v1/interfaces/a:eth0/descriptors HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n{"__proto__":',
  ];
  return requests.map((request, i) => Buffer.from(`\0${'\xff\x80\x10'[i % 3]}${request}`, 'latin1'));
}
