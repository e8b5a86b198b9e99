/**
 * Where this package lies on disk, and its version. Works from the sources and from dist/: both are searched upwards
 * for the package.json that is named `taplab`.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Found = { readonly root: string; readonly version: string };

function find(): Found {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    const manifest = readManifest(join(folder, 'package.json'));
    if (manifest?.name === 'taplab') return { root: folder, version: manifest.version ?? '0.0.0' };
    if (dirname(folder) === folder) throw new Error(`no package.json of taplab above ${start}`);
  }
}

function readManifest(path: string): { name?: string; version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { name?: string; version?: string };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const found: Found = find();

/** Absolute path of the package: where package.json, filters/ and dist/ lie. */
export const PACKAGE_ROOT: string = found.root;

/** The package's version, as in package.json. */
export const VERSION: string = found.version;
