/** What every route is given: the emulator and the helpers that stand between it and a request. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Captures } from '../capture/captures.ts';
import type {
  DescriptorHandle,
  EmulatorControl,
  InterfaceStatus,
  LinkStatus,
  SwitchStatus,
} from '../daemon/contract.ts';
import type { LabNode } from '../lab/model.ts';
import { didYouMean } from '../text/suggest.ts';
import type { Access } from './access.ts';
import type { Ephemerals } from './ephemerals.ts';
import { PROBLEM_MEDIA_TYPE, ProblemError } from './problem.ts';
import { ProblemSchema } from './schemas/resources.ts';
import type { UserQuota } from './user-quota.ts';

/** A fastify instance whose schemas are zod's. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What GET /metrics answers with. */
export type MetricsSource = { readonly contentType: string; render(): Promise<string> };

export type ControlContext = {
  readonly emulator: EmulatorControl;
  /** The one Captures of the daemon: only one pump may read a descriptor. */
  readonly captures: Captures;
  readonly metrics: MetricsSource;
  readonly access: Access;
  readonly quota: UserQuota;
  readonly ephemerals: Ephemerals;
  /** Called once a request to shut down has been answered. */
  readonly onShutdown: () => void;
  /** Reads the lab file again; what was changed, a line each. Without it nothing can be reloaded. */
  readonly onReload?: (() => Promise<string[]>) | undefined;
};

type ProblemResponse = {
  readonly description: string;
  readonly content: { readonly [PROBLEM_MEDIA_TYPE]: { readonly schema: typeof ProblemSchema } };
};

const problemResponse: ProblemResponse = {
  description: 'What was wrong.',
  content: { [PROBLEM_MEDIA_TYPE]: { schema: ProblemSchema } },
};

/** The answers every route may give besides its own, for the OpenAPI document. */
export const PROBLEMS: { readonly '4xx': ProblemResponse; readonly '5xx': ProblemResponse } = {
  '4xx': problemResponse,
  '5xx': problemResponse,
};

/** @throws ProblemError 404 when there is no interface of that name */
export function findInterface({ emulator }: ControlContext, name: string): InterfaceStatus {
  const found = emulator.interface(name);
  if (found !== undefined) return found;
  throw notFound('interface', name, emulator.interfaces());
}

/** @throws ProblemError 404 when there is no node of that name */
export function findNode({ emulator }: ControlContext, name: string): LabNode {
  const found = emulator.lab.nodes.find((node) => node.name === name);
  if (found !== undefined) return found;
  throw notFound('node', name, emulator.lab.nodes);
}

/** @throws ProblemError 404 when there is no link of that name */
export function findLink({ emulator }: ControlContext, name: string): LinkStatus {
  const found = emulator.link(name);
  if (found !== undefined) return found;
  throw notFound('link', name, emulator.links());
}

/** @throws ProblemError 404 when there is no switch or hub of that name */
export function findSwitch({ emulator }: ControlContext, name: string): SwitchStatus {
  const found = emulator.switch(name);
  if (found !== undefined) return found;
  throw notFound('switch', name, emulator.switches());
}

/** @throws ProblemError 404 when there is no such descriptor */
export function findDescriptor({ emulator }: ControlContext, id: number): DescriptorHandle {
  const found = emulator.descriptor(id);
  if (found !== undefined) return found;
  throw new ProblemError(404, `There is no descriptor ${id}; it may have been closed.`);
}

const LISTED_NAMES = 10;

function notFound(what: string, name: string, known: readonly { readonly name: string }[]): ProblemError {
  const names = known.map((each) => each.name);
  const shown = names.slice(0, LISTED_NAMES).join(', ');
  const more = names.length > LISTED_NAMES ? ` and ${names.length - LISTED_NAMES} more` : '';
  const list =
    names.length === 0
      ? `; this lab has no ${what === 'switch' ? 'switches' : `${what}s`}.`
      : `; there are ${shown}${more}.`;
  return new ProblemError(404, `There is no ${what} "${name}"${didYouMean(name, names) || list}`);
}
