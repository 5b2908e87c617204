import { randomUUID } from 'node:crypto';
import { wholeMs } from './claims.ts';
import type { Database, Transaction } from './database.ts';
import { assertFence, fenced, type RunHandle } from './runs.ts';
import type { IntegrationName, JsonObject, Scope, ScanState } from '../model.ts';
import { SyncError, type FailureKind } from '../errors.ts';

export interface ScanPlan {
  readonly readName: string;
  readonly stage: 1 | 2;
  readonly scope: Scope;
}

/** A scan that this activity attempt holds: its token must still be the scan's when a page is committed. */
export interface ClaimedScan {
  readonly scanId: number;
  readonly token: string;
  readonly readName: string;
  readonly scope: Scope;
  readonly attempt: number;
  /** Where to go on; undefined = from the first page. */
  readonly cursor: JsonObject | undefined;
  readonly pageCount: number;
  readonly tries: number;
}

export interface ScanProgress {
  readonly open: number;
  readonly ended: number;
  /** Milliseconds until the next open scan may be tried; 0 = one is ready now. What waits for stage 1 is not. */
  readonly readyInMs: number;
}

/** A cursor older than this is not followed: the service may have dropped or changed what it points into (design §2). */
export const cursorLifetimeMs = 60 * 60_000;

/** Opens the scans of one integration; those that exist already (an earlier try of this activity) stay as they are. */
export async function openScans(
  database: Database,
  run: RunHandle,
  integration: IntegrationName,
  plans: readonly ScanPlan[],
): Promise<number> {
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query(
      `INSERT INTO scan (run_id, deployment_id, integration, read_name, stage, scope_kind, scope_id, opened_at)
       SELECT $1, $2, $3, t.*, ledger_now() FROM unnest($4::text[], $5::smallint[], $6::text[], $7::text[]) AS t
       ON CONFLICT DO NOTHING`,
      [
        run.runId,
        run.deploymentId,
        integration,
        plans.map((p) => p.readName),
        plans.map((p) => p.stage),
        plans.map((p) => p.scope.kind),
        plans.map((p) => p.scope.id),
      ],
    );
    const counted = await tx.query<{ n: string }>('SELECT count(*) AS n FROM scan WHERE run_id = $1 AND integration = $2', [
      run.runId,
      integration,
    ]);
    return Number(counted.rows[0]?.n ?? 0);
  });
}

/** Takes one open scan for `leaseMs`, or undefined when none is ready. Reads by keys wait until stage 1 has ended. */
export async function claimScan(
  database: Database,
  run: RunHandle,
  integration: IntegrationName,
  leaseMs: number,
): Promise<ClaimedScan | undefined> {
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const token = randomUUID();
    const claimed = await tx.query<ScanRow & { cursor_age_ms: number | null }>(
      `UPDATE scan SET claim_token = $3, claim_until = ledger_now() + $4 * interval '1 millisecond'
       WHERE scan_id = (
         SELECT scan_id FROM scan s WHERE run_id = $1 AND integration = $2 AND state = 'open'
           AND (claim_until IS NULL OR claim_until < ledger_now()) AND (next_try_at IS NULL OR next_try_at <= ledger_now())
           AND (stage = 1 OR NOT EXISTS (SELECT 1 FROM scan o WHERE o.run_id = $1 AND o.integration = $2 AND o.stage = 1 AND o.state = 'open'))
         ORDER BY tries, scan_id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING *, extract(epoch FROM ledger_now() - cursor_at) * 1000 AS cursor_age_ms`,
      [run.runId, integration, token, leaseMs],
    );
    const row = claimed.rows[0];
    if (!row) return undefined;
    if (row.cursor !== null && Number(row.cursor_age_ms) > cursorLifetimeMs) return restart(tx, { ...claimOf(row), token });
    return { ...claimOf(row), token };
  });
}

/** Begins the scope again under a new attempt, because its cursor is too old or was refused; its pages are dropped. */
export async function restartScan(database: Database, run: RunHandle, claim: ClaimedScan): Promise<ClaimedScan> {
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    return restart(tx, claim);
  });
}

async function restart(tx: Transaction, claim: ClaimedScan): Promise<ClaimedScan> {
  await tx.query('DELETE FROM quarantine WHERE scan_id = $1', [claim.scanId]);
  await tx.query('DELETE FROM scan_page WHERE scan_id = $1', [claim.scanId]);
  const restarted = await tx.query<ScanRow>(
    `UPDATE scan SET attempt = attempt + 1, cursor = NULL, cursor_at = NULL, page_count = 0, rows_read = 0, total_records = NULL, total_moved = false
     WHERE scan_id = $1 AND claim_token = $2 RETURNING *`,
    [claim.scanId, claim.token],
  );
  return { ...claimOf(held(restarted.rows[0])), token: claim.token };
}

/** Gives a scan back after a failure that may pass; it is tried again after `afterMs`. */
export async function postponeScan(
  database: Database,
  run: RunHandle,
  claim: ClaimedScan,
  afterMs: number,
  because: string,
  countsAsTry: boolean,
): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query(
      `UPDATE scan SET tries = tries + $5::integer, next_try_at = ledger_now() + $3 * interval '1 millisecond', because = $4, claim_token = NULL, claim_until = NULL
       WHERE scan_id = $1 AND claim_token = $2`,
      [claim.scanId, claim.token, afterMs, because, countsAsTry ? 1 : 0],
    );
  });
}

/** A new attempt of an activity takes over the scans that an earlier one still holds. */
export async function takeOverScans(database: Database, run: RunHandle, integration: IntegrationName): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query(
      `UPDATE scan SET claim_token = NULL, claim_until = NULL WHERE run_id = $1 AND integration = $2 AND state = 'open' AND claim_token IS NOT NULL`,
      [run.runId, integration],
    );
  });
}

/** Gives a scan back unharmed: the activity's time is over, the next one goes on at the cursor. */
export async function releaseScan(database: Database, claim: ClaimedScan): Promise<void> {
  await database.query('UPDATE scan SET claim_token = NULL, claim_until = NULL WHERE scan_id = $1 AND claim_token = $2', [
    claim.scanId,
    claim.token,
  ]);
}

/**
 * Ends a scan. Two states are corrected here, because only the ledger knows them: a total that moved while it was read,
 * and no rows where the last complete scan had some, both make it `partial` (design §2, §7).
 * @param about `emptyMeans`: what it means that a complete list has no row, where that is worth saying; `failure`: the kind of it
 */
export async function endScan(
  database: Database,
  run: RunHandle,
  claim: ClaimedScan,
  state: Exclude<ScanState, 'open'>,
  because: string | undefined,
  about: { readonly emptyMeans?: string | undefined; readonly failure?: FailureKind } = {},
): Promise<ScanState> {
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const current = held(
      (await tx.query<ScanRow>('SELECT * FROM scan WHERE scan_id = $1 AND claim_token = $2 FOR UPDATE', [claim.scanId, claim.token]))
        .rows[0],
    );
    const doubt = state === 'complete' ? await doubtsAbout(tx, current) : undefined;
    const finalState = doubt === undefined ? state : 'partial';
    await tx.query(
      `UPDATE scan SET state = $2, because = $3, failure = $4, ended_at = ledger_now(), claim_token = NULL, claim_until = NULL WHERE scan_id = $1`,
      [
        claim.scanId,
        finalState,
        doubt ?? because ?? (Number(current.rows_read) === 0 ? about.emptyMeans : undefined) ?? null,
        about.failure ?? null,
      ],
    );
    return finalState;
  });
}

/**
 * Scans of an integration that failed are read again from where they stopped: the run waited for a person, and goes on.
 * Those that are complete stay complete.
 */
export async function reopenFailedScans(database: Database, run: RunHandle, integration: IntegrationName): Promise<void> {
  await fenced(
    database,
    run,
    `UPDATE scan SET state = 'open', because = NULL, failure = NULL, tries = 0, next_try_at = NULL, ended_at = NULL
     WHERE run_id = $1 AND integration = $2 AND state = 'failed'`,
    [run.runId, integration],
  );
}

/** Why the first list of an integration that is forbidden in every scope is; undefined when none is. */
export async function forbiddenEverywhere(
  database: Database,
  run: RunHandle,
  integration: IntegrationName,
): Promise<{ readonly readName: string; readonly because: string; readonly scopes: number } | undefined> {
  const [row] = await database.query<{ read_name: string; because: string; scopes: string }>(
    `SELECT read_name, min(because) AS because, count(*) AS scopes FROM scan WHERE run_id = $1 AND integration = $2
     GROUP BY read_name HAVING bool_and(state = 'failed' AND failure = 'forbidden') ORDER BY read_name LIMIT 1`,
    [run.runId, integration],
  );
  return row && { readName: row.read_name, because: row.because, scopes: Number(row.scopes) };
}

async function doubtsAbout(tx: Transaction, scan: ScanRow): Promise<string | undefined> {
  if (scan.total_moved) return 'the total number of rows changed while they were read';
  if (Number(scan.rows_read) > 0) return undefined;
  const before = await tx.query<{ rows_read: string }>(
    `SELECT rows_read FROM scan WHERE deployment_id = $1 AND read_name = $2 AND scope_kind = $3 AND scope_id = $4 AND state = 'complete' AND scan_id < $5
     ORDER BY scan_id DESC LIMIT 1`,
    [scan.deployment_id, scan.read_name, scan.scope_kind, scan.scope_id, scan.scan_id],
  );
  const rowsBefore = Number(before.rows[0]?.rows_read ?? 0);
  return rowsBefore > 0 ? `no rows where the last complete scan had ${rowsBefore}` : undefined;
}

export async function scanProgress(database: Database, run: RunHandle, integration: IntegrationName): Promise<ScanProgress> {
  const [row] = await database.query<{ open: string; ended: string; ready_in_ms: string | null }>(
    `SELECT count(*) FILTER (WHERE state = 'open') AS open, count(*) FILTER (WHERE state <> 'open') AS ended,
       extract(epoch FROM min(greatest(coalesce(next_try_at, '-infinity'), coalesce(claim_until, '-infinity')))
         FILTER (WHERE state = 'open' AND stage = first_open_stage) - ledger_now()) * 1000 AS ready_in_ms
     FROM scan, (SELECT min(stage) AS first_open_stage FROM scan WHERE run_id = $1 AND integration = $2 AND state = 'open') AS stages
     WHERE run_id = $1 AND integration = $2`,
    [run.runId, integration],
  );
  return {
    open: Number(row?.open ?? 0),
    ended: Number(row?.ended ?? 0),
    readyInMs: wholeMs(row?.ready_in_ms),
  };
}

export interface ScanRow {
  scan_id: string;
  deployment_id: number;
  integration: IntegrationName;
  read_name: string;
  scope_kind: Scope['kind'];
  scope_id: string;
  attempt: number;
  cursor: JsonObject | null;
  page_count: number;
  tries: number;
  rows_read: string;
  total_moved: boolean;
}

function claimOf(row: ScanRow): Omit<ClaimedScan, 'token'> {
  return {
    scanId: Number(row.scan_id),
    readName: row.read_name,
    scope: { kind: row.scope_kind, id: row.scope_id },
    attempt: row.attempt,
    cursor: row.cursor ?? undefined,
    pageCount: row.page_count,
    tries: row.tries,
  };
}

/** Throws `overtaken` when the claim is no longer ours. */
export function held<Row>(row: Row | undefined): Row {
  if (row === undefined) {
    throw new SyncError({ kind: 'overtaken', service: 'ledger', message: 'The claim on this scan passed to another activity attempt.' });
  }
  return row;
}
