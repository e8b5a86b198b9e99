/** Labs and frames for tests. */
import { type AttachOptions, CONTROL_OWNER } from '../../src/bpf/types.ts';
import type { Lab, LabInterface } from '../../src/lab/model.ts';
import { CLEAR_LINK, type LinkSettings } from '../../src/link/settings.ts';
import { Program } from '../../vm/index.ts';

/** For a descriptor that accepts every frame of both directions, and hands each over at once. */
export const EVERY_FRAME: AttachOptions = {
  filter: '',
  program: Program.from([]),
  direction: 'inout',
  immediate: true,
  readTimeoutMs: 10,
  bufferBytes: 65_536,
  owner: CONTROL_OWNER,
};

/** A lab of two nodes, a and b, on memory devices, joined by link `ab`. */
export function pairLab(forward: Partial<LinkSettings> = {}, reverse: Partial<LinkSettings> = forward): Lab {
  return {
    name: 'pair',
    seed: 1,
    workers: 1,
    nodes: ['a', 'b'].map((node) => ({ name: node, interfaces: [memoryInterface(node)], routes: [] })),
    links: [
      {
        name: 'ab',
        endpoints: ['a:eth0', 'b:eth0'],
        forward: { ...CLEAR_LINK, ...forward },
        reverse: { ...CLEAR_LINK, ...reverse },
      },
    ],
    descriptors: [],
    virtual: true,
  } as Lab;
}

/** `NODE:eth0` on a memory device. */
export function memoryInterface(node: string): LabInterface {
  return {
    name: `${node}:eth0`,
    node,
    device: 'eth0',
    kind: 'memory',
    addresses: [],
    mac: '02:00:00:00:00:01',
    mtu: 1500,
  };
}

/** An Ethernet frame of `length` bytes of a type nobody answers, with a number in its payload. */
export function numberedFrame(number: number, length = 60): Uint8Array {
  const frame = new Uint8Array(length);
  frame.fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 1, 0x88, 0xb5], 6);
  new DataView(frame.buffer).setUint32(14, number);
  return frame;
}

/** The number of a numberedFrame(). */
export function frameNumber(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(14);
}
