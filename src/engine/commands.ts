/**
 * What the control thread may tell a data plane to do, and how the data plane does it. Commands are plain data: they
 * reach a worker as JSON in its mailbox, and an inline plane directly.
 */
import type { DecisionSink } from '../decisions/decision.ts';
import type { Device } from '../device/device.ts';
import type { LinkSettings } from '../link/settings.ts';
import type { SwitchSettings } from '../switch/settings.ts';
import type { DataPlane } from './data-plane.ts';
import type { Port } from './port.ts';

export type Command =
  | {
      /** An interface; it has no device yet. */
      readonly do: 'port';
      readonly index: number;
      readonly mtu: number;
      readonly ethernet: boolean;
      /** The workers that read its devices, each a queue. Every worker may write to them. */
      readonly readers: readonly number[];
    }
  | {
      /**
       * The device behind an interface, from now on, a file for each queue; none: the worker does not use the last one
       * any more, and need not know the interface.
       */
      readonly do: 'device';
      readonly index: number;
      readonly fds: readonly number[];
      /** Whether the device was opened with IFF_VNET_HDR. */
      readonly offload: boolean;
      /** Whether somebody else may have the file open as well. */
      readonly shared: boolean;
    }
  /** Forget an interface that has no device and no link; harmless when there is none. */
  | { readonly do: 'remove-port'; readonly index: number }
  | {
      readonly do: 'link';
      readonly direction: number;
      readonly from: number;
      readonly to: number;
      readonly settings: LinkSettings;
      readonly seed: number;
      /** Names the direction's random generators. */
      readonly path: string;
      /** The number that it has at another worker, which is to leave it: what comes waits for that (handover.ts). */
      readonly after?: number | undefined;
    }
  | {
      /** Interfaces are the ports of a switch, new or changed, which belongs to this worker alone. */
      readonly do: 'switch';
      /** Number of its records in the arena. */
      readonly index: number;
      readonly settings: SwitchSettings;
      /** Interfaces, in the order of the settings' ports. */
      readonly ports: readonly number[];
      readonly mirror: number;
    }
  /** There is no such switch any more; harmless when there was none. */
  | { readonly do: 'remove-switch'; readonly index: number }
  /** Read an interface that another worker has read until now. */
  | { readonly do: 'read'; readonly index: number }
  /** Take nothing more in that direction, and do not read where it starts; what is under way goes on. */
  | { readonly do: 'leave'; readonly direction: number }
  /** Carry nothing more in that direction; what is under way is dropped. Harmless when it is not carried. */
  | { readonly do: 'remove-link'; readonly direction: number }
  | { readonly do: 'set'; readonly direction: number; readonly settings: LinkSettings }
  | {
      /** Send a frame out of a port: bpf(4)'s write. */
      readonly do: 'write';
      readonly index: number;
      readonly base64: string;
      /** Whether descriptors of the port see it go out. */
      readonly shown: boolean;
    }
  /** Have a frame come in at a port as if its node had sent it. */
  | { readonly do: 'inject'; readonly index: number; readonly base64: string }
  /** Take over the compiled filters that were posted to the worker (they are no JSON). */
  | { readonly do: 'install' }
  /** Record what links decide, or do not any more. */
  | { readonly do: 'record'; readonly on: boolean }
  | { readonly do: 'stop' };

/** What carries out commands: a data plane, and what drives it. */
export interface CommandTarget {
  readonly plane: DataPlane;
  /** A device that a port is given. */
  device(index: number, fd: number, offload: boolean, shared: boolean): Device;
  /** From now on look for frames here. */
  watch(port: Port): void;
  /** From now on do not. Harmless for a port that was not watched. */
  unwatch(port: Port): void;
  /** Takes over compiled filters that were posted. */
  takePosted(): void;
  /** Where decisions are to go. */
  decisionSink(): DecisionSink | undefined;
  stop(): void;
}

/** Carries out one command, between two frames. Throws when it cannot be done. */
export function execute(target: CommandTarget, command: Command): void {
  const { plane } = target;
  switch (command.do) {
    case 'port': {
      const { index, mtu, ethernet, readers } = command;
      plane.addPort(index, mtu, ethernet, readers);
      break;
    }
    case 'device': {
      const { index, fds, offload, shared } = command;
      const port = plane.port(index);
      if (port === undefined && fds.length === 0) break;
      if (port === undefined) throw new Error(`there is no port ${index}`);
      target.unwatch(port);
      const fd = fds[Math.max(0, port.queue)];
      plane.setDevice(port, fd === undefined ? undefined : target.device(index, fd, offload, shared));
      if (port.device && port.queue !== -1) target.watch(port);
      break;
    }
    case 'remove-port':
      plane.removePort(command.index);
      break;
    case 'link': {
      const { direction, from, to, settings, seed, path, after } = command;
      plane.addLink(direction, from, to, settings, seed, path, after);
      break;
    }
    case 'switch':
      plane.addSwitch(command.index, command.settings, command.ports, command.mirror);
      break;
    case 'remove-switch':
      plane.removeSwitch(command.index);
      break;
    case 'read': {
      const port = plane.read(command.index);
      if (port.device) target.watch(port);
      break;
    }
    case 'leave':
      target.unwatch(plane.leave(command.direction));
      break;
    case 'remove-link':
      plane.removeLink(command.direction);
      break;
    case 'set':
      plane.set(command.direction, command.settings);
      break;
    case 'write':
      plane.write(command.index, Buffer.from(command.base64, 'base64'), command.shown);
      break;
    case 'inject':
      plane.inject(command.index, Buffer.from(command.base64, 'base64'));
      break;
    case 'install':
      target.takePosted();
      break;
    case 'record':
      plane.record(command.on ? target.decisionSink() : undefined);
      break;
    case 'stop':
      target.stop();
      break;
  }
}
