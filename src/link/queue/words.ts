/**
 * Queue disciplines as people write them: `queue NAME [PARAMETER VALUE]... [ecn]`, parameters named as in tc(8),
 * defaults those of the RFCs; `queue prio class FILTER...` and `queue drr class FILTER [weight N]...`.
 */
import { parseFilter } from '../filter.ts';
import {
  formatPercent,
  formatSize,
  formatTime,
  parseCount,
  parsePercent,
  parseSize,
  parseTime,
  UnitError,
} from '../units.ts';
import { type Arguments, quote } from '../words.ts';
import type { DrrSettings, PrioSettings } from './classes.ts';
import type { CodelSettings } from './codel.ts';
import type { FqCodelSettings } from './fq-codel.ts';
import type { PieSettings } from './pie.ts';
import type { RedSettings } from './red.ts';

type FifoSettings = { readonly discipline: 'droptail' | 'drophead' };
type ManagedSettings = RedSettings | CodelSettings | FqCodelSettings | PieSettings;

export type QueueSettings = FifoSettings | ManagedSettings | PrioSettings | DrrSettings;

const DEFAULTS: { readonly [Settings in ManagedSettings as Settings['discipline']]: Settings } = {
  // tc-red(8): max a quarter of the limit, which is 256 KiB when not told, min a third of that; the paper's weight.
  red: {
    discipline: 'red',
    minBytes: 21_845,
    maxBytes: 65_536,
    probability: 0.02,
    weight: 0.002,
    frameBytes: 1000,
    ecn: false,
  },
  codel: { discipline: 'codel', targetNs: 5e6, intervalNs: 100e6, ecn: false },
  fq_codel: {
    discipline: 'fq_codel',
    flows: 1024,
    quantumBytes: 1514,
    targetNs: 5e6,
    intervalNs: 100e6,
    ecn: true,
  },
  pie: { discipline: 'pie', targetNs: 15e6, updateNs: 15e6, alpha: 0.125, beta: 1.25, ecn: false },
};

/** As in fq_codel's netlink interface. */
const MAX_FLOWS = 65_536;
const MAX_CLASSES = 16;
const MAX_WEIGHT = 1000;
const DRR_QUANTUM_BYTES = 1514;

export const QUEUE_SYNTAX =
  'droptail | drophead | red [min SIZE] [max SIZE] [probability PERCENT] [weight PERCENT] [avpkt SIZE] [ecn] | codel [target TIME] [interval TIME] [ecn] | fq_codel [flows N] [quantum SIZE] [target TIME] [interval TIME] [noecn] | pie [target TIME] [tupdate TIME] [alpha HZ] [beta HZ] [ecn] | prio class FILTER... | drr [quantum SIZE] class FILTER [weight N]...';

const NAMES = ['droptail', 'drophead', 'red', 'codel', 'fq_codel', 'pie', 'prio', 'drr'] as const;
const EXPECTED_NAME = NAMES.join(', ');
const EXPECTED_CLASS = 'class and a filter, as class "udp port 53"';

type Parameter = {
  readonly setting: string;
  readonly parse: (text: string) => number;
  readonly format: (value: number) => string;
  readonly expected: string;
};

const time = { parse: parsePositiveTime, format: formatTime, expected: 'a time such as 5ms' };
const size = { parse: parseSize, format: formatSize, expected: 'a size such as 64kb' };
const percent = { parse: parsePercent, format: formatPercent, expected: 'a percentage such as 2%' };
const gain = { parse: parseGain, format: String, expected: 'a gain in Hz such as 0.125' };

/** By their word. A discipline has those whose setting it has. */
const PARAMETERS: Readonly<Record<string, Parameter>> = {
  min: { ...size, setting: 'minBytes' },
  max: { ...size, setting: 'maxBytes' },
  probability: { ...percent, setting: 'probability' },
  weight: { ...percent, setting: 'weight' },
  avpkt: { ...size, setting: 'frameBytes' },
  flows: { parse: parseFlows, format: String, expected: 'a whole number such as 1024', setting: 'flows' },
  quantum: { ...size, setting: 'quantumBytes' },
  target: { ...time, setting: 'targetNs' },
  interval: { ...time, setting: 'intervalNs' },
  tupdate: { ...time, setting: 'updateNs' },
  alpha: { ...gain, setting: 'alpha' },
  beta: { ...gain, setting: 'beta' },
};

export function readQueue(args: Arguments): QueueSettings {
  const discipline = args.take(...NAMES) ?? args.value(refusal(EXPECTED_NAME), EXPECTED_NAME);
  switch (discipline) {
    case 'droptail':
    case 'drophead':
      return { discipline };
    case 'prio':
      return { discipline, classes: readClasses(args, (filter) => ({ filter })) };
    case 'drr': {
      const quantumBytes =
        args.take('quantum') === undefined
          ? DRR_QUANTUM_BYTES
          : args.value(parseSize, size.expected, 'quantum');
      const weight = (): number =>
        args.take('weight') === undefined ? 1 : args.value(parseWeight, 'a whole number such as 3', 'weight');
      return {
        discipline,
        quantumBytes,
        classes: readClasses(args, (filter) => ({ filter, weight: weight() })),
      };
    }
    default:
      return readManaged(DEFAULTS[discipline], args);
  }
}

/** Undefined for a plain queue. */
export function formatQueue(settings: QueueSettings): string | undefined {
  const { discipline } = settings;
  switch (discipline) {
    case 'droptail':
      return undefined;
    case 'drophead':
      return discipline;
    case 'prio':
      return [discipline, ...settings.classes.map(({ filter }) => `class ${quote(filter)}`)].join(' ');
    case 'drr': {
      const { quantumBytes, classes } = settings;
      return [
        discipline,
        ...(quantumBytes === DRR_QUANTUM_BYTES ? [] : [`quantum ${formatSize(quantumBytes)}`]),
        ...classes.map(
          ({ filter, weight }) => `class ${quote(filter)}${weight === 1 ? '' : ` weight ${weight}`}`,
        ),
      ].join(' ');
    }
    default:
      return formatManaged(settings);
  }
}

function readManaged<Settings extends ManagedSettings>(defaults: Settings, args: Arguments): Settings {
  const settings: Record<string, unknown> = { ...defaults };
  const words = Object.keys(PARAMETERS).filter((word) => Object.hasOwn(defaults, PARAMETERS[word]!.setting));
  for (;;) {
    const word = args.take(...words, 'ecn', 'noecn');
    if (word === undefined) break;
    const parameter = PARAMETERS[word];
    const what = `queue ${defaults.discipline}: ${word}`;
    if (parameter === undefined) settings.ecn = word === 'ecn';
    else settings[parameter.setting] = args.value(parameter.parse, parameter.expected, what);
  }
  const { minBytes, maxBytes } = settings as Partial<RedSettings>;
  if (minBytes !== undefined && minBytes >= maxBytes!) args.refuse('queue red: min must be below max');
  return settings as Settings;
}

function formatManaged(settings: ManagedSettings): string {
  const defaults: Record<string, unknown> = DEFAULTS[settings.discipline];
  const values: Record<string, unknown> = settings;
  const words: string[] = [settings.discipline];
  for (const [word, { setting, format }] of Object.entries(PARAMETERS)) {
    if (values[setting] !== defaults[setting]) words.push(word, format(values[setting] as number));
  }
  if (values.ecn !== defaults.ecn) words.push(values.ecn === true ? 'ecn' : 'noecn');
  return words.join(' ');
}

function readClasses<Class>(args: Arguments, read: (filter: string) => Class): Class[] {
  const classes: Class[] = [];
  while (args.take('class') !== undefined) {
    classes.push(read(args.value(parseFilter, 'a filter such as "udp port 53"', 'class')));
  }
  if (classes.length === 0) args.value(refusal(EXPECTED_CLASS), EXPECTED_CLASS);
  if (classes.length > MAX_CLASSES) args.refuse(`queue: more than ${MAX_CLASSES} classes`);
  return classes;
}

/** Parses nothing. */
function refusal(expected: string): (text: string) => never {
  return (text) => {
    throw new UnitError(`"${text.slice(0, 40)}": expected ${expected}`);
  };
}

function parsePositiveTime(text: string): number {
  const value = parseTime(text);
  if (value < 1000) throw new UnitError(`"${text}": too small, at least 1us`);
  return value;
}

function parseFlows(text: string): number {
  return atMost(parseCount(text), MAX_FLOWS, text);
}

function parseWeight(text: string): number {
  return atMost(parseCount(text), MAX_WEIGHT, text);
}

function atMost(value: number, maximum: number, text: string): number {
  if (value > maximum) throw new UnitError(`"${text}": too large, at most ${maximum}`);
  return value;
}

function parseGain(text: string): number {
  const value = Number(text);
  if (!/^(\d+\.?\d*|\.\d+)$/.test(text) || value > 1000) {
    throw new UnitError(`"${text.slice(0, 40)}": expected a gain in Hz, such as 0.125`);
  }
  return value;
}
