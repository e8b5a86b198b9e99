/**
 * Bar charts as SVG, to stand in a page: one group of bars for each quantity, each with its value.
 */

export type BarGroup = {
  readonly title: string;
  /** What a value of 1 is, as `Gbit/s`. */
  readonly unit: string;
  readonly bars: readonly { readonly name: string; readonly value: number }[];
};

const WIDTH = 760;
const LABELS = 210;
const BAR = 16;
const GAP = 6;
const TITLE = 34;
const VALUE = 90;

/** The groups one under the other; the bars of each group are relative to its largest. */
export function barChart(title: string, groups: readonly BarGroup[]): string {
  const parts: string[] = [];
  let y = 30;
  for (const group of groups) {
    parts.push(text(0, y + 18, `${group.title}, ${group.unit}`, 'font-weight="bold"'));
    y += TITLE;
    const largest = Math.max(...group.bars.map(({ value }) => value));
    for (const { name, value } of group.bars) {
      const width = largest === 0 ? 0 : (value / largest) * (WIDTH - LABELS - VALUE);
      const color = name.startsWith('taplab') ? '#2563eb' : '#94a3b8';
      parts.push(text(LABELS - 8, y + 12, name, 'text-anchor="end"'));
      parts.push(
        `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${color}"/>`,
        text(LABELS + width + 6, y + 12, value.toPrecision(3)),
      );
      y += BAR + GAP;
    }
    y += GAP;
  }
  const style = 'font-family="system-ui, sans-serif" font-size="12" fill="#1e293b"';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" ${style}>
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="white"/>
${text(0, 18, title, 'font-size="15" font-weight="bold"')}
${parts.join('\n')}
</svg>
`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
