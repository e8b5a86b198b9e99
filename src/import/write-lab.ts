/**
 * From a draft to the text of a lab file: YAML with comments that say where each link comes from and what was left
 * out. The text is read back by the parser that `taplab up` uses, so what comes out is a valid lab.
 */
import { BlockList } from 'node:net';
import { Document, isMap, isScalar, isSeq, type YAMLMap } from 'yaml';
import { parsePrefix } from '../lab/names.ts';
import { LabFileError, parseLab } from '../lab/parse.ts';
import type { Draft, DraftEnd, DraftInterface, DraftNode, DraftSegment, LeftOut, Shaping } from './draft.ts';
import { InputError } from './input.ts';

const MAX_COMMENTS = 100;
/** IPv6 needs links of at least this MTU (RFC 8200, section 5). */
const IPV6_MIN_MTU = 1280;

/** The lab file of a draft; what cannot be written is left out of it, and reported there. Throws InputError. */
export function writeLab(draft: Draft, format: string, file: string): string {
  const nodes = [...draft.nodes.values()];
  const data = {
    name: draft.name,
    nodes: Object.fromEntries(nodes.map((node) => [node.name, nodeOf(node, draft)])),
    links: draft.links.map(({ name, ends }) => linkOf(name, ends, draft)),
    ...segmentMaps(draft),
  };
  leaveOutUnlinked(draft);
  inOrderOfFiles(draft.leftOut);
  const document = new Document(data);
  document.commentBefore = heading(draft, format, file)
    .map((line) => ` ${printable(line)}`)
    .join('\n');
  inline(document, draft);
  const text = document.toString({ lineWidth: 0, flowCollectionPadding: true });
  check(text, file);
  return text;
}

function nodeOf(node: DraftNode, draft: Draft): Record<string, unknown> | null {
  const routes = reachable(node, draft);
  const result = {
    ...(node.interfaces.size > 0 && {
      interfaces: Object.fromEntries(
        [...node.interfaces.values()].map((port) => [port.name, interfaceOf(port, node, draft)]),
      ),
    }),
    ...(routes.length > 0 && { routes }),
    ...(node.sysctls.size > 0 && { sysctls: Object.fromEntries(node.sysctls) }),
  };
  return Object.keys(result).length === 0 ? null : result;
}

function interfaceOf(
  { ip, mac, mtu, name }: DraftInterface,
  node: DraftNode,
  draft: Draft,
): Record<string, unknown> {
  const isTooSmall = mtu !== undefined && mtu < IPV6_MIN_MTU && ip.some((each) => each.includes(':'));
  if (isTooSmall) {
    draft.leaveOut(
      { file: `${node.name}:${name}`, line: 0 },
      `mtu ${mtu}`,
      `IPv6 needs an MTU of at least ${IPV6_MIN_MTU}`,
    );
  }
  const addresses = [...new Set(ip)];
  return {
    ...(addresses.length > 0 && { ip: addresses.length === 1 ? addresses[0] : addresses }),
    ...(mac !== undefined && { mac }),
    ...(mtu !== undefined && !isTooSmall && { mtu }),
  };
}

/** The routes whose gateway is in a network of the node; the kernel would refuse the others. */
function reachable(node: DraftNode, draft: Draft): string[] {
  const networks = new BlockList();
  for (const port of node.interfaces.values()) {
    for (const { address, length, family } of port.ip.flatMap((ip) => parsePrefix(ip) ?? [])) {
      networks.addSubnet(address, length, family);
    }
  }
  return node.routes.flatMap(({ to, via, place, text }) => {
    const family = via.includes(':') ? 'ipv6' : 'ipv4';
    const own = to === 'default' ? family : parsePrefix(to)?.family;
    if (own === family && networks.check(via, family)) return [`${to} via ${via}`];
    draft.leaveOut(place, text, `the gateway ${via} is in no network of the node's interfaces`);
    return [];
  });
}

function linkOf(
  name: string | undefined,
  [a, b]: readonly [DraftEnd, DraftEnd],
  draft: Draft,
): Record<string, unknown> {
  const forward = shapingOf(a.port.egress, b.port.ingress, draft);
  const reverse = shapingOf(b.port.egress, a.port.ingress, draft);
  return {
    ...(name !== undefined && { name }),
    endpoints: [a, b].map(({ node, port }) => `${node.name}:${port.name}`),
    ...(forward !== undefined && forward === reverse
      ? { impair: forward }
      : { ...(forward !== undefined && { forward }), ...(reverse !== undefined && { reverse }) }),
  };
}

/** What one end does as frames leave, and the other as they arrive: a link has one set of impairments a direction. */
function shapingOf(
  leaving: Shaping | undefined,
  arriving: Shaping | undefined,
  draft: Draft,
): string | undefined {
  if (leaving !== undefined && arriving !== undefined) {
    draft.leaveOut(arriving.place, arriving.text, 'the other end shapes this direction already');
  }
  return (leaving ?? arriving)?.text;
}

function segmentMaps(draft: Draft): Record<string, unknown> {
  const [hubs, switches] = [segmentsOf(draft, 'hub'), segmentsOf(draft, 'switch')];
  return { ...(switches !== undefined && { switches }), ...(hubs !== undefined && { hubs }) };
}

/** Hubs or switches: `{ NAME: { ports: [...] } }`, a port with impairments as a map. */
function segmentsOf(draft: Draft, kind: DraftSegment['kind']): Record<string, unknown> | undefined {
  const segments = draft.segments.filter((each) => each.kind === kind);
  if (segments.length === 0) return undefined;
  return Object.fromEntries(segments.map(({ name, ends }) => [name, { ports: ends.map(portOf) }]));
}

function portOf({ node, port }: DraftEnd): unknown {
  const end = `${node.name}:${port.name}`;
  if (port.egress === undefined && port.ingress === undefined) return end;
  // What leaves the node comes into the switch.
  return {
    interface: end,
    ...(port.egress !== undefined && { ingress: port.egress.text }),
    ...(port.ingress !== undefined && { egress: port.ingress.text }),
  };
}

/** tc on an interface that no link ends at. */
function leaveOutUnlinked(draft: Draft): void {
  const linked = new Set(
    [...draft.links, ...draft.segments].flatMap(({ ends }) => ends.map(({ port }) => port)),
  );
  for (const node of draft.nodes.values()) {
    for (const port of node.interfaces.values()) {
      for (const shaping of [port.egress, port.ingress]) {
        if (shaping === undefined || linked.has(port)) continue;
        draft.leaveOut(shaping.place, shaping.text, `no link ends at ${node.name}:${port.name}`);
      }
    }
  }
}

/** File by file as they were read, line by line. */
function inOrderOfFiles(leftOut: LeftOut[]): void {
  const files = [...new Set(leftOut.map(({ file }) => file))];
  leftOut.sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line);
}

function heading(draft: Draft, format: string, file: string): string[] {
  const { leftOut } = draft;
  const shown = leftOut.slice(0, MAX_COMMENTS).map((each) => `  ${describe(each)}`);
  const more = leftOut.length > shown.length ? [`  and ${leftOut.length - shown.length} more`] : [];
  return [
    `Made by \`taplab import ${format}\` of ${file}.`,
    ...draft.remarks,
    ...(leftOut.length === 0 ? [] : ['Not taken over:', ...shown, ...more]),
  ];
}

/** One line about something left out. */
export function describe({ file, line, text, reason }: LeftOut): string {
  return `${line === 0 ? file : `${file}:${line}`}: ${text}: ${reason}`;
}

/** Maps of one interface or setting on one line; each link with its place. */
function inline(document: Document, draft: Draft): void {
  const nodes = document.get('nodes');
  for (const { value } of isMap(nodes) ? nodes.items : []) {
    const interfaces = isMap(value) ? value.get('interfaces') : undefined;
    for (const { value: settings } of isMap(interfaces) ? interfaces.items : [])
      if (isMap(settings)) settings.flow = true;
  }
  for (const each of [document.get('hubs'), document.get('switches')].flatMap((map) =>
    isMap(map) ? map.items : [],
  )) {
    const ports = isMap(each.value) ? each.value.get('ports') : undefined;
    for (const port of isSeq(ports) ? ports.items : []) if (isMap(port)) port.flow = true;
  }
  const links = document.get('links');
  for (const [i, link] of (isSeq(links) ? links.items : []).entries()) {
    const endpoints = isMap(link) ? (link as YAMLMap).get('endpoints', true) : undefined;
    if (isSeq(endpoints)) endpoints.flow = true;
    const { place } = draft.links[i]!;
    const [first] = isMap(link) ? link.items : [];
    if (isScalar(first?.value)) first.value.comment = ` ${printable(`${place.file}:${place.line}`)}`;
    else if (isSeq(first?.value)) first.value.comment = ` ${printable(`${place.file}:${place.line}`)}`;
  }
}

/** Without characters that would end a comment or obey nobody. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, '?');
}

function check(text: string, file: string): void {
  try {
    parseLab(text, { file: 'lab', baseDirectory: '.' });
  } catch (error) {
    if (!(error instanceof LabFileError)) throw error;
    const [first] = error.errors;
    throw new InputError(file, `no lab can be made of it: ${first?.path}: ${first?.message}`);
  }
}
