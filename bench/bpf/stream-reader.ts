/**
 * Reads an HTTP response from a unix socket and prints the bytes per second that came within `milliseconds`,
 * counted from WARM_UP_MS after the first one. Usage: node stream-reader.js SOCKET PATH MILLISECONDS
 */
import { request } from 'node:http';

/** Both ends compile what they run, and the pipeline fills. */
const WARM_UP_MS = 1_000;

const [socketPath, path, milliseconds] = process.argv.slice(2) as [string, string, string];

request({ socketPath, path }, (response) => {
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode}`);
  let bytes = 0;
  let isWarm = false;
  let beganMs = 0;
  response.on('data', (chunk: Buffer) => {
    const nowMs = performance.now();
    if (beganMs === 0) {
      beganMs = nowMs;
      return;
    }
    if (!isWarm) {
      if (nowMs - beganMs < WARM_UP_MS) return;
      isWarm = true;
      beganMs = nowMs;
      return;
    }
    bytes += chunk.length;
    if (nowMs - beganMs < Number(milliseconds)) return;
    process.stdout.write(String((bytes / (nowMs - beganMs)) * 1000));
    response.destroy();
  });
}).end();
