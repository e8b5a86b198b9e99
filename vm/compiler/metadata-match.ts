/**
 * Tests of what is known of a frame beside its bytes: which way it went, on which interface. Linux cooked headers
 * have some of it in the frame; elsewhere it is read by the ancillary loads of the `linux` dialect.
 */

import { BPF_ABS, BPF_B, BPF_H, BPF_JEQ, BPF_LD, BPF_W } from '../instruction.ts';
import {
  META_INTERFACE_INDEX,
  META_PACKET_TYPE,
  META_VLAN_TAG,
  META_VLAN_TAG_PRESENT,
  SKF_AD_OFF,
} from '../metadata.ts';
import type { Context } from './context.ts';
import { equals, equalsMasked, load, statement, test } from './emit.ts';
import { type Predicate, type Statement, TRUE } from './predicate.ts';

/** PACKET_OUTGOING of Linux, also in cooked headers. */
const PACKET_OUTGOING = 4;

/** Where cooked headers have the packet type, and version 2 the interface index. */
const SLL_PACKET_TYPE = { constant: 0, register: undefined };
const SLL2_PACKET_TYPE = { constant: 10, register: undefined };
const SLL2_INTERFACE_INDEX = { constant: 4, register: undefined };

function loadMetadata(context: Context, word: number, size: number, note: string): Statement[] {
  return [statement(context, BPF_LD | BPF_ABS | size, SKF_AD_OFF + 4 * word, note)];
}

function requireMetadata(context: Context, name: string): void {
  if (context.settings.dialect === 'linux') return;
  const { name: linkType } = context.settings.linkType;
  context.fail(
    `'${name}' is not in frames of link type ${linkType}: it needs the metadata of dialect 'linux'`,
  );
}

/** The frame was sent by this machine; `name` is the primitive, for errors. */
export function outboundIs(context: Context, name: string): Predicate {
  const note = 'was it sent by this machine?';
  switch (context.settings.linkType.encapsulation) {
    case 'sll':
      return equals(context, load(context, SLL_PACKET_TYPE, 2, 'packet type'), PACKET_OUTGOING, note);
    case 'sll2':
      return equals(context, load(context, SLL2_PACKET_TYPE, 1, 'packet type'), PACKET_OUTGOING, note);
    default:
      requireMetadata(context, name);
      return equals(
        context,
        loadMetadata(context, META_PACKET_TYPE, BPF_H, 'packet type'),
        PACKET_OUTGOING,
        note,
      );
  }
}

/** The frame was seen on the interface of this index. */
export function interfaceIs(context: Context, index: number): Predicate {
  const note = `is it interface ${index}?`;
  if (context.settings.linkType.encapsulation === 'sll2') {
    return equals(context, load(context, SLL2_INTERFACE_INDEX, 4, 'interface index'), index, note);
  }
  requireMetadata(context, 'ifindex');
  return equals(context, loadMetadata(context, META_INTERFACE_INDEX, BPF_W, 'interface index'), index, note);
}

/** Linux has taken a VLAN tag off the frame. */
export function vlanTagTakenOff(context: Context): Predicate {
  const present = loadMetadata(context, META_VLAN_TAG_PRESENT, BPF_B, 'VLAN tag taken off?');
  return test(context, present, BPF_JEQ, 1, 'was a VLAN tag taken off?');
}

/** The tag that was taken off has this identifier, or any. */
export function takenVlanTagIs(context: Context, identifier: number | undefined): Predicate {
  if (identifier === undefined) return TRUE;
  const tag = loadMetadata(context, META_VLAN_TAG, BPF_H, 'VLAN tag that was taken off');
  return equalsMasked(context, tag, identifier, 0x0fff, `is it VLAN ${identifier}?`, 16);
}
