/** docs/bpf.md against the code and against bpf(4). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Descriptor } from '../../src/bpf/descriptor.ts';
import { DIRECTIONS, TIMESTAMPS } from '../../src/bpf/record.ts';
import { DROP_REASONS } from '../../src/link/settings.ts';

const page = readFileSync(new URL('../../docs/bpf.md', import.meta.url), 'utf8');

/** Every ioctl that FreeBSD's sys/net/bpf.h defines. */
const IOCTLS = `BIOCGBLEN BIOCSBLEN BIOCSETF BIOCFLUSH BIOCPROMISC BIOCGDLT BIOCGETIF BIOCSETIF BIOCSRTIMEOUT
  BIOCGRTIMEOUT BIOCGSTATS BIOCIMMEDIATE BIOCVERSION BIOCGRSIG BIOCSRSIG BIOCGHDRCMPLT BIOCSHDRCMPLT BIOCGDIRECTION
  BIOCSDIRECTION BIOCSDLT BIOCGDLTLIST BIOCLOCK BIOCSETWF BIOCFEEDBACK BIOCGETBUFMODE BIOCSETBUFMODE BIOCGETZMAX
  BIOCROTZBUF BIOCSETZBUF BIOCSETFNR BIOCGTSTAMP BIOCSTSTAMP BIOCSETVLANPCP`.split(/\s+/);

const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| BIOC'))
  .map((line) =>
    line
      .replaceAll('\\|', '')
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

describe('docs/bpf.md', () => {
  it('has a row for every ioctl of bpf(4), and for no other', () => {
    expect(rows.map(([ioctl]) => ioctl).sort()).toEqual([...IOCTLS].sort());
    for (const row of rows) expect(row, row[0]!).toHaveLength(6);
  });

  it('names methods that a descriptor has', () => {
    const named = rows.flatMap((row) => [...row[2]!.matchAll(/`(\w+)\(/g)].map(([, name]) => name!));
    expect(named.length).toBeGreaterThan(15);
    const methods = new Set([...Object.getOwnPropertyNames(Descriptor.prototype), 'attach']);
    expect(named.filter((name) => !methods.has(name))).toEqual([]);
  });

  it.each([...DIRECTIONS, ...TIMESTAMPS, ...DROP_REASONS])('explains %s', (name) => {
    expect(page).toContain(`\`${name}\``);
  });

  it('says EPERM of exactly what a locked descriptor refuses', () => {
    const refused = rows
      .filter((row) => /\bEPERM locked\b|^as BIOCSETF$/.test(row[4]!))
      .map(([ioctl]) => ioctl);
    expect(refused.sort()).toEqual(
      [
        'BIOCPROMISC',
        'BIOCSDIRECTION',
        'BIOCSDLT',
        'BIOCSETF',
        'BIOCSETFNR',
        'BIOCSETWF',
        'BIOCSHDRCMPLT',
      ].sort(),
    );
  });
});
