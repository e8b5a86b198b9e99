import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Problem } from '../../src/control/problem.ts';
import type { DescriptorResource, LabResource, LinkChanged } from '../../src/control/schemas/resources.ts';
import { BpfError, type InterfaceStatus } from '../../src/daemon/contract.ts';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
});

afterEach(() => fixture.close());

const ARP = { filter: '@arp' };
const ACCEPT = [{ code: 6, jt: 0, jf: 0, k: 96 }];
const attach = '/v1/interfaces/client:eth0/descriptors';

describe('interfaces', () => {
  test('are listed with their counters', async () => {
    fixture.emulator.interfaceState[0]!.receive = { frames: 3, bytes: 180 };
    const { status, json } = await fixture.send<{ interfaces: InterfaceStatus[] }>('GET', '/v1/interfaces');
    expect(status).toBe(200);
    expect(json.interfaces.map((each) => each.name)).toEqual(['client:eth0', 'server:eth0', 'server:tun0']);
    expect(json.interfaces[0]?.receive).toEqual({ frames: 3, bytes: 180 });
  });

  test('are found by name, percent-encoded or not', async () => {
    for (const path of ['/v1/interfaces/client:eth0', '/v1/interfaces/client%3Aeth0']) {
      expect((await fixture.send<InterfaceStatus>('GET', path)).json.name).toBe('client:eth0');
    }
  });
});

describe('attaching', () => {
  test('answers 201 with the descriptor and its location, with defaults filled in', async () => {
    const { status, headers, json } = await fixture.send('POST', attach, ARP);
    expect(status).toBe(201);
    expect(headers.location).toBe('/v1/descriptors/1');
    expect(json).toMatchObject({
      id: 1,
      interface: 'client:eth0',
      linkType: 1,
      filter: '@arp',
      direction: 'inout',
      immediate: false,
      readTimeoutMs: 100,
      bufferBytes: 524_288,
      ephemeral: false,
      owner: { uid: 0, gid: 0, pid: 1 },
      readers: [],
    });
  });

  test('takes an empty body object as a descriptor that accepts everything', async () => {
    const { json } = await fixture.send('POST', attach, {});
    expect(json).toMatchObject({ filter: '', instructions: 1 });
    expect(fixture.emulator.descriptor(1)?.program.instructions).toEqual([
      { code: 6, jt: 0, jf: 0, k: 262_144 },
    ]);
  });

  const programs: [string, unknown][] = [
    ['instructions', ACCEPT],
    ['-ddd text', '1\n6 0 0 96\n'],
    ['-dd text', '{ 0x6, 0, 0, 0x00000060 },'],
    ['a listing', '(000) ret      #96'],
    ['bpf_asm source', 'ret #96'],
  ];
  test.each(programs)('takes a program as %s', async (_form, program) => {
    const { status } = await fixture.send('POST', attach, { program });
    expect(status).toBe(201);
    expect(fixture.emulator.descriptor(1)?.program.instructions).toEqual(ACCEPT);
  });

  test('takes program text as filter as well', async () => {
    const { json } = await fixture.send('POST', attach, { filter: 'ldh [12]\nret #96' });
    expect(json).toMatchObject({ filter: 'program of 2 instructions', instructions: 2 });
  });
});

describe('descriptors', () => {
  beforeEach(async () => {
    await fixture.send('POST', attach, ARP);
  });

  test('are listed and found by id', async () => {
    expect((await fixture.send('GET', '/v1/descriptors')).json).toMatchObject({ descriptors: [{ id: 1 }] });
    expect((await fixture.send('GET', '/v1/descriptors/1')).json).toMatchObject({ id: 1 });
  });

  test('change what a PATCH names and nothing else', async () => {
    const body = { program: ACCEPT, keepBuffers: true, direction: 'in', immediate: true, readTimeoutMs: 0 };
    const { status, json } = await fixture.send('PATCH', '/v1/descriptors/1', body);
    expect(status).toBe(200);
    expect(json).toMatchObject({ direction: 'in', immediate: true, readTimeoutMs: 0, instructions: 1 });
    expect(fixture.emulator.descriptor(1)?.calls).toEqual([
      'setFilter program of 1 instruction true',
      'setDirection in',
      'setImmediate true',
      'setReadTimeout 0',
    ]);
    await fixture.send('PATCH', '/v1/descriptors/1', { immediate: false });
    expect(fixture.emulator.descriptor(1)?.calls.slice(4)).toEqual(['setImmediate false']);
  });

  test('take every setting of bpf(4), when attaching and later', async () => {
    const settings = {
      direction: 'all',
      promiscuous: false,
      headerComplete: false,
      feedback: true,
      timestamp: 'nanotime',
      linkType: 1,
      writeFilter: '@arp',
    };
    expect((await fixture.send('POST', attach, settings)).json).toMatchObject(settings);
    const { status, json } = await fixture.send('PATCH', '/v1/descriptors/1', settings);
    expect([status, json]).toEqual([200, expect.objectContaining(settings)]);
    const none = await fixture.send('PATCH', '/v1/descriptors/1', { writeFilter: null });
    expect(none.json).toMatchObject({ writeFilter: null });
  });

  test.each([
    [{ writeFilter: 'nonsense at all' }, 400, /nonsense/],
    [{ linkType: 999 }, 400, /999/],
    [{ timestamp: 'picotime' }, 400, /nanotime/],
    [{ direction: 'sideways' }, 400, /drop/],
  ])('refuse %j', async (body, expected, says) => {
    const { status, json } = await fixture.send<Problem>('PATCH', '/v1/descriptors/1', body);
    expect([status, json.detail]).toEqual([expected, expect.stringMatching(says)]);
  });

  test('once locked refuse what BIOCLOCK refuses, and change nothing of the rest then', async () => {
    const { json } = await fixture.send('POST', '/v1/descriptors/1/lock');
    expect(json).toMatchObject({ locked: true });
    for (const forbidden of [
      { filter: '@arp' },
      { writeFilter: null },
      { direction: 'in' },
      { promiscuous: false },
      { headerComplete: false },
      { linkType: 1 },
    ]) {
      const answer = await fixture.send('PATCH', '/v1/descriptors/1', { ...forbidden, immediate: true });
      expect(answer.json, JSON.stringify(forbidden)).toMatchObject({ status: 403, code: 'EPERM' });
    }
    expect(fixture.emulator.descriptor(1)?.state.immediate).toBe(false);
    const allowed = { immediate: true, readTimeoutMs: 5, feedback: true, timestamp: 'none' };
    expect((await fixture.send('PATCH', '/v1/descriptors/1', allowed)).json).toMatchObject(allowed);
    for (const [method, path] of [
      ['POST', '/flush'],
      ['DELETE', ''],
    ] as const) {
      expect((await fixture.send(method, `/v1/descriptors/1${path}`)).status).toBe(200);
    }
  });

  test('are read without waiting, or as long as told; 204 when there was nothing', async () => {
    const descriptor = fixture.emulator.descriptor(1)!;
    const read = '/v1/descriptors/1/read';
    expect((await fixture.send('GET', read)).status).toBe(204);
    expect((await fixture.send('GET', `${read}?timeout=20`)).status).toBe(204);
    const waiting = fixture.send('GET', `${read}?timeout=5000&format=json`);
    await new Promise((resolve) => setTimeout(resolve, 30));
    descriptor.capture(Buffer.alloc(60, 0xab));
    const { status, headers, text } = await waiting;
    expect([status, headers['content-type']]).toEqual([200, 'application/x-ndjson']);
    expect(JSON.parse(text)).toMatchObject({ interface: 'client:eth0', length: 60 });
    descriptor.capture(Buffer.alloc(60));
    expect((await fixture.send('GET', read)).headers['content-type']).toBe('application/octet-stream');
    descriptor.state.attached = false;
    expect((await fixture.send('GET', read)).json).toMatchObject({ status: 410, code: 'ENXIO' });
  });

  test('are not changed at all when one part of a PATCH is wrong', async () => {
    const { status } = await fixture.send('PATCH', '/v1/descriptors/1', {
      filter: '@nonsense',
      direction: 'in',
    });
    expect(status).toBe(400);
    expect(fixture.emulator.descriptor(1)?.calls).toEqual([]);
  });

  test('are flushed', async () => {
    fixture.emulator.descriptor(1)?.capture(Buffer.alloc(60));
    const { json } = await fixture.send<DescriptorResource>('POST', '/v1/descriptors/1/flush');
    expect(json.received).toBe(0);
  });

  test('are closed by DELETE, which answers with the last counters', async () => {
    fixture.emulator.descriptor(1)?.capture(Buffer.alloc(60));
    const { status, json } = await fixture.send('DELETE', '/v1/descriptors/1');
    expect(status).toBe(200);
    expect(json).toMatchObject({ received: 1, accepted: 1 });
    expect((await fixture.send('GET', '/v1/descriptors/1')).status).toBe(404);
  });

  test('send frames given in base64', async () => {
    const frames = [Buffer.alloc(60, 1), Buffer.alloc(60, 2)];
    const body = { frames: frames.map((frame) => frame.toString('base64')) };
    const { status, json } = await fixture.send('POST', '/v1/descriptors/1/frames', body);
    expect([status, json]).toEqual([200, { written: 2 }]);
    expect(fixture.emulator.descriptor(1)?.sent.map((frame) => frame[0])).toEqual([1, 2]);
  });

  test('send one frame given as bytes', async () => {
    const type = { 'content-type': 'application/octet-stream' };
    const frame = Buffer.from('000102030405', 'hex');
    const { json } = await fixture.send('POST', '/v1/descriptors/1/frames', frame, type);
    expect(json).toEqual({ written: 1 });
    expect(Buffer.from(fixture.emulator.descriptor(1)!.sent[0]!)).toEqual(frame);
  });

  test('say which frame could not be sent', async () => {
    const body = { frames: [Buffer.alloc(60), Buffer.alloc(2000)].map((frame) => frame.toString('base64')) };
    const { status, json } = await fixture.send('POST', '/v1/descriptors/1/frames', body);
    expect(status).toBe(413);
    expect(json).toMatchObject({ code: 'EMSGSIZE', errors: [{ pointer: '#/frames/1' }] });
    expect(fixture.emulator.descriptor(1)?.sent).toHaveLength(1);
  });
});

describe('links', () => {
  test('are listed and found by name', async () => {
    expect((await fixture.send('GET', '/v1/links')).json).toMatchObject({ links: [{ name: 'wan' }] });
    const endpoints = ['client:eth0', 'server:eth0'];
    expect((await fixture.send('GET', '/v1/links/wan')).json).toMatchObject({ endpoints });
  });

  test('change by text or map, for both directions or one, and show before and after', async () => {
    const body = { impair: 'delay 20ms loss 1%', reverse: { delay: '5ms' } };
    const { status, json } = await fixture.send<LinkChanged>('PATCH', '/v1/links/wan', body);
    expect(status).toBe(200);
    expect(json.before.forward.settings.delayNs).toBe(0);
    expect(json.after.forward.settings).toMatchObject({ delayNs: 20_000_000, loss: 0.01 });
    expect(json.after.reverse.settings).toMatchObject({ delayNs: 5_000_000, loss: 0.01 });
  });

  test('are not changed by an impairment that cannot be read', async () => {
    const { status, json } = await fixture.send<Problem>('PATCH', '/v1/links/wan', {
      impair: { dealy: '1ms' },
      forward: 'loss 200%',
    });
    expect(status).toBe(400);
    expect(json.errors?.map((each) => each.pointer)).toEqual(['#/impair/dealy', '#/forward']);
    expect(json.detail).toContain('did you mean "delay"');
    expect(fixture.emulator.link('wan')?.forward.settings.delayNs).toBe(0);
  });

  test('change several at once, and say which cannot be', async () => {
    const links = { wan: { forward: 'delay 1ms' } };
    const { json } = await fixture.send<{ links: LinkChanged[] }>('PATCH', '/v1/links', { links });
    expect(json.links.map(({ after }) => [after.name, after.forward.settings.delayNs])).toEqual([
      ['wan', 1e6],
    ]);
    const wrong = { links: { wan: { reverse: { loss: '200%' } } } };
    const refused = await fixture.send<Problem>('PATCH', '/v1/links', wrong);
    expect(refused.json.errors?.map((each) => each.pointer)).toEqual(['#/links/wan/reverse/loss']);
    const unknown = await fixture.send<Problem>('PATCH', '/v1/links', {
      links: { ...links, van: links.wan },
    });
    expect([unknown.status, unknown.json.detail]).toEqual([404, expect.stringContaining('"van"')]);
    expect((await fixture.send('PATCH', '/v1/links', { links: {} })).status).toBe(400);
  });
});

test('workers say how busy and how late they are', async () => {
  const { status, json } = await fixture.send('GET', '/v1/workers');
  expect(status).toBe(200);
  expect(json).toMatchObject({ workers: [{ index: 0, alive: true, busyNs: 0, slots: 16 }] });
});

describe('the lab', () => {
  test('is described with its nodes and their namespaces', async () => {
    const { json } = await fixture.send<LabResource>('GET', '/v1/lab');
    expect(json).toMatchObject({ name: 'fake', pid: process.pid, virtual: false });
    expect(json.uptimeSeconds).toBeGreaterThanOrEqual(0);
    expect(json.residentBytes).toBeGreaterThan(2 ** 20);
    expect(json.nodes[1]).toEqual({
      name: 'server',
      namespace: 'taplab-fake-server',
      join: false,
      interfaces: ['server:eth0', 'server:tun0'],
    });
  });

  test('is taken down by DELETE, once the answer is out', async () => {
    const { status, json } = await fixture.send('DELETE', '/v1/lab');
    expect([status, json]).toEqual([202, { pid: process.pid }]);
    await expect.poll(() => fixture.shutdowns()).toBe(1);
  });
});

describe('descriptions', () => {
  test('metrics are those of the emulator', async () => {
    fixture.emulator.interfaceState[0]!.receive = { frames: 3, bytes: 180 };
    const { headers, text } = await fixture.send('GET', '/metrics');
    expect(headers['content-type']).toMatch(/^text\/plain; version=/);
    expect(text).toContain('taplab_interface_receive_frames_total{interface="client:eth0"} 3\n');
  });

  test('OpenAPI names every operation once, with a summary and answers for errors', async () => {
    type Operation = { operationId: string; summary?: string; responses: Record<string, unknown> };
    type Document = {
      paths: Record<string, Record<string, Operation>>;
      components: { schemas: Record<string, unknown> };
    };
    const { json } = await fixture.send<Document>('GET', '/openapi.json');
    const operations = Object.values(json.paths).flatMap((path) => Object.values(path));
    const ids = operations.map((operation) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.sort()).toEqual([
      'attach',
      'changeDescriptor',
      'changeLink',
      'changeLinks',
      'detach',
      'flush',
      'getDescriptor',
      'getInterface',
      'getLab',
      'getLink',
      'getMetrics',
      'getNode',
      'getSwitch',
      'listDescriptors',
      'listInterfaces',
      'listLinks',
      'listSwitchAddresses',
      'listSwitches',
      'listWorkers',
      'lock',
      'read',
      'reload',
      'shutDown',
      'stream',
      'streamMerged',
      'writeFrames',
    ]);
    for (const operation of operations) expect(operation.summary, operation.operationId).toBeTruthy();
    expect(json.paths['/v1/links/{name}']?.get?.responses).toHaveProperty('4XX');
    expect(json.components.schemas).toHaveProperty('Descriptor');
  });
});

describe('what the emulator refuses', () => {
  const cases: [BpfError['code'], number][] = [
    ['ENXIO', 404],
    ['EINVAL', 400],
    ['ENOBUFS', 507],
    ['EMSGSIZE', 413],
    ['EPERM', 403],
    ['ENETDOWN', 409],
    ['EIO', 502],
    ['EWOULDBLOCK', 409],
  ];
  test.each(cases)('%s while attaching is %i', async (code, expected) => {
    fixture.emulator.failure = new BpfError(code, 'because');
    const { status, json } = await fixture.send('POST', attach, ARP);
    expect(status).toBe(expected);
    expect(json).toMatchObject({ status: expected, code, detail: 'because' });
  });

  test('ENXIO on a descriptor that exists means that its interface is gone', async () => {
    await fixture.send('POST', attach, ARP);
    fixture.emulator.descriptor(1)!.failure = new BpfError('ENXIO', 'gone');
    expect((await fixture.send('POST', '/v1/descriptors/1/flush')).status).toBe(410);
  });

  test('anything unexpected is a 500 that tells nothing of the inside, and is logged', async () => {
    fixture.emulator.failure = new Error('secret');
    const { status, text } = await fixture.send('POST', attach, ARP);
    expect(status).toBe(500);
    expect(text).not.toContain('secret');
    expect(JSON.stringify(fixture.log)).toContain('secret');
  });
});
