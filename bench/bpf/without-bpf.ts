/**
 * A build of this program without BPF: a copy of what the compiler made, in which the data plane neither asks for peers
 * nor taps. Everything else is the same, byte for byte.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The folder dist/, where this file is at run time. */
const DIST = join(import.meta.dirname, '..', '..');
/** Places in the data plane that ask for peers: a frame comes in or goes out, is dropped, may pass whole. */
const PLACES = 3;

/** Makes the copy below dist/, so that packages are found. Throws when the data plane does not look as expected. */
export function buildWithoutBpf(): { readonly root: string; remove(): void } {
  const root = mkdtempSync(join(DIST, 'without-bpf-'));
  for (const folder of ['src', 'vm']) cpSync(join(DIST, folder), join(root, folder), { recursive: true });
  const file = join(root, 'src', 'engine', 'taps.js');
  let found = 0;
  const removed = (replacement: string) => (): string => {
    found++;
    return replacement;
  };
  const code = readFileSync(file, 'utf8')
    .replace(/return bpfPeersPresent\([^;{]*\);/g, removed('return false;'))
    .replace(/if \(!bpfPeersPresent\([^;{]*\)\)\s*return;/g, removed('return;'))
    .replace(/if \([^;{]*\bbpfPeersPresent\([^;{]*\)\)\s*(\{[^}]*\}|[^;{]*;)/g, removed(''));
  if (found !== PLACES || /bpfPeersPresent\(/.test(code)) {
    throw new Error(
      `${file}: expected ${PLACES} places that ask for peers, found ${found}; see bench/bpf/without-bpf.ts`,
    );
  }
  writeFileSync(file, code);
  return { root: join(root, 'src'), remove: () => rmSync(root, { recursive: true, force: true }) };
}

/** The build as it is. */
export const BUILD_ROOT: string = join(DIST, 'src');
