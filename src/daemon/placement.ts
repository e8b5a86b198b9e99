/**
 * Which worker reads which interface of a lab: both directions of a link, and those of many links, on as many workers
 * as there are; but all that leads to one switch, or to switches that links join, on one, since frames do not change
 * threads and what a switch has learned belongs to one. Of a device with several queues this is the worker of the first,
 * and the same at both ends of a link: so the kernel has a flow in the same queue here and there.
 */
import type { Lab } from '../lab/model.ts';

/** The reader of every interface that is an end of a link, of its first queue. Others may have any. */
export function readersOf({ nodes, links, switches = [] }: Lab, workers: number): Map<string, number> {
  const interfaces = nodes.flatMap((node) => node.interfaces);
  const queued = new Set(interfaces.flatMap(({ name, queues = 1 }) => (queues > 1 ? name : [])));
  const owner = new Map(switches.flatMap(({ name, ports }) => ports.map((port) => [port.name, name])));
  const leaders = new Map<string, string>();
  const leader = (name: string): string => {
    const next = leaders.get(name);
    return next === undefined ? name : leader(next);
  };
  for (const [first, second] of links.map(({ endpoints }) => endpoints.map((end) => owner.get(end)))) {
    if (first !== undefined && second !== undefined && leader(first) !== leader(second))
      leaders.set(leader(first), leader(second));
  }
  let next = 0;
  const groups = new Map<string, number>();
  const ofGroup = (name: string): number => {
    const worker = groups.get(name) ?? next++ % workers;
    groups.set(name, worker);
    return worker;
  };
  const readers = new Map<string, number>();
  for (const { name, ports } of switches) {
    for (const port of ports) readers.set(port.name, ofGroup(leader(name)));
  }
  for (const { endpoints } of links) {
    const switched = endpoints.map((end) => owner.get(end)).find((name) => name !== undefined);
    if (queued.has(endpoints[0])) {
      for (const end of endpoints) readers.set(end, next % workers);
      next++;
      continue;
    }
    for (const end of endpoints)
      readers.set(end, switched === undefined ? next++ % workers : ofGroup(leader(switched)));
  }
  return readers;
}
