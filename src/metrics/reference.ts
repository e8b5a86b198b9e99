/** Writes docs/metrics.md from the catalogue, so that it says what is served. */
import { FAMILIES } from './catalogue.ts';
import { type Family, LABELS, type Label } from './family.ts';
import type { ProcessMetric } from './metrics.ts';

/** The text of docs/metrics.md. */
export function metricsReference(processMetrics: readonly ProcessMetric[]): string {
  return [
    '# Metrics',
    '',
    'What `GET /metrics` answers, over TCP (`taplab up --metrics HOST:PORT`) and on the control socket, in the text',
    'format of Prometheus. This page is written from `src/metrics/families`; `test/metrics/reference.test.ts` fails',
    'when they differ.',
    '',
    'Values are read from the data plane when they are scraped. Units are base units: seconds, bytes, frames, and ratios',
    'from 0 to 1. A counter starts at 0 when its interface, link or descriptor is made, and `rate()` allows for that.',
    '',
    '## How many series',
    '',
    ...FAMILIES.map(seriesOf),
    '- about a hundred of the process',
    '',
    'Nothing that a frame carries, and no text that a user of the control socket gives, is ever a label.',
    '',
    ...table(
      ['label', 'meaning'],
      (Object.keys(LABELS) as Label[]).map((label) => [`\`${label}\``, LABELS[label]]),
    ),
    ...FAMILIES.flatMap(section),
    '## The process',
    '',
    'Of the process and of Node, as the npm package prom-client defines them. Their labels: `type`, a kind of',
    'resource; `space`, a space of the V8 heap; `kind`, of garbage collection; `version`, `major`, `minor` and',
    '`patch` of Node. All are fixed lists of Node. The event loop is that of the control thread, not of the workers.',
    '',
    ...table(
      ['metric', 'type', 'meaning'],
      processMetrics.map(({ name, type, help }) => [`\`${name}\``, type, help]),
    ),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

/** How many series a family has, for each of its things. */
function seriesOf({ each, metrics }: Family): string {
  return `- ${metrics.reduce((sum, { series }) => sum + series, 0)} for each ${each}`;
}

function section({ title, each, metrics }: Family): string[] {
  return [
    `## ${title}`,
    '',
    `One series of each metric for each ${each}, more where the meaning says so.`,
    '',
    ...table(
      ['metric', 'type', 'labels', 'meaning'],
      metrics.map(({ name, type, labels, help, series }) => [
        `\`${name}\``,
        type,
        labels.map((label) => `\`${label}\``).join(' '),
        series === 1 ? help : `${help} ${series} series.`,
      ]),
    ),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''];
}
