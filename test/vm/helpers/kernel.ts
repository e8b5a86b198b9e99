/**
 * Linux's own classic BPF, as an oracle: programs are attached to a pair of Unix sockets (SO_ATTACH_FILTER), and
 * what a packet is cut down to tells their verdict. Needs no privilege.
 */

import koffi from 'koffi';
import { disassemble, type Program } from '../../../vm/index.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;

/** A kernel to ask. */
export type KernelOracle = {
  /** Whether the kernel takes the program; afterwards it is attached. */
  attach(words: Int32Array): boolean;
  /** How many bytes of the packet, which must not be empty, the attached program keeps. */
  keptBytes(packet: Uint8Array): number;
  close(): void;
};

/** Opens the sockets, or returns why that is not possible. */
export function openKernelOracle(): KernelOracle | string {
  if (process.platform !== 'linux') return 'not Linux';
  if (process.arch !== 'x64' && process.arch !== 'arm64')
    return `struct sock_fprog is not laid out for ${process.arch}`;
  const libc = koffi.load(null);
  const socketpair = libc.func('int socketpair(int, int, int, _Out_ int *)');
  const setsockopt = libc.func('int setsockopt(int, int, int, void *, unsigned int)');
  const send = libc.func('long send(int, void *, size_t, int)');
  const recv = libc.func('long recv(int, _Out_ uint8_t *, size_t, int)');
  const close = libc.func('int close(int)');
  const memcpy = libc.func('uintptr_t memcpy(void *, void *, size_t)');
  const sockets = [0, 0];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) !== 0) return 'socketpair failed';
  const [sender, receiver] = sockets;
  return {
    attach(words) {
      // struct sock_fprog: the number of instructions, then their address.
      const fprog = new BigUint64Array(2);
      new DataView(fprog.buffer).setUint16(0, words.length / 2, true);
      fprog[1] = BigInt(memcpy(words, words, 0));
      const bytes = new Uint8Array(fprog.buffer);
      return setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, bytes, bytes.length) === 0;
    },
    keptBytes(packet) {
      if (send(sender, packet, packet.length, MSG_DONTWAIT) !== packet.length) throw new Error('send failed');
      const received = recv(receiver, new Uint8Array(1), 1, MSG_DONTWAIT | MSG_TRUNC);
      return received < 0 ? 0 : Number(received);
    },
    close() {
      for (const socket of sockets) close(socket);
    },
  };
}

/** The program as an assertion message shows it. */
export function listing(program: Program): string {
  return disassemble(program, 'd');
}
