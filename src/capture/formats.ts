/**
 * The formats in which a descriptor's frames are given out: what begins a stream, what becomes of a batch, what
 * ends the stream. An encoder is pure; capture.ts pumps the batches through it.
 */
import os from 'node:os';
import { bpfRecords } from './bpf-records.ts';
import { JsonLines } from './json-lines.ts';
import { PacketBlocks } from './packet-blocks.ts';
import {
  type InterfaceStatistics,
  interfaceDescription,
  interfaceStatistics,
  sectionHeader,
} from './pcapng.ts';

export const CAPTURE_FORMATS = ['pcapng', 'bpf', 'json'] as const;
export type CaptureFormat = (typeof CAPTURE_FORMATS)[number];

/** Of each format, what goes into the Content-Type of a stream. */
export const CONTENT_TYPES: Readonly<Record<CaptureFormat, string>> = {
  pcapng: 'application/x-pcapng',
  bpf: 'application/octet-stream',
  json: 'application/x-ndjson',
};

/** What a capture says about itself. */
export type CaptureMeta = {
  /** Written as the application that made the capture, for example `taplab 0.1.0`. */
  readonly application: string;
  /** `node:interface`. */
  readonly interface: string;
  readonly linkType: number;
  /** The filter as the user gave it; empty accepts everything. */
  readonly filter: string;
  /** The link that carries the frames of the interface, and so may drop them. */
  readonly link?: string;
};

export type Encoder = {
  /** Encoders of a descriptor with the same one make the same of a batch. */
  readonly encoding: CaptureFormat | 'records';
  /** What comes first; empty for `bpf` and `json`. */
  header(): Buffer;
  /** What becomes of a batch of records (bpf/record.ts), whose bytes are other ones afterwards: a copy. */
  readonly batch: (records: Uint8Array) => Buffer;
  /** What comes last; empty for `bpf` and `json`. */
  trailer(statistics: InterfaceStatistics): Buffer;
};

/** libpcap's MAXIMUM_SNAPLEN: a filter's verdict may be smaller, frame by frame. */
const SNAP_LENGTH = 262_144;
const NOTHING: Buffer = Buffer.alloc(0);

/** The encoder of a format for one reader. */
export function encoder(format: CaptureFormat, meta: CaptureMeta): Encoder {
  switch (format) {
    case 'pcapng':
      return pcapngEncoder(meta);
    case 'bpf':
      return {
        encoding: 'bpf',
        header: () => NOTHING,
        batch: (records) => bpfRecords(records, meta.linkType),
        trailer: () => NOTHING,
      };
    case 'json': {
      const lines = new JsonLines(meta.interface, meta.link);
      return {
        encoding: 'json',
        header: () => NOTHING,
        batch: (records) => lines.batch(records),
        trailer: () => NOTHING,
      };
    }
  }
}

function pcapngEncoder(meta: CaptureMeta): Encoder {
  const blocks = new PacketBlocks(0, meta.link);
  return {
    encoding: 'pcapng',
    header: () => pcapngHeader([meta]),
    batch: (records) => blocks.batch(records),
    trailer: (statistics) => interfaceStatistics(statistics),
  };
}

/** What a pcapng section begins with: its header, and the interfaces in the order of their numbers. */
export function pcapngHeader(interfaces: readonly CaptureMeta[]): Buffer {
  return Buffer.concat([
    sectionHeader({
      hardware: os.machine(),
      os: `${os.type()} ${os.release()}`,
      application: interfaces[0]?.application ?? '',
    }),
    ...interfaces.map((meta) =>
      interfaceDescription({
        linkType: meta.linkType,
        snapLength: SNAP_LENGTH,
        name: meta.interface,
        description: `${meta.interface}, seen from taplab's end: inbound came from the node`,
        filter: meta.filter,
      }),
    ),
  ]);
}
