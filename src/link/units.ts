/**
 * Numbers with units as tc(8) writes them: `20ms`, `0.5%`, `50mbit`, `125kbps`, `256kb`.
 *
 * A bare number is microseconds as a time, bits per second as a rate, bytes as a size, and percent as a percentage,
 * as the section UNITS (PARAMETERS in newer pages) of tc(8) says. Letters may be of either case, as in tc.
 * Results are in the base units of settings.ts, times, rates and sizes rounded to whole ones.
 */

/** Why a value cannot be used, as the rest of a sentence: `expected a time such as 20ms`. */
export class UnitError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnitError';
  }
}

/** tc keeps times in 32 bits of microseconds; about 71 minutes. */
const MAX_TIME_NS: number = 4_294_967_295_000;
/** 1 Tbit/s. */
const MAX_RATE_BITS_PER_SECOND = 1e12;
/** tc keeps sizes in 32 bits. */
const MAX_SIZE_BYTES = 4_294_967_295;

type Unit = {
  readonly names: readonly string[];
  /** The value in base units is number × 10^decimals × factor. */
  readonly decimals: number;
  readonly factor?: number;
};

const TIME_UNITS: readonly Unit[] = [
  { names: ['', 'us', 'usec', 'usecs'], decimals: 3 },
  { names: ['ns', 'nsec', 'nsecs'], decimals: 0 },
  { names: ['ms', 'msec', 'msecs'], decimals: 6 },
  { names: ['s', 'sec', 'secs'], decimals: 9 },
];

const RATE_UNITS: readonly Unit[] = [
  { names: ['', 'bit'], decimals: 0 },
  ...['k', 'm', 'g', 't'].flatMap((prefix, i): Unit[] => [
    { names: [`${prefix}bit`], decimals: 3 * (i + 1) },
    { names: [`${prefix}ibit`], decimals: 0, factor: 1024 ** (i + 1) },
    { names: [`${prefix}bps`], decimals: 3 * (i + 1), factor: 8 },
    { names: [`${prefix}ibps`], decimals: 0, factor: 8 * 1024 ** (i + 1) },
  ]),
  { names: ['bps'], decimals: 0, factor: 8 },
];

const SIZE_UNITS: readonly Unit[] = [
  { names: ['', 'b'], decimals: 0 },
  ...['k', 'm', 'g'].flatMap((prefix, i): Unit[] => [
    { names: [`${prefix}b`, prefix], decimals: 0, factor: 1024 ** (i + 1) },
    { names: [`${prefix}bit`], decimals: 0, factor: 1024 ** (i + 1) / 8 },
  ]),
];

const PERCENT_UNITS: readonly Unit[] = [{ names: ['', '%'], decimals: -2 }];

type Quantity = {
  /** As in `expected a time such as 20ms`. */
  readonly expected: string;
  readonly units: readonly Unit[];
  readonly maximum: number;
  readonly maximumText: string;
};

const TIME: Quantity = {
  expected: 'a time such as 20ms, 1.5s or 500us',
  units: TIME_UNITS,
  maximum: MAX_TIME_NS,
  maximumText: '4294s',
};
const RATE: Quantity = {
  expected: 'a rate such as 50mbit, 1gbit or 125kbps (bytes per second)',
  units: RATE_UNITS,
  maximum: MAX_RATE_BITS_PER_SECOND,
  maximumText: '1tbit',
};
const SIZE: Quantity = {
  expected: 'a size such as 256kb, 1mb or 3000 (bytes)',
  units: SIZE_UNITS,
  maximum: MAX_SIZE_BYTES,
  maximumText: '4294967295 bytes',
};
const PERCENT: Quantity = {
  expected: 'a percentage such as 0.5%',
  units: PERCENT_UNITS,
  maximum: 1,
  maximumText: '100%',
};

const NUMBER = /^([+-]?)(\d+\.?\d*|\.\d+)(?:e([+-]?\d{1,3}))?([a-z%]*)$/i;

function parseQuantity(text: string, quantity: Quantity): number {
  const shown = text.length > 40 ? `${text.slice(0, 37)}...` : text;
  const match = text.length > 64 ? null : NUMBER.exec(text);
  if (match === null) throw new UnitError(`"${shown}": expected ${quantity.expected}`);
  const [, sign, digits, exponent, suffix] = match;
  const name = suffix!.toLowerCase();
  const unit = quantity.units.find((candidate) => candidate.names.includes(name));
  if (unit === undefined) {
    const names = quantity.units.map((candidate) => candidate.names.find((n) => n !== '')).join(', ');
    throw new UnitError(`"${shown}": unknown unit "${suffix}", expected ${names}`);
  }
  // The decimal point is moved in the text, not by multiplying, so that 0.07% is exactly the number 0.0007.
  const value = Number(`${digits}e${Number(exponent ?? 0) + unit.decimals}`) * (unit.factor ?? 1);
  if (sign === '-' && value !== 0) throw new UnitError(`"${shown}": must not be negative`);
  if (value > quantity.maximum) {
    throw new UnitError(`"${shown}": too large, at most ${quantity.maximumText}`);
  }
  return value;
}

/** A time in nanoseconds. Throws UnitError. */
export function parseTime(text: string): number {
  return Math.round(parseQuantity(text, TIME));
}

/** A rate in bits per second; 0 means unlimited. Throws UnitError, also for a rate above 0 and below 1 bit/s. */
export function parseRate(text: string): number {
  const value = parseQuantity(text, RATE);
  if (value > 0 && value < 1) {
    throw new UnitError(`"${text}": too small, at least 1bit (per second), or 0 for unlimited`);
  }
  return Math.round(value);
}

/** A size in bytes, at least 1. Throws UnitError. */
export function parseSize(text: string): number {
  const value = Math.round(parseQuantity(text, SIZE));
  if (value < 1) throw new UnitError(`"${text}": too small, at least 1 byte`);
  return value;
}

/** A percentage as a probability from 0 to 1. Throws UnitError. */
export function parsePercent(text: string): number {
  return parseQuantity(text, PERCENT);
}

/** A whole number, at least 1. Throws UnitError. */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d{1,9}$/.test(text) || value < 1) {
    throw new UnitError(`"${text.slice(0, 40)}": expected a whole number, at least 1`);
  }
  return value;
}

/** The largest of the steps that divides the value, so that the text is a whole number and reads back exactly. */
function inLargestUnit(value: number, steps: readonly (readonly [number, string])[]): string {
  for (const [size, unit] of steps) {
    if (value >= size && value % size === 0) return `${value / size}${unit}`;
  }
  return `${value}${steps.at(-1)![1]}`;
}

/** Nanoseconds as `20ms`, exactly. */
export function formatTime(timeNs: number): string {
  if (timeNs === 0) return '0ms';
  return inLargestUnit(timeNs, [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'us'],
    [1, 'ns'],
  ]);
}

/** Bits per second as `50mbit`, exactly. */
export function formatRate(bitsPerSecond: number): string {
  return inLargestUnit(bitsPerSecond, [
    [1e12, 'tbit'],
    [1e9, 'gbit'],
    [1e6, 'mbit'],
    [1e3, 'kbit'],
    [1, 'bit'],
  ]);
}

/** Bytes as `256kb`, exactly. */
export function formatSize(bytes: number): string {
  return inLargestUnit(bytes, [
    [1024 ** 3, 'gb'],
    [1024 ** 2, 'mb'],
    [1024, 'kb'],
    [1, 'b'],
  ]);
}

/** A probability as `0.5%`, exactly: the shortest decimal of the number, its point moved by two places. */
export function formatPercent(probability: number): string {
  if (probability === 0) return '0%';
  const [digits, exponent] = probability.toExponential().split('e');
  const whole = Number(exponent) + 2;
  const mantissa = digits!.replace('.', '');
  if (whole < -6) return `${digits}e${whole}%`;
  if (whole < 0) return `0.${'0'.repeat(-whole - 1)}${mantissa}%`;
  const padded = mantissa.padEnd(whole + 1, '0');
  const fraction = padded.slice(whole + 1);
  return `${padded.slice(0, whole + 1)}${fraction === '' ? '' : `.${fraction}`}%`;
}
