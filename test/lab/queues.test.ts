/** Queues of devices in lab files: what fits together, and what is said of what does not. */
import { describe, expect, it, test } from 'vitest';
import { readersOf } from '../../src/daemon/placement.ts';
import { LabFileError, parseLab } from '../../src/lab/parse.ts';
import { parseImpairment } from '../../src/link/impairment.ts';
import { sharedStateProblem } from '../../src/link/shared-state.ts';

const LINKED = '\nlinks: [{ endpoints: ["a:e0", "b:e0"] }]';

/** A lab whose interfaces a:e0 and b:e0 are as said. */
function lab(a: string, b: string, rest = LINKED, workers = 'workers: 2'): string {
  return `name: x\n${workers}\nnodes:\n  a: { interfaces: { e0: { ${a} } } }\n  b: { interfaces: { e0: { ${b} } } }${rest}`;
}

function errorsOf(text: string): string[] {
  try {
    parseLab(text, { file: 'f', baseDirectory: '/' });
  } catch (error) {
    if (!(error instanceof LabFileError)) throw error;
    return error.errors.map(({ line, column, message }) => `${line}:${column}: ${message}`);
  }
  return [];
}

describe('queues', () => {
  test.each<[what: string, text: string, expected: string[]]>([
    ['as many at both ends', lab('queues: 2', 'queues: 2'), []],
    ['one, which is the default', lab('queues: 1', '', LINKED, 'workers: 1'), []],
    ['several of a device without a link', lab('queues: 2', '', ''), []],
    [
      'not as many at both ends',
      lab('queues: 2', ''),
      ['6:11: a:e0 has 2 and b:e0 has 1: both ends of a link need as many queues'],
    ],
    [
      'more than workers',
      lab('queues: 2', '', '', ''),
      ['4:28: each of 2 queues is read by a worker of its own, and the lab has 1: set workers: 2'],
    ],
    [
      'of a device of another kind',
      lab('queues: 2, device: tuntap2', '', ''),
      ['4:28: queues are for tap and tun devices; this one is tuntap2'],
    ],
    [
      'of a device that is handed over',
      'name: x\nworkers: 2\nnodes: { a: { join: true, interfaces: { e0: { queues: 2 } } } }',
      ['3:47: a device that is handed over (join) has one queue'],
    ],
    [
      'at a port of a switch',
      lab('queues: 2', '', '\nswitches: { s: { ports: ["a:e0", "b:e0"] } }'),
      ['6:26: a:e0 has 2 queues; a switch has one worker, leave `queues` out'],
    ],
    ['none', lab('queues: 0', '', ''), ['4:36: queues: must be at least 1']],
  ])('%s', (_, text, expected) => {
    expect(errorsOf(text)).toEqual(expected);
  });

  const both = (rest: string): string => lab('queues: 2', 'queues: 2', rest);
  const rate = /: rate needs all frames of a direction in one place, but .*; leave rate or `queues` out$/;

  test.each([
    ['of a link', both(`\nlinks: [{ endpoints: ["a:e0", "b:e0"], reverse: { rate: 1mbit } }]`)],
    [
      'of a link with a name of its own, in the timeline',
      both(`${LINKED}\ntimeline: [{ at: 1s, link: a-b, forward: { rate: 1mbit } }]`),
    ],
  ])('are refused with an impairment %s that looks at more than one frame', (_, text) => {
    expect(errorsOf(text)).toEqual([expect.stringMatching(rate)]);
  });

  it('are read by the same workers at both ends', () => {
    const pairs =
      both(`\n  c: { interfaces: { e0: { queues: 2 } } }\n  d: { interfaces: { e0: { queues: 2 } } }
links: [{ endpoints: ["a:e0", "b:e0"] }, { endpoints: ["c:e0", "d:e0"] }]`);
    const readers = readersOf(parseLab(pairs, { file: 'f', baseDirectory: '/' }), 2);
    expect([...readers]).toEqual([
      ['a:e0', 0],
      ['b:e0', 0],
      ['c:e0', 1],
      ['d:e0', 1],
    ]);
  });
});

describe('an impairment that needs all frames of a direction in one place', () => {
  test.each([
    ['rate 1mbit', 'rate'],
    ['slot 1ms', 'slot'],
    ['loss 1% 25%', 'loss with a correlation'],
    ['loss gemodel 1%', 'loss of a model'],
    ['loss pattern every 3', 'loss of a model'],
    ['duplicate 1% 25%', 'duplicate with a correlation'],
    ['corrupt 1% 25%', 'corrupt with a correlation'],
    ['delay 1ms 1ms 25%', 'jitter with a correlation'],
    ['delay 1ms reorder 5%', 'reorder'],
    ['flap 1s 1s', 'flap'],
    ['match "udp" rate 1mbit', 'rate'],
  ])('%s', (text, found) => {
    expect(sharedStateProblem(parseImpairment(text))).toMatch(new RegExp(`^${found} needs all frames`));
  });

  test.each([
    'clear',
    'delay 10ms 2ms distribution normal loss 1% duplicate 1% corrupt 1% ber 1e-6 mtu 1400',
    'carrier down',
    'match "udp" loss 10%',
  ])('is none of: %s', (text) => {
    expect(sharedStateProblem(parseImpairment(text))).toBeUndefined();
  });
});
