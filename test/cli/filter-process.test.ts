/** The built `taplab filter` as a process of its own: pipes that close, and shells that redirect onto the input. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EN10MB, packetsOf, pcap, udpFrame } from './filter-helper.ts';

const MAIN = join(import.meta.dirname, '../../dist/src/cli/main.js');
const built = existsSync(join(MAIN, '../commands/filter.js'));
if (!built) console.warn(`SKIPPED: ${MAIN} has no filter command yet; run \`npm run build\``);

let folder: string;
let path: string;
const packets = Array.from({ length: 5000 }, (_, i) => ({ bytes: udpFrame(i % 2 === 0 ? 53 : 80) }));
const capture = pcap(EN10MB, packets);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'taplab filter process '));
  path = join(folder, 'in.pcap');
  writeFileSync(path, capture);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a line of shell in which `taplab` is the built one and `$IN` the capture. */
function shell(line: string): { stdout: Buffer; stderr: string } {
  const prelude = `taplab() { '${process.execPath}' '${MAIN}' "$@"; }\n`;
  const { stdout, stderr } = spawnSync('bash', ['-c', prelude + line], { env: { ...process.env, IN: path } });
  return { stdout, stderr: stderr.toString() };
}

describe.skipIf(!built || process.platform === 'win32')('in a shell', () => {
  test('it reads and writes pipes, one after the other', () => {
    const { stdout, stderr } = shell(
      'cat "$IN" | taplab filter run udp - -w - | taplab filter run port 53 - -w -',
    );
    expect(stderr).toMatch(/2,500 of 5,000 packets match/);
    expect(packetsOf(stdout)).toHaveLength(2500);
  });

  test('it ends quietly when nobody reads any more', () => {
    const { stdout, stderr } = shell('taplab filter run udp "$IN" | head -n 1; echo "$PIPESTATUS"');
    expect(stdout.toString()).toMatch(/^\S+ +46 +IP .*\n(?:0|141)\n$/);
    expect(stderr).not.toContain('    at ');
  });

  test.each(['taplab filter run udp "$IN" >> "$IN"', 'taplab filter run udp - -w - < "$IN" >> "$IN"'])(
    '%s is refused, and the capture left as it is',
    (line) => {
      expect(shell(line).stderr).toMatch(
        /standard output is the capture that is read; write to another file/,
      );
      expect(readFileSync(path)).toEqual(capture);
    },
  );

  test('standard input that is empty is said to be', () => {
    expect(shell('taplab filter run udp - < /dev/null').stderr).toBe(
      'taplab: standard input: at byte 0: the file is empty\n',
    );
  });
});
