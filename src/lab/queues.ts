/**
 * How the queues of a lab file's devices fit the rest of it. A flow stays in one queue, and its worker carries it all the
 * way: so both ends of a link have as many queues, and no impairment looks at frames of several flows.
 */
import { parseImpairment } from '../link/impairment.ts';
import { sharedStateProblem } from '../link/shared-state.ts';
import { UNREAD } from '../link/words.ts';
import type { Path, Problem } from './issues.ts';
import type { LabInput } from './schema/lab.ts';
import type { InterfaceInput } from './schema/nodes.ts';
import type { ImpairmentInput } from './schema/values.ts';
import { foundSwitches } from './switch-references.ts';

/**
 * What is wrong with the queues in a file that the schema has accepted.
 * @param names of its links, in their order
 */
export function queueProblems(lab: LabInput, names: readonly string[]): Problem[] {
  const queues = new Map<string, number>();
  const problems: Problem[] = [];
  const report = (path: Path, at: Problem['at'], message: string): void => {
    problems.push({ path, at, message });
  };
  for (const [node, value] of Object.entries(lab.nodes)) {
    for (const [device, settings] of Object.entries(value?.interfaces ?? {})) {
      const count = settings?.queues ?? 1;
      if (count === 1) continue;
      queues.set(`${node}:${device}`, count);
      const problem = interfaceProblem(lab, settings!, value!.join === true, count);
      if (problem !== undefined) report(['nodes', node, 'interfaces', device, 'queues'], 'key', problem);
    }
  }
  if (queues.size === 0) return problems;
  for (const { settings, path } of foundSwitches(lab).flatMap(({ ports }) => ports)) {
    const count = queues.get(String(settings.interface));
    if (count === undefined) continue;
    report(
      path,
      'value',
      `${settings.interface} has ${count} queues; a switch has one worker, leave \`queues\` out`,
    );
  }
  const spread = new Set<string>();
  for (const [i, { endpoints, impair, forward, reverse }] of (lab.links ?? []).entries()) {
    const [first, second] = endpoints.map((end) => queues.get(end) ?? 1);
    if (first !== second) {
      const message = `${endpoints[0]} has ${first} and ${endpoints[1]} has ${second}: both ends of a link need as many queues`;
      report(['links', i, 'endpoints'], 'value', message);
    }
    if (first === 1 && second === 1) continue;
    spread.add(names[i]!);
    for (const [side, value] of Object.entries({ impair, forward, reverse })) {
      const problem = impairmentProblem(value);
      if (problem !== undefined) report(['links', i, side], 'value', problem);
    }
  }
  for (const [i, { link, set, forward, reverse }] of (lab.timeline ?? []).entries()) {
    if (![link].flat().some((each) => spread.has(each))) continue;
    for (const [side, value] of Object.entries({ set, forward, reverse })) {
      const problem = impairmentProblem(value);
      if (problem !== undefined) report(['timeline', i, side], 'value', problem);
    }
  }
  return problems;
}

function interfaceProblem(
  { device, workers = 1 }: LabInput,
  settings: NonNullable<InterfaceInput>,
  joins: boolean,
  count: number,
): string | undefined {
  const kind = settings.device ?? device ?? 'tap';
  if (kind !== 'tap' && kind !== 'tun') return `queues are for tap and tun devices; this one is ${kind}`;
  if (joins) return 'a device that is handed over (join) has one queue';
  if (count <= workers) return undefined;
  return `each of ${count} queues is read by a worker of its own, and the lab has ${workers}: set workers: ${count}`;
}

function impairmentProblem(value: ImpairmentInput | undefined): string | undefined {
  return value === undefined ? undefined : sharedStateProblem(parseImpairment(value, { readText: UNREAD }));
}
