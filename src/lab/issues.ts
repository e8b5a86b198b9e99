/**
 * zod's issues in the words of this project: what is wrong, what was expected, and the word probably meant.
 * One problem per unknown key, and of a union only the branch that the value was meant for.
 */
import { z } from 'zod';
import { didYouMean } from '../text/suggest.ts';

export type Path = readonly PropertyKey[];

/** One thing wrong with a lab file, before it is given a line and column. */
export type Problem = {
  readonly path: Path;
  /** Which part of the entry at `path` to point at. */
  readonly at: 'key' | 'value';
  /** Characters from the start of the value. */
  readonly offset?: number;
  readonly message: string;
};

type Issue = z.core.$ZodIssue;

/** The problems that a failed parse found. `schema` and `input` are what was parsed. */
export function problemsOf(error: z.ZodError, schema: z.ZodType, input: unknown): Problem[] {
  return error.issues.flatMap((issue) => translate(issue, [], schema, input));
}

function translate(issue: Issue, base: Path, schema: z.ZodType, input: unknown): Problem[] {
  const path = [...base, ...issue.path];
  const label = path.length === 0 ? '' : `${String(path.at(-1))}: `;
  const value = valueAt(input, path);
  const one = (message: string, at: Problem['at'] = 'value'): Problem[] => [{ path, at, message }];
  const missing = (): Problem[] => [
    { path: path.slice(0, -1), at: 'value', message: `missing key "${String(path.at(-1))}"` },
  ];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = knownKeys(schema, path);
      return issue.keys.map((key): Problem => {
        const expected = known.length === 0 ? '' : `; known here: ${known.join(', ')}`;
        const hint = didYouMean(key, known) || expected;
        return { path: [...path, key], at: 'key', message: `unknown key "${key}"${hint}` };
      });
    }
    case 'invalid_key':
      return one(`bad name "${String(path.at(-1))}": ${issue.issues[0]?.message ?? 'not allowed'}`, 'key');
    case 'invalid_union': {
      if (value === undefined) return missing();
      const branches = issue.errors.filter(
        (branch) => !branch.some((inner) => inner.code === 'invalid_type' && inner.path.length === 0),
      );
      const meant = branches[0];
      if (meant !== undefined) return meant.flatMap((inner) => translate(inner, path, schema, input));
      const expected = issue.errors.flatMap((branch) => branch.map(expectedType));
      return one(`${label}expected ${[...new Set(expected)].join(' or ')}, found ${typeName(value)}`);
    }
    case 'invalid_type': {
      if (value !== undefined)
        return one(`${label}expected ${expectedType(issue)}, found ${typeName(value)}`);
      return missing();
    }
    case 'invalid_value': {
      const words = issue.values.map(String);
      return one(
        `${label}"${String(value)}": expected ${words.join(', ')}${didYouMean(String(value), words)}`,
      );
    }
    case 'too_small':
    case 'too_big':
      return one(`${label}${sizeMessage(issue)}`);
    case 'invalid_format':
      return one(`${label}bad name "${String(value).slice(0, 64)}": ${issue.message}`);
    case 'custom': {
      const offset: unknown = issue.params?.position;
      const where = typeof offset === 'number' ? { offset } : {};
      return [{ path, at: 'value', ...where, message: issue.message }];
    }
    default:
      return one(`${label}${issue.message}`);
  }
}

function sizeMessage(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const small = issue.code === 'too_small';
  const bound = small ? issue.minimum : issue.maximum;
  const comparison = `${small ? 'at least' : 'at most'} ${bound}`;
  if (issue.origin === 'array') return `expected ${comparison} ${bound === 1 ? 'entry' : 'entries'}`;
  if (issue.origin === 'string') return `expected ${comparison} characters`;
  return `must be ${comparison}`;
}

function expectedType(issue: Issue): string {
  if (issue.code !== 'invalid_type') return 'another value';
  const names: Record<string, string> = {
    object: 'a map',
    record: 'a map',
    array: 'a list',
    tuple: 'a list of two',
    string: 'a string',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    null: 'nothing',
  };
  return names[issue.expected] ?? issue.expected;
}

function typeName(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return `${typeof value} ${String(value).slice(0, 40)}`;
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

/** The keys of the object schema that is responsible for `path`; none when there is no such object. */
function knownKeys(schema: z.core.$ZodType, path: Path): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return knownKeys(schema.unwrap(), path);
  if (schema instanceof z.ZodUnion) {
    for (const option of schema.options) {
      const keys = knownKeys(option, path);
      if (keys.length > 0) return keys;
    }
    return [];
  }
  const [step, ...rest] = path;
  if (schema instanceof z.ZodObject) {
    if (step === undefined) return Object.keys(schema.shape);
    const inner = schema.shape[String(step)];
    return inner === undefined ? [] : knownKeys(inner, rest);
  }
  if (step === undefined) return [];
  if (schema instanceof z.ZodRecord) return knownKeys(schema.valueType, rest);
  if (schema instanceof z.ZodArray) return knownKeys(schema.element, rest);
  return [];
}
