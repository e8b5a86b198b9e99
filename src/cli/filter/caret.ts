/** Shows the place in an expression that a message is about: the line, and a caret under the place. Pure. */

const INDENT = '  ';
/** As much of a long expression as a terminal shows in one line, and how much of it before the place. */
const WINDOW = 76;
const BEFORE = 50;

/** Two lines: the expression around `position` (in UTF-16 code units), and the caret. */
export function pointAt(expression: string, position: number): string {
  // What would move the cursor is shown as a blank, so that the caret stays under its place.
  const line = expression.replace(/\p{Cc}/gu, ' ');
  const from = line.length <= WINDOW ? 0 : Math.max(0, position - BEFORE);
  const to = Math.min(line.length, from + WINDOW);
  const head = from > 0 ? '...' : '';
  const tail = to < line.length ? '...' : '';
  const indent = head.length + [...line.slice(from, position)].length;
  return `${INDENT}${head}${line.slice(from, to)}${tail}\n${INDENT}${' '.repeat(indent)}^`;
}
