/** What links do, and what became of one that was changed, as people read it. */
import type { ChangedLink, DirectionStatus } from '../daemon/contract.ts';
import { formatImpairment } from '../link/impairment.ts';

export type LinkSide = 'forward' | 'reverse';

/** A line a direction, `wan client:eth0 > server:eth0: clear → delay 20ms`. */
export function changeLines({ before, after }: ChangedLink, sides: readonly LinkSide[]): string[] {
  return sides.map((side) => {
    const { from, to } = after[side];
    return `${after.name} ${from} > ${to}: ${formatImpairment(before[side].settings)} → ${settingsText(after[side])}`;
  });
}

/** The settings of a direction, and what they come to now when they change by themselves. */
export function settingsText({ settings, now }: Pick<DirectionStatus, 'settings' | 'now'>): string {
  const text = formatImpairment(settings);
  return now === null ? text : `${text} (now: ${formatImpairment(now)})`;
}
