/**
 * Runs in a container like a node's: tries to join with files that are no device of the node, and prints what the
 * emulator answers to each, a line of JSON.
 */
import { openSync } from 'node:fs';
import { createServer } from 'node:net';

const [node, ...kinds] = process.argv.slice(2);
const { handOver } = await import('/opt/taplab/dist/src/join/membership.js');
const { createTap } = await import('/opt/taplab/dist/src/device/tap.js');

const server = createServer().listen(0, '127.0.0.1');
const files = {
  file: () => openSync('/etc/hostname', 'r'),
  socket: () => server._handle.fd,
  tun: () => createTap('tun7', 'tun'),
  null: () => openSync('/dev/null', 'r+'),
};
for (const kind of kinds) {
  let answer;
  try {
    const membership = await handOver(
      '/run/taplab/control.join.sock',
      node,
      new Map([['eth0', files[kind]()]]),
    );
    await membership.leave();
    answer = 'joined';
  } catch (error) {
    answer = error.message;
  }
  process.stdout.write(`${JSON.stringify({ kind, answer })}\n`);
}
server.close();
