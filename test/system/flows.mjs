/**
 * Numbered UDP datagrams in several flows.
 *
 *   flows.mjs send ADDRESS FLOWS COUNT PER_SECOND [FRAME_BYTES]   COUNT datagrams in each flow, all flows in turns
 *   flows.mjs receive FLOWS COUNT                                 ends when all have come, or two seconds after the last
 *
 * The receiver prints {"received", "twice", "late"} of all flows together: `late` are those that came after one of their
 * flow with a higher number.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';

const PORT = 9999;
const [role, ...args] = process.argv.slice(2);

if (role === 'send') send(args[0], ...args.slice(1).map(Number));
else receive(...args.map(Number));

async function send(address, flows, count, perSecond, bytes = 64) {
  await knowing(address);
  const sockets = Array.from({ length: flows }, () => createSocket('udp4'));
  let last = performance.now();
  let allowed = 0;
  let sent = 0;
  let open = flows * count;
  const timer = setInterval(() => {
    const now = performance.now();
    // What could not be sent for want of processor time is not made up for: nobody reads so much at once.
    allowed = Math.min(50, allowed + ((now - last) * perSecond) / 1000);
    last = now;
    for (; sent < flows * count && allowed >= 1; sent++, allowed--) {
      const payload = Buffer.alloc(bytes);
      payload.writeUInt32BE(sent % flows, 0);
      payload.writeUInt32BE(Math.floor(sent / flows), 4);
      sockets[sent % flows].send(payload, PORT, address, () => {
        if (--open === 0) for (const socket of sockets) socket.close();
      });
    }
    if (sent === flows * count) clearInterval(timer);
  }, 1);
}

/**
 * Waits until this node's kernel knows its neighbour. Until then what it holds back can be overtaken in it by what follows.
 */
async function knowing(address) {
  const socket = createSocket('udp4');
  // To the port discard (RFC 863), where nobody listens.
  socket.send('', 9, address);
  const neighbour = () => execFileSync('ip', ['neigh', 'show', 'to', address], { encoding: 'utf8' });
  for (let tries = 0; !/ lladdr /.test(neighbour()); tries++) {
    if (tries === 100) throw new Error(`no neighbour has ${address}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  socket.close();
}

function receive(flows, count) {
  const seen = Array.from({ length: flows }, () => new Set());
  const highest = new Array(flows).fill(-1);
  const report = { received: 0, twice: 0, late: 0 };
  const socket = createSocket({ type: 'udp4', recvBufferSize: 8 * 2 ** 20 });
  const end = () => {
    clearTimeout(patience);
    socket.close();
    console.log(JSON.stringify(report));
  };
  let patience = setTimeout(end, 20_000);
  socket.on('message', (payload) => {
    const [flow, number] = [payload.readUInt32BE(0), payload.readUInt32BE(4)];
    if (seen[flow].has(number)) report.twice++;
    else report.received++;
    seen[flow].add(number);
    if (number < highest[flow]) report.late++;
    highest[flow] = Math.max(highest[flow], number);
    clearTimeout(patience);
    // Copies would come late.
    patience = setTimeout(end, report.received === flows * count ? 200 : 2_000);
  });
  socket.bind(PORT, () => console.log('ready'));
}
