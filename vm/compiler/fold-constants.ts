/** Folds the constants of arithmetic, as BPF computes: unsigned, in 32 bits. */

import { FilterSyntaxError } from './errors.ts';
import type { Arithmetic, ArithmeticOperator, Relation } from './syntax-tree.ts';

const COMMUTATIVE: ReadonlySet<ArithmeticOperator> = new Set(['+', '*', '&', '|', '^'] as const);

/** Whether swapping the operands changes nothing. */
export function isCommutative(operator: ArithmeticOperator): boolean {
  return COMMUTATIVE.has(operator);
}

/** Whether the relation holds between constants. */
export function holds(relation: Relation, left: number, right: number): boolean {
  switch (relation) {
    case '=':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}

/** Folds constants, and moves the constant of a commutative operator to the right. */
export function fold(node: Arithmetic): Arithmetic {
  switch (node.kind) {
    case 'number':
    case 'length':
      return node;
    case 'load':
      return { ...node, index: fold(node.index) };
    case 'negate': {
      const operand = fold(node.operand);
      if (operand.kind === 'number') return { ...operand, value: -operand.value >>> 0 };
      return { ...node, operand };
    }
    case 'binary':
      return foldBinary(node, fold(node.left), fold(node.right));
  }
}

function foldBinary(node: Arithmetic & { kind: 'binary' }, left: Arithmetic, right: Arithmetic): Arithmetic {
  const { operator } = node;
  if (right.kind === 'number') {
    if (right.value === 0 && (operator === '/' || operator === '%')) {
      throw new FilterSyntaxError(right.start, `'${operator} 0' divides by zero`);
    }
    if (right.value > 31 && (operator === '<<' || operator === '>>')) {
      throw new FilterSyntaxError(right.start, `'${operator} ${right.value}' shifts by more than 31 bits`);
    }
    if (left.kind === 'number') {
      const { start, end } = node;
      return { kind: 'number', value: apply(operator, left.value, right.value), start, end };
    }
    if (right.value === 0 && ['+', '-', '|', '^', '<<', '>>'].includes(operator)) return left;
  }
  if (left.kind === 'number' && isCommutative(operator)) return { ...node, left: right, right: left };
  return { ...node, left, right };
}

function apply(operator: ArithmeticOperator, a: number, b: number): number {
  switch (operator) {
    case '+':
      return (a + b) >>> 0;
    case '-':
      return (a - b) >>> 0;
    case '*':
      return Math.imul(a, b) >>> 0;
    case '/':
      return Math.floor(a / b);
    case '%':
      return a % b;
    case '&':
      return (a & b) >>> 0;
    case '|':
      return (a | b) >>> 0;
    case '^':
      return (a ^ b) >>> 0;
    case '<<':
      return (a << b) >>> 0;
    case '>>':
      return a >>> b;
  }
}
