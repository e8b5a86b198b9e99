/**
 * What can carry frames between two namespaces, each started the way its users start it.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/package.ts';
import { ADDRESS, compileC, type Ground, ip, isInstalled, type Pair } from './ground.ts';

/** A contender that carries frames now. */
export type Carrier = {
  readonly pair: Pair;
  /** The processes that do the carrying, for their processor time; none when the kernel does it. */
  readonly pids: readonly number[];
  /** Set for what carries connections rather than frames: only TCP is measured, and only of connections made by a. */
  readonly isTcpOnly?: boolean;
};

export type Contender = {
  readonly name: string;
  /** What is missing on this machine, when something is. */
  readonly missing?: string;
  start(pair: Pair): Promise<Carrier>;
};

export const WITHOUT_OFFLOAD = 'taplab, offload: false';

/** They end a namespace's connections and open their own in the host's namespace: no frame arrives on the other side. */
const OTHER_JOB = 'another job: a to sockets of b';

function debian(command: string, package_: string): { missing?: string } {
  return isInstalled(command) ? {} : { missing: `${command} (Debian: ${package_})` };
}

/** All of them, the ones that are not installed included. */
export function contenders(ground: Ground): Contender[] {
  const forwarder = compileC(ground, 'forwarder');
  const vde = isInstalled('vde_switch') ? {} : { missing: 'vde_switch (Debian: vde2)' };
  return [
    { name: 'taplab', start: (pair) => startTaplab(pair) },
    { name: WITHOUT_OFFLOAD, start: (pair) => startTaplab(pair, { interfaceSettings: ', offload: false' }) },
    { name: 'C forwarder', ...cForwarder(forwarder, []) },
    { name: 'C forwarder, offload', ...cForwarder(forwarder, ['-o']) },
    { name: 'vde_switch', ...vde, start: startVdeSwitch },
    { name: 'vde_switch + wirefilter', ...vde, start: startWirefilter },
    { name: 'kernel veth', start: startVeth },
    { name: 'kernel bridge', start: startBridge },
    { name: `pasta (passt), ${OTHER_JOB}`, ...debian('pasta', 'passt'), start: startPasta },
    { name: `slirp4netns, ${OTHER_JOB}`, ...debian('slirp4netns', 'slirp4netns'), start: startSlirp },
  ];
}

export type TaplabLab = {
  /** Of the link, or of the first port's; YAML. */
  readonly impair?: string;
  readonly interfaceSettings?: string;
  /** What is between the two nodes; a link unless told. */
  readonly between?: 'link' | 'switch' | 'hub';
};

/** taplab with two nodes; the pair's namespaces are the lab's own. */
export async function startTaplab(
  pair: Pair,
  { impair = '{}', interfaceSettings = '', between = 'link' }: TaplabLab = {},
): Promise<Carrier & { readonly socket: string }> {
  const folder = join(pair.ground.folder, `taplab-${pair.number}`);
  mkdirSync(folder);
  const lab = join(folder, 'lab.yaml');
  const socket = join(folder, 'control.sock');
  // Joined by a veth each, a lab could use the pair as it is; but a user's lab has namespaces of its own.
  const name = `bench${process.pid}-${pair.number}`;
  writeFileSync(
    lab,
    `name: ${name}
nodes:
  a: { interfaces: { eth0: { ip: 198.18.0.1/24${interfaceSettings} } } }
  b: { interfaces: { eth0: { ip: 198.18.0.2/24${interfaceSettings} } } }
${
  between === 'link'
    ? `links: [{ name: wan, endpoints: ["a:eth0", "b:eth0"], impair: ${impair} }]`
    : `${between === 'hub' ? 'hubs' : 'switches'}: { s: { ports: [{ interface: "a:eth0", impair: ${impair} }, "b:eth0"] } }`
}
`,
  );
  const cli = join(PACKAGE_ROOT, 'dist/src/cli/main.js');
  const args = [cli, 'up', lab, '--socket', socket, '--metrics', 'off', '--log-level', 'info'];
  const daemon = await pair.ground.start(process.execPath, args, /"msg":"lab is up"/);
  const own = pair.withNamespaces({ a: `taplab-${name}-a`, b: `taplab-${name}-b` });
  return { pair: own, pids: [daemon.pid!], socket };
}

function cForwarder(
  program: { path: string } | { missing: string },
  options: readonly string[],
): Pick<Contender, 'start' | 'missing'> {
  const start = async (pair: Pair): Promise<Carrier> => {
    const taps = tapNames(pair);
    const child = await pair.ground.start(
      'path' in program ? program.path : '',
      [...options, ...taps],
      /^ready$/,
    );
    pair.adopt('a', taps[0]);
    pair.adopt('b', taps[1]);
    return { pair, pids: [child.pid!] };
  };
  return 'missing' in program ? { missing: program.missing, start } : { start };
}

/** One switch with both devices. */
async function startVdeSwitch(pair: Pair): Promise<Carrier> {
  const taps = tapNames(pair);
  const socket = join(pair.ground.folder, `vde-${pair.number}`);
  const child = await vdeSwitch(pair.ground, socket, taps);
  pair.adopt('a', taps[0]);
  pair.adopt('b', taps[1]);
  return { pair, pids: [child] };
}

/** A switch on each side and wirefilter between them, as its manual has it. */
async function startWirefilter(pair: Pair): Promise<Carrier> {
  const switches = await startTwoSwitches(pair);
  const filter = await connectSwitches(pair.ground, switches.sockets);
  return { pair, pids: [...switches.pids, filter.pid!] };
}

/** A switch on each side, and nothing between them. */
export async function startTwoSwitches(
  pair: Pair,
): Promise<{ readonly pids: number[]; readonly sockets: readonly string[] }> {
  const taps = tapNames(pair);
  const sockets = taps.map((tap) => join(pair.ground.folder, `vde-${tap}`));
  const pids: number[] = [];
  for (const [i, tap] of taps.entries()) pids.push(await vdeSwitch(pair.ground, sockets[i]!, [tap]));
  pair.adopt('a', taps[0]);
  pair.adopt('b', taps[1]);
  return { pids, sockets };
}

/** wirefilter between two switches. It ends when its standard input does; Ground keeps that open. */
export function connectSwitches(
  ground: Ground,
  sockets: readonly string[],
  impairment: readonly string[] = [],
): Promise<ChildProcess> {
  return ground.start('wirefilter', [...impairment, '-v', sockets.join(':')]);
}

async function vdeSwitch(ground: Ground, socket: string, taps: readonly string[]): Promise<number> {
  const args = ['-s', socket, ...taps.flatMap((tap) => ['-t', tap])];
  const child = await ground.start('vde_switch', args);
  await waitForDevices(taps);
  return child.pid!;
}

async function startVeth(pair: Pair): Promise<Carrier> {
  const [a, b] = tapNames(pair);
  ip('link', 'add', a, 'type', 'veth', 'peer', 'name', b);
  pair.adopt('a', a);
  pair.adopt('b', b);
  return { pair, pids: [] };
}

/** Two veths and a bridge, in a namespace of their own. */
async function startBridge(pair: Pair): Promise<Carrier> {
  const middle = pair.ground.namespace(`${pair.number}m`);
  ip('-n', middle, 'link', 'add', 'br0', 'type', 'bridge');
  ip('-n', middle, 'link', 'set', 'br0', 'up');
  for (const side of ['a', 'b'] as const) {
    const outer = `tlb${process.pid % 100_000}x${side}`;
    ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', `port${side}`, 'netns', middle);
    ip('-n', middle, 'link', 'set', `port${side}`, 'master', 'br0', 'up');
    pair.adopt(side, outer);
  }
  return { pair, pids: [] };
}

/** b is the host, whose loopback a reaches under the address of its gateway. */
async function startPasta(pair: Pair): Promise<Carrier> {
  const { a, b } = pair.namespace;
  // It takes over the settings of a host's interface with a default route, so b needs one.
  ip('-n', b, 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
  for (const end of ['up0', 'up1']) ip('-n', b, 'link', 'set', end, 'up');
  ip('-n', b, 'addr', 'add', '203.0.113.1/24', 'dev', 'up0');
  ip('-n', b, 'route', 'add', 'default', 'via', '203.0.113.2');
  const addresses = ['-4', '-a', ADDRESS.a, '-n', '24', '-g', ADDRESS.b];
  const ports = ['-t', 'none', '-u', 'none', '-T', 'none', '-U', 'none'];
  const target = ['--config-net', '-I', 'eth0', '--netns', `/run/netns/${a}`];
  const child = await pair.start('b', ['pasta', '-f', '--runas', '0', ...addresses, ...ports, ...target]);
  await waitForDevice('eth0', a);
  return { pair, pids: [child.pid!], isTcpOnly: true };
}

/** The same with slirp4netns, which has the gateway at .2 of its network. */
async function startSlirp(pair: Pair): Promise<Carrier> {
  const { a } = pair.namespace;
  const network = ['--configure', '--mtu=65520', '--cidr=198.18.0.0/24'];
  const target = ['--netns-type=path', `/run/netns/${a}`, 'eth0'];
  const child = await pair.start('b', ['slirp4netns', ...network, ...target]);
  await waitForDevice('eth0', a);
  return { pair, pids: [child.pid!], isTcpOnly: true };
}

/** Device names of at most 15 characters that nobody else has. */
function tapNames(pair: Pair): [string, string] {
  const base = `tlb${process.pid % 100_000}n${pair.number}`;
  return [`${base}a`, `${base}b`];
}

async function waitForDevices(names: readonly string[]): Promise<void> {
  for (const name of names) await waitForDevice(name);
}

/** @param namespace where it is to appear; this process's own when it is not given */
async function waitForDevice(name: string, namespace?: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      ip(...(namespace === undefined ? [] : ['-n', namespace]), 'link', 'show', name);
      return;
    } catch (error) {
      if (tries > 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
