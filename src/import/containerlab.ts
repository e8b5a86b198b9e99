/**
 * containerlab's topology files: `name`, and of `topology` the nodes and links, with what they inherit from defaults,
 * kinds and groups. Links may be short (`endpoints: ["a:eth1", "b:eth1"]`) or long (`type: veth`, endpoints as maps).
 *
 * A node becomes a network namespace, whatever its kind; of its `exec` commands those that set up the network are
 * taken over. Nodes of kind bridge and ovs-bridge become switches.
 */

import { parsePrefix } from '../lab/names.ts';
import { readSource, type Source } from '../lab/source.ts';
import { Draft, type DraftEnd, type DraftNode, type Place } from './draft.ts';
import { type Files, InputError } from './input.ts';
import { NodeCommands, setMac, setMtu } from './node-commands.ts';

type Map_ = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

const isMap = (value: unknown): value is Map_ =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const mapOf = (value: unknown): Map_ => (isMap(value) ? value : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const BRIDGES: ReadonlySet<string> = new Set(['bridge', 'ovs-bridge']);
/** Words that stand where a node would: the machine containerlab runs on, its networks, or nothing. */
const OUTSIDE: ReadonlySet<string> = new Set(['host', 'mgmt-net', 'macvlan', 'dummy']);
const NO_WAY_OUT = 'a lab has no way out; nothing leaves its nodes';
const IN_LINKS = new Set(['type', 'endpoints', 'mtu', 'ipv4', 'ipv6']);
const IN_ENDPOINTS = new Set(['node', 'interface', 'mac', 'ipv4', 'ipv6']);
const IN_NODES = new Set(['kind', 'group', 'exec', 'sysctls', 'network-mode']);
const NODE_REASONS: Readonly<Record<string, string>> = {
  image: 'a node is a network namespace of this system, with its programs; for a container see `join: true`',
  binds: "nodes share this system's file system",
  env: 'a lab file starts no programs',
  cmd: 'a lab file starts no programs; run it with `taplab exec`',
  'mgmt-ipv4': 'a lab has no management network; nodes are reached with `taplab exec`',
  'mgmt-ipv6': 'a lab has no management network; nodes are reached with `taplab exec`',
};

/** Reads a topology file. Throws InputError. */
export function readContainerlab(text: string, file: string, files: Files): Draft {
  return new Reader(text, file, files).draft;
}

class Reader {
  readonly draft: Draft;
  readonly #file: string;
  readonly #source: Source;
  readonly #topology: Map_;
  readonly #bridges: Map<string, { ends: DraftEnd[]; place: Place; kind: string }> = new Map();
  readonly #used: Map<string, Place> = new Map();

  constructor(text: string, file: string, files: Files) {
    this.#file = file;
    this.#source = readSource(text);
    const [problem] = this.#source.problems;
    if (problem !== undefined) throw new InputError({ file, line: problem.line }, problem.message);
    const root = this.#source.data;
    if (!isMap(root)) throw new InputError({ file, line: 1 }, 'expected a map with `name` and `topology`');
    this.draft = new Draft(files.folderName);
    if (root.name !== undefined) this.draft.rename(String(root.name), this.#at(['name']));
    this.#topology = this.#mapAt(root.topology, ['topology']);
    for (const key of Object.keys(root)) {
      if (key !== 'name' && key !== 'topology')
        this.#leaveOut([key], key, 'it says how containerlab runs the lab');
    }
    for (const key of Object.keys(this.#topology)) {
      if (!/^(?:nodes|links|defaults|kinds|groups)$/.test(key)) {
        this.#leaveOut(['topology', key], key, 'not known here');
      }
    }
    this.#readLinks(this.#readNodes());
  }

  #at(path: Path): Place {
    return { file: this.#file, line: this.#source.locate({ path, at: 'key', message: '' }).line };
  }

  #leaveOut(path: Path, text: string, reason: string): void {
    this.draft.leaveOut(this.#at(path), text, reason);
  }

  #mapAt(value: unknown, path: Path): Map_ {
    if (isMap(value)) return value;
    throw new InputError(this.#at(path), `${path.join('.')}: expected a map`);
  }

  #readNodes(): (() => void)[] {
    const nodes = this.#mapAt(this.#topology.nodes, ['topology', 'nodes']);
    const finish: (() => void)[] = [];
    for (const layer of this.#sharedLayers()) this.#leaveOutSettings(layer.value, layer.path);
    for (const [name, value] of Object.entries(nodes)) {
      const path = ['topology', 'nodes', name];
      const own = value === null ? {} : this.#mapAt(value, path);
      const kind = String(
        own.kind ?? mapOf(this.#group(own).value).kind ?? mapOf(this.#topology.defaults).kind ?? 'linux',
      );
      if (BRIDGES.has(kind)) {
        this.#bridges.set(name, { ends: [], place: this.#at(path), kind });
        this.#leaveOutSettings(own, path);
        continue;
      }
      if (kind === 'host') {
        this.#leaveOut(path, `${name}: kind host`, NO_WAY_OUT);
        continue;
      }
      const node = this.draft.node(name, this.#at(path));
      if (kind !== 'linux') {
        const reason = `the node is a network namespace of this system, not a ${kind}`;
        this.#leaveOut(own.kind === undefined ? path : [...path, 'kind'], `${name}: kind ${kind}`, reason);
      }
      this.#leaveOutSettings(own, path);
      finish.push(() => this.#commands(node, this.#layers(kind, own, path)));
    }
    return finish;
  }

  /** What nodes inherit from, each with its place. */
  #sharedLayers(): { value: Map_; path: Path }[] {
    const { defaults, kinds, groups } = this.#topology;
    const below = (value: unknown, key: string): { value: Map_; path: Path }[] =>
      Object.entries(mapOf(value)).map(([name, each]) => ({
        value: mapOf(each),
        path: ['topology', key, name],
      }));
    return [
      { value: mapOf(defaults), path: ['topology', 'defaults'] },
      ...below(kinds, 'kinds'),
      ...below(groups, 'groups'),
    ];
  }

  #group({ group }: Map_): { value: unknown; path: Path } {
    const name = String(group ?? '');
    return { value: mapOf(this.#topology.groups)[name], path: ['topology', 'groups', name] };
  }

  /** From what every node inherits to the node itself, the last winning. */
  #layers(kind: string, own: Map_, path: Path): { value: Map_; path: Path }[] {
    const group = this.#group(own);
    return [
      { value: mapOf(this.#topology.defaults), path: ['topology', 'defaults'] },
      { value: mapOf(mapOf(this.#topology.kinds)[kind]), path: ['topology', 'kinds', kind] },
      { value: mapOf(group.value), path: group.path },
      { value: own, path },
    ];
  }

  #leaveOutSettings(settings: Map_, path: Path): void {
    for (const [key, value] of Object.entries(settings)) {
      if (IN_NODES.has(key) && (key !== 'network-mode' || value === 'none')) continue;
      const shown = typeof value === 'object' ? key : `${key}: ${String(value)}`;
      this.#leaveOut([...path, key], shown, NODE_REASONS[key] ?? 'a node has no such setting');
    }
  }

  #commands(node: DraftNode, layers: readonly { value: Map_; path: Path }[]): void {
    const commands = new NodeCommands(this.draft, node);
    for (const { value, path } of layers) {
      for (const [name, setting] of Object.entries(mapOf(value.sysctls))) {
        const at = [...path, 'sysctls', name];
        this.draft.attempt(this.#at(at), name, () => commands.setting(name, String(setting)));
      }
    }
    for (const { value, path } of layers) {
      for (const [i, command] of listOf(value.exec).entries()) {
        commands.script(String(command), this.#at([...path, 'exec', i]));
      }
    }
    commands.finish();
  }

  #readLinks(finishNodes: readonly (() => void)[]): void {
    const links = this.#topology.links ?? [];
    if (!Array.isArray(links))
      throw new InputError(this.#at(['topology', 'links']), 'links: expected a list');
    for (const [i, link] of links.entries()) this.#readLink(link, ['topology', 'links', i]);
    for (const [name, { ends, place, kind }] of this.#bridges) {
      if (ends.length === 0) this.draft.leaveOut(place, `${name}: kind ${kind}`, 'no link leads to it');
      else this.draft.segments.push({ name: this.draft.linkName(name, place), kind: 'switch', ends, place });
    }
    // Commands name interfaces, which links have made.
    for (const finish of finishNodes) finish();
  }

  #readLink(value: unknown, path: Path): void {
    const link = this.#mapAt(value, path);
    const type = String(link.type ?? 'veth');
    if (type === 'dummy') {
      this.#end(link.endpoint, [...path, 'endpoint']);
      return;
    }
    if (type !== 'veth') {
      this.#leaveOut(path, `type: ${type}`, NO_WAY_OUT);
      return;
    }
    if (!Array.isArray(link.endpoints) || link.endpoints.length !== 2) {
      throw new InputError(this.#at(path), 'endpoints: expected a list of two');
    }
    this.#leaveOutOthers(link, IN_LINKS, path, 'link');
    const read = link.endpoints.map((each, i) => this.#end(each, [...path, 'endpoints', i]));
    const outside = read.find((end) => typeof end === 'string');
    if (outside !== undefined) {
      this.#leaveOut(path, link.endpoints.map(textOf).join(' - '), String(outside));
      return;
    }
    const ends = read as (DraftEnd | Bridge)[];
    if (link.mtu !== undefined) {
      const mtu = String(link.mtu);
      this.draft.attempt(this.#at([...path, 'mtu']), `mtu: ${mtu}`, () => {
        for (const end of ends) if ('port' in end) setMtu(end.port, mtu);
      });
    }
    for (const [i, end] of ends.entries()) if ('port' in end) this.#configure(end, link, i, path);
    const [a, b] = ends as [DraftEnd | Bridge, DraftEnd | Bridge];
    if ('port' in a && 'port' in b) this.draft.links.push({ ends: [a, b], place: this.#at(path) });
    else if ('port' in a) (b as Bridge).bridge.push(a);
    else if ('port' in b) a.bridge.push(b);
    else this.#leaveOut(path, link.endpoints.map(textOf).join(' - '), 'both ends are bridges');
  }

  #configure({ port }: DraftEnd, link: Map_, index: number, path: Path): void {
    for (const key of ['ipv4', 'ipv6']) {
      const address = listOf(link[key])[index];
      if (address !== undefined && address !== '') this.#address(port.ip, String(address), [...path, key]);
    }
  }

  #address(ip: string[], text: string, path: Path): void {
    const prefix = parsePrefix(text);
    if (prefix === undefined) this.#leaveOut(path, text, `"${text}" is not an address with prefix length`);
    else ip.push(`${prefix.address}/${prefix.length}`);
  }

  /** An end of a link; a text says why there is none. */
  #end(value: unknown, path: Path): DraftEnd | Bridge | string {
    const long = isMap(value) ? value : undefined;
    const [name = '', device = ''] =
      long === undefined
        ? String(value).split(/:(.*)/s)
        : [String(long.node ?? ''), String(long.interface ?? '')];
    const place = this.#at(path);
    if (name === '' || device === '') {
      throw new InputError(
        place,
        `"${textOf(value)}" is not an endpoint: expected NODE:INTERFACE, or node and interface`,
      );
    }
    if (OUTSIDE.has(name) && !Object.hasOwn(mapOf(this.#topology.nodes), name)) return NO_WAY_OUT;
    const bridge = this.#bridges.get(name);
    if (bridge !== undefined) return { bridge: bridge.ends };
    const node = this.draft.nodes.get(name);
    if (node === undefined) {
      if (Object.hasOwn(mapOf(this.#topology.nodes), name)) return NO_WAY_OUT;
      throw new InputError(place, `no node "${name}"`);
    }
    const first = this.#used.get(`${name}:${device}`);
    if (first !== undefined)
      throw new InputError(place, `${name}:${device} is used twice, also in line ${first.line}`);
    this.#used.set(`${name}:${device}`, place);
    const port = this.draft.port(node, device, place);
    if (long !== undefined) {
      this.#leaveOutOthers(long, IN_ENDPOINTS, path, 'interface');
      if (long.mac !== undefined) {
        const mac = String(long.mac);
        this.draft.attempt(place, `mac: ${mac}`, () => setMac(port, mac));
      }
      for (const key of ['ipv4', 'ipv6']) {
        if (typeof long[key] === 'string') this.#address(port.ip, long[key], [...path, key]);
      }
    }
    return { node, port };
  }

  #leaveOutOthers(map: Map_, known: ReadonlySet<string>, path: Path, what: string): void {
    for (const key of Object.keys(map)) {
      if (!known.has(key))
        this.#leaveOut(
          [...path, key],
          key,
          `${what === 'link' ? 'a link' : 'an interface'} has no such setting`,
        );
    }
  }
}

type Bridge = { readonly bridge: DraftEnd[] };

function textOf(value: unknown): string {
  if (!isMap(value)) return String(value);
  return value.node === undefined
    ? JSON.stringify(value)
    : `${String(value.node)}:${String(value.interface)}`;
}
