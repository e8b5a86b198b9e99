/**
 * One folder for all temporary files of a test run, those of the programs under test included: os.tmpdir() is in it.
 * It is removed when the run ends, with whatever tests that failed have left.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Called by vitest before the first test; what it returns is called after the last. */
export default function setup(): () => void {
  const before = process.env.TMPDIR;
  // Short, as sockets are made below it, whose paths have to fit in 108 bytes (unix(7)).
  const root = mkdtempSync(join(tmpdir(), 'taplab-'));
  // As /tmp is: some tests run programs as other users.
  chmodSync(root, 0o1777);
  // Test files run in processes that inherit this.
  process.env.TMPDIR = root;
  return () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(root, { recursive: true, force: true });
  };
}
