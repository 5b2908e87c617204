import type { AzureLabOptions } from '../options.ts';
import { ArmError } from './errors.ts';

/** Token buckets per scope and principal (azure.md §1.11). They run on the host's clock: lab time may stand still or jump. */
export interface ReadThrottle {
  /** Takes one read; returns what is left. Throws ArmError 429 with Retry-After where nothing is left. */
  take(scope: { kind: 'subscription' | 'tenant'; id: string }, principalId: string): number;
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

export function createReadThrottle(options: AzureLabOptions, nowMs: () => number = () => performance.now()): ReadThrottle {
  const buckets = new Map<string, Bucket>();
  return {
    take: (scope, principalId) => {
      const { size, refillPerSecond } = options.readBucket;
      const key = `${scope.kind}/${scope.id}/${principalId}`;
      const now = nowMs();
      const bucket = buckets.get(key) ?? { tokens: size, filledAtMs: now };
      buckets.set(key, bucket);
      bucket.tokens = Math.min(size, bucket.tokens + ((now - bucket.filledAtMs) / 1000) * refillPerSecond);
      bucket.filledAtMs = now;
      if (bucket.tokens >= 1) {
        bucket.tokens -= 1;
        return Math.floor(bucket.tokens);
      }
      if (options.throttling === 'headers') return 0;
      const seconds = String(Math.max(1, Math.ceil((1 - bucket.tokens) / refillPerSecond)));
      throw new ArmError(
        429,
        scope.kind === 'subscription' ? 'SubscriptionRequestsThrottled' : 'TenantRequestsThrottled',
        `Number of 'read' requests for ${scope.kind} '${scope.id}' actor '${principalId}' exceeded. Please try again after '${seconds}' seconds.`,
        { headers: { 'retry-after': seconds } },
      );
    },
  };
}
