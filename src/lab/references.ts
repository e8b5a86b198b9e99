/**
 * How the values of a lab file must fit each other: endpoints that exist and are used once, one kind of clock, one
 * link type a link, gateways within reach. The schema checks each value by itself; this runs on files that the
 * schema refused too, so that all errors are shown at once. It therefore takes nothing for granted and skips what
 * has the wrong shape.
 */
import { BlockList } from 'node:net';
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../device/link-type.ts';
import { didYouMean } from '../text/suggest.ts';
import type { Path, Problem } from './issues.ts';
import { type Prefix, parsePrefix, splitEndpoint } from './names.ts';
import { MAX_JOINED_INTERFACES, splitRoute } from './schema/nodes.ts';
import { checkSwitches, foundSwitches } from './switch-references.ts';
import { MIRROR } from './switches.ts';

type Map_ = Record<string, unknown>;
/** What endpoints may refer to. */
type Names = { readonly interfaces: ReadonlyMap<string, Known>; readonly nodes: ReadonlySet<string> };
type Known = { readonly device: string; readonly path: Path };

/** IPv6 needs links of at least this MTU (RFC 8200, section 5). */
const IPV6_MIN_MTU = 1280;

const isMap = (value: unknown): value is Map_ =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const mapOf = (value: unknown): Map_ => (isMap(value) ? value : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Every problem between the parts of a lab file; `lab` is the file as plain data of any shape. */
export function referenceProblems(lab: unknown): Problem[] {
  const problems: Problem[] = [];
  const file = mapOf(lab);
  const interfaces = collectInterfaces(file, problems);
  const nodes = new Set(Object.keys(mapOf(file.nodes)));
  const names = withPorts({ interfaces, nodes }, file);
  const users = new Map<string, string>();
  checkLinks(file, names, users, problems);
  checkSwitches(file, nodes, {
    problems,
    kindOf: (name, path) =>
      checkKnown(name, path, names, problems) ? names.interfaces.get(name)!.device : undefined,
    use: (name, user, path) => {
      const other = users.get(name);
      if (other !== undefined) {
        problems.push({ path, at: 'value', message: `${name} is used twice, in ${other} and in ${user}` });
      }
      users.set(name, user);
    },
  });
  checkDescriptors(file, names, problems);
  checkClock(interfaces, problems);
  return problems;
}

/** What a file names, the ports and mirrors of its switches included. A port that has an interface is no end of links. */
function withPorts({ interfaces, nodes }: Names, file: Map_): Names {
  const all = new Map(interfaces);
  const hosts = new Set(nodes);
  for (const { name, path, ports } of foundSwitches(file)) {
    hosts.add(name);
    for (const port of ports) all.set(port.name, { device: port.kind, path: port.path });
    all.set(`${name}:${MIRROR}`, { device: 'mirror', path });
  }
  return { interfaces: all, nodes: hosts };
}

/** All interfaces by `node:interface`, after checking each by itself and the routes of its node. */
function collectInterfaces(file: Map_, problems: Problem[]): Map<string, Known> {
  const interfaces = new Map<string, Known>();
  const defaultDevice = typeof file.device === 'string' ? file.device : 'tap';
  for (const [nodeName, node] of Object.entries(mapOf(file.nodes))) {
    const subnets: Prefix[] = [];
    let isVirtual = false;
    checkJoin(mapOf(node), ['nodes', nodeName], problems);
    for (const [device, value] of Object.entries(mapOf(mapOf(node).interfaces))) {
      const path = ['nodes', nodeName, 'interfaces', device];
      const settings = mapOf(value);
      const kind = typeof settings.device === 'string' ? settings.device : defaultDevice;
      interfaces.set(`${nodeName}:${device}`, { device: kind, path });
      isVirtual ||= kind === 'memory' || kind === 'pcap';
      checkInterface(settings, kind, device, path, problems);
      if (mapOf(node).join === true && kind !== 'tap' && kind !== 'tun') {
        const message = `${nodeName} brings its own devices (join), which are tap or tun; this one is ${kind}`;
        problems.push({ path, at: 'key', message });
      }
      subnets.push(...addressesOf(settings).flatMap(({ text }) => parsePrefix(text) ?? []));
    }
    if (!isVirtual) checkRoutes(node, ['nodes', nodeName, 'routes'], subnets, problems);
  }
  return interfaces;
}

function addressesOf(settings: Map_): { text: string; path: Path }[] {
  if (typeof settings.ip === 'string') return [{ text: settings.ip, path: ['ip'] }];
  return listOf(settings.ip).flatMap((text, i) =>
    typeof text === 'string' ? [{ text, path: ['ip', i] }] : [],
  );
}

/** A node that joins hands its devices over in one message. */
function checkJoin(node: Map_, path: Path, problems: Problem[]): void {
  if (node.join !== true) return;
  const count = Object.keys(mapOf(node.interfaces)).length;
  if (count === 0) {
    problems.push({ path: [...path, 'join'], at: 'key', message: 'a node that joins needs an interface' });
  }
  if (count > MAX_JOINED_INTERFACES) {
    const message = `a node that joins has at most ${MAX_JOINED_INTERFACES} interfaces; this one has ${count}`;
    problems.push({ path: [...path, 'join'], at: 'key', message });
  }
}

function checkInterface(settings: Map_, kind: string, device: string, path: Path, problems: Problem[]): void {
  const report = (tail: Path, at: Problem['at'], message: string): void => {
    problems.push({ path: [...path, ...tail], at, message });
  };
  const isVirtual = kind === 'memory' || kind === 'pcap';
  if (!isVirtual && device === 'lo')
    report([], 'key', 'lo is the loopback device that every node has already');
  if (kind === 'pcap') {
    if (settings.read === undefined && settings.write === undefined) {
      report([], 'key', 'device pcap needs a file: read, write or both');
    }
  } else {
    for (const key of ['read', 'write']) {
      if (settings[key] !== undefined) report([key], 'key', `${key} is for device pcap; this one is ${kind}`);
    }
  }
  if (kind === 'tun' && settings.mac !== undefined) {
    report(['mac'], 'key', 'a tun device has no hardware address; use device tap, or leave mac out');
  }
  const seen = new Set<string>();
  for (const { text, path: tail } of addressesOf(settings)) {
    if (seen.has(text.toLowerCase())) report(tail, 'value', `${text} is given twice`);
    seen.add(text.toLowerCase());
    const isIpv6 = parsePrefix(text)?.family === 'ipv6';
    if (isIpv6 && typeof settings.mtu === 'number' && settings.mtu < IPV6_MIN_MTU) {
      report(
        ['mtu'],
        'value',
        `mtu ${settings.mtu} is too small for IPv6 (${text}): at least ${IPV6_MIN_MTU}`,
      );
    }
  }
}

function checkRoutes(node: unknown, path: Path, subnets: readonly Prefix[], problems: Problem[]): void {
  const reachable = new BlockList();
  for (const { address, length, family } of subnets) reachable.addSubnet(address, length, family);
  for (const [i, value] of listOf(mapOf(node).routes).entries()) {
    const route = typeof value === 'string' ? splitRoute(value) : mapOf(value);
    const to = typeof route?.to === 'string' ? route.to : undefined;
    const via = typeof route?.via === 'string' ? parsePrefix(route.via) : undefined;
    if (to === undefined || via === undefined) continue;
    const report = (message: string): void => {
      problems.push({ path: [...path, i], at: 'value', message });
    };
    const family = to === 'default' ? via.family : parsePrefix(to)?.family;
    if (family !== undefined && family !== via.family)
      report(`${to} via ${via.address}: one is IPv4, the other IPv6`);
    if (!reachable.check(via.address, via.family)) {
      report(`gateway ${via.address} is in no network of this node's interfaces`);
    }
  }
}

/** Reports an interface name that means nothing; true when it is known. */
function checkKnown(text: string, path: Path, { interfaces, nodes }: Names, problems: Problem[]): boolean {
  const endpoint = splitEndpoint(text);
  if (endpoint === undefined) return false;
  if (interfaces.has(text)) return true;
  const { node, device } = endpoint;
  const devices = [...interfaces.keys()].flatMap((name) => {
    const other = splitEndpoint(name);
    return other?.node === node ? [other.device] : [];
  });
  const has = devices.length > 0 ? devices.join(', ') : 'none';
  const message = nodes.has(node)
    ? `node "${node}" has no interface "${device}"${didYouMean(device, devices) || `; it has ${has}`}`
    : `no node "${node}"${didYouMean(node, nodes)}`;
  problems.push({ path, at: 'value', message });
  return false;
}

function checkLinks(file: Map_, known: Names, users: Map<string, string>, problems: Problem[]): void {
  for (const { switchName, name, settings } of foundSwitches(file).flatMap(({ ports }) => ports)) {
    if (settings.interface !== undefined) users.set(name, `switch "${switchName}"`);
  }
  const names = new Map<string, number>();
  for (const [i, value] of listOf(file.links).entries()) {
    const link = mapOf(value);
    const ends = listOf(link.endpoints);
    const shown = typeof link.name === 'string' ? `link "${link.name}"` : `link ${i + 1}`;
    if (typeof link.name === 'string') {
      const first = names.get(link.name);
      if (first === undefined) names.set(link.name, i);
      else {
        const message = `duplicate link name "${link.name}", also link ${first + 1}`;
        problems.push({ path: ['links', i, 'name'], at: 'value', message });
      }
    }
    const kinds: { text: string; kind: string }[] = [];
    for (const [j, end] of ends.entries()) {
      const path = ['links', i, 'endpoints', j];
      if (typeof end !== 'string' || !checkKnown(end, path, known, problems)) continue;
      const user = users.get(end);
      if (user !== undefined) {
        const message =
          j === 1 && end === ends[0]
            ? `${shown} joins ${end} with itself: a link needs two interfaces`
            : `${end} is used twice, in ${user} and in ${shown}`;
        problems.push({ path, at: 'value', message });
      }
      users.set(end, shown);
      const kind = known.interfaces.get(end)!.device;
      if (kind === 'mirror') {
        problems.push({ path, at: 'value', message: `${end} is for descriptors; no link leads to a mirror` });
      }
      kinds.push({ text: end, kind });
    }
    const [a, b] = kinds;
    if (a !== undefined && b !== undefined && (a.kind === 'tun') !== (b.kind === 'tun')) {
      const message =
        `${a.text} is a ${a.kind} and ${b.text} a ${b.kind} device: ` +
        'tun carries IP packets, the others Ethernet frames, so both ends must be tun or neither';
      problems.push({ path: ['links', i, 'endpoints'], at: 'value', message });
    }
  }
}

function checkDescriptors(file: Map_, known: Names, problems: Problem[]): void {
  const files = new Map<string, number>();
  for (const [i, value] of listOf(file.descriptors).entries()) {
    const descriptor = mapOf(value);
    const { interface: name, write } = descriptor;
    if (typeof name === 'string') checkKnown(name, ['descriptors', i, 'interface'], known, problems);
    if (typeof write !== 'string') continue;
    const first = files.get(write);
    if (first === undefined) files.set(write, i);
    else {
      const message = `descriptor ${first + 1} writes to ${write} too`;
      problems.push({ path: ['descriptors', i, 'write'], at: 'value', message });
    }
  }
}

/** What `check` finds wrong with the filters of descriptors. */
export function filterProblems(
  lab: unknown,
  check: (filter: string, linkType: number) => { message: string; position?: number } | undefined,
): Problem[] {
  const file = mapOf(lab);
  const known = collectInterfaces(file, []);
  return listOf(file.descriptors).flatMap((value, i): Problem[] => {
    const { interface: name, filter } = mapOf(value);
    if (typeof filter !== 'string') return [];
    const isTun = typeof name === 'string' && known.get(name)?.device === 'tun';
    const problem = check(filter, isTun ? LINKTYPE_RAW : LINKTYPE_ETHERNET);
    if (problem === undefined) return [];
    const { message, position } = problem;
    const where = position === undefined ? {} : { offset: position };
    return [{ path: ['descriptors', i, 'filter'], at: 'value', ...where, message: `filter: ${message}` }];
  });
}

/** Kernel devices run in real time, memory and pcap devices in virtual time: a lab has one or the other. */
function checkClock(known: ReadonlyMap<string, Known>, problems: Problem[]): void {
  let first: { name: string; isVirtual: boolean; device: string } | undefined;
  for (const [name, { device, path }] of known) {
    const isVirtual = device === 'memory' || device === 'pcap';
    first ??= { name, isVirtual, device };
    if (isVirtual === first.isVirtual) continue;
    const message =
      `device ${device} cannot be in one lab with ${first.name}, a ${first.device} device: ` +
      'memory and pcap devices run in virtual time, kernel devices in real time';
    problems.push({ path, at: 'key', message });
    return;
  }
}
