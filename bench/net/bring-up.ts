/** Labs of many nodes, brought up and down the way their users do it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/package.ts';
import { type Ground, isInstalled, output } from './ground.ts';

/** A chain of links, or all nodes on one switch. */
export type Shape = 'chain' | 'switch';

export type BringUp = {
  readonly upMs: number;
  readonly downMs: number;
  /** Of memory, that of the processes that the lab needs. */
  readonly megabytes: number;
};

export type LabContender = {
  readonly name: string;
  /** What is missing on this machine, when something is. */
  readonly missing?: string;
  run(shape: Shape, nodes: number): Promise<BringUp>;
};

const PATIENCE_MS = 300_000;
let mininets = 0;

export function contenders(ground: Ground): LabContender[] {
  const hasMininet = isInstalled('mn') && isInstalled('brctl');
  return [
    { name: 'taplab', run: (shape, nodes) => runForeground(ground, shape, nodes) },
    {
      name: 'taplab up --detach, down',
      run: (shape, nodes) => ground.uninterrupted(() => runBackground(ground, shape, nodes)),
    },
    {
      name: 'Mininet',
      ...(hasMininet ? {} : { missing: 'mininet and bridge-utils (Debian: the same names)' }),
      run: (shape, nodes) => runMininet(ground, shape, nodes),
    },
  ];
}

/**
 * In the foreground, as Mininet is. From the start of `taplab up` to its word that the lab is up; from the end of its
 * stdin to its own.
 */
async function runForeground(ground: Ground, shape: Shape, nodes: number): Promise<BringUp> {
  const { command, socket, lab } = prepare(ground, shape, nodes);
  const before = performance.now();
  const daemon = await ground.start(
    process.execPath,
    [command, 'up', lab, '--socket', socket, '--metrics', 'off', '--until-stdin-closes'],
    /"msg":"lab is up"/,
  );
  const upMs = performance.now() - before;
  return {
    upMs,
    megabytes: megabytesOf(daemon.pid!),
    downMs: await endOf(daemon, () => daemon.stdin!.end()),
  };
}

/** By commands: from the start of `taplab up --detach` to its end, and from the start of `taplab down` to its end. */
async function runBackground(ground: Ground, shape: Shape, nodes: number): Promise<BringUp> {
  const { command, socket, lab } = prepare(ground, shape, nodes);
  const environment = ['env', `TAPLAB_STATE_DIRECTORY=${ground.folder}`];
  const taplab = [...environment, process.execPath, command, '--socket', socket];
  const before = performance.now();
  const said = await output([...taplab, 'up', lab, '--detach', '--json', '--metrics', 'off'], PATIENCE_MS);
  const upMs = performance.now() - before;
  const down = async (): Promise<number> => {
    const start = performance.now();
    await output([...taplab, 'down'], PATIENCE_MS);
    return performance.now() - start;
  };
  try {
    const { pid } = JSON.parse(said) as { readonly pid: number };
    const megabytes = megabytesOf(pid);
    return { upMs, megabytes, downMs: await down() };
  } catch (error) {
    await down().catch(() => {});
    throw error;
  }
}

function prepare(ground: Ground, shape: Shape, nodes: number): Record<'command' | 'socket' | 'lab', string> {
  const lab = join(ground.folder, 'bringup.yaml');
  writeFileSync(lab, labFile(`up${process.pid}`, shape, nodes));
  const command = join(PACKAGE_ROOT, 'dist/src/cli/main.js');
  return { command, socket: join(ground.folder, 'bringup.sock'), lab };
}

/** From the word to end to the end of the process. */
async function endOf(child: ChildProcess, tell: () => void): Promise<number> {
  const ended = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const before = performance.now();
  tell();
  const [status] = await ended;
  clearTimeout(timer);
  if (status !== 0) throw new Error(`${child.spawnargs.join(' ')} ended with status ${status}`);
  return performance.now() - before;
}

/** What a process and all that come from it have in memory; what several of them share counts once. */
function megabytesOf(pid: number): number {
  const kilobytes = familyOf(pid).map((each) => {
    const rollup = readFileSync(`/proc/${each}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]);
  });
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1024;
}

/** A process, its children, and theirs. */
function familyOf(pid: number): number[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(processes.map((name) => [Number(name), parentOf(name)]));
  const family = [pid];
  for (const each of family) {
    for (const [child, parent] of parents) if (parent === each) family.push(child);
  }
  return family;
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/** Node i has eth0 to the node before it and eth1 to the one after, each link with a network of its own. */
export function labFile(name: string, shape: Shape, nodes: number): string {
  const numbers = Array.from({ length: nodes }, (_, i) => i);
  if (shape === 'switch') {
    const lines = numbers.map(
      (i) => `  n${i}: { interfaces: { eth0: { ip: 10.0.${(i + 1) >> 8}.${(i + 1) & 255}/16 } } }`,
    );
    const ports = numbers.map((i) => `n${i}:eth0`).join(', ');
    return `name: ${name}\nnodes:\n${lines.join('\n')}\nswitches: { s1: { ports: [${ports}] } }\n`;
  }
  const address = (link: number, host: number): string => `${addressOf(link, host)}/30`;
  const lines = numbers.map((i) => {
    const left = i > 0 ? [`eth0: { ip: ${address(i - 1, 2)} }`] : [];
    const right = i < nodes - 1 ? [`eth1: { ip: ${address(i, 1)} }`] : [];
    return `  n${i}: { interfaces: { ${[...left, ...right].join(', ')} } }`;
  });
  const links = numbers.slice(1).map((i) => `  - { endpoints: ["n${i - 1}:eth1", "n${i}:eth0"] }`);
  return `name: ${name}\nnodes:\n${lines.join('\n')}\nlinks:\n${links.join('\n')}\n`;
}

/** Of a host, 1 or 2, in the network of a chain's link. */
export function addressOf(link: number, host: number): string {
  return `198.18.${link >> 6}.${((link & 63) << 2) + host}`;
}

/** Mininet's own API, as its examples use it; prints the seconds of each part. */
const SCRIPT = `
import signal, sys
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

class Lab(Topo):
    def build(self, shape, count):
        hosts = [self.addHost('n%d' % i) for i in range(count)]
        if shape == 'switch':
            switch = self.addSwitch('s1')
            for host in hosts:
                self.addLink(host, switch)
        else:
            for a, b in zip(hosts, hosts[1:]):
                self.addLink(a, b)

net = Mininet(topo=Lab(sys.argv[1], int(sys.argv[2])), switch=LinuxBridge, controller=None, build=False)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
try:
    net.build()
    net.start()
    print('up', flush=True)
    sys.stdin.readline()
finally:
    net.stop()
`;

/** From the start of Python to its word that the network has started; from the end of its stdin to its own. */
async function runMininet(ground: Ground, shape: Shape, nodes: number): Promise<BringUp> {
  const script = join(ground.folder, 'lab.py');
  writeFileSync(script, SCRIPT);
  // Its bridge and the ends of its veths stay in this namespace, and go with it whatever happens.
  const namespace = ground.namespace(`mn${++mininets}`);
  const python = ['netns', 'exec', namespace, '/usr/bin/python3', script, shape, String(nodes)];
  const before = performance.now();
  const child = await ground.start('ip', python, /^up$/);
  const upMs = performance.now() - before;
  return { upMs, megabytes: megabytesOf(child.pid!), downMs: await endOf(child, () => child.stdin!.end()) };
}
