/**
 * One end of a TCP transfer: `transfer.mjs receive PORT` prints the SHA-256 and length of what it is sent, and in a line
 * of its own how fast that came; `transfer.mjs send ADDRESS PORT BYTES SEED` sends pseudo-random bytes and prints the
 * SHA-256 and length of what it sent.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';

const [role, ...args] = process.argv.slice(2);
const hash = createHash('sha256');
let length = 0;

function report() {
  return JSON.stringify({ length, sha256: hash.digest('hex') });
}

if (role === 'receive') {
  let first;
  let lastMs = 0;
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      hash.update(chunk);
      length += chunk.length;
      lastMs = performance.now();
      first ??= { length, ms: lastMs };
    });
    socket.on('end', () => {
      console.log(report());
      const bitsPerSecond = ((length - first.length) * 8000) / (lastMs - first.ms);
      console.log(JSON.stringify({ bitsPerSecond }));
      socket.end();
      server.close();
    });
  });
  server.listen(Number(args[0]), '::', () => console.log('ready'));
} else {
  const [address, port, bytes, seed] = args;
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, Number(seed)), Buffer.alloc(16));
  const socket = connect(Number(port), address);
  const zeros = Buffer.alloc(65_536);
  const more = () => {
    while (length < Number(bytes)) {
      const chunk = stream.update(zeros.subarray(0, Math.min(zeros.length, Number(bytes) - length)));
      hash.update(chunk);
      length += chunk.length;
      if (!socket.write(chunk)) return;
    }
    if (!socket.writableEnded) socket.end();
  };
  socket.on('connect', more);
  socket.on('drain', more);
  socket.on('close', () => console.log(report()));
  socket.resume();
}
