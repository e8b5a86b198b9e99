/** A line of the decision log: JSON, without the end of the line. */
import { DROP_REASONS } from '../link/reasons.ts';
import { DELIVERED, DELIVERED_CHANGED, DROPPED, DUPLICATED, LOST, OFFERED, REFUSED } from './decision.ts';

/** What names a direction in a line, from its path, as `wan/forward`. */
export function directionMembers(path: string): string {
  const slash = path.lastIndexOf('/');
  const [link, direction] = [path.slice(0, slash), path.slice(slash + 1)];
  return `"link":${JSON.stringify(link)},"direction":"${direction}"`;
}

/** @param members of directionMembers(); parameters as of DecisionSink.put() */
export function decisionLine(
  timeNs: number,
  members: string,
  event: number,
  frame: number,
  bytes: number,
  value: number,
): string {
  const time = `{"timeNs":${Math.round(timeNs)}`;
  if (event === LOST) return `${time},"event":"lost","decisions":${value}}`;
  if (event === REFUSED) return `${time},${members},"event":"refused","frames":${value}}`;
  return `${time},${members},"frame":${frame},"event":${ofFrame(event, bytes, value)}}`;
}

function ofFrame(event: number, bytes: number, value: number): string {
  switch (event) {
    case OFFERED:
      return `"offered","bytes":${bytes}`;
    case DUPLICATED:
      return `"duplicated","of":${value}`;
    case DROPPED:
      return `"dropped","reason":"${DROP_REASONS[value]}"`;
    case DELIVERED:
      return `"delivered","bytes":${bytes},"delayNs":${value}`;
    case DELIVERED_CHANGED:
      return `"delivered","bytes":${bytes},"delayNs":${value},"changed":true`;
    default:
      throw new RangeError(`there is no event ${event}`);
  }
}
