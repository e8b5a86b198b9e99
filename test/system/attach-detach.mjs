/** Attaches and detaches TIMES times over a control socket. attach-detach.mjs SOCKET INTERFACE TIMES */
import { request } from 'node:http';

const [socketPath, name, times] = process.argv.slice(2);

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body ? { 'content-type': 'application/json' } : {};
    const outgoing = request({ socketPath, method, path, headers }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode >= 300)
          reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        else resolve(text === '' ? undefined : JSON.parse(text));
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body && JSON.stringify(body));
  });
}

let matched = 0;
for (let i = 0; i < Number(times); i++) {
  const { id } = await call('POST', `/v1/interfaces/${name}/descriptors`, {
    filter: '@udp',
    bufferBytes: 65536,
  });
  await new Promise((resolve) => setTimeout(resolve, 1));
  matched += (await call('GET', `/v1/descriptors/${id}`)).accepted;
  await call('DELETE', `/v1/descriptors/${id}`);
}
console.log(JSON.stringify({ matched }));
