/** What the emulator's side of `taplab join` does with everything that is not a node that joins as it should. */
import { mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Access } from '../../src/control/access.ts';
import { listenOnSocket } from '../../src/control/listen.ts';
import { createTap } from '../../src/device/tap.ts';
import { Handover, type JoinedLab } from '../../src/join/handover.ts';
import { handOver } from '../../src/join/membership.ts';
import { MAX_LINE_BYTES, PROTOCOL } from '../../src/join/protocol.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { MAX_FDS, send } from '../../src/sys/ancillary.ts';
import { check, close, ioctl, O_NONBLOCK, O_RDWR, open } from '../../src/sys/libc.ts';
import { fdOf } from '../../src/sys/socket-fd.ts';
import { isMissing } from '../helpers/requirements.ts';

const LAB = parseLab(
  `name: bad
nodes:
  a: { join: true, interfaces: { eth0: } }
  two: { join: true, interfaces: { eth0: , eth1: } }
  layer3: { join: true, interfaces: { tun0: { device: tun } } }
  made: { interfaces: { eth0: } }`,
  { file: 'f', baseDirectory: '/' },
);

const HELLO = { protocol: PROTOCOL, version: '0', node: 'a', interfaces: ['eth0'] };
const TUNSETIFF = 0x400454ca;
const TUNSETVNETHDRSZ = 0x400454d8;
const [IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE] = [0x1, 0x2, 0x1000, 0x4000, 0x100];

/** The open files of this process. */
const openFiles = (): number => readdirSync('/proc/self/fd').length;

describe.skipIf(isMissing('tun', 'namespaces'))('a handover', { timeout: 20_000 }, () => {
  let directory: string;
  let path: string;
  let handover: Handover;
  let calls: string[];
  let filesBefore: number;
  let failure: Error | undefined;
  const opened: number[] = [];
  const sockets: Socket[] = [];
  const servers: Server[] = [];

  const tap = (kind: 'tap' | 'tun' = 'tap'): number => {
    const fd = createTap(`tlbad${process.pid % 1e6}x${opened.length}`, kind);
    opened.push(fd);
    return fd;
  };
  /** A device with flags that taplab does not use. */
  const tapWith = (flags: number): number => {
    const fd = check(open('/dev/net/tun', O_RDWR | O_NONBLOCK), 'open', 'tun');
    const request = new Uint8Array(40);
    new TextEncoder().encodeInto(`tlbad${process.pid % 1e6}y${opened.length}`, request);
    new Uint16Array(request.buffer, 16, 1)[0] = flags;
    check(ioctl(fd, TUNSETIFF, request), 'ioctl', 'TUNSETIFF');
    opened.push(fd);
    return fd;
  };
  const withHeaders = (bytes: number): number => {
    const fd = tapWith(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    check(ioctl(fd, TUNSETVNETHDRSZ, Int32Array.of(bytes)), 'ioctl', 'TUNSETVNETHDRSZ');
    return fd;
  };
  const file = (name: string, flags = 'r'): number => {
    const fd = openSync(name, flags);
    opened.push(fd);
    return fd;
  };

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'h-'));
    path = join(directory, 'j.sock');
    calls = [];
    failure = undefined;
    const emulator: JoinedLab = {
      lab: LAB,
      connect: async (name) => {
        if (failure !== undefined) throw failure;
        calls.push(`connect ${name}`);
      },
      disconnect: async (name) => {
        calls.push(`disconnect ${name}`);
      },
    };
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    handover = new Handover({ emulator, access: new Access(), log, helloTimeoutMs: 300 });
    await listenOnSocket(handover.server, path);
    filesBefore = openFiles();
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
    for (const fd of opened.splice(0)) close(fd);
    await handover.close();
    rmSync(directory, { recursive: true });
  });

  function connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path, () => resolve(socket)).on('error', reject);
      sockets.push(socket);
    });
  }

  /** All that the emulator says until it ends the connection. */
  async function answerTo(socket: Socket): Promise<string> {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    await new Promise((resolve) => socket.on('close', resolve));
    return text;
  }

  /** Hands files over with a Hello; the refusal. */
  async function refusal(fds: readonly number[], hello: object = HELLO): Promise<string> {
    const socket = await connect();
    send(fdOf(socket)!, Buffer.from(`${JSON.stringify(hello)}\n`), fds);
    return answerTo(socket);
  }

  /** A node joins as it should, and leaves: the emulator is unharmed, and has kept no file. */
  async function expectUnharmed(): Promise<void> {
    calls.length = 0;
    const good = await handOver(path, 'a', new Map([['eth0', tap()]]));
    expect(await good.leave()).toBe(true);
    expect(calls).toEqual(['connect a:eth0', 'disconnect a:eth0']);
    for (const fd of opened.splice(0)) close(fd);
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
    await expect.poll(openFiles).toBe(filesBefore);
  }

  const wrong: [what: string, fds: () => readonly number[], says: RegExp][] = [
    ['a file', () => [file('/etc/hostname')], /a:eth0 is a tap device, .* is the file \/etc\/hostname/],
    ['a folder', () => [file('/')], /is the file \//],
    ['another character device', () => [file('/dev/null')], /is the file \/dev\/null/],
    ['a socket', () => [fdOf(servers[0]!)!], /is a socket/],
    ['a TUN where TAP is meant', () => [tap('tun')], /is a tun device/],
    ['/dev/net/tun without a device', () => [file('/dev/net/tun', 'r+')], /is attached to no device/],
    ['a TAP with packet information', () => [tapWith(IFF_TAP)], /IFF_NO_PI/],
    ['a TAP with larger offload headers', () => [withHeaders(12)], /puts 12 bytes .* TUNSETVNETHDRSZ to 10/],
    ['a TAP with all headers there are', () => [tapWith(IFF_TAP | IFF_VNET_HDR)], /IFF_NO_PI/],
    ['a TUN with packet information', () => [tapWith(IFF_TUN)], /is a tun device/],
    ['one queue of several', () => [tapWith(IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE)], /IFF_MULTI_QUEUE/],
    ['nothing', () => [], /no open file was handed over for 1 interfaces/],
    ['two where there is one', () => [tap(), tap()], /2 open files were handed over for 1 interfaces/],
    ['as many as a message holds', () => Array(MAX_FDS).fill(tap()), /253 open files were handed over/],
  ];
  test.each(wrong)('of %s is refused, says what it is, and keeps nothing open', async (_, fds, says) => {
    servers.push(await listening());
    filesBefore = openFiles() - 1;
    expect(await refusal(fds())).toMatch(says);
    expect(calls).toEqual([]);
    await expectUnharmed();
  });

  async function listening(): Promise<Server> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(directory, 'other.sock'), resolve));
    return server;
  }

  test.each<[what: string, hello: object, says: RegExp]>([
    ['an unknown node', { ...HELLO, node: 'b' }, /lab bad has no node/],
    ['a node that the emulator makes', { ...HELLO, node: 'made' }, /made by the emulator/],
    ['another interface', { ...HELLO, interfaces: ['eth9'] }, /has the interfaces eth0, and eth9/],
    ['another protocol', { ...HELLO, protocol: 99 }, /protocol 99.*use the same version/],
    ['a hello without a node', { ...HELLO, node: undefined }, /node: /],
    ['a prototype', { ...HELLO, node: '__proto__' }, /has no node/],
  ])('for %s is refused', async (_, hello, says) => {
    expect(await refusal([tap()], hello)).toMatch(says);
    await expectUnharmed();
  });

  test('of a TUN with packet information where TUN is meant is refused', async () => {
    const hello = { ...HELLO, node: 'layer3', interfaces: ['tun0'] };
    expect(await refusal([tapWith(IFF_TUN)], hello)).toMatch(/layer3:tun0 is a tun device.*IFF_NO_PI/);
    const good = await handOver(path, 'layer3', new Map([['tun0', tap('tun')]]));
    expect(await good.leave()).toBe(true);
    await expectUnharmed();
  });

  test('of one device twice for two interfaces of a node is one of its interfaces twice', async () => {
    const hello = { ...HELLO, node: 'two', interfaces: ['eth0', 'eth0'] };
    expect(await refusal([tap(), tap()], hello)).toMatch(/has the interfaces eth0, eth1/);
    await expectUnharmed();
  });

  test('of 300 files in two messages is refused', async () => {
    const socket = await connect();
    const fds = Array<number>(150).fill(tap());
    send(fdOf(socket)!, Buffer.from('{"protocol":'), fds);
    send(fdOf(socket)!, Buffer.from('1'), fds);
    expect(await answerTo(socket)).toMatch(/too many open files/);
    await expectUnharmed();
  });

  test.each<[what: string, bytes: string, says: RegExp]>([
    ['garbage', '\u0000\u0001\n', /is not JSON/],
    ['an HTTP request', 'GET / HTTP/1.1\r\n\r\n', /is not JSON/],
    ['a line without end', 'x'.repeat(MAX_LINE_BYTES), /at most 16384 bytes/],
    ['half a hello and silence', '{"protocol"', /within 0.3 seconds/],
  ])('that begins with %s is refused', async (_, bytes, says) => {
    const socket = await connect();
    send(fdOf(socket)!, Buffer.from(bytes), [tap()]);
    expect(await answerTo(socket)).toMatch(says);
    await expectUnharmed();
  });

  test('that comes a byte at a time is taken, if it comes in time', async () => {
    const socket = await connect();
    const bytes = Buffer.from(`${JSON.stringify(HELLO)}\n`);
    send(fdOf(socket)!, bytes.subarray(0, 1), [tap()]);
    for (let i = 1; i < bytes.length; i++) {
      send(fdOf(socket)!, bytes.subarray(i, i + 1), []);
      if (i % 20 === 0) await sleep(2);
    }
    await expect.poll(() => calls).toEqual(['connect a:eth0']);
    socket.destroy();
    await expect.poll(() => calls).toEqual(['connect a:eth0', 'disconnect a:eth0']);
    await expectUnharmed();
  });

  test('that never begins, many times at once, keeps no other from joining', async () => {
    const silent = await Promise.all(Array.from({ length: 100 }, () => connect()));
    await expectUnharmedWhile(silent);
  });

  async function expectUnharmedWhile(silent: readonly Socket[]): Promise<void> {
    const good = await handOver(path, 'a', new Map([['eth0', tap()]]));
    expect(await good.leave()).toBe(true);
    for (const socket of silent) socket.destroy();
    await expectUnharmed();
  }

  test('of files after having joined changes nothing', async () => {
    const socket = await connect();
    send(fdOf(socket)!, Buffer.from(`${JSON.stringify(HELLO)}\n`), [tap()]);
    await expect.poll(() => calls).toEqual(['connect a:eth0']);
    send(fdOf(socket)!, Buffer.from('more'), [tap(), file('/etc/hostname')]);
    await sleep(50);
    expect(calls).toEqual(['connect a:eth0']);
    socket.destroy();
    await expect.poll(() => calls).toHaveLength(2);
    await expectUnharmed();
  });

  test('that the data plane refuses is told to the node, and nothing is kept', async () => {
    failure = new Error('no room');
    expect(await refusal([tap()])).toMatch(/no room/);
    failure = undefined;
    await expectUnharmed();
  });

  test('by two at once for one node makes one a member', async () => {
    const attempts = await Promise.allSettled(
      Array.from({ length: 8 }, () => handOver(path, 'a', new Map([['eth0', tap()]]))),
    );
    const joined = attempts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const refused = attempts.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []));
    expect(joined).toHaveLength(1);
    for (const why of refused) expect(why).toMatch(/has joined already/);
    await joined[0]!.leave();
    await expectUnharmed();
  });

  test('by somebody who may not, is refused before anything is read', async () => {
    await handover.close();
    const stranger = new Access(() => ({ pid: 1, uid: 12_345, gid: 12_345, groups: [12_345] }));
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const emulator: JoinedLab = {
      lab: LAB,
      connect: async (name) => void calls.push(name),
      disconnect: async () => undefined,
    };
    handover = new Handover({ emulator, access: stranger, log });
    await listenOnSocket(handover.server, path);
    expect(await refusal([tap()])).toMatch(/may let a node join; you are uid 12345/);
    expect(calls).toEqual([]);
  });
});
