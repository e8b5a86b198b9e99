/**
 * Where frames come from and go to. The data plane knows nothing else of a device.
 *
 * A device moves one frame at a time between itself and the arena, never blocks and never allocates. It is used by
 * one thread for reading and one for writing, which may be the same.
 */

import type { WriteRing } from '../sys/write-ring.ts';

/** No frame now. */
export const NO_FRAME = 0;
/** The device is gone or broken; nothing more will come. */
export const GONE = -1;
/** The device is there, but nobody listens behind it: its interface is down. */
export const NO_CARRIER = -2;
/** The device refused the frame. */
export const REFUSED = -3;

/** Places in the arena whose bytes are one after the other in a frame. */
export type Parts = { count: number; readonly offsets: Uint32Array; readonly bytes: Uint32Array };

export interface Device {
  /** To wait on with poll(2); -1 for a device that is not a file. */
  readonly fd: number;
  /**
   * Whether a virtio_net_hdr comes with each frame (offload/virtio-net.ts): it stands right before the frame's first
   * byte, is not part of its length, and may say that the frame is a super-frame.
   */
  readonly offload: boolean;
  /** Has the node see that the cable is plugged in, or not; only there where devices have such a carrier. */
  setCarrier?(hasCarrier: boolean): void;
  /** Reads one frame to `offset` in the arena. Returns its length, NO_FRAME or GONE. */
  read(offset: number, capacity: number): number;
  /** Writes one frame. Returns its length, GONE, NO_CARRIER or REFUSED. */
  write(offset: number, length: number): number;
  /** Adds a write of one frame to a ring; not there when the device cannot be written to so. */
  enqueue?(ring: WriteRing, offset: number, length: number): void;
  /** Writes one frame whose headers are in one place and whose payload is in others. For devices with offload only. */
  writeParts(headers: number, headerBytes: number, payload: Parts): number;
}
