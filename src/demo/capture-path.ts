/** Where the demo's capture goes: into the current folder, or a temporary one when nothing can be written there. */
import { mkdtempSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const NAME = 'taplab-demo.pcapng';

/** Creates or replaces the file; returns its path and its descriptor, which is the caller's to close. */
export function createCapture(): { path: string; fd: number } {
  const here = resolve(NAME);
  try {
    return { path: here, fd: openSync(here, 'w') };
  } catch {
    const path = join(mkdtempSync(join(tmpdir(), 'taplab-capture-')), NAME);
    return { path, fd: openSync(path, 'w') };
  }
}
