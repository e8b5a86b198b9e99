/**
 * A lab file's text: YAML to plain data, with a line and column for every key and value.
 *
 * Input is not trusted: size, nesting and alias expansion are bounded, and duplicate keys are errors (checked here,
 * because the yaml package compares every key of a map with every other).
 */
import { isDeepStrictEqual } from 'node:util';
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import type { Path, Problem } from './issues.ts';

export const MAX_FILE_BYTES = 524_288;
const MAX_DEPTH = 32;
/** How often an anchor may be used, times what its value holds of other aliases. */
const MAX_ALIASES = 10_000;

const NOT_PLAIN = 'a key must be a plain word';

type Position = { readonly line: number; readonly column: number };

export type Source = {
  /** The file as plain data; undefined when it is not YAML. */
  readonly data: unknown;
  /** What is wrong with the text itself, with positions. */
  readonly problems: readonly (Position & { readonly message: string })[];
  /** Where an entry, or the nearest one above it, stands; counted from 1. */
  locate(problem: Problem): Position;
};

/** Reads YAML text. Never throws for what the text says. */
export function readSource(text: string): Source {
  const lines = new LineCounter();
  const problems: (Position & { message: string })[] = [];
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const fail = (position: Position, message: string): Source => {
    problems.push({ ...position, message });
    return { data: undefined, problems, locate: () => position };
  };
  const start: Position = { line: 1, column: 1 };
  if (Buffer.byteLength(text) > MAX_FILE_BYTES)
    return fail(start, `file is larger than ${MAX_FILE_BYTES} bytes`);

  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'error',
    });
  } catch (error) {
    // The parser recurses: text nested a few thousand deep ends in a full stack.
    if (!(error instanceof RangeError)) throw error;
    return fail(start, `nested more than ${MAX_DEPTH} deep`);
  }
  for (const error of document.errors) {
    if (error.message.startsWith('Maximum call stack'))
      return fail(start, `nested more than ${MAX_DEPTH} deep`);
    const problem = { ...at(error.pos[0]), message: `not valid YAML: ${error.message.split('\n')[0]}` };
    // The parser says some things of a map and again of what is in it.
    if (!isDeepStrictEqual(problems.at(-1), problem)) problems.push(problem);
  }
  if (problems.length > 0) return { data: undefined, problems, locate: () => start };
  const root = document.contents as Node | null;
  const deep = checkTree(root, 0, (offset, message) => problems.push({ ...at(offset), message }));
  if (deep !== undefined) return fail(at(deep), `nested more than ${MAX_DEPTH} deep`);
  // Without plain keys there is no plain data.
  if (problems.some(({ message }) => message === NOT_PLAIN)) {
    return { data: undefined, problems, locate: () => start };
  }
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    return fail(
      start,
      `aliases cannot be used like this: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return { data, problems, locate: (problem) => at(offsetOf(root, problem)) };
}

/** Reports keys that are not plain or not unique. Returns the offset of a node that is too deep, if there is one. */
function checkTree(
  node: unknown,
  depth: number,
  report: (offset: number, message: string) => void,
): number | undefined {
  if (!isMap(node) && !isSeq(node)) return undefined;
  if (depth > MAX_DEPTH) return node.range?.[0] ?? 0;
  const seen = new Set<string>();
  for (const item of node.items) {
    if (isMap(node)) {
      const { key } = item as Pair;
      const offset = (key as Node | null)?.range?.[0] ?? node.range?.[0] ?? 0;
      const text = keyText(item as Pair);
      if (text === undefined) report(offset, NOT_PLAIN);
      else if (seen.has(text)) report(offset, `duplicate key "${text}"`);
      else if (text === '__proto__') report(offset, 'bad name "__proto__"');
      else seen.add(text);
    }
    const deep = checkTree(isMap(node) ? (item as Pair).value : item, depth + 1, report);
    if (deep !== undefined) return deep;
  }
  return undefined;
}

function keyText({ key }: Pair): string | undefined {
  return isScalar(key) && key.value !== null ? String(key.value) : undefined;
}

const pairsOf = new WeakMap<YAMLMap, Map<string, Pair>>();

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  let pairs = pairsOf.get(map);
  if (pairs === undefined) {
    pairs = new Map(map.items.map((pair) => [keyText(pair) ?? '', pair]));
    pairsOf.set(map, pairs);
  }
  return pairs.get(key);
}

/** The offset of what a problem points at; of the last part of its path that exists, when it does not. */
function offsetOf(root: Node | null, { path, at, offset }: Problem): number {
  let node: unknown = root;
  let found = root?.range?.[0] ?? 0;
  for (const [i, step] of (path as Path).entries()) {
    if (isMap(node)) {
      const pair = pairOf(node, String(step));
      if (pair === undefined) return found;
      const key = (pair.key as Node | null)?.range?.[0];
      const value = (pair.value as Node | null)?.range?.[0];
      const isLast = i === path.length - 1;
      // A map or a missing value is pointed at by its key: that is where a reader looks for it.
      const byKey = (isLast && at === 'key') || value === undefined || isMap(pair.value) || isSeq(pair.value);
      found = (byKey ? key : value) ?? found;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      found = (node as Node | undefined)?.range?.[0] ?? found;
    }
    // What is wrong with a value that came by an alias is shown where the alias is used.
    if (isAlias(node)) return found;
  }
  const isQuoted = isScalar(node) && (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE');
  const isInline = isScalar(node) && (isQuoted || node.type === 'PLAIN');
  return found + (isInline && offset !== undefined ? offset + (isQuoted ? 1 : 0) : 0);
}
