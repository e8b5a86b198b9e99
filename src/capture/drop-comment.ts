/** What is said about a frame that was dropped: by which link, and why. */
import { DROP_REASONS, type DropReason } from '../link/settings.ts';

/** The reason's name for its number in a record (bpf/record.ts). */
export function dropReasonName(reason: number): DropReason | 'unknown' {
  return DROP_REASONS[reason] ?? 'unknown';
}

/** `dropped by link wan: queue`; `link` is undefined for an interface without one. */
export function dropComment(reason: string, link: string | undefined): string {
  return link === undefined ? `dropped: ${reason}` : `dropped by link ${link}: ${reason}`;
}
