/**
 * Interfaces and link directions as one worker sees them.
 */
import type { Device } from '../device/device.ts';
import type { LinkDirection } from '../link/direction.ts';
import type { DropReason } from '../link/settings.ts';
import type { Bridge } from './bridge.ts';
import type { WaitingRoom } from './handover.ts';
import { NOBODY } from './shares.ts';

/** An interface as one worker sees it. */
export type Port = {
  readonly index: number;
  /** Index in the arena's f64 of what this worker counts of it, and of its state (counters.ts). */
  readonly counters: number;
  readonly state: number;
  /** None while the interface has no device; replaced between two frames. */
  device: Device | undefined;
  /**
   * Which of the device's queues this worker reads, -1 if it reads none. It writes to the same, or to the first: every
   * worker may write.
   */
  queue: number;
  /** Longest frame that fits: the MTU with the link header; 4 more for a frame with a VLAN tag. */
  readonly frameBytes: number;
  readonly ethernet: boolean;
  /** The switch that this is a port of, and which, if this worker carries it; such an interface has no device. */
  bridge: Bridge | undefined;
  bridgePort: number;
  /** The direction that starts here, if this worker carries it. */
  direction: Direction | undefined;
  /** Whether the direction that leads here, if this worker carries it, carries anything. Its device has no carrier else. */
  hasCarrier: boolean;
};

/** A link direction that this worker carries. Its frames and timers are owned by its number. */
export type Direction = {
  readonly number: number;
  readonly link: LinkDirection;
  readonly near: Port;
  readonly far: Port;
  /** While another worker has frames of it that must leave first: where frames wait. */
  waiting: WaitingRoom | undefined;
  /** While this worker leaves it to another: when the last of its frames had to be delivered. */
  leftNs: number | undefined;
};

/** What becomes of a frame that came in at a port. `unread`: why it is dropped at once; it then stands in the scratch slot. */
export type OnFrame = (
  port: Port,
  slot: number,
  length: number,
  nowNs: number,
  unread: DropReason | undefined,
) => void;

/**
 * A super-frame came in at a port, whose segments have `bytes` on a wire. Returns false, having done nothing, when they
 * must go one by one; else whoever keeps its area need not any more.
 */
export type OnSuperFrame = (port: Port, area: number, bytes: number) => boolean;

/** Of the direction whose frames come in at a port. */
export function numberOf({ direction }: Port): number {
  return direction === undefined ? NOBODY : direction.number;
}

/** Why a frame is dropped for which there is no slot. */
export function unreadIf(slot: number): DropReason | undefined {
  return slot === -1 ? 'pool' : undefined;
}

/** Whether the device behind a port has a carrier from now on; a switch behind it forgets what it learned there. */
export function setCarrier(port: Port, hasCarrier: boolean): void {
  if (hasCarrier === port.hasCarrier) return;
  port.hasCarrier = hasCarrier;
  port.device?.setCarrier?.(hasCarrier);
  if (!hasCarrier) forgetAddresses(port);
}

/** A switch behind a port forgets what it has learned there. */
export function forgetAddresses(port: Port | undefined): void {
  port?.bridge?.forget(port.bridgePort);
}
