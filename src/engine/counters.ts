/**
 * Counters and state of one interface in the arena. RECEIVE_* are written by the worker that reads the device,
 * TRANSMIT_* by the worker that writes to it; read at any time by anybody, without a lock. The control thread sets
 * them to 0 when an interface is made, before any worker knows of it.
 */
export const RECEIVE_FRAMES = 0;
export const RECEIVE_BYTES = 1;
export const TRANSMIT_FRAMES = 2;
export const TRANSMIT_BYTES = 3;
/**
 * 1 while the device works, 0 before it is there and after it has failed or was deleted. Set by the control thread
 * before it gives the workers a device, cleared by it before it takes the device away, and by any worker that finds it
 * gone. The control thread gives a device only after every worker has let go of the one before.
 */
export const INTERFACE_UP = 4;
