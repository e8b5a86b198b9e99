import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { labJsonSchema } from '../../src/lab/json-schema.ts';

const FILE = new URL('../../docs/lab.schema.json', import.meta.url);

test('docs/lab.schema.json is what the schema in src/lab says; UPDATE_SCHEMA=1 writes it', () => {
  const text = `${JSON.stringify(labJsonSchema(), undefined, 2)}\n`;
  if (process.env.UPDATE_SCHEMA === '1') writeFileSync(FILE, text);
  expect(JSON.parse(readFileSync(FILE, 'utf8'))).toEqual(JSON.parse(text));
});

test('editors learn the keys, the required ones, and that there are no others', () => {
  expect(labJsonSchema()).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['name', 'nodes'],
    additionalProperties: false,
    properties: { workers: { type: 'integer', minimum: 1, maximum: 64 } },
  });
});
