/**
 * Scripts of tc(8) command lines, and of `containerlab tools netem set`: a lab with one link for each device they
 * shape. On one side is the node whose script it is, on the other a node `peer`; `ip netns exec NAME` names the node.
 *
 * tc shapes what leaves a device, so a link has impairments in that direction only, unless the script redirects what
 * arrives to an ifb device, which is how tc shapes the other.
 */
import { Draft, type Place } from './draft.ts';
import { type Files, InputError } from './input.ts';
import { NodeCommands } from './node-commands.ts';
import { type Statement, statements } from './shell.ts';

const HERE = 'local';
const PEER = 'peer';
/** Each gets a network of its own in 198.18.0.0/16. */
const MAX_DEVICES = 250;

/** Reads a script. Throws InputError when no device is shaped in it. */
export function readNetem(text: string, file: string, files: Files): Draft {
  const draft = new Draft(files.fileName);
  const commands = new Map<string, NodeCommands>();
  for (const statement of statements(text)) {
    const place = { file, line: statement.line };
    const { name, words } = whose(statement.words);
    const node =
      commands.get(name) ?? new NodeCommands(draft, draft.node(name, place), { createInterfaces: true });
    commands.set(name, node);
    const tc = ofContainerlab(words, draft, place, statement.text);
    for (const each of tc ?? [words]) node.statement({ ...statement, words: each }, place);
  }
  for (const node of commands.values()) node.finish();
  linkDevices(draft, { file, line: 1 });
  return draft;
}

function linkDevices(draft: Draft, place: Place): void {
  const ends = [...draft.nodes].flatMap(([name, node]) =>
    [...node.interfaces].map(([device, port]) => ({ name, node, device, port })),
  );
  if (ends.every(({ port }) => port.egress === undefined && port.ingress === undefined)) {
    const example = '`tc qdisc add dev eth0 root netem delay 20ms`';
    throw new InputError(place, `there is no device in it that tc shapes, as ${example} does`);
  }
  if (ends.length > MAX_DEVICES) throw new InputError(place, `more than ${MAX_DEVICES} devices`);
  for (const [name, node] of draft.nodes) if (node.interfaces.size === 0) draft.nodes.delete(name);
  const peer = draft.node(PEER, place);
  for (const [i, { name, node, device, port }] of ends.entries()) {
    const far = draft.port(peer, ends.length === 1 ? device : `eth${i}`, place);
    if (port.ip.length === 0) {
      port.ip.push(`198.18.${i}.1/24`);
      far.ip.push(`198.18.${i}.2/24`);
    }
    const at = port.egress?.place ?? port.ingress?.place ?? place;
    const linkName = draft.linkName(draft.nodes.size === 2 ? device : `${name}-${device}`, at);
    draft.links.push({
      name: linkName,
      ends: [
        { node, port },
        { node: peer, port: far },
      ],
      place: at,
    });
  }
}

/** The node a command is for, and the command: `ip netns exec NAME ...`, `ip -n NAME ...`, `tc -n NAME ...`. */
function whose(given: Statement['words']): { name: string; words: readonly string[] } {
  const words = given[0] === 'sudo' ? given.slice(1) : given;
  if (words.slice(0, 3).join(' ') === 'ip netns exec')
    return { name: words[3] ?? HERE, words: words.slice(4) };
  if ((words[0] === 'ip' || words[0] === 'tc') && /^-n(?:etns)?$/.test(words[1] ?? '')) {
    return { name: words[2] ?? HERE, words: [words[0], ...words.slice(3)] };
  }
  const isContainerlab = isToolsNetem(words);
  return { name: (isContainerlab ? optionOf(words, '-n', '--node') : undefined) ?? HERE, words };
}

function isToolsNetem(words: readonly string[]): boolean {
  return /^(?:containerlab|clab)$/.test(words[0] ?? '') && words.slice(1, 4).join(' ') === 'tools netem set';
}

function optionOf(words: readonly string[], ...names: readonly string[]): string | undefined {
  const at = words.findIndex((word) => names.includes(word.replace(/=.*$/s, '')));
  const word = words[at];
  if (word === undefined) return undefined;
  return word.includes('=') ? word.slice(word.indexOf('=') + 1) : words[at + 1];
}

/** `containerlab tools netem set` as the tc commands it stands for; its loss and corruption are percentages, its rate kbit/s. */
function ofContainerlab(
  words: readonly string[],
  draft: Draft,
  place: Place,
  text: string,
): readonly (readonly string[])[] | undefined {
  if (!isToolsNetem(words)) return undefined;
  const device = optionOf(words, '-i', '--interface');
  if (device === undefined) {
    draft.leaveOut(place, text, 'expected --interface');
    return [];
  }
  const delay = optionOf(words, '--delay');
  const jitter = optionOf(words, '--jitter');
  const [loss, rate, corruption] = ['--loss', '--rate', '--corruption'].map((name) => optionOf(words, name));
  const options = [
    ...(delay === undefined ? [] : ['delay', delay, ...(jitter === undefined ? [] : [jitter])]),
    ...(loss === undefined ? [] : ['loss', `${loss}%`]),
    ...(rate === undefined ? [] : ['rate', `${rate}kbit`]),
    ...(corruption === undefined ? [] : ['corrupt', `${corruption}%`]),
  ];
  return [['tc', 'qdisc', 'replace', 'dev', device, 'root', 'netem', ...options]];
}
