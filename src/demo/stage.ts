/**
 * What the demo plays on: a lab that is up, its control socket, and traffic in its nodes. There is one stage with
 * kernel devices (kernel-stage.ts), and one for systems without (virtual-stage.ts); the play is the same (play.ts).
 */
import type { ControlClient } from '../control/client.ts';
import type { PingResult } from './traffic/ping.ts';
import type { TcpResult } from './traffic/tcp.ts';

/** How the traffic runs: for this long, in TCP transfers of this size, and a ping at each interval. */
export const TRAFFIC_SECONDS = 10;
export const TRANSFER_BYTES = 300_000;
export const PING_INTERVAL_MS = 100;

export type TrafficResult = { readonly ping: PingResult; readonly tcp: TcpResult };

export interface Stage {
  /** What the lab runs on, for the user. */
  readonly description: string;
  readonly client: ControlClient;
  /** Where Prometheus would scrape. */
  readonly metricsUrl: string;
  /** Rejects when the lab breaks down by itself; never resolves. */
  readonly broken: Promise<never>;
  /** Starts pings and TCP transfers from the first node to the second. */
  startTraffic(): Promise<void>;
  /** Lets a second of the lab's time pass; less when the demo is interrupted. */
  second(): Promise<void>;
  /** Waits for the traffic to end, and says what it saw. */
  trafficResult(): Promise<TrafficResult>;
  /** Ends the traffic and takes the lab down, whatever state they are in. Idempotent. */
  close(): Promise<void>;
}

/** The demo was interrupted: not an error, but the end of what it does. */
export class Interrupted extends Error {}
