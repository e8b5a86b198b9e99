/**
 * The filters of a bpf_if compiled into one WebAssembly function, as a worker holds them.
 *
 * The control thread has the function made in the background, some time after the list of descriptors has changed, and
 * hands it to the workers (fuser.ts). Until a worker has the one for the list's current version it interprets every
 * filter: attaching never waits for a compiler, and what is delivered is the same either way.
 */
import type { FusedMatcher, ModuleLike } from '../../vm/index.ts';

export type CompiledFilters = {
  /** The IF_VERSION this was made for. */
  readonly version: number;
  readonly match: FusedMatcher;
  /** Word index of the descriptor record behind each filter. */
  readonly descriptors: Int32Array;
  /** Byte offset of the match area of the thread that runs this. */
  readonly matchArea: number;
};

/** What the control thread sends: a module that any thread can instantiate. */
export type CompiledModule = {
  readonly interfaceIndex: number;
  readonly version: number;
  readonly module: ModuleLike;
  readonly descriptors: Int32Array;
};
