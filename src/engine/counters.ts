/**
 * Counters and state of one interface in the arena. RECEIVE_* and the state are written by the worker that reads the
 * device, TRANSMIT_* by the worker that writes to it; read at any time by anybody, without a lock.
 */
export const RECEIVE_FRAMES = 0;
export const RECEIVE_BYTES = 1;
export const TRANSMIT_FRAMES = 2;
export const TRANSMIT_BYTES = 3;
/** 1 while the device works, 0 before it is there and after it has failed or was deleted. */
export const INTERFACE_UP = 4;
