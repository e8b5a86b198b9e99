/**
 * The word somebody probably meant: the nearest of a list of known words, for error messages.
 */

/** Number of insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforeLast[j - 2]! + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

/** The known word nearest to `word`, if it is near enough to be a slip: a third of its letters, at least one. */
export function likelyWord(word: string, known: Iterable<string>): string | undefined {
  const given = word.slice(0, 64).toLowerCase();
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const target = candidate.toLowerCase();
    const allowed = Math.max(1, Math.floor(Math.max(given.length, target.length) / 3));
    const prefix = given.length >= 3 && (target.startsWith(given) || given.startsWith(target));
    const distance = prefix ? Math.min(1, editDistance(given, target)) : editDistance(given, target);
    if (distance <= allowed && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `; did you mean "X"?`, or nothing when no known word is near. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const likely = likelyWord(word, known);
  return likely === undefined ? '' : `; did you mean "${likely}"?`;
}
