/** Checks requests against their zod schemas, and says what is wrong in words and with JSON pointers (RFC 6901). */
import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { problemsOf } from '../lab/issues.ts';
import type { ProblemItem } from './problem.ts';

/** Raised for a request that does not fit its schema; fastify adds to which part of the request it belongs. */
export class ValidationError extends Error {
  readonly items: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
  /** `body`, `params`, `querystring` or `headers`. */
  validationContext?: string;

  constructor(items: ValidationError['items']) {
    super(items.map((item) => item.message).join('; '));
    this.name = 'ValidationError';
    this.items = items;
  }
}

/** For fastify's setValidatorCompiler. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema }) => {
  return (data) => {
    const result = schema.safeParse(data);
    if (result.success) return { value: result.data };
    return { error: new ValidationError(problemsOf(result.error, schema, data)) };
  };
};

/** What is wrong, item by item, as a problem document lists it. */
export function problemItems({ items, validationContext }: ValidationError): ProblemItem[] {
  return items.map(({ path, message }) =>
    validationContext === 'body' || validationContext === undefined
      ? { pointer: pointer(path), detail: message }
      : { parameter: path.map(String).join('.'), detail: message },
  );
}

/** A JSON pointer as a URI fragment. */
function pointer(path: readonly PropertyKey[]): string {
  const steps = path.map((step) =>
    encodeURIComponent(String(step).replaceAll('~', '~0').replaceAll('/', '~1')),
  );
  return `#${steps.map((step) => `/${step}`).join('')}`;
}
