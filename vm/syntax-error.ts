/** The error for program text that cannot be read: says where, and what was expected there. */

/** Thrown for malformed program text; `line` and `column` count from 1. */
export class ProgramSyntaxError extends Error {
  override readonly name = 'ProgramSyntaxError';
  readonly line: number;
  readonly column: number;

  constructor(line: number, column: number, problem: string) {
    super(`${line}:${column}: ${problem}`);
    this.line = line;
    this.column = column;
  }
}
