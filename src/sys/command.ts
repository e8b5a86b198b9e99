/**
 * Whether a command can be run, for programs such as ip-netns(8) and nsenter(1), whose exit status does not tell a
 * command that is missing from one that failed.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Why this user cannot run a command: ENOENT, there is none in `path`; EACCES, it may not be executed. */
export function commandProblem(
  command: string,
  path: string = process.env.PATH ?? '',
): 'ENOENT' | 'EACCES' | undefined {
  const folders = command.includes('/') ? [''] : path.split(delimiter);
  let isThere = false;
  for (const folder of folders) {
    const file = join(folder, command);
    // Also not where this user may not look.
    if (!existsSync(file)) continue;
    isThere = true;
    if (statSync(file).isFile() && isExecutable(file)) return undefined;
  }
  return isThere ? 'EACCES' : 'ENOENT';
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
