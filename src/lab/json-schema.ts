/**
 * The lab file's JSON Schema, for editors: docs/lab.schema.json holds it, and the examples name it in their first
 * line. A test checks that the file is up to date; `UPDATE_SCHEMA=1 npx vitest run test/lab/json-schema.test.ts`
 * writes it.
 */
import { z } from 'zod';
import { labSchema } from './schema/lab.ts';

/** What a lab file may say, as JSON Schema (draft 2020-12). */
export function labJsonSchema(): Record<string, unknown> {
  return { title: 'taplab lab file', ...z.toJSONSchema(labSchema, { io: 'input', reused: 'ref' }) };
}
