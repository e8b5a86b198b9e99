/**
 * What a descriptor is told, checked where no schema was before, as in the library: FreeBSD's bpfioctl() answers EINVAL
 * to a direction, time stamp kind or timeout that there is not (sys/net/bpf.c).
 */
import { DIRECTIONS, TIMESTAMPS } from './record.ts';
import { type AttachOptions, BpfError, MAX_BUFFER_BYTES, MIN_BUFFER_BYTES } from './types.ts';

/** Throws BpfError EINVAL for the first setting that makes no sense; those that are not given are not looked at. */
export function checkSettings({
  direction,
  timestamp,
  readTimeoutMs,
  bufferBytes,
}: Partial<Pick<AttachOptions, 'direction' | 'timestamp' | 'readTimeoutMs' | 'bufferBytes'>>): void {
  if (direction !== undefined) oneOf('direction', direction, DIRECTIONS);
  if (timestamp !== undefined) oneOf('time stamp kind', timestamp, TIMESTAMPS);
  // Also refuses NaN.
  if (readTimeoutMs !== undefined && !(readTimeoutMs >= 0)) {
    throw new BpfError('EINVAL', `read timeout ${readTimeoutMs} is not 0 (never) or more milliseconds`);
  }
  if (bufferBytes === undefined) return;
  if (!Number.isInteger(bufferBytes) || bufferBytes < MIN_BUFFER_BYTES || bufferBytes > MAX_BUFFER_BYTES) {
    throw new BpfError(
      'EINVAL',
      `buffer size ${bufferBytes} is not between ${MIN_BUFFER_BYTES} and ${MAX_BUFFER_BYTES} bytes`,
    );
  }
}

function oneOf(what: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  throw new BpfError('EINVAL', `there is no ${what} ${value}, only ${known.join(', ')}`);
}
