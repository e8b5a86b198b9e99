/**
 * What a switch or hub is told to do: plain data, made from the lab file (lab/switches.ts).
 */

/** Ports that a switch may have; a bridge of Linux has as many (net/bridge/br_private.h, BR_MAX_PORTS). */
export const MAX_PORTS = 1024;
/** VLAN identifiers that frames may have: 0 is none, 4095 is reserved (IEEE 802.1Q, table 9-2). */
export const MAX_VLAN = 4094;
/** The VLAN of a port that names none, on a switch that has VLANs (IEEE 802.1Q: the default PVID). */
export const DEFAULT_VLAN = 1;

/** Which VLANs a port carries. */
export type PortVlans = {
  /** What frames without a tag belong to, in and out; null when the port takes none without. */
  readonly untagged: number | null;
  /** VLANs whose frames have a tag here. */
  readonly tagged: readonly number[];
};

export type PortSettings = {
  /** Null for all ports of a switch without VLANs, and of a hub: tags are payload there. */
  readonly vlans: PortVlans | null;
  /** Whether the mirror shows what passes here. */
  readonly mirrored: boolean;
};

export type SwitchSettings = {
  /** A hub sends every frame to all other ports. */
  readonly kind: 'switch' | 'hub';
  /** How long after the last frame from an address it is forgotten. */
  readonly ageingNs: number;
  readonly ports: readonly PortSettings[];
};
