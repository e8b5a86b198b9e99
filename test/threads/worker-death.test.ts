/** A worker that dies in the middle of a delivery, with a bpf_if lock held: what becomes of the others and of the lab. */
import { execFile, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readCapture } from '../../src/capture/reader.ts';
import { distPath, ROOT } from '../helpers/dist.ts';
import {
  namespacesOf,
  noRealDevices,
  pairYaml,
  removeNamespaces,
  startLab,
  uniqueLabName,
} from '../helpers/real.ts';
import { exit } from '../helpers/traffic.ts';

distPath('src/daemon/emulator.js');

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const FAULT = path('../helpers/dying-worker.mjs');
const FATE = expect.stringMatching(/met its fate/);

describe('when a worker dies', () => {
  it('others take its locks over and go on, and what was captured can be read', async () => {
    const run = promisify(execFile)(
      process.execPath,
      ['--import', FAULT, path('./worker-death.mjs'), `${ROOT}/dist`],
      { timeout: 20_000 },
    );
    expect(JSON.parse((await run).stdout)).toEqual({
      failures: [FATE, 'data-plane worker 0 has ended'],
      workers: [false, true],
      received: ['two', 'three'],
      captured: [['one', 'two', 'three'], ['three']],
    });
  });

  it.skipIf(noRealDevices)(
    'its daemon completes the captures, says why, leaves nothing and exits 1',
    async () => {
      const name = uniqueLabName();
      onTestFinished(() => removeNamespaces(name));
      const capture = `descriptors:\n  - { interface: "a:eth0", write: all.pcapng }\n`;
      const env = { ...process.env, NODE_OPTIONS: `--import ${FAULT}` };
      const lab = await startLab(name, pairYaml(name, capture), ['--workers', '2'], env);
      onTestFinished(async () => void (await lab.stop()));
      let log = '';
      lab.daemon.stderr!.on('data', (chunk) => {
        log += chunk;
      });
      const ended = exit(lab.daemon);
      const send = `
      const { createSocket } = require('node:dgram');
      const socket = createSocket('udp4');
      const send = (text, then) => setTimeout(() => socket.send(text, 9, '198.18.0.2', then), 100);
      send('before', () => send('this frame is fatal', () => socket.close()));`;
      const sender = spawn('ip', ['netns', 'exec', lab.namespace('a'), process.execPath, '-e', send]);
      expect(await exit(sender)).toBe(0);
      expect(await ended).toBe(1);
      expect(log).toMatch(/"msg":"the lab cannot go on"/);
      expect(log).toMatch(/met its fate/);
      expect(await namespacesOf(name)).toEqual([]);
      const payloads: string[] = [];
      for await (const { bytes } of readCapture(createReadStream(join(lab.directory, 'all.pcapng')))) {
        payloads.push(Buffer.from(bytes.subarray(42)).toString());
      }
      expect(payloads).toContain('before');
    },
  );
});
