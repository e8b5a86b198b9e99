/** Where the demo's capture goes: into a folder, or a temporary one when nothing can be written there. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { CaptureFileError, openCaptureFile } from '../capture/capture-file.ts';

const NAME = 'taplab-demo.pcapng';

/** Creates or replaces the file; another one when another demo is writing it. It is closed when its stream ends. */
export async function createCapture(folder: string): Promise<{ path: string; sink: Writable }> {
  const paths = [join(folder, NAME), join(folder, `taplab-demo-${process.pid}.pcapng`)];
  for (const path of paths) {
    try {
      return { path, sink: await openCaptureFile(path) };
    } catch (error) {
      if (!(error instanceof CaptureFileError)) throw error;
      if (error.code !== 'EBUSY') break;
    }
  }
  const path = join(mkdtempSync(join(tmpdir(), 'taplab-capture-')), NAME);
  return { path, sink: await openCaptureFile(path) };
}
