/** Changes of a running lab that a worker cannot carry out: whichever command fails, all is as it was before. */
import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena/arena.ts';
import { capacityOf } from '../../src/daemon/layout.ts';
import { Topology } from '../../src/daemon/topology.ts';
import type { Command } from '../../src/engine/commands.ts';
import type { PlaneHost } from '../../src/engine/host.ts';
import { CommandSender } from '../../src/engine/mailbox.ts';
import { CLEAR_LINK } from '../../src/link/settings.ts';
import { memoryInterface, pairLab } from '../helpers/lab.ts';

const WORKERS = 2;
const PORT = { fd: 7, linkType: 1 };

/** Workers that remember what they were told, and refuse one command when asked to. */
class Workers implements PlaneHost {
  readonly known: Map<string, unknown>[] = Array.from({ length: WORKERS }, () => new Map());
  /** How many commands are carried out before one is refused. */
  refuseAfter: number = Number.POSITIVE_INFINITY;

  async send(worker: number, commands: readonly Command[]): Promise<void> {
    for (const command of commands) {
      if (this.refuseAfter-- === 0) throw new Error('refused');
      carryOut(this.known[worker]!, command);
    }
  }

  async install(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {}
}

function carryOut(known: Map<string, unknown>, command: Command): void {
  switch (command.do) {
    case 'port':
      known.set(`port ${command.index}`, []);
      break;
    case 'device':
      if (known.has(`port ${command.index}`)) known.set(`port ${command.index}`, command.fds);
      break;
    case 'remove-port':
      known.delete(`port ${command.index}`);
      break;
    case 'link':
    case 'set':
      known.set(`direction ${command.direction}`, command.settings);
      break;
    case 'remove-link':
      known.delete(`direction ${command.direction}`);
      break;
  }
}

async function started(): Promise<{ topology: Topology; workers: Workers }> {
  const lab = { ...pairLab(), workers: WORKERS, virtual: false };
  const workers = new Workers();
  const topology = new Topology(Arena.create(capacityOf(lab)), lab, workers, async () => {}, {});
  await topology.start(new Map([['a:eth0', PORT]]));
  for (const node of ['c', 'd', 'e', 'f']) await topology.addInterface(memoryInterface(node));
  await topology.addLink(link('cd', 'c:eth0', 'd:eth0'));
  return { topology, workers };
}

const link = (name: string, ...endpoints: [string, string]): Parameters<Topology['addLink']>[0] => ({
  name,
  endpoints,
  forward: CLEAR_LINK,
  reverse: CLEAR_LINK,
});

const CHANGES: [string, (topology: Topology) => Promise<unknown>][] = [
  ['a new link', (topology) => topology.addLink(link('ef', 'e:eth0', 'f:eth0'))],
  ['a new interface with its device', (topology) => topology.addInterface(memoryInterface('g'), PORT)],
  ['a device for an interface', (topology) => topology.connect('b:eth0', PORT)],
  [
    'a change of several links',
    (topology) =>
      topology.setLinks(
        ['ab', 'cd'].map((name) => ({ name, forward: { delayNs: 1e6 }, reverse: { loss: 1 } })),
      ),
  ],
];

describe('a change that a worker cannot carry out', () => {
  it.each(CHANGES)('leaves all as it was, whichever command fails: %s', async (_, change) => {
    let failures = 0;
    for (let refuseAfter = 0; ; refuseAfter++) {
      const { topology, workers } = await started();
      const state = (): unknown =>
        structuredClone({
          known: workers.known,
          links: topology.links
            .list()
            .map(({ name, forward, reverse }) => [name, forward.settings, reverse.settings]),
          interfaces: topology.registry.list().map((entry) => [entry.name, topology.isUp(entry)]),
        });
      const before = state();
      workers.refuseAfter = refuseAfter;
      const outcome = await change(topology).then(
        () => 'done',
        (error: Error) => error.message,
      );
      const isOver = workers.refuseAfter >= 0;
      workers.refuseAfter = Number.POSITIVE_INFINITY;
      if (isOver) {
        expect(outcome).toBe('done');
        expect(state()).not.toEqual(before);
        break;
      }
      failures++;
      expect(outcome).toBe('refused');
      expect(state()).toEqual(before);
      // What it took up is free again: it can be made now.
      await change(topology);
    }
    expect(failures).toBeGreaterThanOrEqual(WORKERS);
  });
});

describe('a command that is longer than a mailbox', () => {
  it('is refused before any of its batch is carried out, and says so', async () => {
    const arena = Arena.create(capacityOf(pairLab()));
    let rings = 0;
    const sender = new CommandSender(arena, 0, () => rings++);
    const trace = { name: 'huge', entries: 1, data: 'A'.repeat(2 ** 20) };
    const set: Command = { do: 'set', direction: 0, settings: { ...CLEAR_LINK, trace } };
    await expect(sender.send([{ do: 'remove-link', direction: 0 }, set])).rejects.toMatchObject({
      code: 'E2BIG',
      message: expect.stringMatching(/^a command takes \d+ bytes, a mailbox has 1048570$/),
    });
    expect(rings).toBe(0);
  });

  it('leaves no link behind', async () => {
    const { topology, workers } = await started();
    workers.send = (worker, commands) =>
      new CommandSender(Arena.create(capacityOf(pairLab())), 0, () => {
        throw new Error('this command is short enough');
      })
        .send(commands.filter((command) => command.do === 'link'))
        .then(() => Workers.prototype.send.call(workers, worker, commands));
    const trace = { name: 'huge', entries: 1, data: 'A'.repeat(2 ** 20) };
    const huge = { ...link('ef', 'e:eth0', 'f:eth0'), forward: { ...CLEAR_LINK, trace } };
    await expect(topology.addLink(huge)).rejects.toMatchObject({
      name: 'LabChangeError',
      code: 'ENOSPC',
    });
    expect(topology.links.get('ef')).toBeUndefined();
    expect(topology.links.at('e:eth0')).toBeUndefined();
  });
});
