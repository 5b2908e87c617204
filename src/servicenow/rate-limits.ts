/** What the answers themselves say of rate-limit rules: the rules can be read by few, their headers come to everybody (servicenow.md §5.8). */
import type { HttpAnswer } from '../transport.ts';

/** A rule that counts requests of ours. */
export interface RateLimit {
  /** `GET /api/now/table` */
  readonly requests: string;
  readonly perHour: number;
  /** sys_id of the rule (`sys_rate_limit_rules`). */
  readonly rule: string;
}

export interface RateLimitBook {
  note(request: { readonly method: string; readonly path: string }, answer: HttpAnswer): void;
  /** What the newest answer of each API and method said; nothing for those that no rule counts. */
  seen(): readonly RateLimit[];
}

export function createRateLimitBook(): RateLimitBook {
  const limits = new Map<string, RateLimit>();
  return {
    note: ({ method, path }, answer) => {
      // Without version and table: one API.
      const requests = `${method} ${path
        .replace(/\/v\d+\//, '/')
        .split('/')
        .slice(0, 4)
        .join('/')}`;
      const perHour = Number(answer.header('x-ratelimit-limit') ?? Number.NaN);
      // A rule of one table, or one that was switched off: the headers come only when a rule matches.
      if (Number.isInteger(perHour) && perHour > 0) {
        limits.set(requests, { requests, perHour, rule: answer.header('x-ratelimit-rule') ?? '' });
      } else if (answer.status < 400) limits.delete(requests);
    },
    seen: () => [...limits.values()],
  };
}
