/** Command lines without a lab, packets, and captures of them as files. */
import { PassThrough } from 'node:stream';
import type { CapturePacket } from '../../src/capture/packet.ts';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap-writer.ts';
import { enhancedPacket, interfaceDescription, sectionHeader } from '../../src/capture/pcapng.ts';
import { CaptureReader } from '../../src/capture/reader.ts';
import { runCli } from '../../src/cli/run.ts';
import { Terminal } from '../../src/cli/terminal.ts';

export type Outcome = { readonly status: number; readonly out: Buffer; readonly err: string };

/** Which of the two streams are terminals. */
export type Terminals = { readonly out?: boolean; readonly err?: boolean };

/** Runs a command line; its output is read as it comes, as by a pipe. */
export async function taplabOn(terminals: Terminals, ...args: string[]): Promise<Outcome> {
  const [out, outBytes] = collected(terminals.out ?? false);
  const [err, errBytes] = collected(terminals.err ?? false);
  const status = await runCli(args, new Terminal(out, err));
  return { status, out: outBytes(), err: errBytes().toString() };
}

export function taplab(...args: string[]): Promise<Outcome> {
  return taplabOn({}, ...args);
}

function collected(isTTY: boolean): [PassThrough, () => Buffer] {
  const stream = Object.assign(new PassThrough(), { isTTY });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return [
    stream,
    () => {
      for (let rest = stream.read(); rest !== null; rest = stream.read()) chunks.push(rest as Buffer);
      return Buffer.concat(chunks);
    },
  ];
}

export const EN10MB = 1;
export const RAW = 101;

export type TestPacket = {
  readonly bytes: Uint8Array;
  readonly wireLength?: number;
  readonly seconds?: number;
  readonly nanoseconds?: number;
};

/** A pcap file. */
export function pcap(linkType: number, packets: readonly TestPacket[]): Buffer {
  return Buffer.concat([pcapHeader(linkType), ...packets.map((packet) => pcapRecord(complete(packet)))]);
}

export type InterfacePacket = TestPacket & {
  readonly interfaceId: number;
  readonly direction?: 'in' | 'out';
};

/** A pcapng file of one section; `linkTypes` are those of its interfaces, named if0, if1 and so on. */
export function pcapng(linkTypes: readonly number[], packets: readonly InterfacePacket[]): Buffer {
  return Buffer.concat([
    sectionHeader({}),
    ...linkTypes.map((linkType, i) => interfaceDescription({ linkType, snapLength: 0, name: `if${i}` })),
    ...packets.map((packet) => enhancedPacket({ ...packet, ...complete(packet) })),
  ]);
}

function complete(packet: TestPacket): Required<TestPacket> {
  return { wireLength: packet.bytes.length, seconds: 1_700_000_000, nanoseconds: 123_456_789, ...packet };
}

/** The packets of a capture. */
export function packetsOf(bytes: Uint8Array): CapturePacket[] {
  const reader = new CaptureReader();
  reader.push(bytes);
  const packets: CapturePacket[] = [];
  for (let packet = reader.next(); packet !== undefined; packet = reader.next()) packets.push(packet);
  reader.end();
  return packets;
}

/** A UDP datagram over IPv4, without link header. */
export function udpPacket(port: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint8(9, 17);
  view.setUint32(12, 0xc6120001);
  view.setUint32(16, 0xc6120002);
  view.setUint16(20, 40_000);
  view.setUint16(22, port);
  view.setUint16(24, 12);
  return bytes;
}

/** The same in an Ethernet frame. */
export function udpFrame(port: number): Uint8Array {
  return Uint8Array.of(2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, ...udpPacket(port));
}
