import { setTimeout as sleep } from 'node:timers/promises';
import { isSyncError } from '../src/errors.ts';

const triesWhenThrottled = 6;
const shortestPauseMs = 1_000;

/** Nobody retries for a command without a worker; being told to wait is no reason to give up a question that was half answered. */
export async function whenNotThrottled<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isSyncError(error, 'throttled') || tries === triesWhenThrottled) throw error;
      await sleep(Math.max(shortestPauseMs, error.retryAfterMs ?? 0), undefined, { signal });
    }
  }
}
