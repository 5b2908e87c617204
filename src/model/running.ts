/** What a run passes through, and what it reports. */
import type { IntegrationName } from './names.ts';

/**
 * What stands before every HTTP request (design §2): a slot in the ledger keyed by instance or tenant, a shared
 * `not_before` that any 429 sets, and the fence of the run. Injected into the clients by the activities.
 */
export interface Gate {
  /**
   * Runs one request while holding a slot. Throws SyncError `fenced-out` when the run's fence is stale.
   * @param kind what the request is counted as in the report
   */
  pass<Answer>(kind: CallKind, send: (signal: AbortSignal) => Promise<Answer>, signal?: AbortSignal): Promise<Answer>;
  /** Called by a client on 429: nobody sends to this instance or tenant before that moment. */
  holdBack(forMs: number): Promise<void>;
}

export type CallKind = 'azure' | 'serviceNowReads' | 'serviceNowWrites' | 'serviceNowBookkeeping';

export const runOutcomes = ['succeeded', 'degraded', 'failed', 'parked', 'cancelled'] as const;
export type RunOutcome = (typeof runOutcomes)[number];
export type RunMode = 'sync' | 'plan';

export interface IntegrationReport {
  readonly name: IntegrationName;
  readonly outcome: 'succeeded' | 'degraded' | 'failed' | 'not-run';
  readonly because: string | null;
  readonly scopes: { readonly complete: number; readonly partial: number; readonly failed: number; readonly notApplicable: number };
  /** Distinct observed records of complete and partial scans. */
  readonly read: number;
  readonly excluded: number;
  readonly quarantined: number;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly closed: number;
  readonly parked: number;
  /** What an operator should know though nothing went wrong: a feature that is off, what a limit left out. */
  readonly notes?: readonly string[];
}

/** The report of one run, kept in the ledger. */
export interface Report {
  readonly deployment: string;
  readonly run: string;
  readonly mode: RunMode;
  readonly outcome: RunOutcome;
  readonly integrations: readonly IntegrationReport[];
  readonly calls: {
    readonly azure: number;
    readonly serviceNowReads: number;
    /** Records written to data tables. */
    readonly serviceNowWrites: number;
    readonly serviceNowBookkeeping: number;
  };
  readonly seconds: number;
  /** Records that the instance refuses, by table and reason; reports of older versions lack it. */
  readonly parkedRecords?: readonly {
    readonly table: string;
    readonly because: string;
    readonly remedy: string | null;
    readonly records: number;
    /** The first few natural keys. */
    readonly keys: readonly string[];
  }[];
  /** Columns that the instance does not keep, and that are left out because of it; reports of older versions lack it. */
  readonly skippedColumns?: readonly {
    readonly table: string;
    readonly column: string;
    /** skipped: never kept; undone: changed again after the write; some-records: some records do not keep it, others do. */
    readonly behaviour: 'skipped' | 'undone' | 'some-records';
    readonly evidence: string;
    readonly remedy: string | null;
    readonly records: number;
  }[];
}
