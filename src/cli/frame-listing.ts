/** Captured frames, as they come in JSON lines (capture/json-lines.ts), as lines for people. */
import { dropComment } from '../capture/drop-comment.ts';
import type { DescriptorResource } from '../control/schemas/resources.ts';
import { summarize } from './summary.ts';

type JsonFrame = {
  readonly time: string;
  readonly interface: string;
  readonly direction: 'in' | 'out' | 'drop';
  readonly dropReason?: string;
  readonly link?: string;
  readonly length: number;
  readonly data: string;
};

export class FrameListing {
  readonly #linkTypes: ReadonlyMap<string, number>;
  /** Width of the column with the interface; 0 when there is only one. */
  readonly #nameWidth: number;

  /** @param descriptors that the frames are from */
  constructor(descriptors: readonly DescriptorResource[]) {
    this.#linkTypes = new Map(descriptors.map((each) => [each.interface, each.linkType]));
    const names = [...this.#linkTypes.keys()];
    this.#nameWidth = names.length === 1 ? 0 : Math.max(...names.map((name) => name.length)) + 1;
  }

  /** Whole JSON lines as text, a line per frame. */
  describe(jsonLines: Buffer): string {
    let text = '';
    for (const line of jsonLines.toString('utf8').split('\n')) {
      if (line !== '') text += this.#line(JSON.parse(line) as JsonFrame);
    }
    return text;
  }

  #line({ time, interface: name, direction, dropReason, link, length, data }: JsonFrame): string {
    const summary = summarize(Buffer.from(data, 'base64'), this.#linkTypes.get(name) ?? 0);
    const from = this.#nameWidth === 0 ? '' : name.padEnd(this.#nameWidth);
    const why = dropReason === undefined ? '' : ` (${dropComment(dropReason, link)})`;
    return `${localTime(time)} ${from}${direction.padEnd(3)} ${String(length).padStart(5)}  ${summary}${why}\n`;
  }
}

/** The time of day here, with microseconds. */
function localTime(time: string): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const micros = /\.(\d{6})/.exec(time)?.[1] ?? '000000';
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${micros}`;
}
