import type { AzureLabOptions } from '../options.ts';
import { ArmError } from './errors.ts';
import type { ArmPath } from './path.ts';

/** A global bucket is this many times the one of a region: 3,749 are left of it after a first read (azure.md §1.11). */
const GLOBAL_FACTOR = 15;
/** What the published messages of the backend form say. */
const BACKEND_RETRY_SECONDS = 6;

/** Who reads what. */
export interface ReadRequest {
  /** Undefined at tenant and management-group scope. */
  readonly subscriptionId: string | undefined;
  readonly tenantId: string;
  readonly principalId: string;
  readonly path: ArmPath;
}

/** The two texts of 429 that were captured (azure.md §1.11). */
export type ThrottleForm = 'requests' | 'backend-storage';

/** 429 for so many seconds to whoever it concerns, whatever the buckets hold. */
export interface ForcedThrottle {
  readonly form: ThrottleForm;
  /** From now; 0 ends it. */
  readonly seconds: number;
  readonly retryAfterSeconds: number;
  /** Absent: every principal. */
  readonly principalId?: string;
  /** Absent: every scope. */
  readonly subscriptionId?: string;
}

/** Token buckets per scope and principal (azure.md §1.11). They run on the host's clock: lab time may stand still or jump. */
export interface ReadThrottle {
  /** Takes one read; returns the headers that say what is left. Throws ArmError 429 with Retry-After where nothing is left. */
  take(request: ReadRequest): Record<string, string>;
  force(throttle: ForcedThrottle): void;
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

export function createReadThrottle(options: AzureLabOptions, nowMs: () => number = () => performance.now()): ReadThrottle {
  const buckets = new Map<string, Bucket>();
  let forced: (ForcedThrottle & { readonly untilMs: number }) | undefined;

  /** What is left in a bucket after one more request; NaN seconds where there was enough. */
  const takeFrom = (key: string, size: number, refillPerSecond: number): { left: number; waitSeconds: number } => {
    const now = nowMs();
    const bucket = buckets.get(key) ?? { tokens: size, filledAtMs: now };
    buckets.set(key, bucket);
    bucket.tokens = Math.min(size, bucket.tokens + ((now - bucket.filledAtMs) / 1000) * refillPerSecond);
    bucket.filledAtMs = now;
    if (bucket.tokens < 1) return { left: 0, waitSeconds: Math.max(1, Math.ceil((1 - bucket.tokens) / refillPerSecond)) };
    bucket.tokens -= 1;
    return { left: Math.floor(bucket.tokens), waitSeconds: 0 };
  };
  const refuse = (waitSeconds: number, error: ArmError): void => {
    if (waitSeconds > 0 && options.throttling === 'enforced') throw error;
  };

  return {
    force: (throttle) => {
      forced = throttle.seconds === 0 ? undefined : { ...throttle, untilMs: nowMs() + throttle.seconds * 1000 };
    },
    take: (request) => {
      if (forced !== undefined && concerns(forced, request, nowMs())) throw throttled(forced.form, request, forced.retryAfterSeconds);
      const { size, refillPerSecond } = options.readBucket;
      const { subscriptionId, tenantId, principalId } = request;
      const owner = `${subscriptionId === undefined ? `tenant/${tenantId}` : `subscription/${subscriptionId}`}/${principalId}`;
      const reads = takeFrom(owner, size, refillPerSecond);
      refuse(reads.waitSeconds, throttled('requests', request, reads.waitSeconds));
      if (subscriptionId === undefined) return { 'x-ms-ratelimit-remaining-tenant-reads': String(reads.left) };
      const worldwide = takeFrom(`global/${owner}`, size * GLOBAL_FACTOR, refillPerSecond * GLOBAL_FACTOR);
      refuse(worldwide.waitSeconds, throttled('requests', request, worldwide.waitSeconds));
      const headers = { 'x-ms-ratelimit-remaining-subscription-global-reads': String(worldwide.left) };
      const own = securityBucket(options, request.path);
      if (own === undefined) return { 'x-ms-ratelimit-remaining-subscription-reads': String(reads.left), ...headers };
      const security = takeFrom(`${own.name}/${owner}`, own.size, options.resourceRequestBuckets.refillPerSecond);
      refuse(security.waitSeconds, throttled('backend-storage', request, BACKEND_RETRY_SECONDS));
      return { 'x-ms-ratelimit-remaining-subscription-resource-requests': String(security.left), ...headers };
    },
  };
}

/** Microsoft.Security counts for itself, sub-assessments apart from the rest (azure.md §1.4). */
function securityBucket(
  { resourceRequestBuckets }: AzureLabOptions,
  { resourceType }: ArmPath,
): { name: string; size: number } | undefined {
  const type = resourceType.toLowerCase();
  if (!type.startsWith('microsoft.security/')) return undefined;
  return type.endsWith('/subassessments')
    ? { name: 'sub-assessments', size: resourceRequestBuckets.subAssessments }
    : { name: 'security', size: resourceRequestBuckets.security };
}

function concerns(forced: ForcedThrottle & { untilMs: number }, request: ReadRequest, now: number): boolean {
  return (
    now < forced.untilMs &&
    (forced.principalId === undefined || forced.principalId === request.principalId) &&
    (forced.subscriptionId === undefined || forced.subscriptionId === request.subscriptionId)
  );
}

/** Texts as published (errors/arm_429_SubscriptionRequestsThrottled.json, azure.md §1.11). */
function throttled(form: ThrottleForm, { subscriptionId, tenantId, principalId, path }: ReadRequest, waitSeconds: number): ArmError {
  const [kind, id] = subscriptionId === undefined ? ['tenant', tenantId] : ['subscription', subscriptionId];
  const message =
    form === 'requests'
      ? `Number of 'read' requests for ${kind} '${id}' actor '${principalId}' exceeded. Please try again after '${String(waitSeconds)}' seconds.`
      : `Number of requests for ${kind} '${id}' and operation '${operationOf(path)}' exceeded the backend storage limit. ` +
        `Please try again after '${String(waitSeconds)}' seconds.`;
  return new ArmError(429, subscriptionId === undefined ? 'TenantRequestsThrottled' : 'SubscriptionRequestsThrottled', message, {
    headers: { 'retry-after': String(waitSeconds) },
  });
}

/** `GET/SUBSCRIPTIONS/PROVIDERS/MICROSOFT.SECURITY/ASSESSMENTS`: the path without its names. */
function operationOf({ scopeKind, resourceType }: ArmPath): string {
  const above = { tenant: '', managementGroup: '/PROVIDERS/MICROSOFT.MANAGEMENT/MANAGEMENTGROUPS', subscription: '/SUBSCRIPTIONS' };
  const scope = scopeKind in above ? above[scopeKind as keyof typeof above] : '/SUBSCRIPTIONS/RESOURCEGROUPS';
  return `GET${scope}/PROVIDERS/${resourceType.toUpperCase()}`;
}
