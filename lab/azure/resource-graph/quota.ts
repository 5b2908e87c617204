import { ArmError } from '../arm/errors.ts';
import type { AzureLabOptions } from '../options.ts';
import { randomUUID } from 'node:crypto';

/** Queries per user and window: azure.md §1.9. Counted on the host's clock, as throttling is. */
export interface GraphQuota {
  /** Takes one query; returns the quota headers. Throws ArmError 429 where none is left. */
  take(principalId: string, options: AzureLabOptions): Record<string, string>;
}

export function createGraphQuota(nowMs: () => number = () => performance.now()): GraphQuota {
  const windows = new Map<string, { startedAtMs: number; used: number }>();
  return {
    take: (principalId, options) => {
      const { queries, windowSeconds } = options.graphQuota;
      const now = nowMs();
      const open = windows.get(principalId);
      const window = open !== undefined && now - open.startedAtMs < windowSeconds * 1000 ? open : { startedAtMs: now, used: 0 };
      windows.set(principalId, window);
      const secondsLeft = Math.max(1, Math.ceil(windowSeconds - (now - window.startedAtMs) / 1000));
      const headers = (remaining: number): Record<string, string> => ({
        'x-ms-user-quota-remaining': String(remaining),
        'x-ms-user-quota-resets-after': `00:00:${String(secondsLeft).padStart(2, '0')}`,
      });
      if (window.used >= queries && options.throttling === 'enforced') throw rateLimited(headers(0), secondsLeft);
      window.used += 1;
      return headers(Math.max(0, queries - window.used));
    },
  };
}

/** errors/arg_429_RateLimiting.json. */
function rateLimited(headers: Record<string, string>, secondsLeft: number): ArmError {
  return new ArmError(
    429,
    'RateLimiting',
    `Please provide below info when asking for support: timestamp = ${new Date().toISOString()}, correlationId = ${randomUUID()}.`,
    {
      headers: { ...headers, 'retry-after': String(secondsLeft) },
      details: [
        {
          code: 'RateLimiting',
          message:
            'Client application has been throttled and should not attempt to repeat the request until an amount of time has elapsed.',
        },
      ],
    },
  );
}
