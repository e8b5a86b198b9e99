import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { count, duration, plural, si } from '../../src/cli/format.ts';
import { numbers, table, texts } from '../../src/cli/table.ts';
import { type Output, Terminal } from '../../src/cli/terminal.ts';

test.each([
  [0, '0 pps'],
  [7, '7 pps'],
  [7.25, '7.3 pps'],
  [999, '999 pps'],
  [999.97, '1.0 kpps'],
  [1500, '1.5 kpps'],
  [12_345_678, '12.3 Mpps'],
  [2.5e15, '2500.0 Tpps'],
])('%d per second is %s', (value, expected) => {
  expect(si(value, 'pps')).toBe(expected);
});

test('counts are grouped by thousands', () => {
  expect([0, 999, 1000, 1_234_567].map(count)).toEqual(['0', '999', '1,000', '1,234,567']);
  expect([plural(1, 'frame'), plural(2000, 'frame')]).toEqual(['1 frame', '2,000 frames']);
});

test('durations have two units', () => {
  expect([5.9, 61, 3_725, 100_000].map(duration)).toEqual(['5s', '1m01s', '1h02m', '1d03h']);
});

function terminal(isTTY: boolean, env: NodeJS.ProcessEnv = {}): Terminal {
  const out: Output = Object.assign(new PassThrough(), { isTTY });
  return new Terminal(out, new PassThrough(), env);
}

const columns = [...texts('NAME'), ...numbers('COUNT'), ...texts('STATE')];
const rows = [
  ['a', '1,000', { text: 'up', color: 'green' }],
  ['longer', '7', 'down'],
] as const;

test('numbers stand to the right, text to the left, and lines end without blanks', () => {
  expect(table(terminal(false), columns, rows)).toEqual([
    'NAME    COUNT  STATE',
    'a       1,000  up',
    'longer      7  down',
  ]);
});

test('colour does not move columns, and is left out when it is not wanted', () => {
  const plain = table(terminal(false), columns, rows);
  const colored = table(terminal(true), columns, rows);
  expect(colored[1]).toContain('\u001b[32mup\u001b[0m');
  expect(colored.map(stripVTControlCharacters)).toEqual(plain);
  expect(table(terminal(true, { NO_COLOR: '1' }), columns, rows)).toEqual(plain);
});
