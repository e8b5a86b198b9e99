/** Options of the commands that compile expressions, how they are read, and to which filters they apply. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  compileFilter,
  LINK_TYPES,
  type LinkType,
  linkTypeByName,
  linkTypeByNumber,
} from '../../../vm/compiler/index.ts';
import type { Dialect } from '../../../vm/index.ts';
import { didYouMean } from '../../text/suggest.ts';
import { CliError, EXIT_USAGE } from '../errors.ts';
import type { CompileSettings, FilterSource } from './source.ts';

/** What the options below yield. */
export type CompileOptions = {
  readonly linkType?: LinkType;
  readonly dialect?: Dialect;
  readonly optimize: boolean;
  readonly snapLength?: number;
  readonly netmask?: number | string;
};

const DESCRIPTIONS = Object.values(LINK_TYPES).map(({ name, description }) => `${name} (${description})`);

/** Adds --link-type, --dialect, --no-optimize, --snap-length and --netmask. */
export function addCompileOptions(command: Command): Command {
  return command
    .addOption(linkTypeOption())
    .addOption(dialectOption())
    .option('--no-optimize', 'leave the program as it comes, to see what the optimizer does')
    .option('--snap-length <bytes>', 'bytes to keep of a packet that matches (default: 262144)', snapLength)
    .option('--netmask <mask>', 'netmask of the network, for `ip broadcast`: 255.255.255.0', netmask);
}

export function linkTypeOption(): Option {
  return new Option(
    '--link-type <type>',
    'what frames begin with: a name or number of pcap (default: EN10MB)',
  ).argParser(linkType);
}

export function dialectOption(byDefault = 'bsd'): Option {
  return new Option(
    '--dialect <dialect>',
    `whose rules the program keeps: FreeBSD's bpf(4), or Linux's socket filters with their metadata (default: ${byDefault})`,
  ).choices(['bsd', 'linux']);
}

/** The link type asked for; Ethernet unless told. */
export function linkTypeOf({ linkType }: { readonly linkType?: LinkType }): LinkType {
  return linkType ?? LINK_TYPES.EN10MB;
}

/**
 * The settings to compile a FILTER with.
 *
 * @throws CliError when an option is about compiling, and the filter is compiled already
 */
export function settingsFor(source: FilterSource, options: CompileOptions): CompileSettings {
  const { dialect, optimize, snapLength, netmask } = options;
  const [useless] = [
    // A ready-made filter says by itself for which link type it is.
    ...(source.kind === 'program' && options.linkType ? ['--link-type'] : []),
    ...(optimize ? [] : ['--no-optimize']),
    ...(snapLength === undefined ? [] : ['--snap-length']),
    ...(netmask === undefined ? [] : ['--netmask']),
  ];
  if (source.kind !== 'expression' && useless !== undefined) {
    throw new CliError(
      `${useless} says how to compile an expression, and ${source.name} is a program already`,
      EXIT_USAGE,
    );
  }
  return { dialect, optimize, snapLength, netmask };
}

function linkType(text: string): LinkType {
  const found = /^\d+$/.test(text) ? linkTypeByNumber(Number(text)) : linkTypeByName(text);
  if (found !== undefined) return found;
  // People say Ethernet, or SLL.
  const meant = Object.values(LINK_TYPES).find(({ name, description }) =>
    `${name} ${description}`.toLowerCase().includes(text.toLowerCase()),
  );
  const hint = meant ? `; did you mean "${meant.name}"?` : didYouMean(text, Object.keys(LINK_TYPES));
  throw new InvalidArgumentError(`Unknown link type${hint}\nThere are ${DESCRIPTIONS.join(', ')}.`);
}

function snapLength(text: string): number {
  const value = Number(text);
  return accepted(/^\d+$/.test(text) ? { snapLength: value } : undefined, value, 'Expected 1 to 4294967295.');
}

function netmask(text: string): number | string {
  const value = /^0x[0-9a-f]+$/i.test(text) ? Number(text) : text;
  return accepted({ netmask: value }, value, 'Expected a mask such as 255.255.255.0 or 0xffffff00.');
}

/** The value, if the compiler takes it: the compiler alone knows what is in range. */
function accepted<T>(settings: CompileSettings | undefined, value: T, expected: string): T {
  try {
    if (settings !== undefined) {
      compileFilter('', settings);
      return value;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new InvalidArgumentError(expected);
}
