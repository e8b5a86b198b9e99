/** The links of a lab that is up, measured from the nodes' side; nothing of the lab is changed. */
import { existsSync } from 'node:fs';
import type { ControlClient } from '../control/client.ts';
import type { InterfaceStatus } from '../daemon/contract.ts';
import { LINKTYPE_RAW } from '../device/link-type.ts';
import type { ProbeKind } from './probe.ts';
import { namedNamespace, throughNodes } from './through-nodes.ts';
import type { DirectionState, Rig, RigDirection } from './verify.ts';

/** Throws ControlError, ConnectionError. */
export async function runningRig(client: ControlClient): Promise<Rig> {
  const [lab, interfaces, links] = await Promise.all([client.lab(), client.interfaces(), client.links()]);
  const status = new Map(interfaces.map((each) => [each.name, each]));
  const namespaces = new Map(
    lab.nodes.flatMap(({ namespace, interfaces: names }) =>
      names.map((name) => [name, namespaceOf(namespace, status.get(name))] as const),
    ),
  );
  const obstacleAt = (name: string): string | undefined => {
    const each = status.get(name);
    if (each === undefined || !each.up) return `${name} is down`;
    if (each.kind === 'switch' || each.kind === 'hub') return `${name} is a port of a ${each.kind}`;
    if (lab.virtual) return 'the lab runs on a virtual clock';
    if (!namespaces.get(name)) return `the node of ${name} has joined from where this process cannot see`;
    return undefined;
  };
  const directions = links.flatMap(({ name, forward, reverse }) =>
    [forward, reverse].map(
      ({ from, to, settings }, i): RigDirection => ({
        link: name,
        direction: i === 0 ? 'forward' : 'reverse',
        from,
        to,
        settings,
        kind: kindOf(status.get(from)),
        mtu: Math.min(status.get(from)?.mtu ?? 0, status.get(to)?.mtu ?? 0),
        obstacle: obstacleAt(from) ?? obstacleAt(to),
      }),
    ),
  );
  return {
    directions,
    measure: (subjects, signal) =>
      throughNodes(
        subjects,
        (name) => ({
          namespace: namespaces.get(name)!,
          device: name.slice(name.indexOf(':') + 1),
          kind: kindOf(status.get(name)),
        }),
        async () => {
          const measured = new Set(subjects.map(({ from }) => from));
          const all = (await client.links()).flatMap(({ forward, reverse }) => [forward, reverse]);
          return all.filter(({ from }) => measured.has(from)).reduce((sum, each) => sum + each.inFlight, 0);
        },
        signal,
      ),
    stateOf: async () => {
      const all = (await client.links()).flatMap(({ forward, reverse }) => [forward, reverse]);
      const states = new Map(
        all.map(({ from, settings, offered }): [string, DirectionState] => [
          from,
          { settings, offered: offered.frames },
        ]),
      );
      return (from) => states.get(from);
    },
  };
}

/** Of a node that has joined it is that of the process that joined, which is there as long as the device is. */
function namespaceOf(name: string | null, status: InterfaceStatus | undefined): string | undefined {
  if (name !== null) return namedNamespace(name);
  const path = `/proc/${status?.process}/ns/net`;
  return existsSync(path) ? path : undefined;
}

function kindOf(status: InterfaceStatus | undefined): ProbeKind {
  return status?.linkType === LINKTYPE_RAW ? 'raw' : 'ethernet';
}
