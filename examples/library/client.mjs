// The client under test: fetches a URL several times over, one request after the other, and tries again when an answer
// takes too long. It knows nothing of the lab. Usage: node client.mjs URL REQUESTS
import { createHash } from 'node:crypto';

const ATTEMPTS = 4;
/** How long one answer may take. */
const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 5_000);
const [url, requests] = process.argv.slice(2);

async function download(attempt = 1) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
    const body = Buffer.from(await response.arrayBuffer());
    return { attempt, sha256: createHash('sha256').update(body).digest('hex') };
  } catch (error) {
    console.error(`attempt ${attempt}: ${error.message}`);
    if (attempt === ATTEMPTS) process.exit(1);
    return download(attempt + 1);
  }
}

const results = [];
for (let i = 0; i < Number(requests); i++) results.push(await download());
console.log(JSON.stringify(results));
