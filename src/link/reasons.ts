/**
 * Why a link, or the engine on its behalf, dropped a frame. The values of the metric label `reason`.
 *
 * loss: the loss model. queue: the queue was full. aqm: the queue's management dropped it early (RED, CoDel, PIE).
 * pool: no frame slot was free. mtu: longer than the link or the far device takes. carrier: the link or the far
 * device is down. device: the far device did not take it. filter: a rule of the link says drop.
 */
export const DROP_REASONS = ['loss', 'queue', 'pool', 'mtu', 'carrier', 'device', 'aqm', 'filter'] as const;
export type DropReason = (typeof DROP_REASONS)[number];
