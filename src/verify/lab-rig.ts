/**
 * The links of a lab file, brought up to be measured: on TAP and TUN devices in namespaces of their own, which go whatever
 * happens, or on sockets, which need no privilege. Ports of switches are devices like others here: each link is alone.
 */
import { LabRun } from '../daemon/lab-run.ts';
import { removeDeadLabs } from '../lab/claim.ts';
import type { Lab, LabInterface, LabNode } from '../lab/model.ts';
import { namespaceName } from '../lab/names.ts';
import { namedNamespace, throughNodes } from './through-nodes.ts';
import { throughSockets } from './through-sockets.ts';
import type { Rig, RigDirection } from './verify.ts';

const NAME_CHARACTERS = 16;

/** The lab on sockets. */
export function socketRig(lab: Lab): Rig {
  const bare = bareLab(lab, lab.name, () => ({ kind: 'tap', offload: false }));
  return {
    directions: directionsOf(bare),
    measure: (subjects, signal) => throughSockets(bare, subjects, signal),
  };
}

/**
 * Calls `use` with the lab on devices, and takes it down. Throws what bringing a lab up throws, what `use` throws, and what
 * the signal was aborted with while it came up; nothing of the lab is left then.
 */
export async function onDevices<T>(lab: Lab, use: (rig: Rig) => Promise<T>, signal: AbortSignal): Promise<T> {
  const name = `${lab.name.slice(0, NAME_CHARACTERS)}-v${process.pid}`;
  const bare = bareLab(lab, name, ({ kind, offload }) =>
    kind === 'tun'
      ? { kind, ...(offload !== undefined && { offload }) }
      : { kind: 'tap', ...(offload !== undefined && { offload }) },
  );
  let failure: Error | undefined;
  const errors: unknown[] = [];
  const log = {
    info: () => {},
    warn: () => {},
    error: (details: object) => void errors.push((details as { err?: unknown }).err),
  };
  await removeDeadLabs(undefined);
  const onFailure = (error: Error): void => {
    failure = error;
  };
  const run = await LabRun.up(bare, { log, onFailure }, signal);
  // The process ends before the lab is down.
  const abandon = (): void => run.abandon();
  process.on('exit', abandon);
  let result: T;
  try {
    const interfaces = new Map(
      bare.nodes.flatMap((node) => node.interfaces).map((each) => [each.name, each]),
    );
    const rig: Rig = {
      directions: directionsOf(bare),
      measure: (subjects, until) =>
        throughNodes(
          subjects,
          (interfaceName) => {
            const { node, device, kind } = interfaces.get(interfaceName)!;
            return {
              namespace: namedNamespace(namespaceName(name, node)),
              device,
              kind: kind === 'tun' ? 'raw' : 'ethernet',
            };
          },
          async () =>
            run.emulator
              .links()
              .reduce((sum, { forward, reverse }) => sum + forward.inFlight + reverse.inFlight, 0),
          until,
        ),
    };
    result = await use(rig);
    if (failure !== undefined) throw failure;
  } finally {
    await run.down();
    process.off('exit', abandon);
  }
  if (errors.length > 0) throw new AggregateError(errors, `lab ${name} was not taken down cleanly`);
  return result;
}

/** A lab of the same links and nothing else: their ends on devices of their own, and nothing that sends. */
function bareLab(
  lab: Lab,
  name: string,
  deviceOf: (each: LabInterface) => Pick<LabInterface, 'kind' | 'offload'>,
): Lab {
  const ends = new Set(lab.links.flatMap(({ endpoints }) => endpoints));
  const all = [
    ...lab.nodes.flatMap((node) => node.interfaces),
    ...(lab.switches ?? []).flatMap(({ ports }) => ports),
  ].filter((each) => ends.has(each.name));
  const nodes = [...new Set(all.map(({ node }) => node))].map(
    (node): LabNode => ({
      name: node,
      interfaces: all
        .filter((each) => each.node === node)
        .map(({ name: own, device, mac, mtu, ...each }) => {
          const { kind, offload } = deviceOf({ name: own, device, mac, mtu, ...each });
          return {
            name: own,
            node,
            device,
            kind,
            addresses: [],
            mac,
            mtu,
            ...(offload !== undefined && { offload }),
          };
        }),
      routes: [],
    }),
  );
  return {
    name,
    seed: lab.seed,
    workers: lab.workers,
    nodes,
    links: lab.links,
    descriptors: [],
    virtual: false,
  };
}

function directionsOf(lab: Lab): RigDirection[] {
  const interfaces = new Map(lab.nodes.flatMap((node) => node.interfaces).map((each) => [each.name, each]));
  return lab.links.flatMap(({ name, endpoints: [first, second], forward, reverse }) => {
    const [one, other] = [interfaces.get(first)!, interfaces.get(second)!];
    const common = {
      link: name,
      kind: one.kind === 'tun' ? ('raw' as const) : ('ethernet' as const),
      mtu: Math.min(one.mtu, other.mtu),
      obstacle:
        (one.kind === 'tun') === (other.kind === 'tun') ? undefined : 'it joins a tun device and another',
    };
    return [
      { ...common, direction: 'forward' as const, from: first, to: second, settings: forward },
      { ...common, direction: 'reverse' as const, from: second, to: first, settings: reverse },
    ];
  });
}
