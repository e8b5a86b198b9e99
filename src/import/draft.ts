/**
 * A lab under construction, while a file of another tool is read: nodes, interfaces and links under the names that
 * file has for them, and everything of it that a taplab lab cannot say. Nothing is dropped without leaveOut().
 *
 * write-lab.ts makes the lab file of it. Names that a lab file does not allow are changed here, and reported.
 */
import { INTERFACE_PATTERN, NAME_PATTERN } from '../lab/names.ts';

/** Where something stands in a file, counted from 1. */
export type Place = { readonly file: string; readonly line: number };

/** Something of the file that the lab does not have. */
export type LeftOut = Place & {
  /** The words of the file, shortened. */
  readonly text: string;
  /** Why, and what to do instead where there is something. */
  readonly reason: string;
};

export type DraftInterface = {
  readonly name: string;
  readonly ip: string[];
  mac?: string;
  mtu?: number;
  /** What happens to the frames that leave the node here, in the words of docs/links.md. */
  egress?: Shaping;
  /** What happens to those that arrive. */
  ingress?: Shaping;
};

export type Shaping = { readonly text: string; readonly place: Place };
export type DraftRoute = {
  readonly to: string;
  readonly via: string;
  readonly place: Place;
  readonly text: string;
};

export class DraftNode {
  readonly name: string;
  /** By the name in the file. */
  readonly interfaces: Map<string, DraftInterface> = new Map();
  readonly routes: DraftRoute[] = [];
  readonly sysctls: Map<string, string> = new Map();

  constructor(name: string) {
    this.name = name;
  }
}

export type DraftEnd = { readonly node: DraftNode; readonly port: DraftInterface };
export type DraftLink = {
  readonly name?: string;
  readonly ends: readonly [DraftEnd, DraftEnd];
  readonly place: Place;
};
/** What joins any number of interfaces. */
export type DraftSegment = {
  readonly name: string;
  readonly kind: 'hub' | 'switch';
  readonly ends: readonly DraftEnd[];
  readonly place: Place;
};

/** Thrown inside Draft.attempt(): what is being read cannot be taken over. `message` says why. */
export class NotTaken extends Error {}

const MAX_TEXT_SHOWN = 120;

export class Draft {
  name: string;
  /** What the file says about itself; becomes comments. */
  readonly remarks: string[] = [];
  /** By the name in the file. */
  readonly nodes: Map<string, DraftNode> = new Map();
  readonly links: DraftLink[] = [];
  readonly segments: DraftSegment[] = [];
  readonly leftOut: LeftOut[] = [];

  constructor(name: string) {
    this.name = allowedName(name, NAME_PATTERN, [], 'lab');
  }

  /** Reports what is not taken over. */
  leaveOut({ file, line }: Place, text: string, reason: string): void {
    const flat = text.replace(/\s+/g, ' ').trim();
    const shown = flat.length > MAX_TEXT_SHOWN ? `${flat.slice(0, MAX_TEXT_SHOWN - 3)}...` : flat;
    this.leftOut.push({ file, line, text: shown, reason });
  }

  /** Takes something over, or reports what NotTaken says. */
  attempt(place: Place, text: string, take: () => void): void {
    try {
      take();
    } catch (error) {
      if (!(error instanceof NotTaken)) throw error;
      this.leaveOut(place, text, error.message);
    }
  }

  rename(name: string, place: Place): void {
    this.name = allowedName(name, NAME_PATTERN, [], 'lab');
    this.#reportName(name, this.name, place);
  }

  /** The node of that name in the file, made when it is not there yet. */
  node(name: string, place: Place): DraftNode {
    const known = this.nodes.get(name);
    if (known !== undefined) return known;
    const taken = [...this.nodes.values()].map((node) => node.name);
    const node = new DraftNode(allowedName(name, NAME_PATTERN, taken, 'node'));
    this.#reportName(name, node.name, place);
    this.nodes.set(name, node);
    return node;
  }

  /** The interface of that name in the file, made when it is not there yet. */
  port(node: DraftNode, name: string, place: Place): DraftInterface {
    const known = node.interfaces.get(name);
    if (known !== undefined) return known;
    const taken = ['lo', ...[...node.interfaces.values()].map((port) => port.name)];
    const port: DraftInterface = { name: allowedName(name, INTERFACE_PATTERN, taken, 'if'), ip: [] };
    this.#reportName(name, port.name, place);
    node.interfaces.set(name, port);
    return port;
  }

  /** A name for a link or segment that nothing else of its kind has. */
  linkName(name: string, place: Place): string {
    const taken = [...this.links, ...this.segments].flatMap((link) => link.name ?? []);
    const allowed = allowedName(name, NAME_PATTERN, taken, 'link');
    this.#reportName(name, allowed, place);
    return allowed;
  }

  #reportName(name: string, allowed: string, place: Place): void {
    if (name !== allowed)
      this.leaveOut(place, name, `the name is not allowed here; it is ${allowed} in the lab`);
  }
}

/** The name itself when it is allowed and free, otherwise one made of what is allowed of it. */
function allowedName(name: string, pattern: RegExp, taken: readonly string[], stem: string): string {
  if (pattern.test(name) && !taken.includes(name)) return name;
  const limit = pattern === INTERFACE_PATTERN ? 15 : 32;
  const letters = name.replace(/[^a-zA-Z0-9_-]+/g, '-').replace(/^[^a-zA-Z0-9]+/, '');
  const base = letters.slice(0, limit) || stem;
  for (let i = 1; ; i++) {
    const suffix = i === 1 ? '' : `-${i}`;
    const candidate = base.slice(0, limit - suffix.length) + suffix;
    if (pattern.test(candidate) && !taken.includes(candidate)) return candidate;
  }
}
