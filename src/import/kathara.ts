/**
 * Kathará's network scenarios: lab.conf(5), and the start-up scripts beside it (`pc1.startup`, `shared.startup`).
 *
 * A collision domain with two members becomes a link, one with more a hub. Kathará's devices forward packets
 * (net.ipv4.ip_forward), so nodes with several interfaces do here.
 */
import { Draft, type DraftEnd, type DraftNode, type Place } from './draft.ts';
import { type Files, InputError } from './input.ts';
import { NodeCommands, setMac } from './node-commands.ts';

const ASSIGNMENT = /^([a-z0-9_]{1,30})\[(\w+)\]=(["']?)([^"']+)\3(?:\s+#.*)?$/;
const ABOUT = /^LAB_(NAME|DESCRIPTION|VERSION|AUTHOR|EMAIL|WEB)=(["']?)(.*?)\2\s*$/;
const DOMAIN = /^(\w+)(?:\/([0-9a-fA-F:]{17}))?$/;
const MAX_INTERFACE = 255;
const MAX_DEVICES = 1024;

const REASONS: Readonly<Record<string, string>> = {
  image: 'a node is a network namespace of this system, with its programs; for a container see `join: true`',
  mem: 'a node has no memory of its own',
  cpus: 'a node has no processors of its own',
  port: 'a node is reached with `taplab exec`, or over a link',
  bridged: 'a lab has no way out; nothing leaves its nodes',
  shell: 'say which with `taplab exec NODE -- SHELL`',
  ipv6: 'nodes have IPv6; switch it off with the setting net.ipv6.conf.all.disable_ipv6',
};

type Domain = { readonly ends: DraftEnd[]; readonly place: Place };

/** Reads a lab.conf and what is beside it. Throws InputError. */
export function readKathara(text: string, file: string, files: Files): Draft {
  const draft = new Draft(files.folderName);
  const devices = new Map<string, { node: DraftNode; commands: NodeCommands }>();
  const domains = new Map<string, Domain>();
  const scripts: { device: string; script: string; place: Place }[] = [];
  const device = (name: string, place: Place): { node: DraftNode; commands: NodeCommands } => {
    const node = draft.node(name, place);
    const known = devices.get(name) ?? { node, commands: new NodeCommands(draft, node) };
    devices.set(name, known);
    if (devices.size > MAX_DEVICES) throw new InputError(place, `more than ${MAX_DEVICES} devices`);
    return known;
  };
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const [line, place] = [raw.trim(), { file, line: i + 1 }];
    if (line === '' || line.startsWith('#')) continue;
    const about = ABOUT.exec(line);
    if (about !== null) {
      if (about[1] === 'NAME') draft.rename(about[3]!, place);
      else draft.remarks.push(`${about[1]!.toLowerCase()}: ${about[3]}`);
      continue;
    }
    const match = ASSIGNMENT.exec(line);
    if (match === null)
      throw new InputError(place, `"${line.slice(0, 80)}": expected DEVICE[ARGUMENT]=VALUE, as pc1[0]="A"`);
    const [, name, argument, , value] = match as unknown as [string, string, string, string, string];
    if (name === 'shared')
      throw new InputError(place, '"shared" is the name of the script for all devices, not of a device');
    const { node, commands } = device(name, place);
    if (/^\d+$/.test(argument)) connect(draft, node, argument, value, place, domains);
    else if (argument === 'exec') scripts.push({ device: name, script: value, place });
    else if (argument === 'sysctl') {
      const [setting = '', ...rest] = value.split('=');
      draft.attempt(place, line, () => commands.setting(setting.trim(), rest.join('=').trim()));
    } else draft.leaveOut(place, line, REASONS[argument] ?? 'a node has no such setting');
  }
  if (devices.size === 0)
    throw new InputError({ file, line: 1 }, 'there is no device in it: expected lines as pc1[0]="A"');
  for (const { node } of devices.values())
    if (node.interfaces.size > 1) node.sysctls.set('net.ipv4.ip_forward', '1');
  joinDomains(draft, domains);
  runScripts(draft, devices, scripts, files);
  return draft;
}

function connect(
  draft: Draft,
  node: DraftNode,
  number: string,
  value: string,
  place: Place,
  domains: Map<string, Domain>,
): void {
  if (Number(number) > MAX_INTERFACE)
    throw new InputError(place, `interface ${number}: at most ${MAX_INTERFACE}`);
  const match = DOMAIN.exec(value);
  if (match === null) {
    throw new InputError(
      place,
      `"${value.slice(0, 80)}" is not a collision domain: letters and digits only, as A`,
    );
  }
  const name = `eth${Number(number)}`;
  if (node.interfaces.has(name)) throw new InputError(place, `${node.name} has interface ${number} already`);
  const port = draft.port(node, name, place);
  const mac = match[2];
  if (mac !== undefined) draft.attempt(place, value, () => setMac(port, mac));
  const domain = domains.get(match[1]!) ?? { ends: [], place };
  domain.ends.push({ node, port });
  domains.set(match[1]!, domain);
}

/** A domain with one member leaves its interface without a link, as a cable that is plugged in at one end. */
function joinDomains(draft: Draft, domains: ReadonlyMap<string, Domain>): void {
  for (const [name, { ends, place }] of domains) {
    const [a, b] = ends;
    if (a === undefined || b === undefined) continue;
    const linkName = draft.linkName(name, place);
    if (ends.length === 2) draft.links.push({ name: linkName, ends: [a, b], place });
    else draft.segments.push({ name: linkName, kind: 'hub', ends, place });
  }
}

function runScripts(
  draft: Draft,
  devices: ReadonlyMap<string, { readonly commands: NodeCommands }>,
  scripts: readonly { device: string; script: string; place: Place }[],
  files: Files,
): void {
  const shared = files.read('shared.startup');
  for (const [name, { commands }] of devices) {
    const own = files.read(`${name}.startup`);
    for (const each of [shared, own])
      if (each !== undefined) commands.script(each.text, { file: each.file, line: 1 });
    for (const { device, script, place } of scripts) if (device === name) commands.script(script, place);
    commands.finish();
    leaveOutFolder(draft, name, files);
  }
  leaveOutFolder(draft, 'shared', files);
  if (files.has('lab.dep')) {
    draft.leaveOut({ file: files.path('lab.dep'), line: 1 }, 'lab.dep', 'all nodes of a lab come up at once');
  }
  for (const name of [...devices.keys(), 'shared']) {
    const script = `${name}.shutdown`;
    if (files.has(script))
      draft.leaveOut({ file: files.path(script), line: 1 }, script, 'a lab file starts no programs');
  }
}

function leaveOutFolder(draft: Draft, name: string, files: Files): void {
  if (!files.hasFolder(name)) return;
  const reason = "its files are not copied: nodes share this system's file system";
  draft.leaveOut({ file: files.path(name), line: 1 }, `${name}/`, reason);
}
