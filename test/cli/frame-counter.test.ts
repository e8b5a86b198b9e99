import { describe, expect, test } from 'vitest';
import { CAPTURE_FORMATS, type CaptureFormat, encoder } from '../../src/capture/formats.ts';
import { FrameCounter } from '../../src/cli/frame-counter.ts';
import { record } from '../control/fake-emulator.ts';

const meta = { application: 'test', interface: 'a:eth0', linkType: 1, filter: '' };
const statistics = {
  start: { seconds: 0, nanoseconds: 0 },
  end: { seconds: 1, nanoseconds: 0 },
  received: 3,
  interfaceDropped: 0,
  accepted: 3,
  dropped: 0,
  delivered: 3,
};
const lengths = [60, 61, 1514];

/** A stream of the first `frames` of three frames, complete with header and trailer. */
function stream(format: CaptureFormat, frames: number): Buffer {
  const { header, batch, trailer } = encoder(format, meta);
  const records = lengths.slice(0, frames).map((length) => batch(record(Buffer.alloc(length, length))));
  return Buffer.concat([header(), ...records, trailer(statistics)]);
}

describe.each(CAPTURE_FORMATS)('%s', (format) => {
  test.each([1, 7, 100, 10_000])('frames are counted in chunks of %i bytes, and all bytes pass', (size) => {
    const whole = stream(format, 3);
    const counter = new FrameCounter(format);
    const passed: Buffer[] = [];
    for (let at = 0; at < whole.length; at += size) passed.push(counter.push(whole.subarray(at, at + size)));
    expect(counter.frames).toBe(3);
    expect(counter.full).toBe(false);
    expect(Buffer.concat(passed).equals(whole)).toBe(true);
  });

  test.each([1, 7, 10_000])(
    'after the last frame wanted only the trailer passes, in chunks of %i bytes',
    (size) => {
      const whole = stream(format, 3);
      const counter = new FrameCounter(format, 2);
      const passed: Buffer[] = [];
      for (let at = 0; at < whole.length; at += size)
        passed.push(counter.push(whole.subarray(at, at + size)));
      expect(counter.frames).toBe(2);
      expect(counter.full).toBe(true);
      expect(Buffer.concat(passed).equals(stream(format, 2))).toBe(true);
    },
  );
});
