/**
 * Values as expressions over the packet, each kept once: two expressions are equal if their numbers are.
 *
 * Only what depends on nothing but the packet is an expression, and only loads can fail: `end` is how many bytes
 * the packet must have for all of an expression's loads.
 */

/** An expression; `operation` is the operation's bits of a BPF opcode, operands are numbers of expressions. */
export type Expression =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'length' }
  | { readonly kind: 'load'; readonly size: number; readonly offset: number }
  | { readonly kind: 'operation'; readonly operation: number; readonly left: number; readonly right: number };

/** The number of the constant 0 in every table. */
export const ZERO = 0;

/** The expressions that occur in a set of programs; an expression is named by its number. */
export class ExpressionTable {
  readonly #expressions: Expression[] = [];
  readonly #ends: number[] = [];
  readonly #numbers = new Map<string, number>();

  constructor() {
    this.constant(0);
  }

  /** The expression of a number. */
  get(number: number): Expression {
    return this.#expressions[number]!;
  }

  /** Bytes the packet must have for the expression's loads to succeed. */
  end(number: number): number {
    return this.#ends[number]!;
  }

  /** The value of a constant expression, else undefined. */
  constantValue(number: number): number | undefined {
    const expression = this.get(number);
    return expression.kind === 'constant' ? expression.value : undefined;
  }

  constant(value: number): number {
    return this.#intern(`c${value >>> 0}`, { kind: 'constant', value: value >>> 0 }, 0);
  }

  length(): number {
    return this.#intern('l', { kind: 'length' }, 0);
  }

  load(size: number, offset: number): number {
    return this.#intern(`m${size},${offset}`, { kind: 'load', size, offset }, offset + size);
  }

  operation(operation: number, left: number, right: number): number {
    const end = Math.max(this.end(left), this.end(right));
    return this.#intern(`o${operation},${left},${right}`, { kind: 'operation', operation, left, right }, end);
  }

  #intern(key: string, expression: Expression, end: number): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#expressions.push(expression) - 1;
      this.#ends.push(end);
      this.#numbers.set(key, number);
    }
    return number;
  }
}
