/**
 * What one user may take of the daemon, so that nobody can starve the others. Operators (access.ts) are not limited:
 * what they use up is theirs, and the daemon's own bounds (ENOBUFS, connections in all) hold for everybody.
 */
export type UserLimits = {
  readonly descriptors: number;
  /** Of all buffers of a user's descriptors together. */
  readonly bufferBytes: number;
  readonly connections: number;
};

/** A quarter of the memory for buffers (daemon/layout.ts), and a quarter of the connections (connections.ts). */
export const DEFAULT_USER_LIMITS: UserLimits = {
  descriptors: 256,
  bufferBytes: 128 * 2 ** 20,
  connections: 128,
};
