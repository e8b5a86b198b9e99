/**
 * A switch or hub between links of one worker: a frame that a link delivers to a port is copied to the ports that the
 * switch says, each of which hands its copy to its own link. A copy of a segment refers to the same super-frame,
 * unless its VLAN tag changes. The mirror's descriptors see it come in and go out.
 */
import { DIRECTION_IN, DIRECTION_OUT } from '../bpf/record.ts';
import type { DropReason } from '../link/settings.ts';
import type { Switch } from '../switch/switch.ts';
import { changedLength, copyChanged, KEEP } from '../switch/vlan.ts';
import type { FramePool } from './frame-pool.ts';
import type { Port } from './port.ts';
import { NOBODY } from './shares.ts';

export type BridgeContext = {
  readonly pool: FramePool;
  /** Has a frame come in at a port. `unread`: why it is dropped at once; then its slot is not released. */
  readonly receive: (
    port: Port,
    slot: number,
    length: number,
    nowNs: number,
    unread: DropReason | undefined,
  ) => void;
  /** Shows a frame to the mirror's descriptors. */
  readonly mirror: (slot: number, direction: number) => void;
};

export class Bridge {
  readonly #context: BridgeContext;
  readonly #switch: Switch;
  readonly #ports: readonly Port[];
  readonly #mirrored: readonly boolean[];

  constructor(context: BridgeContext, core: Switch, ports: readonly Port[], mirrored: readonly boolean[]) {
    this.#context = context;
    this.#switch = core;
    this.#ports = ports;
    this.#mirrored = mirrored;
  }

  /** Takes a frame that a link has delivered to a port; the link still owns it, and releases it. */
  accept(port: number, slot: number, nowNs: number): void {
    const { pool, mirror } = this.#context;
    if (this.#mirrored[port]) mirror(slot, DIRECTION_IN);
    const { targets } = this.#switch;
    const count = this.#switch.forward(port, pool.bytes, pool.header(slot), pool.length[slot]!, nowNs);
    for (let i = 0; i < count; i++) this.#send(targets[i]!, slot, nowNs);
  }

  /** See Switch. */
  forget(port: number): void {
    this.#switch.forget(port);
  }

  #send(target: number, slot: number, nowNs: number): void {
    const { pool, receive, mirror } = this.#context;
    const port = this.#ports[target]!;
    const change = this.#switch.tagChange(target, pool.bytes, pool.header(slot));
    const length = changedLength(pool.length[slot]!, change);
    const copy = length > pool.slotBytes ? -1 : pool.take(port.direction?.number ?? NOBODY);
    if (copy === -1) {
      receive(port, slot, pool.length[slot]!, nowNs, length > pool.slotBytes ? 'mtu' : 'pool');
      return;
    }
    if (change === KEEP) pool.copy(slot, copy);
    else {
      const from = pool.offset(slot);
      copyChanged(pool.bytes, from, pool.length[slot]!, pool.place(copy), change, this.#switch.vlan);
    }
    pool.length[copy] = length;
    if (this.#mirrored[target]) mirror(copy, DIRECTION_OUT);
    receive(port, copy, length, nowNs, undefined);
  }
}
