/**
 * What a node that joins and the emulator say to each other, on a unix socket beside the control socket.
 *
 *   node      one Hello as a line of JSON, with the files of its devices as SCM_RIGHTS, in the order of `interfaces`
 *   emulator  one Answer as a line of JSON
 *
 * Once it has joined the connection stays open and silent; its end, from either side and for whatever reason, is the
 * end of the membership. A node that leaves in order shuts its side down (shutdown(2)) and waits for the emulator's:
 * by then the emulator has let go of its devices.
 */
import { z } from 'zod';

/** Changes when either side would misunderstand the other. */
export const PROTOCOL = 1;

/** Enough for as many interfaces as may be handed over. */
export const MAX_LINE_BYTES = 16_384;
/** How long a node may take to say all of its Hello. */
export const HELLO_TIMEOUT_MS = 5000;

export type Hello = {
  readonly protocol: number;
  /** Of taplab, for messages. */
  readonly version: string;
  readonly node: string;
  /** Their names as in the lab file, `eth0`. */
  readonly interfaces: readonly string[];
};

export const helloSchema: z.ZodType<Hello> = z.object({
  protocol: z.number(),
  version: z.string().max(100),
  node: z.string().max(100),
  interfaces: z.array(z.string().max(100)).min(1),
});

export type Answer =
  | { readonly joined: true; readonly lab: string; readonly pid: number }
  /** `retry`: the same may succeed later. */
  | { readonly error: string; readonly retry: boolean };

export const answerSchema: z.ZodType<Answer> = z.union([
  z.object({ joined: z.literal(true), lab: z.string(), pid: z.number() }),
  z.object({ error: z.string(), retry: z.boolean() }),
]);
