/**
 * The one clock of activities and ledger (design §2, Time): injected, so that thirty nights can be tested in a minute.
 */
export interface Clock {
  /** UTC milliseconds since 1970. */
  nowMs(): number;
}

/** The clock of this machine. */
export const systemClock: Clock = { nowMs: () => Date.now() };

/** A clock that stands still until it is moved; for tests. */
export interface ManualClock extends Clock {
  advanceBy(forMs: number): void;
}

/** @param startMs UTC milliseconds since 1970 */
export function createManualClock(startMs: number): ManualClock {
  let nowMs = startMs;
  return {
    nowMs: () => nowMs,
    advanceBy: (forMs) => {
      nowMs += forMs;
    },
  };
}
