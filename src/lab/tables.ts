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
import type { LabInput } from './schema/lab.ts';
import type { ImpairmentInput } from './schema/values.ts';
import { switchEntries } from './switches.ts';

const MAX_BYTES = 8_000_000;
/** Of links, of ports and of the steps of a timeline. */
const IMPAIRMENT_KEYS: ReadonlySet<string> = new Set([
  'impair',
  'set',
  'forward',
  'reverse',
  'ingress',
  'egress',
]);

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

/** What is wrong with the files that impairments name. The lab is such as the schema accepts. */
export function tableProblems(lab: LabInput, readText: ReadText): Problem[] {
  const links = (lab.links ?? []).map((link, i) => ({ at: link, path: ['links', i] }));
  const ports = switchEntries(lab).flatMap((entry) =>
    entry.ports.map((port, i) => ({ at: port, path: [entry.section, entry.name, 'ports', i] })),
  );
  const steps = (lab.timeline ?? []).map((step, i) => ({ at: step, path: ['timeline', i] }));
  return [...links, ...ports, ...steps].flatMap(({ at, path }) =>
    Object.entries(at).flatMap(([side, value]): Problem[] => {
      if (!IMPAIRMENT_KEYS.has(side) || value === undefined) return [];
      try {
        parseImpairment(value as ImpairmentInput, { readText });
        return [];
      } catch (error) {
        if (!(error instanceof ImpairmentError)) throw error;
        return error.problems.map(({ key, position, message }) => ({
          path: [...path, side, ...(key?.split('/') ?? [])],
          at: 'value',
          offset: position,
          message,
        }));
      }
    }),
  );
}
