/**
 * Schedules: delay, rate and loss as a CSV file says, from when it was set:
 *
 *     time,delay,rate,loss
 *     0s,20ms,50mbit,0%
 *     10s,80ms,5mbit,2%
 *
 * Any of the last three columns, in any order. Each line holds until the next (`hold`), or what is between two lines
 * lies on a straight line between them, in steps (`linear`). With `loop` it begins again at the time of the last line,
 * which ends a turn; otherwise the last line holds for good. Before the first line nothing is changed.
 */
import type { ChainSettings } from '../settings.ts';
import { parsePercent, parseRate, parseTime, UnitError } from '../units.ts';
import type { Modulator } from './current.ts';

export type Schedule = {
  /** Path of the file, as it was given. */
  readonly name: string;
  /** Lines of the table. */
  readonly entries: number;
  /** Of linear interpolation; 0 is none. */
  readonly stepNs: number;
  readonly loop: boolean;
  /** ScheduleTable as JSON. Absent where settings are only shown. */
  readonly data?: string;
};

type Column = 'delayNs' | 'rateBitsPerSecond' | 'loss';
/** Nanoseconds, and values in the order of the columns. */
type ScheduleTable = { readonly columns: readonly Column[]; readonly rows: readonly (readonly number[])[] };

const COLUMNS: Readonly<Record<string, { key: Column; parse: (text: string) => number }>> = {
  delay: { key: 'delayNs', parse: parseTime },
  rate: { key: 'rateBitsPerSecond', parse: parseRate },
  loss: { key: 'loss', parse: parsePercent },
};

/** Bounds what settings are in memory and on their way to a worker. */
const MAX_LINES = 10_000;

/** Reads a CSV file. Throws UnitError with the line. */
export function parseSchedule(text: string, name: string, stepNs: number, loop: boolean): Schedule {
  const lines = text
    .split('\n')
    .map((line, i) => ({
      cells: line.split(',').map((cell) => cell.trim()),
      where: `"${name}", line ${i + 1}`,
    }))
    .filter(({ cells }) => cells.length > 1 || cells[0] !== '');
  const [head, ...body] = lines;
  const words = head?.cells ?? [];
  const known = words.every((word) => word === 'time' || COLUMNS[word] !== undefined);
  if (
    head === undefined ||
    !known ||
    !words.includes('time') ||
    words.length < 2 ||
    new Set(words).size < words.length
  ) {
    throw new UnitError(
      `${head?.where ?? `"${name}"`}: expected a header with time and any of delay, rate, loss`,
    );
  }
  if (body.length === 0) throw new UnitError(`"${name}": there are no lines after the header`);
  if (body.length > MAX_LINES) throw new UnitError(`"${name}": more than ${MAX_LINES} lines`);
  const columns = words.flatMap((word) => COLUMNS[word]?.key ?? []);
  let lastNs = -1;
  const rows = body.map(({ cells, where }) => {
    if (cells.length !== words.length)
      throw new UnitError(`${where}: ${cells.length} cells, expected ${words.length}`);
    const row = cells.map((cell, i) => parseCell(cell, words[i]!, where, stepNs > 0));
    const timeNs = row.splice(words.indexOf('time'), 1)[0]!;
    if (timeNs <= lastNs) throw new UnitError(`${where}: not later than the line before`);
    lastNs = timeNs;
    return [timeNs, ...row];
  });
  if (loop && lastNs === 0) throw new UnitError(`"${name}": a loop needs a line after 0s, which ends it`);
  const table: ScheduleTable = { columns, rows };
  return { name, entries: rows.length, stepNs, loop, data: JSON.stringify(table) };
}

function parseCell(cell: string, word: string, where: string, isLinear: boolean): number {
  try {
    const value = (COLUMNS[word]?.parse ?? parseTime)(cell);
    if (word === 'time' && value !== 0 && !/[a-z]$/i.test(cell))
      throw new UnitError(`needs a unit, as ${cell}s`);
    if (word === 'rate' && value === 0 && isLinear) {
      throw new UnitError('0 is unlimited: nothing lies between that and a rate');
    }
    return value;
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
    throw new UnitError(`${where}: ${word} ${error.message}`);
  }
}

export class ScheduleModulator implements Modulator {
  overlay: Partial<ChainSettings> = {};
  nextNs: number;
  readonly #table: ScheduleTable;
  readonly #stepNs: number;
  /** Infinity without a loop. */
  readonly #turnNs: number;
  /** Of the present turn. */
  #startNs: number;
  /** The row in force, -1 before the first. */
  #row = -1;

  constructor({ data = '{"columns":[],"rows":[]}', stepNs, loop }: Schedule, startNs: number) {
    this.#table = JSON.parse(data) as ScheduleTable;
    this.#stepNs = stepNs;
    this.#turnNs = loop ? this.#timeNs(this.#table.rows.length - 1) : Number.POSITIVE_INFINITY;
    // Whole numbers, so that a step is never a rounding error short of its time.
    this.#startNs = Math.floor(startNs);
    this.nextNs = this.#startNs;
  }

  advance(nowNs: number): void {
    if (nowNs - this.#startNs >= this.#turnNs) {
      this.#startNs += Math.floor((nowNs - this.#startNs) / this.#turnNs) * this.#turnNs;
      this.#row = -1;
    }
    const sinceNs = nowNs - this.#startNs;
    while (this.#timeNs(this.#row + 1) <= sinceNs) this.#row++;
    const lineNs = this.#timeNs(this.#row + 1);
    // Steps are counted from their line.
    const fromNs = this.#row === -1 ? 0 : this.#timeNs(this.#row);
    const isBetween = this.#stepNs > 0 && this.#row !== -1 && lineNs !== Number.POSITIVE_INFINITY;
    const steps = isBetween ? Math.floor((sinceNs - fromNs) / this.#stepNs) : 0;
    this.overlay =
      this.#row === -1 ? {} : this.#values(isBetween ? (steps * this.#stepNs) / (lineNs - fromNs) : 0);
    const stepNs = isBetween ? fromNs + (steps + 1) * this.#stepNs : Number.POSITIVE_INFINITY;
    this.nextNs = this.#startNs + Math.min(stepNs, lineNs, this.#turnNs);
  }

  #timeNs(row: number): number {
    return this.#table.rows[row]?.[0] ?? Number.POSITIVE_INFINITY;
  }

  /** @param share of the way from this row to the next */
  #values(share: number): Partial<ChainSettings> {
    const { columns, rows } = this.#table;
    const [row, next] = [rows[this.#row]!, rows[this.#row + 1] ?? rows[this.#row]!];
    const values = columns.map((key, i) => [key, row[i + 1]! + (next[i + 1]! - row[i + 1]!) * share]);
    // As the words do, each takes the place of what would decide instead.
    return {
      ...(columns.includes('loss') && { lossModel: null }),
      ...(columns.includes('rateBitsPerSecond') && { trace: null }),
      ...Object.fromEntries(values),
    };
  }
}
