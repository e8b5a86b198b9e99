/** Tables for terminals: columns as wide as what is in them, numbers to the right, no trailing blanks. */
import { type Color, type Terminal, visible } from './terminal.ts';

export type Column = { readonly title: string; readonly align?: 'left' | 'right' };
export type Cell = string | { readonly text: string; readonly color: Color };

const GAP = '  ';

/** Columns of numbers. */
export function numbers(...titles: string[]): Column[] {
  return titles.map((title) => ({ title, align: 'right' }));
}

/** Columns of text. */
export function texts(...titles: string[]): Column[] {
  return titles.map((title) => ({ title }));
}

/** The lines of a table, the titles first. */
export function table(
  terminal: Terminal,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): string[] {
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...rows.map((row) => textOf(row[i] ?? '').length)),
  );
  const line = (cells: readonly Cell[]): string => {
    const last = cells.length - 1;
    return cells.map((cell, i) => pad(terminal, cell, widths[i]!, columns[i]?.align, i === last)).join(GAP);
  };
  const head = columns.map(({ title }): Cell => ({ text: title, color: 'bold' }));
  return [head, ...rows].map(line);
}

/** Cells may hold what other users gave, such as filters: in one line, and without control characters. */
function textOf(cell: Cell): string {
  return visible(typeof cell === 'string' ? cell : cell.text).replace(/\s+/g, ' ');
}

/** Pads outside of the colour, so that the blanks have none. */
function pad(terminal: Terminal, cell: Cell, width: number, align: Column['align'], last: boolean): string {
  const text = textOf(cell);
  const shown = typeof cell === 'string' ? text : terminal.paint(cell.color, text);
  const blanks = ' '.repeat(width - text.length);
  if (align === 'right') return blanks + shown;
  return last ? shown : shown + blanks;
}
