/** Sends a UDP datagram to ADDRESS every 5 ms, for so many milliseconds. send-paced.mjs ADDRESS MILLISECONDS */
import { createSocket } from 'node:dgram';

const [address, milliseconds] = [process.argv[2], Number(process.argv[3])];
const socket = createSocket('udp4');
const startMs = performance.now();
let sent = 0;
const timer = setInterval(() => {
  const elapsedMs = performance.now() - startMs;
  if (elapsedMs >= milliseconds) {
    clearInterval(timer);
    socket.close();
    return;
  }
  for (; sent * 5 <= elapsedMs; sent++) socket.send(Buffer.alloc(64), 9999, address);
}, 5);
