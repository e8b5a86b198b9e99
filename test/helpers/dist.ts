/** Access to the compiled program: worker threads and processes run from dist/, which `npm test` builds first. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Path of a compiled file, as `src/cli/main.js`. Throws when there is none. */
export function distPath(file: string): string {
  const path = join(ROOT, 'dist', file);
  if (!existsSync(path)) throw new Error(`${path} is missing; run \`npm run build\``);
  return path;
}
