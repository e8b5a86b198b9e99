/**
 * Distributions of delay: `distribution` of tc-netem(8). A distribution maps a uniform number in [0, 1) to a
 * deviation in units of the jitter, as the tables of iproute2 do; normal, pareto and paretonormal have mean 0.
 *
 * Unlike netem's, whose tables hold 4,096 steps of 1/8192, these are exact functions, cut off where a table entry
 * of 16 bits ends: at four times the jitter. Tables from files are used as they are.
 *
 * Without a distribution netem (and so this) is uniform; its manual page says normal, the kernel's source does not.
 */
import { ln } from './logarithm.ts';
import { UnitError } from './units.ts';

export const DISTRIBUTIONS = ['uniform', 'normal', 'pareto', 'paretonormal'] as const;

/** A table of a file in the format of iproute2's .dist files. */
export type Table = {
  /** Its path, as it was given. */
  readonly name: string;
  readonly entries: number;
  /** Its entries, 16 bits each, little-endian, as base64. Absent where settings are only shown. */
  readonly data?: string;
};

export type Distribution = (typeof DISTRIBUTIONS)[number] | Table;

/** From a uniform number in [0, 1) to multiples of the jitter. */
export type Quantile = (uniform: number) => number;

/** NETEM_DIST_SCALE: the table entry that stands for one jitter. */
const SCALE = 8192;
const MAX_DEVIATION = 32_767 / SCALE;
/** NETEM_DIST_MAX. */
export const MAX_TABLE_ENTRIES = 16_384;
const MAX_TABLE_CHARACTERS = 262_144;

/** Shape of netem's Pareto distribution (iproute2, netem/pareto.c). */
const PARETO_SHAPE = 3;

/** The function of a distribution. */
export function quantileOf(distribution: Distribution): Quantile {
  if (typeof distribution === 'object') return tableQuantile(distribution);
  switch (distribution) {
    case 'uniform':
      return (uniform) => 2 * uniform - 1;
    case 'normal':
      return normal;
    case 'pareto':
      return pareto;
    case 'paretonormal':
      // iproute2, netem/paretonormal.c: a quarter normal, three quarters Pareto.
      return (uniform) => 0.25 * normal(uniform) + 0.75 * pareto(uniform);
  }
}

/** Reads a .dist file: whole numbers of 16 bits between spaces, lines that start with # are comments. */
export function parseTable(text: string, name: string): Table {
  if (text.length > MAX_TABLE_CHARACTERS)
    throw new UnitError(`"${name}": larger than ${MAX_TABLE_CHARACTERS} bytes`);
  const values: number[] = [];
  for (const [number, line] of text.split('\n').entries()) {
    if (/^\s*#/.test(line)) continue;
    for (const word of line.split(/\s+/)) {
      if (word === '') continue;
      const value = Number(word);
      if (!/^[-+]?\d+$/.test(word) || value < -32_768 || value > 32_767) {
        throw new UnitError(
          `"${name}", line ${number + 1}: "${word.slice(0, 20)}": expected whole numbers from -32768 to 32767`,
        );
      }
      values.push(value);
    }
  }
  if (values.length === 0) throw new UnitError(`"${name}": no entries`);
  if (values.length > MAX_TABLE_ENTRIES) {
    throw new UnitError(`"${name}": ${values.length} entries, at most ${MAX_TABLE_ENTRIES}`);
  }
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, i) => void bytes.writeInt16LE(value, 2 * i));
  return { name, entries: values.length, data: bytes.toString('base64') };
}

function tableQuantile({ data = '' }: Table): Quantile {
  const bytes = Buffer.from(data, 'base64');
  const entries = Float64Array.from(
    { length: bytes.length >>> 1 },
    (_, i) => bytes.readInt16LE(2 * i) / SCALE,
  );
  return (uniform) => entries[Math.floor(uniform * entries.length)]!;
}

function pareto(uniform: number): number {
  const deviation = ((1 - uniform) ** (-1 / PARETO_SHAPE) - PARETO_SHAPE / (PARETO_SHAPE - 1)) * (4 / 3);
  return Math.min(deviation, MAX_DEVIATION);
}

/** The normal quantile by P. J. Acklam's rational approximation, relative error below 1.2e-9. */
function normal(uniform: number): number {
  const tail = 0.02425;
  if (uniform < tail) return Math.max(normalTail(uniform), -MAX_DEVIATION);
  if (uniform > 1 - tail) return Math.min(-normalTail(1 - uniform), MAX_DEVIATION);
  const q = uniform - 0.5;
  const r = q * q;
  return (
    ((((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r -
      30.66479806614716) *
      r +
      2.506628277459239) *
      q) /
    (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r -
      13.28068155288572) *
      r +
      1)
  );
}

function normalTail(probability: number): number {
  if (probability === 0) return Number.NEGATIVE_INFINITY;
  const q = Math.sqrt(-2 * ln(probability));
  return (
    (((((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) *
      q +
      4.374664141464968) *
      q +
      2.938163982698783) /
    ((((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q +
      1)
  );
}
