/**
 * Capture files as devices of a virtual lab: what a file recorded enters the lab at the intervals it was recorded,
 * and what leaves the lab is written to another file. Both hang on a memory device.
 */
import { createReadStream, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { openCaptureFile } from '../capture/capture-file.ts';
import { pcapHeader, pcapRecord } from '../capture/pcap-writer.ts';
import { readCapture } from '../capture/reader.ts';
import { LINKTYPE_ETHERNET } from './link-type.ts';
import type { MemoryDevice } from './memory.ts';

/** The clock of a virtual lab. */
export type VirtualTime = { nowNs(): number; at(deadlineNs: number, action: () => void): void };

/**
 * Schedules every frame of a capture: the first now, the others as much later as they were recorded. Reads the whole
 * file before it returns. Throws when it cannot be read, with the file's name, and when it is not of Ethernet frames.
 */
export async function playCapture(file: string, device: MemoryDevice, time: VirtualTime): Promise<number> {
  const startNs = time.nowNs();
  let first: { seconds: number; nanoseconds: number } | undefined;
  let count = 0;
  try {
    for await (const packet of readCapture(createReadStream(file))) {
      if (packet.linkType !== LINKTYPE_ETHERNET) {
        throw new Error(
          `its link type is ${packet.linkType}; only Ethernet (${LINKTYPE_ETHERNET}) can be played`,
        );
      }
      first ??= packet;
      const offsetNs = (packet.seconds - first.seconds) * 1e9 + packet.nanoseconds - first.nanoseconds;
      time.at(startNs + Math.max(0, offsetNs), () => device.send(packet.bytes));
      count++;
    }
  } catch (error) {
    throw new Error(`play ${file}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return count;
}

/** Writes what leaves a device to a pcap file. Returns what completes the file. Throws CaptureFileError. */
export async function recordCapture(
  file: string,
  device: MemoryDevice,
  time: VirtualTime,
): Promise<() => Promise<void>> {
  const sink = (await openCaptureFile(file)) as WriteStream;
  const done = finished(sink);
  // Reported when the file is completed.
  done.catch(() => {});
  sink.write(pcapHeader(LINKTYPE_ETHERNET));
  device.onFrame = (bytes) => {
    const nowNs = Math.round(time.nowNs());
    const seconds = Math.floor(nowNs / 1e9);
    const stamp = { seconds, nanoseconds: nowNs - seconds * 1e9 };
    if (!sink.destroyed)
      sink.write(pcapRecord({ ...stamp, wireLength: bytes.length, bytes, direction: 'out' }));
  };
  return async () => {
    device.onFrame = () => {};
    sink.end();
    await done;
  };
}
