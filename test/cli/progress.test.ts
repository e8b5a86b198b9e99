import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { ProgressLine } from '../../src/cli/progress.ts';
import { Terminal } from '../../src/cli/terminal.ts';

/** What is written when so many devices are made, one every 10 ms, and then a line is said. */
function shown(isTTY: boolean, devices: number): string {
  const err = Object.assign(new PassThrough(), { isTTY });
  const terminal = new Terminal(new PassThrough(), err);
  let nowMs = 0;
  const line = new ProgressLine(terminal, () => nowMs);
  for (let done = 1; done <= devices; done++) {
    nowMs += 10;
    line.show({ what: 'device', done, total: devices });
  }
  line.end();
  terminal.say('up');
  return String(err.read());
}

test('a lab that is up at once shows no progress', () => {
  expect(shown(true, 49)).toBe('up\n');
  expect(shown(false, 49)).toBe('up\n');
});

test('on a terminal one line is repainted ten times a second, and is gone before anything else is said', () => {
  expect(shown(true, 70)).toBe(
    '\r\u001b[Kcoming up: device 50 of 70\r\u001b[Kcoming up: device 60 of 70\r\u001b[Kcoming up: device 70 of 70\r\u001b[Kup\n',
  );
});

test('elsewhere a line is said every two seconds', () => {
  expect(shown(false, 300)).toBe('coming up: device 50 of 300\ncoming up: device 250 of 300\nup\n');
});
