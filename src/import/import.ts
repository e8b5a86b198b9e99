/** Lab files from the files of other tools: one reader a format, one writer for all. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readContainerlab } from './containerlab.ts';
import type { Draft, LeftOut } from './draft.ts';
import { Files, readInput } from './input.ts';
import { readKathara } from './kathara.ts';
import { readNetem } from './netem.ts';
import { writeLab } from './write-lab.ts';

export type ImportFormat = 'containerlab' | 'kathara' | 'netem';

const READERS: Readonly<Record<ImportFormat, (text: string, file: string, files: Files) => Draft>> = {
  containerlab: readContainerlab,
  kathara: readKathara,
  netem: readNetem,
};
export const IMPORT_FORMATS: readonly ImportFormat[] = ['containerlab', 'kathara', 'netem'];

export type Imported = {
  /** The text of a valid lab file. */
  readonly lab: string;
  /** Everything of the file that the lab does not have, in the order of the file. */
  readonly leftOut: readonly LeftOut[];
};

/** Reads a file of another tool. A folder stands for the lab.conf in it. Throws InputError. */
export function importLab(format: ImportFormat, path: string): Imported {
  const isFolder = format === 'kathara' && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const file = isFolder ? join(path, 'lab.conf') : path;
  const draft = READERS[format](readInput(file), file, new Files(file));
  const lab = writeLab(draft, format, file);
  return { lab, leftOut: draft.leftOut };
}
