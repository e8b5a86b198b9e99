/**
 * A flood of malformed frames from a node's own end of its device, as a program with a raw socket can send (packet(7)):
 * `malformed.mjs DEVICE COUNT SEED` sends COUNT frames, half of them with a virtio_net_hdr before them
 * (PACKET_VNET_HDR), each a sound one that was damaged. Prints {"sent", "refused"}: how many the kernel took, and the
 * errno names of those that it did not. The same seed gives the same frames.
 */
import { constants } from 'node:os';
import {
  check,
  close,
  errno,
  errnoName,
  ioctl,
  sendto,
  setsockopt,
  socket,
} from '../../dist/src/sys/libc.js';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SIOCGIFINDEX = 0x8933;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const VNET_HEADER = 10;
/** So that most are read: a TAP holds 1,000 frames. */
const PACE_FRAMES = 32;
const PACE_MS = 2;

const [device, count, seed] = process.argv.slice(2);
const random = generator(Number(seed));
const pick = (values) => values[random(values.length)];

const plain = check(socket(AF_PACKET, SOCK_RAW, 0), 'socket', 'AF_PACKET');
const offloading = check(socket(AF_PACKET, SOCK_RAW, 0), 'socket', 'AF_PACKET');
check(setsockopt(offloading, SOL_PACKET, PACKET_VNET_HDR, Int32Array.of(1), 4), 'setsockopt', 'VNET_HDR');
const address = linkAddress(device);
const report = { sent: 0, refused: {} };
for (let i = 0; i < Number(count); i++) {
  const fd = i % 2 === 0 ? plain : offloading;
  send(fd, fd === plain ? damaged(frame(1500)) : withVnetHeader(frame(65_000)));
  if (i % PACE_FRAMES === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PACE_MS);
}
close(plain);
close(offloading);
console.log(JSON.stringify(report));

function send(fd, bytes) {
  // An empty one has no address.
  const buffer = bytes.length > 0 ? bytes : Buffer.alloc(1);
  if (sendto(fd, buffer, bytes.length, 0, address, address.length) !== -1) report.sent++;
  else {
    const name = errnoName(errno());
    report.refused[name] = (report.refused[name] ?? 0) + 1;
    if (errno() === constants.errno.EPERM) throw new Error('not allowed to send');
  }
}

/** A frame as a node may send it, or of noise, up to a payload of `largest` bytes. */
function frame(largest) {
  const payload = Buffer.alloc(
    pick([0, 1, 2, 6, 46, 576, 1446, 1460, 1461, 3000, 16_384, random(largest)]),
    random(256),
  );
  const ends = `${pick(['ffffffffffff', '01005e000001', '020000000002'])}020000000001`;
  const tags = pick([0, 0, 0, 1, 2, 3, 20]);
  const tag = () => pick(['8100', '88a8']) + hex(random(65_536), 2);
  const ethernet = (type) => Buffer.from(ends + Array.from({ length: tags }, tag).join('') + type, 'hex');
  const isTcp = random(2) === 0;
  const transport = isTcp
    ? Buffer.from(`${ports()}${hex(random(2 ** 32), 4)}${hex(random(2 ** 32), 4)}5018ffff00000000`, 'hex')
    : Buffer.from(`${ports()}${hex(8 + payload.length, 2)}0000`, 'hex');
  const length = transport.length + payload.length;
  const protocol = isTcp ? '06' : '11';
  switch (random(5)) {
    case 0:
    case 1: {
      const header = `4500${hex(20 + length, 2)}00000000ff${protocol}0000c6120001c6120002`;
      return Buffer.concat([ethernet('0800'), Buffer.from(header, 'hex'), transport, payload]);
    }
    case 2:
    case 3: {
      const [extensions, next] = pick([
        ['', protocol],
        [`${protocol}00000000000000`, '00'],
        ['2b00000000000000', '3c'],
      ]);
      const header = `60000000${hex(extensions.length / 2 + length, 2)}${next}ff`;
      const addresses = `fd${'00'.repeat(14)}01fd${'00'.repeat(14)}02${extensions}`;
      return Buffer.concat([ethernet('86dd'), Buffer.from(header + addresses, 'hex'), transport, payload]);
    }
    default:
      return Buffer.from(Array.from({ length: random(200) }, () => random(256)));
  }
}

function ports() {
  return hex(1024 + random(4), 2) + hex(9009, 2);
}

/** Cut short, made longer, or with other bytes in its headers. */
function damaged(bytes) {
  let frame = bytes;
  for (let times = random(4); times > 0; times--) {
    if (random(3) === 0) frame = frame.subarray(0, random(Math.min(frame.length, 120) + 1));
    else if (frame.length > 0)
      frame[random(Math.min(frame.length, 100))] = pick([0, 1, 4, 5, 0x0f, 0x45, 0x6f, 0x7f, 0xff]);
  }
  return frame;
}

/** Behind a header that says how to cut it, and is mostly wrong. */
function withVnetHeader(bytes) {
  let network = 14;
  while (/^(8100|88a8)$/.test(bytes.toString('hex', network - 2, network))) network += 4;
  const isIPv6 = bytes[network] === 0x60;
  const transport = network + (isIPv6 ? 40 : 20);
  const isTcp = bytes[network + (isIPv6 ? 6 : 9)] === 6;
  const fields = [1, isTcp ? (isIPv6 ? 4 : 1) : 5, 0, 1448, transport, isTcp ? 16 : 6];
  fields[2] = transport + (isTcp ? 20 : 8);
  const wrong = [0, 1, 2, 7, 13, 14, 33, 34, 36, 64, 255, 512, 1448, 32_767, 65_535];
  // A size of segments that is wrong is what kernels pass on.
  if (random(2) === 0) fields[3] = pick(wrong);
  else for (let times = random(3); times > 0; times--) fields[random(fields.length)] = pick(wrong);
  const header = Buffer.alloc(VNET_HEADER);
  header.writeUInt8(fields[0] & 0xff, 0);
  header.writeUInt8(fields[1] & 0xff, 1);
  for (let i = 2; i < fields.length; i++) header.writeUInt16LE(fields[i], 2 * (i - 1));
  return Buffer.concat([header, random(4) === 0 ? damaged(bytes) : bytes]);
}

function hex(value, bytes) {
  return (value % 2 ** (8 * bytes)).toString(16).padStart(2 * bytes, '0');
}

/** struct sockaddr_ll of packet(7). */
function linkAddress(name) {
  const request = new Uint8Array(40);
  request.set(Buffer.from(name).subarray(0, 15));
  check(ioctl(plain, SIOCGIFINDEX, request), 'ioctl SIOCGIFINDEX', name);
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, 0x0800);
  view.setInt32(4, new DataView(request.buffer).getInt32(16, true), true);
  return bytes;
}

/** A generator of numbers below `limit` (xorshift32). */
function generator(start) {
  let state = start | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}
