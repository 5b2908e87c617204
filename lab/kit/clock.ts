/** The one clock of both labs: the host's clock plus an offset that a test or an operator may move. */
export interface LabClock {
  /** Milliseconds since the epoch, in lab time. */
  nowMs(): number;
  now(): Date;
  /** Makes lab time equal to this moment; it goes on ticking from there. */
  set(moment: Date): void;
  /** Moves lab time by so many milliseconds (negative: back). */
  advance(byMs: number): void;
  readonly offsetMs: number;
  /** Called after lab time was moved by hand; ticking does not count. */
  onMove(listener: () => void): void;
}

/** A clock that starts at host time, or at `startAt`. */
export function createClock(startAt?: Date): LabClock {
  let offsetMs = 0;
  const listeners: (() => void)[] = [];
  const moveTo = (newOffsetMs: number): void => {
    offsetMs = newOffsetMs;
    for (const listener of listeners) listener();
  };
  const clock: LabClock = {
    nowMs: () => Date.now() + offsetMs,
    now: () => new Date(Date.now() + offsetMs),
    set: (moment) => {
      moveTo(moment.getTime() - Date.now());
    },
    advance: (byMs) => {
      moveTo(offsetMs + byMs);
    },
    get offsetMs() {
      return offsetMs;
    },
    onMove: (listener) => {
      listeners.push(listener);
    },
  };
  if (startAt !== undefined) clock.set(startAt);
  return clock;
}
