/**
 * The error of the expression compiler, and the helpers that make its messages useful: where the problem is,
 * what was expected there, and which word was probably meant.
 */

/** A stretch of the expression, in UTF-16 code units: `start` inclusive, `end` exclusive. */
export type Span = { readonly start: number; readonly end: number };

/**
 * Thrown for an expression that cannot be compiled. `position` is the offset of the offending text in the
 * expression, in UTF-16 code units; `message` is complete without it.
 */
export class FilterSyntaxError extends Error {
  override readonly name = 'FilterSyntaxError';
  readonly position: number;

  constructor(position: number, message: string) {
    super(message);
    this.position = position;
  }
}

/** Quotes user text for a message, shortened so that a huge word cannot make a huge message. */
export function quote(text: string): string {
  return text.length > 60 ? `'${text.slice(0, 57)}...'` : `'${text}'`;
}

/** `, did you mean 'x'?` for the candidate nearest to `word`, or nothing when none is near. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const nearest = nearestWord(word, candidates);
  return nearest === undefined ? '' : `, did you mean '${nearest}'?`;
}

/** Longer words are not worth correcting; also bounds the cost of the distance. */
const LONGEST_CORRECTED_WORD = 32;

/** A letter too many, one missing or two swapped are likelier slips than another letter. */
const SLIP = 2;
const REPLACEMENT = 3;

/** The candidate that the fewest slips turn `word` into, if that is about one for three letters. */
export function nearestWord(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length < 2 || word.length > LONGEST_CORRECTED_WORD) return undefined;
  const lower = word.toLowerCase();
  let nearest: string | undefined;
  let smallest = Math.max(1, Math.floor(word.length / 3)) * REPLACEMENT + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) * SLIP >= smallest) continue;
    const distance = editDistance(lower, candidate.toLowerCase());
    if (distance < smallest) {
      smallest = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

/** The cost of turning `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i * SLIP);
  for (let i = 1; i <= a.length; i++) {
    const current = [i * SLIP];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : REPLACEMENT);
      let best = Math.min(previous[j]! + SLIP, current[j - 1]! + SLIP, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforePrevious[j - 2]! + SLIP);
      }
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}
