/**
 * Fuzzing of the control socket, before a lab of memory devices in this process. From the third byte on the input is
 * what a client sends on one connection; `{id}` in it stands for a descriptor that is there, `{length}` for the number
 * of bytes behind the headers. The first byte says whether the client waits for answers or hangs up at once, the second
 * where the rest is cut in two.
 *
 * What must hold: each answer is a success or a problem document, never a 500; nothing is logged as an error, nothing
 * thrown that nobody catches; after each input the lab carries frames, and its connection has ended; at the end no
 * descriptor is in use, no memory of theirs, and no file.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as eventLoopTurn, setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { CONTROL_OWNER } from '../../dist/src/bpf/types.js';
import { Captures } from '../../dist/src/capture/captures.js';
import { createControlServer } from '../../dist/src/control/server.js';
import { BpfError, MAX_BUFFER_BYTES, MIN_BUFFER_BYTES } from '../../dist/src/daemon/contract.js';
import { Emulator } from '../../dist/src/daemon/emulator.js';
import { parseLab } from '../../dist/src/lab/parse.js';
import { CLEAR_LINK } from '../../dist/src/link/settings.js';
import { createMetrics } from '../../dist/src/metrics/metrics.js';
import { Program } from '../../dist/vm/index.js';
import { seeds, words } from './control-requests.mjs';
import { checkAnswers } from './http-answers.mjs';

export { seeds, words };

const LAB = `name: fuzz
seed: 1
device: memory
nodes: { a: { interfaces: { eth0: } }, b: { interfaces: { eth0: } }, c: { interfaces: { eth0: } } }
switches: { s: { ports: [ { interface: "c:eth0" }, { name: up, trunk: [10] } ] } }
links: [ { name: ab, endpoints: ["a:eth0", "b:eth0"] } ]
`;
/** The last request of each connection: the answers are complete when the server has closed it. */
const LAST = 'GET /v1/lab HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
/** A connection on which nothing comes for as long waits for something that does not come. */
const QUIET_MS = 15;
const PATIENCE_MS = 5000;

let lab;
/** What nobody expected to happen, since the last input. */
const surprises = [];
const surprised = (error) => surprises.push(error);

export async function open() {
  const directory = mkdtempSync(join(tmpdir(), 'taplab-fuzz-'));
  const path = join(directory, 'control.sock');
  const emulator = await Emulator.start(parseLab(LAB, { file: 'lab.yaml', baseDirectory: directory }));
  const captures = new Captures('taplab fuzz');
  const logger = pino({ level: 'error' }, { write: (line) => surprised(new Error(line)) });
  const metrics = createMetrics(emulator);
  const server = createControlServer({ emulator, captures, metrics, logger, onShutdown: () => {} });
  await server.listen(path);
  lab = { directory, path, emulator, server };
  process.on('uncaughtException', surprised).on('unhandledRejection', surprised);
  // What is made at first use is there from now on.
  await fuzz(seeds()[0]);
  lab.room = await room();
  lab.files = openFiles().length;
}

/** @param {Buffer} input */
export async function fuzz(input) {
  const [how = 0, cut = 0] = input;
  const descriptor = await attach(MIN_BUFFER_BYTES);
  await send(3);
  const bytes = Buffer.concat([fillIn(input.subarray(2), descriptor.id), Buffer.from(LAST)]);
  const at = Math.floor((bytes.length * cut) / 255);
  checkAnswers(await exchange([bytes.subarray(0, at), bytes.subarray(at)], (how & 1) !== 0));
  await putBack();
  const arrived = await send(1);
  assert.equal(arrived, 1, 'the lab carries no frames any more');
  if (surprises.length > 0) throw surprises.splice(0)[0];
}

export async function close() {
  assert.deepEqual(await room(), lab.room, 'room for descriptors has been lost');
  await until(
    () => openFiles().length <= lab.files,
    () => `open files: ${openFiles().join(', ')}`,
  );
  await lab.server.close();
  await lab.emulator.close();
  rmSync(lab.directory, { recursive: true });
  process.off('uncaughtException', surprised).off('unhandledRejection', surprised);
  if (surprises.length > 0) throw surprises[0];
}

function fillIn(request, id) {
  const text = request.toString('latin1').replaceAll('{id}', `${id}`);
  const body = text.indexOf('\r\n\r\n');
  const length = body === -1 ? 0 : text.length - body - 4;
  return Buffer.from(text.replaceAll('{length}', `${length}`), 'latin1');
}

/** Sends pieces on a connection of their own; resolves, when it has ended, with all that came back. */
function exchange(pieces, hangsUp) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    const socket = connect(lab.path);
    const timer = setTimeout(() => socket.destroy(), QUIET_MS);
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      timer.refresh();
    });
    // The server may have closed it, having read enough.
    socket.on('error', ({ code, message }) => {
      if (code !== 'EPIPE' && code !== 'ECONNRESET') reject(new Error(message));
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    socket.on('connect', async () => {
      for (const piece of pieces) {
        if (!socket.writable) return;
        socket.write(piece);
        await eventLoopTurn();
      }
      if (hangsUp) socket.destroy();
    });
  });
}

/** Closes all descriptors and clears the link, once no request is being handled any more. */
async function putBack() {
  const { emulator } = lab;
  const closed = async () => {
    await Promise.all(emulator.descriptors().map((each) => each.close()));
    await emulator.setLinks([{ name: 'ab', forward: CLEAR_LINK, reverse: CLEAR_LINK }]);
    await eventLoopTurn();
    return emulator.descriptors().length === 0;
  };
  await until(closed, () => 'descriptors are opened again and again');
}

/** How many of so many frames arrive at the other end of the link. */
async function send(count) {
  const { emulator } = lab;
  let arrived = 0;
  emulator.memoryDevice('b:eth0').onFrame = () => arrived++;
  for (let i = 0; i < count; i++) emulator.memoryDevice('a:eth0').send(new Uint8Array(60).fill(i + 1));
  await emulator.run();
  return arrived;
}

function attach(bufferBytes) {
  return lab.emulator.attach('a:eth0', {
    filter: '',
    program: Program.from([]),
    direction: 'inout',
    immediate: true,
    readTimeoutMs: 10,
    bufferBytes,
    owner: CONTROL_OWNER,
  });
}

/** How many descriptors there is room for, with the smallest buffers and with the largest. */
async function room() {
  const counts = [];
  for (const bufferBytes of [MIN_BUFFER_BYTES, MAX_BUFFER_BYTES]) {
    const attached = [];
    try {
      for (;;) attached.push(await attach(bufferBytes));
    } catch (error) {
      if (!(error instanceof BpfError && error.code === 'ENOBUFS')) throw error;
    }
    counts.push(attached.length);
    for (const each of attached.reverse()) await each.close();
  }
  return counts;
}

/** Files and sockets of this process, but not what its threads wait with. */
function openFiles() {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^(socket:|\/(?!proc))/.test(target) ? [target] : [];
    } catch {
      return [];
    }
  });
}

async function until(condition, what) {
  for (const start = performance.now(); !(await condition()); await sleep(1)) {
    assert.ok(performance.now() - start < PATIENCE_MS, what());
  }
}
