/**
 * From the lab that runs to what its file says now: only what differs between the two files is changed, while frames
 * move. What somebody has set by hand (`taplab set`) stays unless the file has another value than before.
 *
 * Nodes, interfaces, links and descriptors come, go and change. An interface that differs is made anew, and so are the
 * links that lead to it; a node that takes part in another way, or loses a setting under net, is made anew as a whole.
 * Nodes that join and differ are let go, to join again as what they are now. What a run is built on cannot change:
 * name, seed, workers, clock, the room in its frames, and capture files as devices.
 *
 * A timeline that differs is replaced: what it says of times to come holds, what is over is not done again.
 *
 * A switch or hub that differs goes on to be one, and so do its ports that do not differ and their links; it begins to
 * learn anew.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  interfacesOfSwitch,
  type Lab,
  type LabDescriptor,
  type LabInterface,
  type LabLink,
  type LabNode,
  type LabSwitch,
} from '../lab/model.ts';

/** The file asks for what needs another run, and nothing has changed; or it could be carried out in part only. */
export class ReloadError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ReloadError';
  }
}

/** What is to be done, in this order. */
export type ReloadPlan = {
  readonly closeDescriptors: readonly LabDescriptor[];
  readonly removeLinks: readonly string[];
  readonly removeSwitches: readonly string[];
  /** Ports go, and the rest is as it shall be. */
  readonly shrinkSwitches: readonly LabSwitch[];
  readonly removeInterfaces: readonly string[];
  /** Without interfaces by then. */
  readonly removeNodes: readonly LabNode[];
  /** New ones, and those with new ports or other settings. */
  readonly setSwitches: readonly LabSwitch[];
  /** Their interfaces are among those that follow. */
  readonly addNodes: readonly LabNode[];
  readonly addInterfaces: readonly LabInterface[];
  /** Nodes that join, and are another now. */
  readonly releaseNodes: readonly LabNode[];
  readonly addLinks: readonly LabLink[];
  readonly setLinks: readonly LabLink[];
  readonly openDescriptors: readonly LabDescriptor[];
  /** Nodes that the emulator makes, and what of each is as it shall be already. */
  readonly configureNodes: readonly { readonly node: LabNode; readonly was: LabNode | undefined }[];
};

/**
 * Throws ReloadError with all that cannot be done.
 *
 * @param largestMtu that frames of this run have room for
 */
export function planReload(
  before: Lab,
  after: Lab,
  largestMtu: number = Number.POSITIVE_INFINITY,
): ReloadPlan {
  const oldNodes = new Map(before.nodes.map((node) => [node.name, node]));
  /** The node that goes on to be one, with other interfaces perhaps. */
  const staying = (node: LabNode): LabNode | undefined => {
    const old = oldNodes.get(node.name);
    return old !== undefined && !mustBeMadeAnew(old, node) ? old : undefined;
  };
  const kept = new Set(after.nodes.filter((node) => staying(node) !== undefined).map(({ name }) => name));
  const changed = after.nodes.filter(
    (node) => kept.has(node.name) && !isDeepStrictEqual(oldNodes.get(node.name), node),
  );
  const interfacesOf = ({ nodes }: Lab): LabInterface[] => nodes.flatMap(({ interfaces }) => interfaces);
  const sameInterfaces = interfacesOf(after).filter(
    (each) => kept.has(each.node) && interfacesOf(before).some((old) => isDeepStrictEqual(old, each)),
  );
  const same = new Set(sameInterfaces.map(({ name }) => name));
  const removed = interfacesOf(before).filter(({ name }) => !same.has(name));
  const added = interfacesOf(after).filter(({ name }) => !same.has(name));
  const switches = switchChanges(before, after);
  refuseFixed(before, after, removed, [...added, ...switches.added], largestMtu);
  const gone = new Set([...removed.map(({ name }) => name), ...switches.gone]);
  const addNodes = after.nodes.filter(({ name }) => !kept.has(name));
  const isMade = ({ join }: LabNode): boolean => join !== true && !after.virtual;
  return {
    ...linkChanges(before, after, gone),
    ...descriptorChanges(before, after, gone),
    ...switches.plan,
    removeInterfaces: removed.map(({ name }) => name),
    removeNodes: before.nodes.filter(({ name }) => !kept.has(name)),
    addNodes,
    addInterfaces: added,
    releaseNodes: changed.filter(({ join }) => join === true),
    configureNodes: [
      ...addNodes.filter(isMade).map((node) => ({ node, was: undefined })),
      ...changed.filter(isMade).map((node) => {
        const old = oldNodes.get(node.name)!;
        return { node, was: { ...old, interfaces: old.interfaces.filter(({ name }) => same.has(name)) } };
      }),
    ],
  };
}

function switchChanges(
  before: Lab,
  after: Lab,
): {
  plan: Pick<ReloadPlan, 'removeSwitches' | 'shrinkSwitches' | 'setSwitches'>;
  gone: string[];
  added: LabInterface[];
} {
  const [old, wanted] = [before.switches ?? [], after.switches ?? []];
  const has = (interfaces: readonly LabInterface[], one: LabInterface): boolean =>
    interfaces.some((each) => isDeepStrictEqual(each, one));
  const without = (all: readonly LabSwitch[], others: readonly LabSwitch[]): LabInterface[] => {
    const there = others.flatMap(interfacesOfSwitch);
    return all.flatMap(interfacesOfSwitch).filter((each) => !has(there, each));
  };
  // Of another kind, or with room for other frames, it is another through and through.
  const stays = ({ name, mirror }: LabSwitch): LabSwitch | undefined =>
    wanted.find((each) => each.name === name && isDeepStrictEqual(each.mirror, mirror));
  const shrinkSwitches = old.flatMap((each): LabSwitch[] => {
    const next = stays(each);
    return next === undefined || without([each], [next]).length === 0 ? [] : [restrictedTo(next, each.ports)];
  });
  const now = [
    ...old.filter((each) => stays(each) && !shrinkSwitches.some(({ name }) => name === each.name)),
    ...shrinkSwitches,
  ];
  return {
    plan: {
      removeSwitches: old.filter((each) => stays(each) === undefined).map(({ name }) => name),
      shrinkSwitches,
      setSwitches: wanted.filter((each) => !now.some((other) => isDeepStrictEqual(each, other))),
    },
    gone: without(old, wanted).map(({ name }) => name),
    added: without(wanted, old),
  };
}

/** The switch with those of its ports only that are among these. */
function restrictedTo(whole: LabSwitch, ports: readonly LabInterface[]): LabSwitch {
  const isKept = whole.ports.map((port) => ports.some((each) => isDeepStrictEqual(each, port)));
  return {
    ...whole,
    ports: whole.ports.filter((_, i) => isKept[i]),
    settings: { ...whole.settings, ports: whole.settings.ports.filter((_, i) => isKept[i]) },
  };
}

function linkChanges(
  before: Lab,
  after: Lab,
  gone: ReadonlySet<string>,
): Pick<ReloadPlan, 'removeLinks' | 'addLinks' | 'setLinks'> {
  const touches = ({ endpoints }: LabLink): boolean => endpoints.some((name) => gone.has(name));
  // Settings can be changed in place; ends cannot, nor can a link stay whose interface is taken away.
  const place = ({ name, endpoints }: LabLink): unknown => [name, endpoints];
  const oldLinks = new Map(before.links.map((link) => [link.name, link]));
  const stays = (link: LabLink): boolean => {
    const old = oldLinks.get(link.name);
    return old !== undefined && isDeepStrictEqual(place(old), place(link)) && !touches(link);
  };
  const staying = new Set(after.links.filter(stays).map(({ name }) => name));
  return {
    removeLinks: before.links.map(({ name }) => name).filter((name) => !staying.has(name)),
    addLinks: after.links.filter(({ name }) => !staying.has(name)),
    setLinks: after.links.filter(
      (link) => staying.has(link.name) && !isDeepStrictEqual(oldLinks.get(link.name), link),
    ),
  };
}

function descriptorChanges(
  before: Lab,
  after: Lab,
  gone: ReadonlySet<string>,
): Pick<ReloadPlan, 'closeDescriptors' | 'openDescriptors'> {
  const onGone = (descriptor: LabDescriptor): unknown => (gone.has(descriptor.interface) ? {} : descriptor);
  return {
    closeDescriptors: without(before.descriptors, after.descriptors.map(onGone)),
    openDescriptors: without(after.descriptors, before.descriptors.map(onGone)),
  };
}

/** What a setting under net was before the file named it nobody has written down. */
function mustBeMadeAnew(before: LabNode, after: LabNode): boolean {
  if ((before.join === true) !== (after.join === true)) return true;
  if (before.join === true) return false;
  return Object.keys(before.sysctls ?? {}).some((name) => after.sysctls?.[name] === undefined);
}

function refuseFixed(
  before: Lab,
  after: Lab,
  removed: readonly LabInterface[],
  added: readonly LabInterface[],
  largestMtu: number,
): void {
  const reasons: string[] = [];
  for (const key of ['name', 'seed', 'workers', 'virtual'] as const) {
    if (before[key] !== after[key]) reasons.push(`${key} is ${before[key]}, and would be ${after[key]}`);
  }
  for (const { name, mtu } of added) {
    if (mtu > largestMtu)
      reasons.push(`${name} would have MTU ${mtu}, and frames have room for ${largestMtu}`);
  }
  const hasFile = ({ readFile, writeFile }: LabInterface): boolean => (readFile ?? writeFile) !== undefined;
  for (const name of new Set([...removed, ...added].filter(hasFile).map((each) => each.name))) {
    reasons.push(`${name}, whose frames are those of a capture file, differs`);
  }
  if (reasons.length > 0) {
    throw new ReloadError(`the lab cannot change while it runs: ${reasons.join('; ')}; take it down and up`);
  }
}

/** Those of `all` that have no equal among the others. */
function without<T>(all: readonly T[], others: readonly unknown[]): T[] {
  return all.filter((each) => !others.some((other) => isDeepStrictEqual(each, other)));
}
