/** What becomes of the packets that match: shown, written to a capture, or counted only. */
import { extname } from 'node:path';
import { fileLock } from '../../capture/capture-file.ts';
import type { CapturePacket } from '../../capture/packet.ts';
import type { Output } from '../terminal.ts';
import { type ByteSink, FileSink, StreamSink } from './byte-sink.ts';
import type { CaptureFormat, CaptureKind } from './capture-input.ts';
import { type PacketEncoder, packetEncoder } from './packet-encoder.ts';
import { packetLine } from './packet-line.ts';

/** Takes packets one by one, and passes them on when `flush` is called: after every chunk that was read. */
export interface PacketOutput {
  add(packet: CapturePacket, keptBytes: number): void;
  flush(): Promise<void>;
  /** To be called when all packets are through. `linkType` is for a file that got none. */
  finish(linkType: number): Promise<void>;
  close(): void;
}

/** Opens an output once it is known what the input is: nothing is overwritten for an input that is no capture. */
export type OutputOpener = (kind: CaptureKind) => PacketOutput;

/** Prints a line for each packet. */
export function showPackets(out: Output): OutputOpener {
  return () => new PacketLines(out);
}

export function onlyCount(): OutputOpener {
  const nothing = async (): Promise<void> => {};
  return () => ({ add: () => {}, flush: nothing, finish: nothing, close: () => {} });
}

const FORMATS: Readonly<Record<string, CaptureFormat>> = {
  '.pcap': 'pcap',
  '.cap': 'pcap',
  '.dmp': 'pcap',
  '.pcapng': 'pcapng',
  '.ntar': 'pcapng',
};

/** Writes a capture to `path`, `-` for `out`: in the format that the name says, else in the one of the input. */
export async function writePackets(path: string, out: Output, filter: string): Promise<OutputOpener> {
  const lock = path === '-' ? () => {} : await fileLock();
  return (kind) => {
    const format = FORMATS[extname(path).toLowerCase()] ?? kind.format;
    const encoder = packetEncoder(format, path === '-' ? 'standard output' : path, filter);
    return new CaptureOutput(encoder, path === '-' ? new StreamSink(out) : new FileSink(path, lock));
  };
}

class PacketLines implements PacketOutput {
  readonly #sink: StreamSink;
  #text = '';

  constructor(out: Output) {
    this.#sink = new StreamSink(out);
  }

  add(packet: CapturePacket): void {
    this.#text += packetLine(packet);
  }

  async flush(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    await this.#sink.write(text);
  }

  finish(): Promise<void> {
    return this.flush();
  }

  close(): void {}
}

class CaptureOutput implements PacketOutput {
  readonly #encoder: PacketEncoder;
  readonly #sink: ByteSink;

  constructor(encoder: PacketEncoder, sink: ByteSink) {
    this.#encoder = encoder;
    this.#sink = sink;
  }

  add(packet: CapturePacket, keptBytes: number): void {
    this.#encoder.add(packet, keptBytes);
  }

  flush(): Promise<void> {
    return this.#sink.write(this.#encoder.take());
  }

  finish(linkType: number): Promise<void> {
    this.#encoder.finish(linkType);
    return this.flush();
  }

  close(): void {
    this.#sink.close();
  }
}
