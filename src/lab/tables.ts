/**
 * Files that the impairments of a lab file name: tables of delay distributions and traces. They are read once, when the lab file
 * is; the settings hold what they say.
 */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ImpairmentError, parseImpairment } from '../link/impairment.ts';
import { UnitError } from '../link/units.ts';
import type { ReadText } from '../link/words.ts';
import type { Problem } from './issues.ts';
import type { LinkInput } from './schema.ts';

const MAX_BYTES = 8_000_000;

/** Reads text files whose paths start from a folder, each once. What it returns throws UnitError. */
export function tableReader(baseDirectory: string): ReadText {
  const texts = new Map<string, string>();
  return (path) => {
    const text = texts.get(path) ?? readTable(resolve(baseDirectory, path), path);
    texts.set(path, text);
    return text;
  };
}

function readTable(file: string, path: string): string {
  try {
    const status = statSync(file);
    if (!status.isFile()) throw new UnitError(`"${path}": not a file`);
    if (status.size > MAX_BYTES) throw new UnitError(`"${path}": larger than ${MAX_BYTES} bytes`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof UnitError) throw error;
    throw new UnitError(`"${path}": cannot be read: ${(error as Error).message}`);
  }
}

/** What is wrong with the files that the links' impairments name. The links are such as the schema accepts. */
export function tableProblems(links: readonly LinkInput[], readText: ReadText): Problem[] {
  return links.flatMap((link, i) =>
    (['impair', 'forward', 'reverse'] as const).flatMap((side): Problem[] => {
      const value = link[side];
      if (value === undefined) return [];
      try {
        parseImpairment(value, { readText });
        return [];
      } catch (error) {
        if (!(error instanceof ImpairmentError)) throw error;
        return error.problems.map(({ key, position, message }) => ({
          path: ['links', i, side, ...(key?.split('/') ?? [])],
          at: 'value',
          offset: position,
          message,
        }));
      }
    }),
  );
}
