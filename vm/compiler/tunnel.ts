/**
 * Encapsulations in link-layer frames: `vlan`, `mpls`, `pppoed`, `pppoes`. Each tests for itself and then moves the
 * context, so that all that follows in the expression is about what is inside.
 */

import { BPF_IMM, BPF_LD, BPF_ST } from '../instruction.ts';
import { type Context, shift } from './context.ts';
import { equals, equalsMasked, load, networkHeader, statement } from './emit.ts';
import { linkProtocolIs } from './link-layer.ts';
import { takenVlanTagIs, vlanTagTakenOff } from './metadata-match.ts';
import { all, any, not, type Predicate, TRUE } from './predicate.ts';

const ETHERTYPES_VLAN = [0x8100, 0x88a8, 0x9100] as const;
const ETHERTYPE_MPLS = 0x8847;
const PPP_MPLS = 0x0281;
const ETHERTYPE_PPPOE_DISCOVERY = 0x8863;
const ETHERTYPE_PPPOE_SESSION = 0x8864;

const VLAN_TAG_LENGTH = 4;

/** Throws unless `value` fits its field. */
function limit(context: Context, what: string, value: number, maximum: number): void {
  if (value > maximum) context.failAtArgument(`${what} ${value} is greater than ${maximum}`);
}

/**
 * IEEE 802.1Q, 802.1ad or QinQ, with a VLAN identifier when given.
 *
 * Linux takes the outermost tag off a frame and keeps it as metadata, so in that dialect it is looked for there as
 * well; where the payload begins then shows at run time.
 */
export function vlanIs(context: Context, identifier: number | undefined): Predicate {
  if (context.mplsDepth > 0) context.fail("'vlan' cannot be recognised after 'mpls'");
  if (context.encapsulation !== 'ethernet') {
    context.fail(`'vlan' is for Ethernet, not for link type ${context.settings.linkType.name}`);
  }
  if (identifier !== undefined) limit(context, 'the VLAN identifier', identifier, 0x0fff);
  const inFrame = vlanTagIs(context, identifier);
  const isOutermost = context.vlanDepth === 0 && !context.tunnelled;
  context.vlanDepth++;
  if (context.settings.dialect !== 'linux' || !isOutermost) {
    context.linkProtocol = shift(context.linkProtocol, VLAN_TAG_LENGTH);
    context.payload = shift(context.payload, VLAN_TAG_LENGTH);
    return inFrame;
  }
  const register = context.allocateRegister();
  const skip = (bytes: number): Predicate => ({
    kind: 'run',
    statements: [
      statement(context, BPF_LD | BPF_IMM, bytes, 'length of the tag in the frame'),
      statement(context, BPF_ST, register, 'keep it'),
    ],
  });
  const takenOff = vlanTagTakenOff(context);
  context.linkProtocol = { constant: context.linkProtocol.constant, register };
  context.payload = { constant: context.payload.constant, register };
  return any(
    all(takenOff, takenVlanTagIs(context, identifier), skip(0)),
    all(not(takenOff), inFrame, skip(VLAN_TAG_LENGTH)),
  );
}

function vlanTagIs(context: Context, identifier: number | undefined): Predicate {
  const tagged = any(...ETHERTYPES_VLAN.map((type) => linkProtocolIs(context, type)));
  if (identifier === undefined) return tagged;
  const tag = load(context, context.payload, 2, 'VLAN tag');
  return all(tagged, equalsMasked(context, tag, identifier, 0x0fff, `is it VLAN ${identifier}?`, 16));
}

/** An MPLS label stack entry, with a label when given. */
export function mplsIs(context: Context, label: number | undefined): Predicate {
  const { encapsulation } = context;
  if (context.mplsDepth === 0 && encapsulation !== 'ethernet' && encapsulation !== 'ppp') {
    context.fail(`'mpls' is for Ethernet, not for link type ${context.settings.linkType.name}`);
  }
  const previous = load(context, networkHeader(context, -2), 1, 'previous MPLS label');
  const isMpls =
    context.mplsDepth > 0
      ? equalsMasked(context, previous, 0, 0x01, 'is it the bottom of the stack?', 8)
      : linkProtocolIs(context, encapsulation === 'ppp' ? PPP_MPLS : ETHERTYPE_MPLS);
  let matches = TRUE;
  if (label !== undefined) {
    limit(context, 'the MPLS label', label, 0xfffff);
    const entry = load(context, networkHeader(context, 0), 4, 'MPLS label');
    matches = equalsMasked(context, entry, label * 0x1000, 0xfffff000, `is it label ${label}?`);
  }
  context.networkOffset += 4;
  context.llcLength += 4;
  context.mplsDepth++;
  return all(isMpls, matches);
}

export function pppoeDiscoveryIs(context: Context): Predicate {
  return linkProtocolIs(context, ETHERTYPE_PPPOE_DISCOVERY);
}

/** A PPPoE session frame, of one session when given; what follows is about the PPP frame in it. */
export function pppoeSessionIs(context: Context, session: number | undefined): Predicate {
  const isSession = linkProtocolIs(context, ETHERTYPE_PPPOE_SESSION);
  let matches = TRUE;
  if (session !== undefined) {
    limit(context, 'the PPPoE session', session, 0xffff);
    const field = load(context, networkHeader(context, 2), 2, 'PPPoE session');
    matches = equals(context, field, session, `is it session ${session}?`);
  }
  const ppp = networkHeader(context, 6);
  context.encapsulation = 'ppp';
  context.linkHeader = ppp;
  context.linkProtocol = ppp;
  context.payload = shift(ppp, 2);
  context.networkOffset = 0;
  context.llcLength = 0;
  return all(isSession, matches);
}
