/**
 * How the filters of a lab file's links fit the frames of their ends: an expression such as `ether host` is right where
 * there are Ethernet frames, and nothing on tun devices, which carry IP packets.
 */
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../device/link-type.ts';
import { filterProblem } from '../link/filter.ts';
import { parseImpairment } from '../link/impairment.ts';
import { UNREAD } from '../link/words.ts';
import type { Problem } from './issues.ts';
import { splitEndpoint } from './names.ts';
import type { LabInput } from './schema/lab.ts';
import type { ImpairmentInput } from './schema/values.ts';

/**
 * What is wrong with the filters of links in a file that the schema has accepted, their changes over time included.
 * @param names of its links, in their order
 */
export function linkFilterProblems(lab: LabInput, names: readonly string[]): Problem[] {
  const links = (lab.links ?? []).map(({ endpoints, impair, forward, reverse }, i) => ({
    name: names[i]!,
    linkType: linkTypeOf(lab, endpoints[0]),
    path: ['links', i],
    sides: { impair, forward, reverse },
  }));
  const types = new Map(links.map(({ name, linkType }) => [name, linkType]));
  const changes = (lab.timeline ?? []).flatMap(({ link, set, forward, reverse }, i) =>
    [...new Set([link].flat().map((name) => types.get(name) ?? LINKTYPE_ETHERNET))].map((linkType) => ({
      linkType,
      path: ['timeline', i],
      sides: { set, forward, reverse },
    })),
  );
  return [...links, ...changes].flatMap(({ linkType, path, sides }) =>
    Object.entries(sides).flatMap(([side, value]): Problem[] => {
      const message = value === undefined ? undefined : problemOf(value, linkType);
      return message === undefined ? [] : [{ path: [...path, side], at: 'value', message }];
    }),
  );
}

function linkTypeOf({ device, nodes }: LabInput, endpoint: string): number {
  const { node = '', device: name = '' } = splitEndpoint(endpoint) ?? {};
  const kind = nodes[node]?.interfaces?.[name]?.device ?? device;
  return kind === 'tun' ? LINKTYPE_RAW : LINKTYPE_ETHERNET;
}

function problemOf(value: ImpairmentInput, linkType: number): string | undefined {
  return filterProblem(parseImpairment(value, { readText: UNREAD }), linkType);
}
