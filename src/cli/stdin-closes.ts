/**
 * A process that ends with the one that started it, however that ends: its stdin is a pipe that nobody writes to, and
 * whose other end the system closes even after SIGKILL. No pid is watched, so none can be mistaken.
 */

/** Calls `action` once when stdin is at its end. What comes before is read and ignored. Does not keep the process running. */
export function whenStdinCloses(action: () => void): void {
  const { stdin } = process;
  stdin.once('close', action).once('end', () => stdin.destroy());
  // A terminal that is gone, for example: nobody is there either.
  stdin.on('error', () => stdin.destroy());
  stdin.resume();
  // A file has no unref(), and comes to its end by itself.
  stdin.unref?.();
}
