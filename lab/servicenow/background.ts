/** Work that the instance does by itself after it has answered. Nothing of it outlives the lab. */
export interface Background {
  /** Runs the work once, so many milliseconds of real time from now. */
  later(delayMs: number, work: () => void): void;
  close(): void;
}

export function createBackground(): Background {
  const timers = new Set<NodeJS.Timeout>();
  return {
    later: (delayMs, work) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        work();
      }, delayMs);
      timer.unref();
      timers.add(timer);
    },
    close: () => {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
