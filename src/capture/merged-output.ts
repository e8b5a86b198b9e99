/** The formats that a merged stream can be given out in. Those of bpf(4) cannot say which interface a frame is from. */
import { frames } from '../bpf/record.ts';
import { type CaptureFormat, type CaptureMeta, pcapngHeader } from './formats.ts';
import { JsonLines } from './json-lines.ts';
import { PacketBlocks, viewed } from './packet-blocks.ts';
import { type InterfaceStatistics, interfaceStatistics } from './pcapng.ts';
import type { MergedRecord } from './time-merge.ts';

export type MergedFormat = Exclude<CaptureFormat, 'bpf'>;
export const MERGED_FORMATS: readonly MergedFormat[] = ['pcapng', 'json'];

/** `late` is how many of its frames were given out after later ones. */
export type MergedStatistics = InterfaceStatistics & { readonly late: number };

export type MergedOutput = {
  header(): Buffer;
  records(records: readonly MergedRecord[]): Buffer;
  /** What comes last; the statistics are in the order of the interfaces. */
  trailer(statistics: readonly MergedStatistics[]): Buffer;
};

export function mergedOutput(format: MergedFormat, metas: readonly CaptureMeta[]): MergedOutput {
  return format === 'pcapng' ? pcapngOutput(metas) : jsonOutput(metas);
}

function pcapngOutput(metas: readonly CaptureMeta[]): MergedOutput {
  const blocks = metas.map((meta, id) => new PacketBlocks(id, meta.link));
  return {
    header: () => pcapngHeader(metas),
    records(records) {
      let length = 0;
      for (const { source, batch, at } of records) length += blocks[source]!.length(batch, at);
      const buffer = Buffer.allocUnsafeSlow(length);
      const out = viewed(buffer);
      let to = 0;
      for (const { source, batch, at } of records) to = blocks[source]!.write(batch, at, out, to);
      return buffer;
    },
    trailer: (statistics) =>
      Buffer.concat(
        statistics.map(({ late, ...counts }, id) => {
          const comment = `${late} frames came too late to be in the order of time`;
          return interfaceStatistics(late === 0 ? counts : { ...counts, comment }, id);
        }),
      ),
  };
}

function jsonOutput(metas: readonly CaptureMeta[]): MergedOutput {
  const lines = metas.map((meta) => new JsonLines(meta.interface, meta.link));
  return {
    header: () => Buffer.alloc(0),
    records(records) {
      let text = '';
      for (const { source, batch, at } of records) {
        for (const frame of frames(batch.bytes.subarray(at, at + batch.view.getUint32(at, true)))) {
          text += lines[source]!.line(frame);
        }
      }
      return Buffer.from(text, 'utf8');
    },
    trailer: () => Buffer.alloc(0),
  };
}
