/**
 * From the lab that runs to what its file says now: only what differs between the two files is changed, while frames
 * move. What somebody has set by hand (`taplab set`) stays unless the file has another value than before.
 *
 * Links and descriptors come, go and change; so do nodes that join, which are let go to join again as what they are
 * now. What a run is built on cannot change: name, seed, workers, clock, switches and hubs, and the nodes that the
 * emulator makes itself. Impairments of switch ports can: they are their links'.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Lab, LabDescriptor, LabInterface, LabLink, LabNode } from '../lab/model.ts';

/** The file asks for what needs another run; nothing has changed. */
export class ReloadError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ReloadError';
  }
}

/** What is to be done, in this order. */
export type ReloadPlan = {
  readonly closeDescriptors: readonly LabDescriptor[];
  readonly removeLinks: readonly string[];
  readonly removeInterfaces: readonly string[];
  /** Nodes that join, and are another now. */
  readonly releaseNodes: readonly string[];
  readonly addInterfaces: readonly LabInterface[];
  readonly addLinks: readonly LabLink[];
  readonly setLinks: readonly LabLink[];
  readonly openDescriptors: readonly LabDescriptor[];
};

/** Throws ReloadError with all that cannot be done. */
export function planReload(before: Lab, after: Lab): ReloadPlan {
  refuseFixed(before, after);
  const joining = (lab: Lab): LabNode[] => lab.nodes.filter(({ join }) => join === true);
  const interfacesOf = (lab: Lab): LabInterface[] => joining(lab).flatMap(({ interfaces }) => interfaces);
  const interfaces = difference(interfacesOf(before), interfacesOf(after), ({ name }) => name);
  const gone = new Set(interfaces.removed.map(({ name }) => name));
  const touches = ({ endpoints }: LabLink): boolean => endpoints.some((name) => gone.has(name));
  // Settings can be changed in place; ends cannot, nor can a link stay whose interface is taken away.
  const place = ({ name, endpoints }: LabLink): unknown => [name, endpoints];
  const oldLinks = new Map(before.links.map((link) => [link.name, link]));
  const stays = (link: LabLink): boolean => {
    const old = oldLinks.get(link.name);
    return old !== undefined && isDeepStrictEqual(place(old), place(link)) && !touches(link);
  };
  const staying = new Set(after.links.filter(stays).map(({ name }) => name));
  const onGone = (descriptor: LabDescriptor): unknown => (gone.has(descriptor.interface) ? {} : descriptor);
  return {
    closeDescriptors: without(before.descriptors, after.descriptors.map(onGone)),
    removeLinks: before.links.map(({ name }) => name).filter((name) => !staying.has(name)),
    removeInterfaces: [...gone],
    releaseNodes: without(joining(before), joining(after)).map(({ name }) => name),
    addInterfaces: interfaces.added,
    addLinks: after.links.filter(({ name }) => !staying.has(name)),
    setLinks: after.links.filter(
      (link) => staying.has(link.name) && !isDeepStrictEqual(oldLinks.get(link.name), link),
    ),
    openDescriptors: without(after.descriptors, before.descriptors.map(onGone)),
  };
}

/** What a plan does, a line each, for logs and people. */
export function describePlan(plan: ReloadPlan): string[] {
  return [
    ...plan.closeDescriptors.map((each) => `closed the descriptor on ${each.interface}`),
    ...plan.removeLinks.map((name) => `removed link ${name}`),
    ...plan.removeInterfaces.map((name) => `removed interface ${name}`),
    ...plan.releaseNodes.map((name) => `let node ${name} go, to join again`),
    ...plan.addInterfaces.map(({ name }) => `added interface ${name}`),
    ...plan.addLinks.map(({ name }) => `added link ${name}`),
    ...plan.setLinks.map(({ name }) => `set link ${name}`),
    ...plan.openDescriptors.map((each) => `opened a descriptor on ${each.interface}`),
  ];
}

function refuseFixed(before: Lab, after: Lab): void {
  const reasons: string[] = [];
  for (const key of ['name', 'seed', 'workers', 'virtual'] as const) {
    if (before[key] !== after[key]) reasons.push(`${key} is ${before[key]}, and would be ${after[key]}`);
  }
  if (!isDeepStrictEqual(before.switches, after.switches)) reasons.push('switches or hubs differ');
  const made = (lab: Lab): LabNode[] => lab.nodes.filter(({ join }) => join !== true);
  const { removed, added } = difference(made(before), made(after), ({ name }) => name);
  for (const name of new Set([...removed, ...added].map((node) => node.name))) {
    reasons.push(`node ${name}, which the emulator makes, differs`);
  }
  if (reasons.length > 0) {
    throw new ReloadError(`the lab cannot change while it runs: ${reasons.join('; ')}; take it down and up`);
  }
}

/** By name: what is only in the first or another there, and what is only in the second or another there. */
function difference<T>(
  before: readonly T[],
  after: readonly T[],
  name: (each: T) => string,
): { removed: T[]; added: T[] } {
  const same = new Set(
    before
      .filter((old) =>
        isDeepStrictEqual(
          old,
          after.find((each) => name(each) === name(old)),
        ),
      )
      .map(name),
  );
  return {
    removed: before.filter((each) => !same.has(name(each))),
    added: after.filter((each) => !same.has(name(each))),
  };
}

/** Those of `all` that have no equal among the others. */
function without<T>(all: readonly T[], others: readonly unknown[]): T[] {
  return all.filter((each) => !others.some((other) => isDeepStrictEqual(each, other)));
}
