/** How well links and workers keep time, as people read it: lateness, and overload with what to do about it. */
import type { Histogram, LinkStatus } from '../daemon/contract.ts';
import { OVERLOAD_CAUSES, OVERLOAD_HELP } from '../link/overload.ts';
import type { Terminal } from './terminal.ts';

/**
 * The bound below which a share of what was counted between two looks is, `≤ 50us`; `-` when nothing was. A histogram
 * that was emptied meanwhile counts from zero.
 */
export function quantile(before: Histogram | undefined, now: Histogram, share: number): string {
  const wasEmptied = now.counts.some((count, i) => count < (before?.counts[i] ?? 0));
  const counts = now.counts.map((count, i) => count - (wasEmptied ? 0 : (before?.counts[i] ?? 0)));
  const all = counts.reduce((sum, each) => sum + each, 0);
  if (all === 0) return '-';
  let sum = 0;
  const bucket = counts.findIndex((count) => {
    sum += count;
    return sum >= share * all;
  });
  const bound = now.upperBoundsNs[bucket];
  return bound === undefined ? `> ${time(now.upperBoundsNs.at(-1) ?? 0)}` : `≤ ${time(bound)}`;
}

function time(ns: number): string {
  return ns < 1e6 ? `${ns / 1e3}us` : `${ns / 1e6}ms`;
}

/** What to say of overloaded links: a line for each cause, none when all is well. */
export function overloadLines(terminal: Terminal, links: readonly LinkStatus[]): string[] {
  const directions = links.flatMap(({ name, forward, reverse }) => [
    { name: `${name} forward`, overloaded: forward.overloaded },
    { name: `${name} reverse`, overloaded: reverse.overloaded },
  ]);
  return OVERLOAD_CAUSES.flatMap((cause) => {
    const names = directions.filter(({ overloaded }) => overloaded.includes(cause)).map(({ name }) => name);
    if (names.length === 0) return [];
    const { meaning, advice } = OVERLOAD_HELP[cause];
    return [terminal.paint('red', `overloaded (${cause}): ${names.join(', ')}: ${meaning}; ${advice}`)];
  });
}
