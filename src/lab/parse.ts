/**
 * From the text of a lab file to a Lab: validated as a whole, defaults filled in, units converted. Nothing else makes
 * a Lab, and nothing is created before this has succeeded. All errors are reported at once, each with its place.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseImpairment } from '../link/impairment.ts';
import { CLEAR_LINK, type LinkSettings } from '../link/settings.ts';
import type { ReadText } from '../link/words.ts';
import { type Problem, problemsOf } from './issues.ts';
import { linkFilterProblems } from './link-filters.ts';
import type { DeviceKind, Lab, LabDescriptor, LabInterface, LabLink, LabNode } from './model.ts';
import { derivedMac, splitEndpoint } from './names.ts';
import { queueProblems } from './queues.ts';
import { filterProblems, referenceProblems } from './references.ts';
import { type LabInput, labSchema } from './schema/lab.ts';
import type { LinkInput } from './schema/links.ts';
import { DEFAULT_MTU, type InterfaceInput, type NodeInput, splitRoute } from './schema/nodes.ts';
import type { ImpairmentInput } from './schema/values.ts';
import { MAX_FILE_BYTES, readSource } from './source.ts';
import { makeSwitches, portLinks, switchEntries } from './switches.ts';
import { tableProblems, tableReader } from './tables.ts';
import { makeStep, timelineProblems } from './timeline.ts';

const MAX_ERRORS_SHOWN = 100;

export type LabError = {
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
  /** Where in the data, as `links.0.impair.delay`. Empty for errors of the text itself. */
  readonly path: string;
  readonly message: string;
};

/** A lab file that cannot be used. `message` has one line per error, `file:line:column: what is wrong`. */
export class LabFileError extends Error {
  readonly file: string;
  readonly errors: readonly LabError[];

  constructor(file: string, errors: readonly LabError[]) {
    const shown = errors.slice(0, MAX_ERRORS_SHOWN);
    const lines = shown.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
    if (errors.length > shown.length) lines.push(`${file}: and ${errors.length - shown.length} more errors`);
    super(lines.join('\n'));
    this.name = 'LabFileError';
    this.file = file;
    this.errors = errors;
  }
}

export type ParseOptions = {
  /** The name that errors show. */
  readonly file: string;
  /** Where relative paths in the file start from. */
  readonly baseDirectory: string;
  /**
   * What is wrong with the filter of a descriptor on an interface of this pcap link type, if anything. Without it,
   * filters are taken as they are.
   */
  readonly checkFilter?: (filter: string, linkType: number) => FilterProblem | undefined;
};

type FilterProblem = {
  readonly message: string;
  /** Characters from the start of the filter. */
  readonly position?: number;
};

/** Reads a lab from text. Throws LabFileError. */
export function parseLab(text: string, { file, baseDirectory, checkFilter }: ParseOptions): Lab {
  const source = readSource(text);
  const errors: LabError[] = source.problems.map((problem) => ({ ...problem, path: '' }));
  if (source.data === undefined && errors.length > 0) throw new LabFileError(file, errors);
  const result = labSchema.safeParse(source.data ?? {});
  const readText = tableReader(baseDirectory);
  const problems = [
    ...(result.success ? [] : problemsOf(result.error, labSchema, source.data ?? {})),
    ...referenceProblems(source.data),
    ...(checkFilter === undefined ? [] : filterProblems(source.data, checkFilter)),
    ...(result.success ? fittingProblems(result.data, readText) : []),
  ];
  for (const problem of problems) {
    errors.push({
      ...source.locate(problem),
      path: problem.path.map(String).join('.'),
      message: problem.message,
    });
  }
  errors.sort((a, b) => a.line - b.line || a.column - b.column);
  if (errors.length > 0 || !result.success) throw new LabFileError(file, errors);
  return makeLab(result.data, baseDirectory, readText);
}

/** How values that are right by themselves fit each other and the files they name. */
function fittingProblems(lab: LabInput, readText: ReadText): Problem[] {
  const names = linkNames(linksOf(lab));
  return [
    ...queueProblems(lab, names),
    ...linkFilterProblems(lab, names),
    ...tableProblems(lab, readText),
    ...timelineProblems(lab.timeline ?? [], names, ['timeline']),
  ];
}

/** Reads a lab file; relative paths in it start from its folder. Throws LabFileError, or the error of readFile. */
export async function readLab(path: string, options: Pick<ParseOptions, 'checkFilter'> = {}): Promise<Lab> {
  const bytes = await readFile(path);
  if (bytes.length > MAX_FILE_BYTES) {
    const message = `file is larger than ${MAX_FILE_BYTES} bytes`;
    throw new LabFileError(path, [{ line: 1, column: 1, path: '', message }]);
  }
  return parseLab(bytes.toString(), { ...options, file: path, baseDirectory: dirname(resolve(path)) });
}

/** The same lab on memory devices and a virtual clock, for systems without TUN. Files of pcap devices are left out. */
export function asVirtualLab(lab: Lab): Lab {
  const nodes = lab.nodes.map(({ join: _, ...node }) => ({
    ...node,
    interfaces: node.interfaces.map(
      ({ queues: _, ...each }): LabInterface => ({
        ...each,
        kind: 'memory',
        ...(each.kind === 'tun' && { raw: true }),
      }),
    ),
  }));
  return { ...lab, nodes, virtual: true };
}

function makeLab(input: LabInput, baseDirectory: string, readText: ReadText): Lab {
  const absolute = (path: string): string => resolve(baseDirectory, path);
  const kind = input.device ?? 'tap';
  const nodes = Object.entries(input.nodes).map(([name, node]) =>
    makeNode(input.name, name, node, kind, absolute),
  );
  const entries = switchEntries(input);
  const mtus = nodes.flatMap((node) => node.interfaces.map(({ mtu }) => mtu));
  const switches = makeSwitches(input.name, entries, Math.max(DEFAULT_MTU, ...mtus));
  const kinds = nodes.flatMap((node) => node.interfaces.map((labInterface) => labInterface.kind));
  return {
    name: input.name,
    seed: input.seed ?? 1,
    workers: input.workers ?? 1,
    nodes,
    links: makeLinks(linksOf(input), readText),
    ...(switches.length === 0 ? {} : { switches }),
    descriptors: (input.descriptors ?? []).map(
      ({ interface: name, filter, direction, write }): LabDescriptor => ({
        interface: name,
        filter: filter ?? '',
        direction: direction ?? 'inout',
        ...(write === undefined ? {} : { write: absolute(write) }),
      }),
    ),
    ...(input.timeline ? { timeline: input.timeline.map((step) => makeStep(step, readText)) } : {}),
    virtual: kinds.length > 0 && kinds.every((each) => each === 'memory' || each === 'pcap'),
  };
}

function makeNode(
  lab: string,
  name: string,
  input: NodeInput,
  kind: DeviceKind,
  absolute: (path: string) => string,
): LabNode {
  const interfaces = Object.entries(input?.interfaces ?? {}).map(([device, settings]) =>
    makeInterface(lab, name, device, settings, kind, absolute),
  );
  const routes = (input?.routes ?? []).map((route) =>
    typeof route === 'string' ? splitRoute(route)! : route,
  );
  const sysctls = Object.entries(input?.sysctls ?? {}).map(
    ([key, value]) => [key, typeof value === 'boolean' ? String(Number(value)) : String(value)] as const,
  );
  return {
    name,
    interfaces,
    routes,
    sysctls: Object.fromEntries(sysctls),
    ...(input?.join === true ? { join: true } : {}),
  };
}

function makeInterface(
  lab: string,
  node: string,
  device: string,
  input: InterfaceInput,
  defaultKind: DeviceKind,
  absolute: (path: string) => string,
): LabInterface {
  const name = `${node}:${device}`;
  const ip = input?.ip ?? [];
  return {
    name,
    node,
    device,
    kind: input?.device ?? defaultKind,
    addresses: typeof ip === 'string' ? [ip] : ip,
    mac: input?.mac?.toLowerCase() ?? derivedMac(lab, name),
    mtu: input?.mtu ?? DEFAULT_MTU,
    ...(input?.offload === undefined ? {} : { offload: input.offload }),
    ...(input?.queues === undefined ? {} : { queues: input.queues }),
    ...(input?.read === undefined ? {} : { readFile: absolute(input.read) }),
    ...(input?.write === undefined ? {} : { writeFile: absolute(input.write) }),
  };
}

function makeLinks(inputs: readonly LinkInput[], readText: ReadText): LabLink[] {
  const names = linkNames(inputs);
  return inputs.map((input, i) => {
    const forward = settingsOf([input.impair, input.forward], readText);
    const reverse = settingsOf([input.impair, input.reverse], readText);
    return {
      name: names[i]!,
      endpoints: input.endpoints,
      forward,
      reverse,
    };
  });
}

/** Those between nodes, and those of the ports of switches. */
function linksOf(input: LabInput): LinkInput[] {
  return [...(input.links ?? []), ...portLinks(switchEntries(input))];
}

function linkNames(inputs: readonly LinkInput[]): string[] {
  const taken = new Set(inputs.flatMap(({ name }) => name ?? []));
  return inputs.map(({ name, endpoints }) => name ?? derivedLinkName(endpoints, taken));
}

/** `client-server` for a link between nodes of these names, with a number when that is taken. */
function derivedLinkName(endpoints: readonly [string, string], taken: Set<string>): string {
  const base = endpoints.map((endpoint) => splitEndpoint(endpoint)!.node).join('-');
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base}-${i}`;
  taken.add(name);
  return name;
}

/** The first laid over a clear link, the second over that. */
function settingsOf(layers: readonly (ImpairmentInput | undefined)[], readText: ReadText): LinkSettings {
  const settings = layers.map((layer) => (layer === undefined ? {} : parseImpairment(layer, { readText })));
  return Object.assign({}, CLEAR_LINK, ...settings);
}
