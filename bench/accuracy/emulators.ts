/** Links whose impairment can be changed while they stand, each changed the way its users change it. */
import { ControlClient } from '../../src/control/client.ts';
import {
  type Carrier,
  connectSwitches,
  contenders,
  startTaplab,
  startTwoSwitches,
} from '../net/contenders.ts';
import { ADDRESS, type Ground, isInstalled, type Pair } from '../net/ground.ts';

/** One impairment in each emulator's words; without wirefilter's it is not one for it. */
export type Setting = { readonly taplab: string; readonly wirefilter?: readonly string[] };
export const CLEAR: Setting = { taplab: '', wirefilter: [] };

export type EmulatedLink = Carrier & {
  can(setting: Setting): boolean;
  /** Has the setting take the place of the one before, in both directions; a frame has gone there and back since. */
  set(setting: Setting): Promise<void>;
};

export type Emulator = {
  readonly name: string;
  /** What is missing on this machine, when something is. */
  readonly missing?: string;
  start(pair: Pair): Promise<EmulatedLink>;
};

export const PRECISE = 'taplab, precision high';
/** Carries frames and impairs nothing. */
const FLOOR = 'C forwarder, offload';

/** Most bytes that may wait for TCP, so that its windows hold what is under way at 10 Gbit/s for 50 ms. */
const TCP_BYTES = 67_108_864;

/** All of them, those that are not installed included. */
export function emulators(ground: Ground): Emulator[] {
  const hasWirefilter = isInstalled('vde_switch') && isInstalled('wirefilter');
  const floor = contenders(ground).find(({ name }) => name === FLOOR)!;
  return [
    { name: 'taplab', start: async (pair) => taplabLink(await startTaplab(pair)) },
    { name: PRECISE, start: async (pair) => taplabLink(await startTaplab(pair), ' precision high') },
    {
      name: 'vde_switch + wirefilter',
      ...(hasWirefilter ? {} : { missing: 'vde_switch and wirefilter (Debian: vde2)' }),
      start: startWirefilter,
    },
    {
      ...floor,
      start: async (pair) => {
        const carrier = await floor.start(pair);
        return prepared({
          ...carrier,
          can: ({ taplab }) => taplab === CLEAR.taplab,
          set: () => reach(carrier),
        });
      },
    },
  ];
}

function taplabLink(carrier: Carrier & { readonly socket: string }, always = ''): Promise<EmulatedLink> {
  const set = async ({ taplab }: Setting): Promise<void> => {
    const client = new ControlClient(carrier.socket);
    await client.changeLink('wan', { impair: 'clear' });
    const impair = `${taplab}${always}`.trim();
    if (impair !== '') await client.changeLink('wan', { impair });
    client.close();
    await reach(carrier);
  };
  return prepared({ ...carrier, can: () => true, set });
}

/** wirefilter starts anew with each setting, between switches that stay. */
async function startWirefilter(pair: Pair): Promise<EmulatedLink> {
  const { ground } = pair;
  const { pids, sockets } = await startTwoSwitches(pair);
  let filter = await connectSwitches(ground, sockets);
  const carrier = { pair, pids };
  const set = async ({ wirefilter }: Setting): Promise<void> => {
    await ground.stop(filter);
    filter = await connectSwitches(ground, sockets, wirefilter);
    await reach(carrier);
  };
  return prepared({ ...carrier, can: ({ wirefilter }) => wirefilter !== undefined, set });
}

/** Waits until a frame has gone there and back. */
async function reach({ pair }: Carrier): Promise<void> {
  await pair.run('a', ['ping', '-n', '-q', '-c', '1', '-i', '0.2', '-w', '10', ADDRESS.b]);
}

async function prepared(link: EmulatedLink): Promise<EmulatedLink> {
  const sizes = `4096 131072 ${TCP_BYTES}`;
  const set = `echo ${sizes} > /proc/sys/net/ipv4/tcp_rmem && echo ${sizes} > /proc/sys/net/ipv4/tcp_wmem`;
  for (const side of ['a', 'b'] as const) await link.pair.run(side, ['sh', '-c', set]);
  return link;
}
