/** Sends COUNT numbered UDP datagrams to ADDRESS, a few every millisecond. send-numbers.mjs ADDRESS COUNT */
import { createSocket } from 'node:dgram';

const [address, count] = [process.argv[2], Number(process.argv[3])];
const socket = createSocket('udp4');
let number = 0;
let done = 0;
const timer = setInterval(() => {
  for (let i = 0; i < 5 && number < count; i++) {
    const payload = Buffer.alloc(64 + (number % 1000), number & 0xff);
    payload.writeUInt32BE(number++);
    socket.send(payload, 9999, address, () => {
      if (++done === count) socket.close();
    });
  }
  if (number === count) clearInterval(timer);
}, 1);
