import { describe, expect, test } from 'vitest';
import { didYouMean, editDistance, likelyWord } from '../../src/text/suggest.ts';

describe('editDistance', () => {
  test.each([
    ['', '', 0],
    ['delay', 'delay', 0],
    ['dealy', 'delay', 1],
    ['dely', 'delay', 1],
    ['delaay', 'delay', 1],
    ['delax', 'delay', 1],
    ['', 'abc', 3],
    ['loss', 'rate', 4],
  ])('%j to %j takes %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe('likelyWord', () => {
  const known = ['delay', 'jitter', 'loss', 'rate', 'limit'];

  test.each([
    ['dely', 'delay'],
    ['LOSS', 'loss'],
    ['jiter', 'jitter'],
    ['lim', 'limit'],
    ['delays', 'delay'],
    ['corrupt', undefined],
    ['x', undefined],
    ['', undefined],
  ])('%j is likely %j', (word, expected) => {
    expect(likelyWord(word, known)).toBe(expected);
  });

  test('a word of a megabyte costs no more than a short one', () => {
    expect(likelyWord('x'.repeat(1_000_000), known)).toBeUndefined();
  });

  test('the hint is the rest of a sentence, or nothing', () => {
    expect(didYouMean('rat', known)).toBe('; did you mean "rate"?');
    expect(didYouMean('zebra', known)).toBe('');
  });
});
