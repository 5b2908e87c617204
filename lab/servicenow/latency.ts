import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from './http.ts';

/** How slow the instance is. All zero and no limit: as fast as the lab can. */
export interface LatencyModel {
  /** Added to every request, and to every item of a batch. */
  perRequestMs?: number;
  /** Added for every record that a request writes. */
  perWriteMs?: number;
  /** Requests served at the same time (API_INT semaphores of one node, servicenow.md §5.8); further ones queue. */
  threads?: number;
  /** Requests that may queue before the node answers 429; default 50. */
  queueLimit?: number;
}

/** Makes requests wait their turn and take their time. */
export interface Pace {
  /** What is in force. */
  model(): LatencyModel;
  /** Changes it while the lab runs; waiting requests start at once where there are more threads now. */
  set(model: LatencyModel): void;
  /** Runs the work on one of the node's threads. */
  onThread<T>(work: () => Promise<T>): Promise<T>;
  /** Takes the time of one request that wrote so many records. */
  spend(records: number): Promise<void>;
  /** Slow queries of somebody else: so many requests take their turn like all others and hold a thread for so long (servicenow.md §5.8). */
  occupy(requests: number, durationMs: number): void;
  busy(): { running: number; queued: number };
  /** Ends all waiting. */
  close(): void;
}

export function createPace(initial: LatencyModel): Pace {
  let model = initial;
  const waiting: (() => void)[] = [];
  const closing = new AbortController();
  // One per waiting request, however many there are.
  setMaxListeners(0, closing.signal);
  let busy = 0;
  const hasThread = (): boolean => model.threads === undefined || busy < model.threads;
  const startWaiting = (): void => {
    while (waiting.length > 0 && hasThread()) {
      busy += 1;
      waiting.shift()?.();
    }
  };
  const acquire = async (): Promise<void> => {
    if (hasThread()) {
      busy += 1;
      return;
    }
    // No body of a semaphore 429 was recorded; the lab uses the common envelope, and no Retry-After, which is documented for rules only.
    if (waiting.length >= (model.queueLimit ?? 50)) throw new ApiError(429, 'Too Many Requests', 'Semaphore queue is full');
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  /** Ends early when the lab does: nothing is left to wait for. */
  const rest = (durationMs: number): Promise<void> => sleep(durationMs, undefined, { signal: closing.signal }).catch(() => undefined);
  const onThread = async <T>(work: () => Promise<T>): Promise<T> => {
    await acquire();
    try {
      return await work();
    } finally {
      busy -= 1;
      startWaiting();
    }
  };
  return {
    model: () => ({ ...model }),
    set: (wanted) => {
      model = wanted;
      startWaiting();
    },
    onThread,
    spend: async (records) => {
      const totalMs = (model.perRequestMs ?? 0) + records * (model.perWriteMs ?? 0);
      if (totalMs > 0) await rest(totalMs);
    },
    occupy: (requests, durationMs) => {
      for (let request = 0; request < requests; request += 1) {
        // Refused by a full queue: a slow query of nobody has no one to tell.
        onThread(() => rest(durationMs)).catch(() => undefined);
      }
    },
    busy: () => ({ running: busy, queued: waiting.length }),
    close: () => closing.abort(),
  };
}

/** `60`, `60ms` or `1.5s` in milliseconds; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text.trim());
  return match === null ? undefined : Number(match[1]) * (match[2] === 's' ? 1000 : 1);
}
