// A real client and a real server over a bad link, as tests: `npm run example`, or `node --test examples/library/bad-link.test.mjs`
// once the project is built. The two programs run unchanged, each in a network namespace of its own.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { elapsedMs, Lab } from 'taplab';

const WAN = `
name: bad-link
nodes:
  client: { interfaces: { eth0: { ip: 198.18.70.1/24 } } }
  server: { interfaces: { eth0: { ip: 198.18.70.2/24 } } }
links:
  - { name: wan, endpoints: ["client:eth0", "server:eth0"], impair: delay 5ms }
`;
const SHA256 = createHash('sha256').update(Buffer.alloc(100_000, 'taplab ')).digest('hex');
const script = (name) => fileURLToPath(new URL(name, import.meta.url));
const { reason } = await Lab.requirements();

describe('the client and the server', { skip: reason, timeout: 60_000 }, () => {
  let lab;

  before(async () => {
    lab = await Lab.up(WAN);
    const server = await lab.node('server').spawn(process.execPath, [script('server.mjs')]);
    await server.waitForOutput('listening');
  });
  after(() => lab?.close());

  const command = (count) => [process.execPath, [script('client.mjs'), 'http://198.18.70.2/', String(count)]];
  const fetchTimes = (count, options) => lab.node('client').exec(...command(count), options);
  const impatient = { env: { PATIENCE_MS: '400' } };

  test('keep connections open: at most two for ten requests', async () => {
    const opened = await lab
      .interface('client:eth0')
      .attach('tcp dst port 80 and tcp[tcpflags] & tcp-syn != 0');
    const { status, stderr } = await fetchTimes(10);
    assert.equal(status, 0, stderr);
    assert.ok(opened.count >= 1 && opened.count <= 2, `${opened.count} connections were opened`);
  });

  test('shake hands in one round trip of the link', async () => {
    await lab.link('wan').set('delay 30ms');
    const handshake = await lab
      .interface('client:eth0')
      .attach('tcp port 80 and tcp[tcpflags] & tcp-syn != 0');
    await fetchTimes(1);
    const [syn, synAck] = await handshake.take(2);
    assert.ok(elapsedMs(syn, synAck) >= 60, `${elapsedMs(syn, synAck)} ms`);
  });

  test('lose nothing where one frame in twenty is lost', async () => {
    await lab.link('wan').set('delay 2ms loss 5%');
    const { status, stdout, stderr } = await fetchTimes(3);
    assert.equal(status, 0, stderr);
    assert.deepEqual(
      JSON.parse(stdout).map(({ sha256 }) => sha256),
      [SHA256, SHA256, SHA256],
    );
    const { forward, reverse } = lab.link('wan').status();
    assert.ok(forward.drops.loss + reverse.drops.loss > 0, 'the link has lost frames');
  });

  test('survive an outage: the client tries again, and is served when the link is back', async () => {
    await lab.link('wan').set('loss 100%');
    const client = await lab.node('client').spawn(...command(1), impatient);
    await client.waitForOutput('attempt 1');
    await lab.link('wan').set('clear');
    const { status, stdout, stderr } = await client.exited;
    assert.equal(status, 0, stderr);
    assert.ok(JSON.parse(stdout)[0].attempt > 1);
  });

  test('end with status 1 and a message when the link stays dead', async () => {
    await lab.link('wan').set('loss 100%', 'reverse');
    const { status, stderr } = await fetchTimes(1, impatient);
    assert.equal(status, 1);
    assert.match(stderr, /attempt 4/);
  });
});
