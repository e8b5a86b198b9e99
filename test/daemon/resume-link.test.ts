/** What holds of a link when a lab goes on: what was set at run time, or a lab file that was edited. */
import { describe, expect, it } from 'vitest';
import { resumeDirection } from '../../src/daemon/resume-link.ts';
import { parseImpairment } from '../../src/link/impairment.ts';
import { CLEAR_IMPAIRMENTS, CLEAR_LINK, type LinkSettings } from '../../src/link/settings.ts';

const link = (text: string): LinkSettings => ({ ...CLEAR_LINK, ...parseImpairment(text) });
/** As it is read from the file where it was saved. */
const saved = (text: string): LinkSettings => JSON.parse(JSON.stringify(link(text))) as LinkSettings;

/** Last set to, what the file said then, what it says now; what holds, and what is said. */
const CASES: readonly (readonly [string, string, string, string, string, readonly RegExp[]])[] = [
  ['nothing', 'delay 1ms', 'delay 1ms', 'delay 1ms', 'delay 1ms', []],
  [
    'a change at run time',
    'delay 7ms',
    'clear',
    'clear',
    'delay 7ms',
    [/^"delay 7ms", set at run time, holds; the lab file has "clear"$/],
  ],
  [
    'a change of the file',
    'delay 1ms',
    'delay 1ms',
    'delay 9ms',
    'delay 9ms',
    [/^"delay 9ms" of the lab file holds, which had "delay 1ms" when the lab last ran$/],
  ],
  [
    'a change of both',
    'delay 7ms',
    'delay 1ms',
    'delay 9ms',
    'delay 9ms',
    [/^"delay 9ms" of the lab file .* "delay 1ms" .*; "delay 7ms", set at run time, is not resumed$/],
  ],
  ['the same change of both', 'delay 7ms', 'clear', 'delay 7ms', 'delay 7ms', []],
  [
    'changes of different impairments',
    'delay 7ms 1ms loss 2%',
    'delay 7ms 1ms',
    'delay 9ms rate 1mbit',
    'delay 9ms loss 2% rate 1mbit',
    [
      /"loss 2%", set at run time, holds/,
      /"rate 1mbit" of the lab file holds/,
      /"delay 9ms" of the lab file/,
    ],
  ],
  [
    'members that mean something together',
    'loss gemodel 1% 10%',
    'clear',
    'loss 5%',
    'loss 5%',
    [/"loss 5%" of the lab file holds.*"loss gemodel 1% 10%.*is not resumed/],
  ],
  [
    'rules',
    'match arp delay 5ms',
    'match udp loss 1%',
    'match udp loss 1%',
    'match arp delay 5ms',
    [/"match arp delay 5ms", set at run time, holds; the lab file has "match udp loss 1%"/],
  ],
];

describe('a link that is resumed', () => {
  it.each(CASES)('after %s', (_what, was, before, now, expected, said) => {
    const { settings, differences } = resumeDirection(
      { settings: saved(was), file: saved(before) },
      link(now),
    );
    expect(settings).toEqual(link(expected));
    expect(differences).toHaveLength(said.length);
    for (const [i, pattern] of said.entries()) expect(differences[i]).toMatch(pattern);
  });

  it('has each setting in one impairment', () => {
    const members = CLEAR_IMPAIRMENTS.flatMap((each) => Object.keys(each));
    expect(members.sort()).toEqual(Object.keys(CLEAR_LINK).sort());
  });
});
