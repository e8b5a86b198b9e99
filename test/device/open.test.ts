/**
 * Kernel devices in a namespace of their own, `taplab-test-PID-device`.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inNamespace, type NamespaceRef } from '../../src/device/in-namespace.ts';
import { openDevice } from '../../src/device/open.ts';
import { createTap } from '../../src/device/tap.ts';
import { loadTuntap2, Tuntap2Error } from '../../src/device/tuntap2.ts';
import {
  addressOf,
  close,
  errno,
  errnoName,
  F_GETFL,
  fcntl,
  O_NONBLOCK,
  read,
  SystemError,
  write,
} from '../../src/sys/libc.ts';
import { isMissing } from '../helpers/requirements.ts';

const NAME = `taplab-test-${process.pid}-device`;
const hasTuntap2 = await loadTuntap2().then(
  () => true,
  () => false,
);

describe.skipIf(isMissing('namespaces', 'tun'))('openDevice', () => {
  let namespace: NamespaceRef = { fd: -1, name: NAME };

  beforeAll(() => {
    execFileSync('ip', ['netns', 'add', NAME]);
    namespace = { fd: openSync(`/var/run/netns/${NAME}`, 'r'), name: NAME };
  });
  afterAll(() => {
    closeSync(namespace.fd);
    execFileSync('ip', ['netns', 'del', NAME]);
  });

  const linksInside = (): string[] =>
    JSON.parse(execFileSync('ip', ['-n', NAME, '-json', 'link'], { encoding: 'utf8' })).map(
      ({ ifname }: { ifname: string }) => ifname,
    );
  const up = (name: string, address: string): void => {
    execFileSync('ip', ['-n', NAME, 'address', 'add', address, 'dev', name]);
    execFileSync('ip', ['-n', NAME, 'link', 'set', name, 'up']);
  };

  test.each([
    ['tap', 1],
    ['tun', 101],
  ] as const)(
    'a %s is made inside the namespace under its name, and is gone when closed',
    async (kind, linkType) => {
      const before = linksInside();
      const device = await openDevice({ device: 'dev0', kind }, namespace);
      expect(device).toMatchObject({ name: 'dev0', kind, linkType });
      expect(fcntl(device.fd, F_GETFL, 0) & O_NONBLOCK).toBe(O_NONBLOCK);
      expect(linksInside()).toEqual([...before, 'dev0']);
      expect(execFileSync('ip', ['-json', 'link'], { encoding: 'utf8' })).not.toContain('"dev0"');
      await device.close();
      await device.close();
      expect(linksInside()).toEqual(before);
    },
  );

  test('a read without a frame says EAGAIN; a packet of the node is read as one frame', async () => {
    const device = await openDevice({ device: 'tun0', kind: 'tun', offload: false }, namespace);
    const buffer = new Uint8Array(2000);
    up('tun0', '198.18.0.1/24');
    // The kernel announces itself over IPv6; what counts is the datagram, in an IPv4 packet to 198.18.0.2.
    const sender = `const s = require('dgram').createSocket('udp4'); s.send('hello', 9, '198.18.0.2', () => s.close())`;
    execFileSync('ip', ['netns', 'exec', NAME, process.execPath, '-e', sender]);
    const packets: Uint8Array[] = [];
    for (let length = 0; length !== -1; ) {
      length = read(device.fd, addressOf(buffer), buffer.length);
      if (length !== -1) packets.push(buffer.slice(0, length));
    }
    expect(errnoName(errno())).toBe('EAGAIN');
    const udp = packets.find((packet) => packet[0] === 0x45 && packet[9] === 17);
    expect(Buffer.from(udp!.subarray(28)).toString()).toBe('hello');
    expect(write(device.fd, addressOf(udp!), udp!.length)).toBe(udp!.length);
    await device.close();
  });

  test('a name that exists is refused with what to do, and the first device stays', async () => {
    const first = await openDevice({ device: 'dev0', kind: 'tap' }, namespace);
    const attempt = openDevice({ device: 'dev0', kind: 'tap' }, namespace);
    await expect(attempt).rejects.toThrow(SystemError);
    await expect(attempt).rejects.toMatchObject({
      code: 'EBUSY',
      syscall: 'ioctl TUNSETIFF',
      object: 'tap dev0',
    });
    await expect(attempt).rejects.toThrow(/a device of that name exists; .*`ip link del`/);
    expect(linksInside()).toContain('dev0');
    await first.close();
  });

  test.each(['', 'a/b', '..', 'sixteen-letters-', 'dev%d', 'ü'.repeat(8)])(
    'the name %j is refused',
    (name) => {
      expect(() => inNamespace(namespace, () => close(createTap(name, 'tap')))).toThrow(SystemError);
    },
  );

  test('a namespace that is none is refused, and the thread stays where it was', async () => {
    const notNamespace = { fd: openSync('/dev/null', 'r'), name: 'null' };
    await expect(openDevice({ device: 'dev0', kind: 'tap' }, notNamespace)).rejects.toThrow(
      /setns null: EINVAL/,
    );
    closeSync(notNamespace.fd);
    expect(linksInside()).not.toContain('dev0');
  });

  test('an error inside another namespace still leads back', () => {
    const own = execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' });
    expect(() =>
      inNamespace(namespace, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' })).toBe(own);
  });

  test.skipIf(!hasTuntap2)(
    'tuntap2: a non-blocking TAP under the wanted name, closed by release',
    async () => {
      const device = await openDevice({ device: 'eth7', kind: 'tuntap2' }, namespace);
      expect(device).toMatchObject({ name: 'eth7', kind: 'tap', linkType: 1 });
      expect(fcntl(device.fd, F_GETFL, 0) & O_NONBLOCK).toBe(O_NONBLOCK);
      expect(linksInside()).toContain('eth7');
      up('eth7', '198.18.1.1/24');
      await device.close();
      expect(linksInside()).not.toContain('eth7');
    },
  );
});

test.skipIf(hasTuntap2)(
  'tuntap2 that is not installed is an error with the command that installs it',
  async () => {
    console.warn('SKIPPED: the tuntap2 backend: package tuntap2 is not installed');
    const attempt = openDevice({ device: 'eth0', kind: 'tuntap2' });
    await expect(attempt).rejects.toThrow(Tuntap2Error);
    await expect(attempt).rejects.toThrow(
      /tuntap2 is not installed; install it with `npm install .*tuntap2@npm:/,
    );
  },
);

test('a virtual device is not a kernel device', async () => {
  await expect(openDevice({ device: 'eth0', kind: 'memory' })).rejects.toThrow(
    /memory is not a kernel device/,
  );
});
