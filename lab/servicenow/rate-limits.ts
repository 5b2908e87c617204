import type { LabClock } from '../kit/clock.ts';
import type { Caller } from './access.ts';
import { ApiError } from './http.ts';
import type { RestResource } from './rest-resources.ts';
import type { Row, Store } from './store.ts';

const HOUR_MS = 3_600_000;

export interface RateLimitSettings {
  /**
   * A node commits its counts so often; until then a rule does not see them, so that a burst overshoots (servicenow.md §5.8: 30 s).
   * 0: counts hold at once.
   */
  flushMs: number;
  /** Whether the items of a batch count, too. Not recorded; the lab counts the batch alone. */
  countsBatchItems: boolean;
}

/** What a rule has counted for one user in the current hour. */
export interface RateLimitCount {
  rule: string;
  ruleName: string;
  userName: string;
  requests: number;
  violations: number;
}

/** Inbound REST rate limits: per user, per hour, per resource (servicenow.md §5.8). */
export interface RateLimits {
  settings: RateLimitSettings;
  /** Counts the request; returns the headers of the rule in force, none without a rule; throws the 429. */
  admit(caller: Caller, resource: RestResource): Record<string, string>;
  counts(): RateLimitCount[];
}

interface Counter {
  hour: number;
  limit: number;
  /** What the database knows, and what the node has not told it yet. */
  committed: number;
  pending: number;
  flushedMs: number;
  violations: number;
}

export function createRateLimits(store: Store, clock: LabClock, settings: Partial<RateLimitSettings> = {}): RateLimits {
  const counters = new Map<string, Counter>();
  const limits: RateLimits = {
    settings: { flushMs: 30_000, countsBatchItems: false, ...settings },
    admit: (caller, resource) => {
      const nowMs = clock.nowMs();
      const resetMs = (Math.floor(nowMs / HOUR_MS) + 1) * HOUR_MS;
      const rules = rulesInForce(store, caller, resource);
      const counted = rules.map((rule) => ({ rule, counter: counterOf(counters, rule, caller, nowMs, limits.settings.flushMs) }));
      const exceeded = counted.find(({ counter }) => counter.committed >= counter.limit);
      if (exceeded !== undefined) {
        exceeded.counter.violations += 1;
        throw tooMany(exceeded.rule, resource, nowMs, resetMs);
      }
      for (const { counter } of counted) {
        if (limits.settings.flushMs === 0) counter.committed += 1;
        else counter.pending += 1;
      }
      // Several resources of different width may each have a rule; the headers are those of the one that ends first.
      const [tightest] = counted.sort((left, right) => left.counter.limit - right.counter.limit);
      return tightest === undefined ? {} : headersOf(tightest.rule, resetMs);
    },
    counts: () =>
      [...counters].map(([key, counter]) => {
        const [rule = '', userName = ''] = key.split('/');
        const ruleName = store.find('sys_rate_limit_rules', rule)?.values['name'] ?? '';
        return { rule, ruleName, userName, requests: counter.committed + counter.pending, violations: counter.violations };
      }),
  };
  return limits;
}

/** The counter of a rule and user, with the hour turned and the node's count committed where that is due. */
function counterOf(counters: Map<string, Counter>, rule: Row, caller: Caller, nowMs: number, flushMs: number): Counter {
  const key = `${rule.sysId}/${caller.userName}`;
  const hour = Math.floor(nowMs / HOUR_MS);
  const limit = limitOf(rule);
  let counter = counters.get(key);
  // A changed limit resets the count and its violations (create-REST-API-rate-limits).
  if (counter?.hour !== hour || counter.limit !== limit) {
    counter = { hour, limit, committed: 0, pending: 0, flushedMs: nowMs, violations: 0 };
    counters.set(key, counter);
  }
  if (nowMs - counter.flushedMs >= flushMs) {
    counter.committed += counter.pending;
    counter.pending = 0;
    counter.flushedMs = nowMs;
  }
  return counter;
}

/** The platform refuses a limit of zero or less by a business rule of its own; a rule without one limits nothing. */
function isInForce(rule: Row): boolean {
  return rule.values['active'] === 'true' && limitOf(rule) > 0;
}

/** One rule per resource: the user's own before those of roles before the one for all; of several, the lowest. */
function rulesInForce(store: Store, caller: Caller, resource: RestResource): Row[] {
  const byResource = new Map<string, Row[]>();
  for (const rule of store.rows('sys_rate_limit_rules')) {
    if (!isInForce(rule) || !matches(rule, resource) || rankFor(store, rule, caller) === undefined) continue;
    const { rest_api: api, version, http_method: method, resource: path, table } = rule.values;
    const key = JSON.stringify([api, version, method, path, table]);
    byResource.set(key, [...(byResource.get(key) ?? []), rule]);
  }
  return [...byResource.values()].flatMap((rules) => {
    const ranked = rules.map((rule) => ({ rule, rank: rankFor(store, rule, caller) ?? 0 }));
    ranked.sort((left, right) => left.rank - right.rank || limitOf(left.rule) - limitOf(right.rule));
    return ranked[0]?.rule ?? [];
  });
}

/** An empty column of a rule fits everything. */
function matches({ values }: Row, resource: RestResource): boolean {
  const fits = (column: string, actual: string): boolean =>
    (values[column] ?? '') === '' || values[column]?.toLowerCase() === actual.toLowerCase();
  return (
    fits('rest_api', resource.api) &&
    fits('version', resource.version === '' ? 'latest' : resource.version) &&
    fits('http_method', resource.method) &&
    fits('resource', resource.resource) &&
    fits('table', resource.table)
  );
}

/** 0: the user's own rule, 1: a rule of one of its roles, 2: a rule for all; undefined: not for this user. */
function rankFor(store: Store, { values }: Row, caller: Caller): number | undefined {
  // Recorded rules name their user without saying that they are for one (schema/sys_user_role_and_rate_limit_rules.json).
  switch ((values['user'] ?? '') === '' ? values['apply_to'] : 'single_user') {
    case 'single_user':
      return values['user'] === caller.sysId ? 0 : undefined;
    case 'users_with_role':
      return caller.roles.has(store.find('sys_user_role', values['role'] ?? '')?.values['name'] ?? '') ? 1 : undefined;
    default:
      return 2;
  }
}

function limitOf(rule: Row): number {
  return Number(rule.values['request_limit'] ?? '0');
}

function headersOf(rule: Row, resetMs: number): Record<string, string> {
  return {
    'x-ratelimit-limit': String(limitOf(rule)),
    'x-ratelimit-reset': String(resetMs / 1000),
    'x-ratelimit-rule': rule.sysId,
  };
}

/** errors/429_rate_limit_rule.json */
function tooMany(rule: Row, resource: RestResource, nowMs: number, resetMs: number): ApiError {
  return new ApiError(429, 'Rate limit exceeded', `Rate limit of ${String(limitOf(rule))} requests per hour for ${resource.api} exceeded`, {
    ...headersOf(rule, resetMs),
    'retry-after': String(Math.ceil((resetMs - nowMs) / 1000)),
  });
}
