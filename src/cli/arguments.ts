/** Arguments that several commands take, and how they are read. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import { linkTypeByName, linkTypeByNumber } from '../../vm/compiler/link-type.ts';
import { DIRECTIONS } from '../bpf/record.ts';
import type { AttachBody } from '../control/client.ts';
import { MAX_BUFFER_BYTES, MIN_BUFFER_BYTES } from '../daemon/contract.ts';
import { formatSize, parseSize, parseTime, UnitError } from '../link/units.ts';
import { parseMetricsAddress } from '../metrics/http.ts';
import { didYouMean } from '../text/suggest.ts';
import { CliError } from './errors.ts';

/** Commander option `--direction` of descriptors. */
export function directionOption(): Option {
  return new Option(
    '--direction <direction>',
    'frames from the node, to the node, both, those its link dropped, or all of these',
  ).choices(DIRECTIONS);
}

/** Commander option `--json`. */
export function jsonOption(what = 'print JSON'): Option {
  return new Option('--json', what);
}

/** For commander: a whole number of at least `minimum`. */
export function wholeNumber(
  minimum: number,
  maximum: number = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= minimum && value <= maximum)
      return value;
    const upTo = maximum === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${maximum}`;
    throw new InvalidArgumentError(`Expected a whole number of at least ${minimum}${upTo}.`);
  };
}

/** For commander: the size of a descriptor's buffers, such as 64kb. */
export function bufferSize(text: string): number {
  const bytes = memorySize(text);
  if (bytes >= MIN_BUFFER_BYTES && bytes <= MAX_BUFFER_BYTES) return bytes;
  const [least, most] = [formatSize(MIN_BUFFER_BYTES), formatSize(MAX_BUFFER_BYTES)];
  throw new InvalidArgumentError(`A buffer has at least ${least} and at most ${most}.`);
}

/** For commander: an amount of memory, such as 128mb, in bytes. */
export function memorySize(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    if (error instanceof UnitError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}

/** For commander: HOST:PORT or `off`, as it is. */
export function metricsAddress(text: string): string {
  try {
    parseMetricsAddress(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

/** For commander: a time such as 100ms, in whole milliseconds. */
export function milliseconds(text: string): number {
  try {
    const ms = parseTime(text) / 1e6;
    if (Number.isInteger(ms)) return ms;
  } catch (error) {
    if (error instanceof UnitError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
  throw new InvalidArgumentError('Expected whole milliseconds, such as 100ms, or 0.');
}

/** For commander: `on` or `off`. */
export function onOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new InvalidArgumentError('Expected on or off.');
}

/** For commander: a link type by name (EN10MB, RAW) or number, as a number. */
export function linkTypeNumber(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  const known = linkTypeByName(text);
  if (known !== undefined) return known.number;
  throw new InvalidArgumentError('Expected a link type such as EN10MB, or its number.');
}

/** A link type by name, where it has one. */
export function linkTypeName(number: number): string {
  return linkTypeByNumber(number)?.name ?? String(number);
}

const MAX_GID = 0xffff_fffe;

/** For commander: a group by name, as /etc/group has it, or by number; as a gid. */
export function groupId(text: string): number {
  if (/^\d+$/.test(text)) return wholeNumber(0, MAX_GID)(text);
  let groups = '';
  try {
    groups = readFileSync('/etc/group', 'utf8');
  } catch {
    // Then no name is known.
  }
  const entries = groups.split('\n').map((line) => line.split(':'));
  const gid = entries.find(([name]) => name === text)?.[2];
  if (gid !== undefined) return Number(gid);
  const hint = didYouMean(
    text,
    entries.map(([name]) => name!).filter((name) => name !== ''),
  );
  throw new InvalidArgumentError(`/etc/group has no group of that name${hint || '; a gid will do as well.'}`);
}

/** Files that are taken for a program rather than an expression. */
const LOOKS_LIKE_FILE = /\/|\.(?:bpf|ddd)$/;
const MAX_PROGRAM_BYTES = 1_000_000;

/**
 * FILTER words as a request's members: an expression or `@name` as `filter`, the text of a file as `program`.
 *
 * @throws CliError when it names a file that cannot be used
 */
export function filterBody(words: readonly string[]): Pick<AttachBody, 'filter' | 'program'> {
  const text = words.join(' ').trim();
  // An expression may hold a slash as well: net 10.0.0.0/8. A file exists.
  if (words.length !== 1 || text.startsWith('@') || !LOOKS_LIKE_FILE.test(text)) return { filter: text };
  if (!existsSync(text)) {
    if (/\s/.test(text)) return { filter: text };
    if (/^[./]|\.(?:bpf|ddd)$/.test(text)) throw new CliError(`filter file ${text} does not exist`);
    return { filter: text };
  }
  try {
    const status = statSync(text);
    if (!status.isFile()) throw new CliError(`filter file ${text} is not a file`);
    if (status.size > MAX_PROGRAM_BYTES) throw new CliError(`filter file ${text} is too large for a program`);
    return { program: readFileSync(text, 'utf8') };
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`cannot read filter file ${text}: ${(error as NodeJS.ErrnoException).code}`);
  }
}
