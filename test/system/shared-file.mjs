/** Has a data plane's device read a file that its other owner made blocking after it was handed over. */
import { fileURLToPath } from 'node:url';

const dist = (file) => fileURLToPath(new URL(`../../dist/src/${file}`, import.meta.url));
const { Arena } = await import(dist('arena/arena.js'));
const { FdDevice } = await import(dist('device/fd.js'));
const { acceptDevice } = await import(dist('device/received.js'));
const { createTap } = await import(dist('device/tap.js'));
const { F_SETFL, fcntl } = await import(dist('sys/libc.js'));

const counts = { workers: 1, interfaces: 1, directions: 1, descriptors: 1, superFramesPerWorker: 0 };
const arena = Arena.create({ ...counts, slotsPerWorker: 2, slotBytes: 1600, heapBytes: 4096 });
const fd = createTap(process.argv[2], 'tap');
acceptDevice(fd, 'a:eth0', 'tap');
const device = new FdDevice(arena, fd, false, true);
fcntl(fd, F_SETFL, 0);
process.stdout.write(`${device.read(arena.frames, 1500)}\n`);
