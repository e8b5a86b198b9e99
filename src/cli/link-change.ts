/** What became of a link that was changed, as people read it. */
import type { ChangedLink } from '../daemon/contract.ts';
import { formatImpairment } from '../link/impairment.ts';

export type LinkSide = 'forward' | 'reverse';

/** A line a direction, `wan client:eth0 > server:eth0: clear → delay 20ms`. */
export function changeLines({ before, after }: ChangedLink, sides: readonly LinkSide[]): string[] {
  return sides.map((side) => {
    const { from, to, settings } = after[side];
    const [was, is] = [formatImpairment(before[side].settings), formatImpairment(settings)];
    return `${after.name} ${from} > ${to}: ${was} → ${is}`;
  });
}
