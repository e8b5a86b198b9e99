/**
 * The fused function as it is run: what a thread needs that is handed a compiled module. fuse.ts makes them.
 */
import { instantiate, type MemoryLike, type ModuleLike } from './wasm/module.ts';

/**
 * All filters at once. Arguments are those of a CompiledProgram, then the offset in the memory to write matches to:
 * MATCH_BYTES for each filter that accepts the packet, in no particular order, so room for as many as there are
 * filters. Returns the number of matches.
 */
export type FusedMatcher = (
  offset: number,
  wireLength: number,
  bufferLength: number,
  resultOffset: number,
) => number;

/** Bytes of one match: two int32, the filter's index and its snap length. */
export const MATCH_BYTES = 8;

/** Makes a matcher of what encodeFused returned, or of a module compiled from it. */
export function instantiateFused(
  module: Uint8Array<ArrayBuffer> | ModuleLike,
  memory: MemoryLike,
): FusedMatcher {
  return instantiate(module, memory, 'matchAll') as FusedMatcher;
}
