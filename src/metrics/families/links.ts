/** The metrics of links, a direction at a time, and of their rules. */

import { OVERLOAD_CAUSES } from '../../link/overload.ts';
import { bytesFor } from '../../link/queue/limit.ts';
import { DROP_REASONS } from '../../link/settings.ts';
import { type Family, family } from '../family.ts';

export const LINKS: Family = family(
  { title: 'Links', each: 'direction of a link', labels: ['link', 'direction'] },
  (state) => state.directions,
  ({ link, direction }) => ({ link, direction }),
  [
    {
      name: 'taplab_link_info',
      help: 'Always 1; from where to where the direction leads, in the labels.',
      labels: ['from', 'to'],
      values: ({ from, to }) => [[{ from, to }, 1]],
    },
    {
      name: 'taplab_link_offered_frames_total',
      help: 'Frames offered to the link.',
      value: ({ offered }) => offered.frames,
    },
    {
      name: 'taplab_link_offered_bytes_total',
      help: 'Bytes offered to the link.',
      value: ({ offered }) => offered.bytes,
    },
    {
      name: 'taplab_link_delivered_frames_total',
      help: 'Frames delivered at the other end of the link.',
      value: ({ delivered }) => delivered.frames,
    },
    {
      name: 'taplab_link_delivered_bytes_total',
      help: 'Bytes delivered at the other end of the link.',
      value: ({ delivered }) => delivered.bytes,
    },
    {
      name: 'taplab_link_delayed_frames_total',
      help: 'Frames held back by delay or rate before they were delivered.',
      value: ({ delayed }) => delayed,
    },
    {
      name: 'taplab_link_duplicated_frames_total',
      help: 'Copies of frames that the link made.',
      value: ({ duplicated }) => duplicated,
    },
    {
      name: 'taplab_link_drops_total',
      help: 'Frames dropped by the link.',
      labels: ['reason'],
      series: DROP_REASONS.length,
      values: ({ drops }) => DROP_REASONS.map((reason) => [{ reason }, drops[reason]]),
    },
    {
      name: 'taplab_link_queue_bytes',
      help: 'Bytes that wait in front of the rate limiter.',
      value: ({ queueBytes }) => queueBytes,
    },
    {
      name: 'taplab_link_queue_frames',
      help: 'Frames that wait in front of the rate limiter.',
      value: ({ queueFrames }) => queueFrames,
    },
    {
      name: 'taplab_link_in_flight_frames',
      help: 'Frames in the link: in its queue or under way.',
      value: ({ inFlight }) => inFlight,
    },
    {
      name: 'taplab_link_delay_error_seconds',
      help: 'How long after the moment that delay and rate asked for frames were delivered.',
      histogram: ({ delayError }) => delayError,
    },
    {
      name: 'taplab_link_overloaded',
      help: '1 while the emulator itself is the bottleneck: frames come over 1 ms late, there are no slots for them, or the worker is busy all the time.',
      labels: ['cause'],
      series: OVERLOAD_CAUSES.length,
      values: ({ overloaded }) =>
        OVERLOAD_CAUSES.map((cause) => [{ cause }, overloaded.includes(cause) ? 1 : 0]),
    },
    {
      name: 'taplab_link_configured_delay_seconds',
      help: 'Delay that the link is set to; while that changes over time, now, as for the next four.',
      value: ({ settings }) => settings.delayNs / 1e9,
    },
    {
      name: 'taplab_link_configured_jitter_seconds',
      help: 'Variation of the delay that the link is set to.',
      value: ({ settings }) => settings.jitterNs / 1e9,
    },
    {
      name: 'taplab_link_configured_loss_ratio',
      help: 'Share of frames that the link is set to lose at random, 0 to 1; absent while a model decides.',
      value: ({ settings }) => (settings.lossModel === null ? settings.loss : undefined),
    },
    {
      name: 'taplab_link_configured_rate_bytes_per_second',
      help: 'Rate that the link is set to; absent while it is unlimited.',
      value: ({ settings }) => (settings.rateBitsPerSecond > 0 ? settings.rateBitsPerSecond / 8 : undefined),
    },
    {
      name: 'taplab_link_configured_queue_limit_bytes',
      help: 'Bytes that may wait in front of the rate limiter before frames are dropped; absent without limit.',
      value: ({ settings }) => bytesFor(settings, settings.rateBitsPerSecond) || undefined,
    },
  ],
);

export const RULES: Family = family(
  { title: 'Rules of links', each: 'rule of a direction', labels: ['link', 'direction', 'rule'] },
  ({ directions }) =>
    directions.flatMap(({ link, direction, rules }) =>
      rules.map((rule, index) => ({ ...rule, link, direction, index })),
    ),
  ({ link, direction, index }) => ({ link, direction, rule: String(index) }),
  [
    {
      name: 'taplab_link_rule_matched_frames_total',
      help: 'Frames that the filter of the rule matched.',
      value: ({ matched }) => matched.frames,
    },
    {
      name: 'taplab_link_rule_matched_bytes_total',
      help: 'Bytes of those frames.',
      value: ({ matched }) => matched.bytes,
    },
    {
      name: 'taplab_link_rule_drops_total',
      help: 'Frames that the rule dropped itself.',
      value: ({ dropped }) => dropped,
    },
  ],
);
