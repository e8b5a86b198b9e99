/**
 * What a node's start-up script sets up with ip(8), ifconfig(8), route(8), sysctl(8) and tc(8), as addresses, routes,
 * settings and impairments of the lab. Commands that do anything else are left out: a lab file starts no programs.
 */
import { isIP } from 'node:net';
import { macProblem, parsePrefix, SYSCTL_PATTERN } from '../lab/names.ts';
import { type Draft, type DraftInterface, type DraftNode, NotTaken, type Place } from './draft.ts';
import { type Statement, statements } from './shell.ts';
import { TrafficControl } from './traffic-control.ts';

const NO_PROGRAMS = 'a lab file starts no programs; run it with `taplab exec` when the lab is up';
/** Shell words that change nothing for what comes after. */
const NOTHING = new Set(['true', ':', 'set', 'exit']);
const NO_NEED = 'it sets nothing up';
const MIN_MTU = 68;
const MAX_MTU = 9000;
const MAX_DEPTH = 3;

export type NodeOptions = {
  /** Makes an interface that a command names and the node does not have; without it that is left out. */
  readonly createInterfaces?: boolean;
};

/** Carries out the commands of one node on the draft. finish() when all have been given. */
export class NodeCommands {
  readonly #draft: Draft;
  readonly #node: DraftNode;
  readonly #options: NodeOptions;
  readonly #tc: TrafficControl;

  constructor(draft: Draft, node: DraftNode, options: NodeOptions = {}) {
    this.#draft = draft;
    this.#node = node;
    this.#options = options;
    this.#tc = new TrafficControl(draft);
  }

  /** Every statement of a script that starts at a line of a file. */
  script(text: string, { file, line }: Place): void {
    for (const each of statements(text)) this.statement(each, { file, line: line + each.line - 1 });
  }

  statement(statement: Statement, place: Place): void {
    this.#draft.attempt(place, statement.text, () => this.#statement(statement, place, 0));
  }

  #statement(statement: Statement, place: Place, depth: number): void {
    const { text, depends } = statement;
    const words = statement.words[0] === 'sudo' ? statement.words.slice(1) : statement.words;
    if (depends !== undefined) throw new NotTaken(depends);
    const [command = '', ...rest] = words;
    const name = command.replace(/^\/(?:usr\/)?s?bin\//, '');
    if (NOTHING.has(name)) return;
    if (/^(?:ba|da|)sh$/.test(name) && /^-[a-z]*c$/.test(rest[0] ?? '') && depth < MAX_DEPTH) {
      for (const inner of statements(rest[1] ?? '')) this.#inner(inner, place, depth);
    } else if (name === 'ip') this.#ip(rest, place, text);
    else if (name === 'ifconfig') this.#ifconfig(rest, place);
    else if (name === 'route') this.#oldRoute(rest, place, text);
    else if (name === 'sysctl') this.#sysctls(rest);
    else if (name === 'echo') this.#echo(rest);
    else if (name === 'tc') this.#tc.command(rest, place, text);
    else throw new NotTaken(NO_PROGRAMS);
  }

  #inner(statement: Statement, place: Place, depth: number): void {
    this.#draft.attempt(place, statement.text, () => this.#statement(statement, place, depth + 1));
  }

  /** Puts what tc was told on the interfaces. */
  finish(): void {
    for (const device of this.#node.interfaces.keys()) {
      if (this.#tc.isRedirection(device)) this.#node.interfaces.delete(device);
    }
    for (const { device, direction, shaping } of this.#tc.shapings()) {
      const port = this.#port(device, shaping.place);
      if (port !== undefined) port[direction] = shaping;
      else this.#draft.leaveOut(shaping.place, shaping.text, `the node has no interface ${device}`);
    }
  }

  #port(name: string, place: Place): DraftInterface | undefined {
    const known = this.#node.interfaces.get(name);
    if (known !== undefined || this.#options.createInterfaces !== true || name === 'lo') return known;
    return this.#draft.port(this.#node, name, place);
  }

  #ip(words: readonly string[], place: Place, text: string): void {
    const flags = words.findIndex((word) => !word.startsWith('-'));
    const isPlain = words.slice(0, flags).every((word) => word === '-4' || word === '-6');
    const [object = '', verb = '', ...rest] = words.slice(Math.max(flags, 0));
    if (flags === -1 || !isPlain) throw new NotTaken('not an ip command known here');
    const isAdding = verb !== '' && ['add', 'replace', 'change'].some((each) => each.startsWith(verb));
    const isObject = (full: string): boolean => object !== '' && full.startsWith(object);
    if (isObject('address') && isAdding) this.#address(rest, place);
    else if (isObject('link') && verb === 'set') this.#link(rest, place);
    else if (isObject('route') && isAdding) this.#route(rest, place, text);
    else throw new NotTaken(`ip ${object} ${verb}: not something a lab file has`);
  }

  #address(words: readonly string[], place: Place): void {
    const rest = [...words];
    const address = rest.shift() ?? '';
    const device = takePair(rest, 'dev');
    // The broadcast address follows from the network; `+` says just that.
    takePair(rest, 'broadcast') ?? takePair(rest, 'brd');
    if (rest.length > 0) throw new NotTaken(`an address of a lab file has no ${rest.join(' ')}`);
    this.#addAddress(device ?? '', address, place);
  }

  #addAddress(device: string, address: string, place: Place): void {
    const prefix = parsePrefix(address);
    if (prefix === undefined) throw new NotTaken(`"${address}" is not an address with prefix length`);
    const port = this.#port(device, place);
    if (port === undefined)
      throw new NotTaken(`the node has no interface ${device === '' ? 'of that name' : device} in the lab`);
    const full = `${prefix.address}/${prefix.length}`;
    if (!port.ip.includes(full)) port.ip.push(full);
  }

  #link(words: readonly string[], place: Place): void {
    const rest = words[0] === 'dev' ? words.slice(1) : [...words];
    const name = rest.shift() ?? '';
    const mtu = takePair(rest, 'mtu');
    const mac = takePair(rest, 'address');
    const settings = rest.filter((word) => word !== 'up');
    if (settings.length > 0) throw new NotTaken(`an interface of a lab file has no ${settings.join(' ')}`);
    // Loopback is up in every node.
    if (name === 'lo' && mtu === undefined && mac === undefined) return;
    const port = this.#port(name, place);
    if (port === undefined) throw new NotTaken(`the node has no interface ${name} in the lab`);
    if (mtu !== undefined) setMtu(port, mtu);
    if (mac !== undefined) setMac(port, mac);
  }

  #route(words: readonly string[], place: Place, text: string): void {
    const rest = [...words];
    const to = rest.shift() ?? '';
    const via = takePair(rest, 'via');
    const device = takePair(rest, 'dev');
    if (via === undefined) throw new NotTaken('a route of a lab file goes via a gateway');
    if (rest.length > 0) throw new NotTaken(`a route of a lab file has no ${rest.join(' ')}`);
    if (device !== undefined && !this.#node.interfaces.has(device)) {
      throw new NotTaken(`the node has no interface ${device} in the lab`);
    }
    this.#addRoute(to, via, place, text);
  }

  #addRoute(to: string, via: string, place: Place, text: string): void {
    const everything = to === '0.0.0.0/0' || to === '::/0' ? 'default' : to;
    if (everything !== 'default' && parsePrefix(to) === undefined)
      throw new NotTaken(`"${to}" is not a network`);
    if (isIP(via) === 0) throw new NotTaken(`"${via}" is not the address of a gateway`);
    this.#node.routes.push({ to: everything, via, place, text });
  }

  #ifconfig(words: readonly string[], place: Place): void {
    const rest = [...words];
    const device = rest.shift() ?? '';
    if (device === 'lo' && (rest.length === 0 || rest.join(' ') === 'up')) return;
    const [mtu, mask] = [takePair(rest, 'mtu'), takePair(rest, 'netmask')];
    takePair(rest, 'broadcast');
    const isHardware = rest.indexOf('hw');
    const mac = isHardware === -1 ? undefined : rest.splice(isHardware, 3)[2];
    const addresses = rest.filter((word) => !/^(?:up|inet|inet6|add)$/.test(word));
    const port = this.#port(device, place);
    if (port === undefined) throw new NotTaken(`the node has no interface ${device} in the lab`);
    const [address, ...more] = addresses;
    if (more.length > 0) throw new NotTaken(`an interface of a lab file has no ${more.join(' ')}`);
    if (mtu !== undefined) setMtu(port, mtu);
    if (mac !== undefined) setMac(port, mac);
    if (address !== undefined) this.#addAddress(device, withMask(address, mask), place);
  }

  #oldRoute(words: readonly string[], place: Place, text: string): void {
    const rest = words.filter(
      (word) => word !== '-net' && word !== '-host' && word !== '-A' && word !== 'inet6',
    );
    if (rest.shift() !== 'add') throw new NotTaken('not a route command known here');
    const to = rest.shift() ?? '';
    const [via, mask] = [takePair(rest, 'gw'), takePair(rest, 'netmask')];
    takePair(rest, 'dev');
    if (via === undefined) throw new NotTaken('a route of a lab file goes via a gateway');
    if (rest.length > 0) throw new NotTaken(`a route of a lab file has no ${rest.join(' ')}`);
    this.#addRoute(to === 'default' ? to : withMask(to, mask, 32), via, place, text);
  }

  #sysctls(words: readonly string[]): void {
    const settings = words.filter((word) => !word.startsWith('-'));
    if (settings.length === 0) throw new NotTaken(NO_NEED);
    for (const each of settings) {
      const equals = each.indexOf('=');
      if (equals === -1) throw new NotTaken(NO_NEED);
      else this.setting(each.slice(0, equals).trim(), each.slice(equals + 1).trim());
    }
  }

  /** A setting of the node under net. Throws NotTaken, as those below. */
  setting(name: string, value: string): void {
    if (SYSCTL_PATTERN.test(name)) this.#node.sysctls.set(name, value);
    else throw new NotTaken(`${name}: only settings under net belong to a node`);
  }

  #echo(words: readonly string[]): void {
    const match = /^(\S+) ?> ?\/proc\/sys\/(net\/\S+)$/.exec(words.join(' '));
    if (match === null) throw new NotTaken(NO_PROGRAMS);
    else this.setting(match[2]!.replaceAll('/', '.'), match[1]!);
  }
}

/** Takes `word VALUE` out of words. */
function takePair(words: string[], word: string): string | undefined {
  const at = words.indexOf(word);
  return at === -1 ? undefined : words.splice(at, 2)[1];
}

/** Gives an interface an MTU, if it may have it. */
export function setMtu(port: DraftInterface, text: string): void {
  const mtu = Number(text);
  if (Number.isInteger(mtu) && mtu >= MIN_MTU && mtu <= MAX_MTU) port.mtu = mtu;
  else throw new NotTaken(`an MTU is from ${MIN_MTU} to ${MAX_MTU} here`);
}

/** Gives an interface a hardware address, if it may have it. */
export function setMac(port: DraftInterface, text: string): void {
  const problem = macProblem(text);
  if (problem === undefined) port.mac = text.toLowerCase();
  else throw new NotTaken(`${text} ${problem}`);
}

/** `198.18.0.0` with `255.255.255.0` as 198.18.0.0/24; what is wrong comes out as no prefix at all. */
function withMask(address: string, mask: string | undefined, otherwise?: number): string {
  if (address.includes('/')) return address;
  if (mask === undefined)
    return otherwise === undefined || address.includes(':') ? address : `${address}/${otherwise}`;
  const bits = mask
    .split('.')
    .map((byte) => Number(byte).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) && bits.length === 32
    ? `${address}/${bits.indexOf('0') === -1 ? 32 : bits.indexOf('0')}`
    : mask;
}
