/** One answered (or dropped) request. */
export interface LoggedRequest {
  /** Lab time, ISO. */
  at: string;
  method: string;
  /** Path with its variable parts replaced, e.g. `/api/now/table/sn_vulc_test/{sys_id}`. */
  pattern: string;
  /** Path and query string as sent. */
  url: string;
  /** 0: the connection was cut without an answer. */
  status: number;
  durationMs: number;
}

export interface RequestCounter {
  method: string;
  pattern: string;
  count: number;
  byStatus: Record<string, number>;
}

/** Counters for all requests, and the most recent ones in full. */
export interface RequestLog {
  record(request: LoggedRequest): void;
  counters(): RequestCounter[];
  recent(): LoggedRequest[];
  clear(): void;
}

/** A request log that keeps the last `keep` requests (default 1,000). */
export function createRequestLog(keep = 1000): RequestLog {
  const counters = new Map<string, RequestCounter>();
  let recent: LoggedRequest[] = [];
  return {
    record: (request) => {
      const key = `${request.method} ${request.pattern}`;
      const counter = counters.get(key) ?? { method: request.method, pattern: request.pattern, count: 0, byStatus: {} };
      counter.count += 1;
      counter.byStatus[String(request.status)] = (counter.byStatus[String(request.status)] ?? 0) + 1;
      counters.set(key, counter);
      recent.push(request);
      if (recent.length >= keep * 2) recent = recent.slice(-keep);
    },
    counters: () =>
      [...counters.values()].sort((left, right) => left.pattern.localeCompare(right.pattern) || left.method.localeCompare(right.method)),
    recent: () => recent.slice(-keep),
    clear: () => {
      counters.clear();
      recent = [];
    },
  };
}
