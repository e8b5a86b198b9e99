/** Where the demo's capture goes: into a folder, or a temporary one when nothing can be written there. */
import { mkdtempSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = 'taplab-demo.pcapng';

/** Creates or replaces the file; returns its path and its descriptor, which is the caller's to close. */
export function createCapture(folder: string): { path: string; fd: number } {
  const here = join(folder, NAME);
  try {
    return { path: here, fd: openSync(here, 'w') };
  } catch {
    const path = join(mkdtempSync(join(tmpdir(), 'taplab-capture-')), NAME);
    return { path, fd: openSync(path, 'w') };
  }
}
