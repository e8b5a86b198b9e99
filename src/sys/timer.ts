/** The longest that a timer of Node can wait, in milliseconds; it takes longer ones for 1 ms. */
export const MAX_TIMER_MS = 2_147_483_647;
