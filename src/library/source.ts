/** Where a test's lab comes from: a file, text, or an object of the same shape as a lab file. */
import { fileURLToPath } from 'node:url';
import { threadId } from 'node:worker_threads';
import { filterProblem } from '../control/filter.ts';
import type { Lab } from '../lab/model.ts';
import { asVirtualLab, parseLab, readLab } from '../lab/parse.ts';
import type { LabInput } from '../lab/schema/lab.ts';

/** A path, a `file:` URL, the text of a lab file (it has a line break or begins with `{`), or its content as data. */
export type LabSource = string | URL | LabInput;

/** NAME_PATTERN of lab/names.ts. */
const MAX_NAME = 32;

let count = 0;

/** Reads and checks a lab. Throws LabFileError with every error and its place, or the error of reading the file. */
export async function readSource(source: LabSource, isVirtual: boolean): Promise<Lab> {
  const lab = await parse(source);
  return isVirtual ? asVirtualLab(lab) : lab;
}

async function parse(source: LabSource): Promise<Lab> {
  const options = { checkFilter: filterProblem, baseDirectory: process.cwd() };
  if (source instanceof URL) return readLab(fileURLToPath(source), options);
  if (typeof source !== 'string') {
    // JSON is YAML, so that errors have a place in what is printed here.
    return parseLab(JSON.stringify(source, undefined, 2), { ...options, file: 'lab object' });
  }
  const isText = source.includes('\n') || source.trimStart().startsWith('{');
  return isText ? parseLab(source, { ...options, file: 'lab text' }) : readLab(source, options);
}

/**
 * A name that no other lab of this machine has now, so that test files can run side by side. Addresses, seeds and
 * all that is derived from the name in the file stay as they are.
 */
export function uniqueName(name: string): string {
  const thread = threadId === 0 ? '' : `t${threadId}`;
  const suffix = `-${process.pid}${thread}-${++count}`;
  return `${name.slice(0, MAX_NAME - suffix.length)}${suffix}`;
}
