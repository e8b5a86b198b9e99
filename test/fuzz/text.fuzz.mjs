/**
 * Fuzzing of what people write: impairments and lab files. The first byte of the input says which the rest is.
 *
 * What must hold: nothing is thrown but what says where the mistake is, and what an impairment is written as reads as
 * that impairment.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabFileError, parseLab } from '../../dist/src/lab/parse.js';
import { formatImpairment, ImpairmentError, parseImpairment } from '../../dist/src/link/impairment.js';
import { CLEAR_LINK } from '../../dist/src/link/settings.js';

/** @param {Buffer} input */
export function fuzz(input) {
  const text = input.toString('utf8', 1);
  if (((input[0] ?? 0) & 1) === 0) fuzzImpairment(text);
  else fuzzLab(text);
}

function fuzzImpairment(text) {
  let settings;
  try {
    settings = parseImpairment(text);
  } catch (error) {
    if (!(error instanceof ImpairmentError)) throw error;
    for (const { position, length } of error.problems) {
      assert.ok(
        position >= 0 && position + length <= text.length,
        `${error.message}: ${position}, ${length}`,
      );
    }
    return;
  }
  const all = { ...CLEAR_LINK, ...settings };
  assert.deepEqual({ ...CLEAR_LINK, ...parseImpairment(formatImpairment(all)) }, all);
}

function fuzzLab(text) {
  try {
    parseLab(text, { file: 'lab.yaml', baseDirectory: '/nonexistent' });
  } catch (error) {
    if (!(error instanceof LabFileError)) throw error;
    assert.match(error.message, /lab\.yaml/);
  }
}

/** The examples, and impairments with every word. */
export function seeds() {
  const folder = join(import.meta.dirname, '../../examples');
  const labs = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => `\x01${readFileSync(join(folder, file), 'utf8').replace(/^ *#.*\n/gm, '')}`);
  const impairments = [
    'delay 20ms 2ms 25% loss 0.5% rate 50mbit limit 256kb match "udp port 53" loss 10% verdict pass',
    'delay 20ms 2ms distribution normal reorder 25% 50% gap 5 duplicate 1% corrupt 0.1% ber 1e-6',
    'loss gemodel 1% 10% 70% 0.1% ecn rate 1gbit burst 32kb peakrate 2gbit queue fq_codel',
    'loss pattern 1,5,9-12 slot 1ms 2ms flap 10s 500ms mtu 1400',
    'loss state 1% 10% 5% 2% 1% carrier down match none',
    'queue red min 30kb max 90kb markov 100ms state good "loss 0%" to bad 5% state bad "loss 30%" to good 10%',
  ].map((text) => `\0${text}`);
  return [...labs, ...impairments].map((text) => Buffer.from(text));
}
