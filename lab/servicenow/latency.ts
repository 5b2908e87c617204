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
  /** Runs the work on one of the node's threads. */
  onThread<T>(work: () => Promise<T>): Promise<T>;
  /** Takes the time of one request that wrote so many records. */
  spend(records: number): Promise<void>;
}

export function createPace(model: LatencyModel): Pace {
  const waiting: (() => void)[] = [];
  let busy = 0;
  const acquire = async (): Promise<void> => {
    if (model.threads === undefined || busy < model.threads) {
      busy += 1;
      return;
    }
    // No body of a semaphore 429 was recorded; the lab uses the common envelope, and no Retry-After, which is documented for rules only.
    if (waiting.length >= (model.queueLimit ?? 50)) throw new ApiError(429, 'Too Many Requests', 'Semaphore queue is full');
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const release = (): void => {
    const next = waiting.shift();
    if (next === undefined) busy -= 1;
    else next();
  };
  return {
    onThread: async (work) => {
      await acquire();
      try {
        return await work();
      } finally {
        release();
      }
    },
    spend: async (records) => {
      const totalMs = (model.perRequestMs ?? 0) + records * (model.perWriteMs ?? 0);
      if (totalMs > 0) await sleep(totalMs);
    },
  };
}
