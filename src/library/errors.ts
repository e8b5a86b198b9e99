/**
 * What the library throws beside the errors of the parts it uses (LabFileError, ImpairmentError, FilterSyntaxError,
 * BpfError ...). Every class has a `code` to test for and a message that says what to do.
 */
import type { Check } from '../lab/doctor.ts';
import { didYouMean } from '../text/suggest.ts';

/** A lab on kernel devices cannot run here. Tests that need one are to be skipped: see Lab.requirements(). */
export class RequirementsError extends Error {
  readonly code: 'EPERM' = 'EPERM';
  readonly missing: readonly Check[];

  constructor(lab: string, missing: readonly Check[], reason: string, cause: unknown) {
    super(
      `lab ${lab} needs kernel devices, and this system does not give them: ${reason}. ` +
        'Skip such tests unless `(await Lab.requirements()).met`, or give the lab `device: memory`',
      { cause },
    );
    this.name = 'RequirementsError';
    this.missing = missing;
  }
}

/** A command in a node that did not come to its end. What it had written until then is in `stdout` and `stderr`. */
export class CommandError extends Error {
  /**
   * ENOENT no such command, EACCES it may not be executed, ETIMEDOUT it took too long, ENOBUFS it wrote too much,
   * ECANCELED its signal was aborted or the lab went down.
   */
  readonly code: 'ENOENT' | 'EACCES' | 'ETIMEDOUT' | 'ENOBUFS' | 'ECANCELED';
  readonly stdout: string;
  readonly stderr: string;

  constructor(
    code: CommandError['code'],
    message: string,
    output: { readonly stdout: string; readonly stderr: string } = { stdout: '', stderr: '' },
    cause?: unknown,
  ) {
    super(`${message}${lastLines(output)}`, { cause });
    this.name = 'CommandError';
    this.code = code;
    this.stdout = output.stdout;
    this.stderr = output.stderr;
  }
}

/** Something that was waited for has not come. */
export class WaitError extends Error {
  /** ETIMEDOUT not in time; ENXIO it cannot come any more: the capture or the process has ended; ECANCELED. */
  readonly code: 'ETIMEDOUT' | 'ENXIO' | 'ECANCELED';

  constructor(code: WaitError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'WaitError';
    this.code = code;
  }
}

/** The entry of that name. Throws RangeError with the names there are. */
export function named<T extends { readonly name: string }>(
  what: string,
  name: string,
  entries: readonly T[],
): T {
  const found = entries.find((entry) => entry.name === name);
  if (found !== undefined) return found;
  const names = entries.map((entry) => entry.name);
  const hint = didYouMean(name, names) || (names.length > 0 ? `; there are ${names.join(', ')}` : '');
  throw new RangeError(`the lab has no ${what} "${name}"${hint}`);
}

/** The end of what a command wrote, where its error message most likely is. */
function lastLines({ stdout, stderr }: { stdout: string; stderr: string }): string {
  const text = (stderr.trim() || stdout.trim()).slice(-500);
  return text === '' ? '' : `; it wrote last:\n${text}`;
}
