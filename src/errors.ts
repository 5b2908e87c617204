/**
 * The one error hierarchy. Vendor errors (HTTP, Entra, PostgreSQL) are cast into it once, at the edge where they happen;
 * the activity layer turns it into Temporal failures in one place. `kind` decides the treatment (design §4), nothing else does.
 */
export const failureKinds = [
  /** 429, or a quota that says when it resets. Retried, never an alarm. */
  'throttled',
  /** 5xx, resets, time-outs, ServiceNow 202: the same request may succeed later. */
  'transient',
  /** The platform may or may not have done the work (connection lost after sending). Looked up before it is sent again. */
  'outcome-unknown',
  /** 401 after one fresh token, wrong or expired secret: a person has to act. */
  'unauthenticated',
  /** 403, missing role or permission: a person has to act. */
  'forbidden',
  /** The certificate of the server does not hold, so that nothing was sent to it: a person has to act. */
  'untrusted',
  /** 404, 410. */
  'not-found',
  /** 400, 409, 414, 415: the request itself is wrong. */
  'rejected',
  /** A state, not a fault: plan off, feature absent. */
  'not-applicable',
  /** Missing table, column, data source, choice: the instance is not set up for what the engine needs. */
  'misconfigured',
  /** The answer is not what the service documents (HTML instead of JSON, wrong shape). */
  'malformed-answer',
  /** The run's fence is stale: a newer run took over; stop at once, and for good. */
  'fenced-out',
  /**
   * What was claimed passed to another attempt of the same step: this attempt stops at once. Nobody hears of it when it is the older one;
   * the newer one (an older one woke up late, and took its claims) is tried again.
   */
  'overtaken',
  /** The configuration file or the command line is wrong. */
  'usage',
  /** A defect of the engine. */
  'bug',
] as const;
export type FailureKind = (typeof failureKinds)[number];

export interface FailureFacts {
  readonly kind: FailureKind;
  /** What happened, to what, in one sentence. Never contains a secret. */
  readonly message: string;
  /** What to do about it, in exact steps, where a person can do something. */
  readonly remedy?: string | undefined;
  readonly service?: 'azure' | 'entra' | 'graph' | 'servicenow' | 'ledger' | 'temporal' | undefined;
  /** HTTP status. */
  readonly status?: number | undefined;
  /** The vendor's own error code, for example `AuthorizationFailed` or `AADSTS7000215`. */
  readonly code?: string | undefined;
  readonly requestId?: string | undefined;
  /** How long the service asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The engine's only error class. Its message is the sentence; everything a machine needs is in typed fields. */
export class SyncError extends Error {
  override readonly name = 'SyncError';
  readonly kind: FailureKind;
  readonly remedy: string | undefined;
  readonly service: FailureFacts['service'];
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(facts: FailureFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.kind = facts.kind;
    this.remedy = facts.remedy;
    this.service = facts.service;
    this.status = facts.status;
    this.code = facts.code;
    this.requestId = facts.requestId;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

/** True for a {@link SyncError} of any of the given kinds (any kind when none is given). */
export function isSyncError(error: unknown, ...kinds: FailureKind[]): error is SyncError {
  return error instanceof SyncError && (kinds.length === 0 || kinds.includes(error.kind));
}

/** Somebody else goes on with what was in hand: nothing of it may be written down or sent any more. */
export function isSuperseded(error: unknown): boolean {
  return isSyncError(error, 'fenced-out', 'overtaken');
}

/** The request was certainly not carried out; after anything else, our own cancellation included, it may have been. */
export function isCertainlyNotDone(error: unknown): boolean {
  return isSyncError(error, 'throttled', 'unauthenticated', 'forbidden', 'untrusted', 'rejected', 'bug');
}
