/**
 * What a link is set to when a lab goes on where it was and its file may have been edited meanwhile. Pure.
 *
 * An impairment, such as the delay with its jitter, that was changed at run time holds as long as the file says of it
 * what it said when that was saved; else the file holds. Each difference from the file, or loss of a change, is said.
 */
import { isDeepStrictEqual } from 'node:util';
import { formatImpairment } from '../link/impairment.ts';
import { CLEAR_IMPAIRMENTS, CLEAR_LINK, type LinkSettings } from '../link/settings.ts';

/** What one direction was set to when that was saved, and what the lab file said of it then. */
export type SavedDirection = { readonly settings: LinkSettings; readonly file: LinkSettings };

export type ResumedDirection = {
  readonly settings: LinkSettings;
  /** Sentences for people. */
  readonly differences: readonly string[];
};

/** @param file what the lab file says now */
export function resumeDirection(saved: SavedDirection, file: LinkSettings): ResumedDirection {
  let settings = file;
  const differences: string[] = [];
  for (const members of CLEAR_IMPAIRMENTS) {
    const keys = Object.keys(members) as (keyof LinkSettings)[];
    const part = (of: LinkSettings): Partial<LinkSettings> =>
      Object.fromEntries(keys.map((key) => [key, of[key]]));
    const [was, before, now] = [part(saved.settings), part(saved.file), part(file)];
    if (isDeepStrictEqual(was, now)) continue;
    const isFileUnchanged = isDeepStrictEqual(before, now);
    if (isFileUnchanged) settings = { ...settings, ...was };
    const isRunTime = !isDeepStrictEqual(was, before);
    differences.push(describe(text(was), text(before), text(now), isFileUnchanged, isRunTime));
  }
  return { settings, differences };
}

function describe(
  was: string,
  before: string,
  now: string,
  isFileUnchanged: boolean,
  isRunTime: boolean,
): string {
  if (isFileUnchanged) return `"${was}", set at run time, holds; the lab file has "${now}"`;
  const changed = `"${now}" of the lab file holds, which had "${before}" when the lab last ran`;
  return isRunTime ? `${changed}; "${was}", set at run time, is not resumed` : changed;
}

function text(part: Partial<LinkSettings>): string {
  return formatImpairment({ ...CLEAR_LINK, ...part });
}
