/**
 * A lab of two workers one of which dies with a bpf_if lock held (run with --import dying-worker.mjs). Prints what
 * became of the rest as JSON. See worker-death.test.ts.
 */
import koffi from 'koffi';

const [dist] = process.argv.slice(2);
const load = (file) => import(`${dist}/${file}`);
const { Emulator } = await load('src/daemon/emulator.js');
const { frames } = await load('src/bpf/record.js');
const { addressOf, read, write } = await load('src/sys/libc.js');
const { CLEAR_LINK } = await load('src/link/settings.js');
const { Program } = await load('vm/index.js');

const socketpair = koffi.load(null).func('int socketpair(int, int, int, void *)');
/** Both ends of a SOCK_SEQPACKET, non-blocking. */
const pair = () => {
  const fds = new Int32Array(2);
  socketpair(1, 5 | 0o4000, 0, fds);
  return fds;
};
const frame = (text) => Buffer.concat([Buffer.alloc(12, 0xff), Buffer.from([0x88, 0xb5]), Buffer.from(text)]);
const send = (fd, text) => write(fd, addressOf(frame(text)), frame(text).length);
const received = [];
const receive = (fd) => {
  const buffer = new Uint8Array(2048);
  for (let n = read(fd, addressOf(buffer), 2048); n > 0; n = read(fd, addressOf(buffer), 2048)) {
    received.push(Buffer.from(buffer.subarray(14, n)).toString());
  }
};
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

const node = (name) => {
  const common = { addresses: [], mac: '02:00:00:00:00:01', mtu: 1500 };
  return {
    name,
    interfaces: [{ name: `${name}:eth0`, node: name, device: 'eth0', kind: 'tap', ...common }],
    routes: [],
  };
};
const lab = {
  name: 'dying',
  seed: 1,
  workers: 2,
  virtual: false,
  nodes: [node('a'), node('b')],
  links: [{ name: 'ab', endpoints: ['a:eth0', 'b:eth0'], forward: CLEAR_LINK, reverse: CLEAR_LINK }],
  descriptors: [],
};
const options = {
  filter: '',
  program: Program.from([]),
  direction: 'inout',
  immediate: true,
  readTimeoutMs: 0,
  bufferBytes: 65536,
  owner: { uid: 0, gid: 0, pid: 0 },
};

const failures = [];
const [a, b] = [pair(), pair()];
const ports = new Map([
  ['a:eth0', { fd: a[0], linkType: 1 }],
  ['b:eth0', { fd: b[0], linkType: 1 }],
]);
const emulator = await Emulator.start(lab, { ports, onFailure: (error) => failures.push(error.message) });
const before = await emulator.attach('a:eth0', options);
send(a[1], 'one');
await until(() => emulator.link('ab').forward.delivered.frames === 1);
send(a[1], 'this frame is fatal');
await until(() => failures.length > 0 && !emulator.workers()[0].alive);
// The other worker shows what it delivers to a:eth0: it must take the lock over.
send(b[1], 'two');
await until(() => {
  receive(a[1]);
  return received.length > 0;
});
const after = await emulator.attach('a:eth0', options);
send(b[1], 'three');
await until(() => {
  receive(a[1]);
  return received.length > 1;
});
await emulator.disconnect('b:eth0');
const workers = emulator.workers().map(({ alive }) => alive);
await emulator.stop();
const drain = async (descriptor) => {
  const texts = [];
  for (let batch = await descriptor.read(); batch; batch = await descriptor.read()) {
    for (const { bytes } of frames(batch)) texts.push(Buffer.from(bytes.subarray(14)).toString());
  }
  return texts;
};
const captured = [await drain(before), await drain(after)];
await emulator.close();
process.stdout.write(JSON.stringify({ failures, workers, received, captured }));
