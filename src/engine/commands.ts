/**
 * What the control thread may tell a data plane to do, and how the data plane does it. Commands are plain data: they
 * reach a worker as JSON in its mailbox, and an inline plane directly.
 */
import type { Device } from '../device/device.ts';
import type { LinkSettings } from '../link/settings.ts';
import type { DataPlane, Port } from './data-plane.ts';

export type Command =
  | {
      readonly do: 'port';
      readonly index: number;
      readonly fd: number;
      readonly mtu: number;
      readonly ethernet: boolean;
      /** Whether this worker reads the device. Every worker may write to it. */
      readonly reads: boolean;
    }
  | {
      readonly do: 'connect';
      readonly direction: number;
      readonly from: number;
      readonly to: number;
      readonly settings: LinkSettings;
      readonly seed: number;
      /** Names the direction's random generators. */
      readonly path: string;
    }
  | { readonly do: 'set'; readonly direction: number; readonly settings: LinkSettings }
  | {
      /** Send a frame out of a port: bpf(4)'s write. */
      readonly do: 'write';
      readonly index: number;
      readonly base64: string;
    }
  /** Take over the compiled filters that were posted to the worker (they are no JSON). */
  | { readonly do: 'install' }
  | { readonly do: 'stop' };

/** What carries out commands: a data plane, and what drives it. */
export interface CommandTarget {
  readonly plane: DataPlane;
  /** The device behind a port that is being added. */
  device(index: number, fd: number): Device;
  /** From now on look for frames here. */
  watch(port: Port): void;
  /** Takes over compiled filters that were posted. */
  takePosted(): void;
  stop(): void;
}

/** Carries out one command, between two frames. Throws when it cannot be done. */
export function execute(target: CommandTarget, command: Command): void {
  const { plane } = target;
  switch (command.do) {
    case 'port': {
      const { index, fd, mtu, ethernet, reads } = command;
      const port = plane.addPort(index, target.device(index, fd), mtu, ethernet);
      if (reads) target.watch(port);
      break;
    }
    case 'connect': {
      const { direction, from, to, settings, seed, path } = command;
      plane.connect(direction, from, to, settings, seed, path);
      break;
    }
    case 'set':
      plane.set(command.direction, command.settings);
      break;
    case 'write':
      plane.write(command.index, Buffer.from(command.base64, 'base64'));
      break;
    case 'install':
      target.takePosted();
      break;
    case 'stop':
      target.stop();
      break;
  }
}
