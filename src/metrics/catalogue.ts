/**
 * Every metric of taplab: its name, what it means, its labels, and where its value is found. metrics.ts hands them to
 * Prometheus and reference.ts writes docs/metrics.md from the same list.
 *
 * Names and labels are a contract: base units, `_total` for what only grows. A label's values come from the lab file,
 * from a fixed list, or are the number of a descriptor, so that there are never more series than the lab has parts.
 */
import { DESCRIPTORS } from './families/descriptors.ts';
import { EMULATOR } from './families/emulator.ts';
import { INTERFACES } from './families/interfaces.ts';
import { LINKS, RULES } from './families/links.ts';
import { SWITCHES } from './families/switches.ts';
import { WORKERS } from './families/workers.ts';
import type { Family } from './family.ts';

export const FAMILIES: readonly Family[] = [
  EMULATOR,
  INTERFACES,
  LINKS,
  RULES,
  SWITCHES,
  DESCRIPTORS,
  WORKERS,
];
