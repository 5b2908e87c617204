import { randomUUID } from 'node:crypto';
import { firstFreeInMs, isFree, requireWholeClaim, wholeMs } from './claims.ts';
import type { Database } from './database.ts';
import { recordKey } from './digest.ts';
import type { PublishProgress } from './records.ts';
import { addTally, assertFence, fenced, type RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { FieldValue, IntegrationName, SysId } from '../model.ts';

/** A record that this activity attempt is removing from the instance. */
export interface ClaimedRemoval {
  readonly key: string;
  /** Unknown when the answer to its creation was lost: it has to be looked up by its natural key. */
  readonly sysId: SysId | undefined;
  readonly fields: Readonly<Record<string, FieldValue>>;
}

export interface RemovalClaim {
  readonly table: string;
  readonly token: string;
  readonly records: readonly ClaimedRemoval[];
}

export type RemovalOutcome =
  /** It is not on the instance any more, or never was. */
  | { readonly key: string; readonly outcome: 'removed'; readonly written: boolean }
  | { readonly key: string; readonly outcome: 'refused'; readonly because: string }
  | { readonly key: string; readonly outcome: 'unknown' }
  | { readonly key: string; readonly outcome: 'released'; readonly afterMs: number };

/** SQL: the deployment `$3` wants the record, or wanted it once. */
const wantedOnce =
  'EXISTS (SELECT 1 FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id AND o.key = r.key AND o.deployment_id = $3)';

/** Takes up to `limit` records of a table that are to be removed and that this deployment wanted once. */
export async function claimRemovals(
  database: Database,
  words: Words,
  run: RunHandle,
  table: string,
  limit: number,
  leaseMs: number,
  settleMs: number,
): Promise<RemovalClaim> {
  const token = randomUUID();
  const tableId = await words.idOf(table);
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const claimed = await tx.query<{ key: Buffer; key_text: string; sys_id: string | null }>(
      `WITH due AS (
         SELECT r.key FROM record r WHERE r.instance_id = $1 AND r.table_id = $2 AND r.to_remove AND NOT r.parked
           AND ${isFree('r', '$7')}
           AND ${wantedOnce}
         ORDER BY r.key LIMIT $4 FOR UPDATE OF r SKIP LOCKED)
       UPDATE record r SET claim_token = $5, claim_until = ledger_now() + $6 * interval '1 millisecond', claim_deployment = $3
       WHERE r.instance_id = $1 AND r.table_id = $2 AND r.key = ANY(ARRAY(SELECT due.key FROM due))
       RETURNING r.key, r.key_text, r.sys_id`,
      [run.instanceId, tableId, run.deploymentId, limit, token, leaseMs, settleMs],
    );
    const owners = await tx.query<{ key: Buffer; fields: Record<string, FieldValue> }>(
      'SELECT key, fields FROM record_owner WHERE instance_id = $1 AND table_id = $2 AND key = ANY($3::bytea[]) AND deployment_id = $4',
      [run.instanceId, tableId, claimed.rows.map((row) => row.key), run.deploymentId],
    );
    const fieldsOf = new Map(owners.rows.map((row) => [row.key.toString('latin1'), row.fields]));
    const records = claimed.rows.map((row) => ({
      key: row.key_text,
      sysId: (row.sys_id ?? undefined) as SysId | undefined,
      fields: fieldsOf.get(row.key.toString('latin1')) ?? {},
    }));
    return { table, token, records };
  });
}

/**
 * Commits the intent to remove these records. One that somebody wants again by now is not among those that were held: then
 * nothing of the claim may be sent.
 */
export async function intendRemovals(
  database: Database,
  words: Words,
  run: RunHandle,
  claim: RemovalClaim,
  keys: readonly string[],
): Promise<void> {
  const tableId = await words.idOf(claim.table);
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    const intended = await tx.query(
      `UPDATE record SET sent_at = ledger_now()
       WHERE instance_id = $1 AND table_id = $2 AND key = ANY($3::bytea[]) AND claim_token = $4 AND to_remove`,
      [run.instanceId, tableId, keys.map(recordKey), claim.token],
    );
    requireWholeClaim(intended.rowCount, keys.length);
  });
}

/** Writes outcomes and their tallies. A record that was removed and is wanted again meanwhile is due like a new one. */
export async function settleRemovals(
  database: Database,
  words: Words,
  run: RunHandle,
  integration: IntegrationName,
  claim: RemovalClaim,
  outcomes: readonly RemovalOutcome[],
): Promise<void> {
  if (outcomes.length === 0) return;
  const tableId = await words.idOf(claim.table);
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    const settled = await tx.query<{ written: boolean }>(
      `UPDATE record r SET
         sys_id = CASE t.outcome WHEN 'removed' THEN NULL ELSE r.sys_id END,
         created_here = r.created_here AND t.outcome <> 'removed',
         published = CASE t.outcome WHEN 'removed' THEN NULL ELSE r.published END,
         desired = CASE WHEN t.outcome = 'removed' AND r.to_remove THEN NULL ELSE r.desired END,
         to_remove = r.to_remove AND t.outcome <> 'removed',
         parked = t.outcome = 'refused' AND r.to_remove, reason = t.reason, parked_in_run = CASE t.outcome WHEN 'refused' THEN $4::uuid END,
         sent_at = CASE t.outcome WHEN 'unknown' THEN r.sent_at END,
         claim_token = NULL, claim_deployment = NULL,
         claim_until = CASE t.outcome WHEN 'released' THEN ledger_now() + t.after_ms * interval '1 millisecond' END
       FROM unnest($5::bytea[], $6::text[], $7::text[], $8::integer[], $9::boolean[]) AS t(key, outcome, reason, after_ms, written)
       WHERE r.instance_id = $1 AND r.table_id = $2 AND r.key = t.key AND r.claim_token = $3 RETURNING t.written`,
      [
        run.instanceId,
        tableId,
        claim.token,
        run.runId,
        outcomes.map((one) => recordKey(one.key)),
        outcomes.map((one) => one.outcome),
        outcomes.map((one) => (one.outcome === 'refused' ? one.because : null)),
        outcomes.map((one) => (one.outcome === 'released' ? one.afterMs : 0)),
        outcomes.map((one) => one.outcome === 'removed' && one.written),
      ],
    );
    const removed = settled.rows.filter((row) => row.written).length;
    await addTally(tx, run, integration, 'removed', removed);
    await addTally(tx, run, '', 'serviceNowWrites', removed);
  });
}

/** The table refuses removals: everything that is left waits for the next run, instead of being refused one by one. */
export async function parkRemovals(database: Database, words: Words, run: RunHandle, table: string, because: string): Promise<void> {
  await fenced(
    database,
    run,
    `UPDATE record r SET parked = true, reason = $4, parked_in_run = $5
     WHERE r.instance_id = $1 AND r.table_id = $2 AND r.to_remove AND NOT r.parked AND r.claim_token IS NULL
       AND ${wantedOnce}`,
    [run.instanceId, await words.idOf(table), run.deploymentId, because, run.runId],
  );
}

/** Removals refused in an earlier run get one more try in this one. */
export async function unparkRemovals(database: Database, words: Words, run: RunHandle, table: string): Promise<void> {
  await fenced(
    database,
    run,
    `UPDATE record r SET parked = false WHERE r.instance_id = $1 AND r.table_id = $2 AND r.to_remove AND r.parked
       AND r.parked_in_run IS DISTINCT FROM $4
       AND ${wantedOnce}`,
    [run.instanceId, await words.idOf(table), run.deploymentId, run.runId],
  );
}

export async function removalProgress(
  database: Database,
  words: Words,
  run: RunHandle,
  tables: readonly string[],
  settleMs: number,
): Promise<PublishProgress> {
  const tableIds = await Promise.all(tables.map((table) => words.idOf(table)));
  const [row] = await database.query<{ due: string; parked: string; ready_in_ms: string | null }>(
    `SELECT count(*) FILTER (WHERE NOT r.parked) AS due, count(*) FILTER (WHERE r.parked) AS parked,
       ${firstFreeInMs('r', '$4', 'NOT r.parked')} AS ready_in_ms
     FROM record r WHERE r.instance_id = $1 AND r.table_id = ANY($2::smallint[]) AND r.to_remove
       AND ${wantedOnce}`,
    [run.instanceId, tableIds, run.deploymentId, settleMs],
  );
  return {
    due: Number(row?.due ?? 0),
    parked: Number(row?.parked ?? 0),
    readyInMs: wholeMs(row?.ready_in_ms),
  };
}
