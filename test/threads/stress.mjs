/**
 * A worker of stress.test.ts: shows frames at full speed on every interface that it has been told of, and takes
 * commands between two frames, as src/engine/worker.ts does. Posts how many frames it has shown on interface 0.
 *
 * A frame says who shows it, its number at this worker, and for which incarnation of the interface (its MTU).
 */
import { parentPort, workerData } from 'node:worker_threads';

const { dist, handle, worker, words } = workerData;
const load = (file) => import(`${dist}/${file}`);
const { Arena, FIRST_WORKER } = await load('src/arena/arena.js');
const { bpfTap, bpfPeersPresent } = await load('src/bpf/bpf-if.js');
const { takeCommands } = await load('src/engine/mailbox.js');
const arena = Arena.open(handle);
const { i32 } = arena;

const BURST = 32;
const self = FIRST_WORKER + worker;
const frame = arena.frames + worker * arena.capacity.slotBytes;
const stamp = { seconds: 0, nanoseconds: 0 };
/** MTUs by interface index. */
const ports = new Map();
let shown = 0;

const show = (index, mtu, number) => {
  i32[frame / 4] = worker;
  i32[frame / 4 + 1] = number;
  i32[frame / 4 + 2] = mtu;
  bpfTap(arena, self, index, frame, 64, 1, stamp);
};

while (Atomics.load(i32, words.stop) === 0) {
  takeCommands(arena, worker, (command) => {
    if (command.do === 'port') ports.set(command.index, command.mtu);
    else if (command.do === 'remove-port') ports.delete(command.index);
  });
  // The reader that must lose nothing has so many frames to go before its buffers are full.
  const room = Atomics.load(i32, words.consumed) + words.window - shown;
  for (const [index, mtu] of ports) {
    for (let i = 0; i < BURST; i++) {
      if (index !== 0) {
        if (bpfPeersPresent(arena, index)) show(index, mtu, i);
      } else if (i < room) {
        show(0, mtu, shown++);
      }
    }
  }
}
parentPort.postMessage(shown);
