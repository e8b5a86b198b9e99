/**
 * How the switches and hubs of a lab file fit the rest of it: names that are free, interfaces that exist and are not
 * in use, VLANs that make sense together, no loop. Runs on files that the schema refused too, as references.ts does.
 */
import type { Path, Problem } from './issues.ts';
import { MIRROR, portName } from './switches.ts';

type Map_ = Record<string, unknown>;

/** What the checks of switches share with those of links. */
export type SwitchChecks = {
  readonly problems: Problem[];
  /** Reports an interface that does not exist; its kind of device when it does. */
  readonly kindOf: (interfaceName: string, path: Path) => string | undefined;
  /** Notes who uses an interface, and reports who does already. */
  readonly use: (interfaceName: string, user: string, path: Path) => void;
};

/** A port, as a file of any shape has it. */
export type FoundPort = {
  readonly name: string;
  readonly switchName: string;
  readonly path: Path;
  readonly settings: Map_;
  readonly kind: 'switch' | 'hub';
};

const isMap = (value: unknown): value is Map_ =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const mapOf = (value: unknown): Map_ => (isMap(value) ? value : {});

/** The switches and hubs of a file, with all their ports. */
export function foundSwitches(file: Map_): { name: string; path: Path; ports: FoundPort[] }[] {
  return (['switches', 'hubs'] as const).flatMap((section) =>
    Object.entries(mapOf(file[section])).map(([switchName, value]) => {
      const { ports } = mapOf(value);
      const kind = section === 'hubs' ? 'hub' : 'switch';
      const list: unknown[] = Array.isArray(ports) ? ports : [];
      return {
        name: switchName,
        path: [section, switchName],
        ports: list.map((port, i): FoundPort => {
          const settings = typeof port === 'string' ? { interface: port } : mapOf(port);
          const path = [section, switchName, 'ports', i];
          return { name: portName(switchName, settings, i), switchName, path, settings, kind };
        }),
      };
    }),
  );
}

/** Checks all switches. `nodes` are the names of the nodes. */
export function checkSwitches(file: Map_, nodes: ReadonlySet<string>, checks: SwitchChecks): void {
  const { problems } = checks;
  const names = new Map<string, string>([...nodes].map((name) => [name, 'a node']));
  for (const { name, path, ports } of foundSwitches(file)) {
    const other = names.get(name);
    if (other !== undefined)
      problems.push({ path, at: 'key', message: `"${name}" is the name of ${other} already` });
    names.set(name, path[0] === 'hubs' ? 'a hub' : 'a switch');
    const used = new Map<string, number>([[`${name}:${MIRROR}`, -1]]);
    for (const [i, port] of ports.entries()) {
      const first = used.get(port.name);
      if (first !== undefined) {
        const whose = first === -1 ? 'what the mirror is called' : `port ${first + 1} too`;
        problems.push({ path: port.path, at: 'value', message: `${port.name} is ${whose}` });
      }
      used.set(port.name, i);
      checkPort(port, checks);
    }
  }
  checkLoops(file, problems);
}

function checkPort({ name, switchName, path, settings, kind }: FoundPort, checks: SwitchChecks): void {
  const report = (key: string, message: string): void => {
    checks.problems.push({ path: [...path, key], at: 'key', message });
  };
  if (settings.vlan !== undefined && settings.trunk !== undefined)
    report('vlan', 'vlan is for an access port, trunk for a trunk port; a port is one of them');
  if (settings.native !== undefined && settings.trunk === undefined)
    report('native', 'native is for a trunk port, which names its VLANs with trunk');
  const { interface: attached } = settings;
  if (typeof attached !== 'string') {
    for (const key of ['impair', 'ingress', 'egress']) {
      if (settings[key] !== undefined)
        report(key, `${name} names no interface; a link that leads to it has its own impairments`);
    }
    return;
  }
  // The short form is the interface itself.
  const place = Object.keys(settings).length === 1 ? path : [...path, 'interface'];
  const device = checks.kindOf(attached, place);
  if (device === undefined) return;
  if (device === 'tun') {
    const message = `${attached} is a tun device, which carries IP packets; a ${kind} takes Ethernet frames`;
    checks.problems.push({ path: place, at: 'value', message });
  } else if (device === 'switch' || device === 'hub') {
    const message = `${attached} is a port itself; join ports with an entry under links`;
    checks.problems.push({ path: place, at: 'value', message });
  }
  checks.use(attached, `${kind} "${switchName}"`, place);
}

/** There is no spanning tree: in a loop every broadcast would go round for ever. */
function checkLoops(file: Map_, problems: Problem[]): void {
  const owners = new Map(
    foundSwitches(file).flatMap(({ ports }) => ports.map(({ name, switchName }) => [name, switchName])),
  );
  const leaders = new Map<string, string>();
  const leader = (name: string): string => {
    const next = leaders.get(name);
    return next === undefined ? name : leader(next);
  };
  const links: unknown[] = Array.isArray(file.links) ? file.links : [];
  for (const [i, link] of links.entries()) {
    const { endpoints } = mapOf(link);
    const ends = Array.isArray(endpoints) ? endpoints.map((end) => owners.get(end)) : [];
    const [a, b] = ends;
    if (a === undefined || b === undefined) continue;
    if (leader(a) === leader(b)) {
      const message = `this link closes a loop of switches (${a}, ${b}): there is no spanning tree protocol`;
      problems.push({ path: ['links', i, 'endpoints'], at: 'value', message });
    } else leaders.set(leader(a), leader(b));
  }
}
