import { randomUUID } from 'node:crypto';
import { firstFreeInMs, isFree, requireWholeClaim, wholeMs } from './claims.ts';
import type { Database, Transaction } from './database.ts';
import { recordKey } from './digest.ts';
import { appendWrites, historyWords } from './history.ts';
import { addTally, assertFence, fenced, type RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { FieldValue, IntegrationName, SysId } from '../model.ts';

/** A record that this activity attempt is publishing. */
export interface ClaimedRecord {
  readonly key: string;
  readonly sysId: SysId | undefined;
  /** It was sent before and the outcome never came back: look it up by its natural key first. */
  readonly wasSent: boolean;
  /** Fields of the first deployment in configured order that still sees the record. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly volatile: Readonly<Record<string, FieldValue>>;
  readonly onlyIfExists: boolean;
  readonly content: Buffer;
  /** Created by us with columns missing: what is left has to be written even where the table is never updated. */
  readonly incomplete: boolean;
}

export interface RecordClaim {
  readonly table: string;
  readonly token: string;
  readonly records: readonly ClaimedRecord[];
}

export type RecordOutcome =
  /** `completed`: what an earlier `created-in-part` left out is written now. `without`: columns that the instance did not keep. */
  | {
      readonly key: string;
      readonly outcome: 'created' | 'updated' | 'completed';
      readonly sysId: SysId;
      readonly without?: readonly string[];
    }
  /** It is there, but some columns need a second write: the claim stays, and without that write the record stays due. */
  | { readonly key: string; readonly outcome: 'created-in-part'; readonly sysId: SysId }
  /** The instance has it already as it should be, or must not have it: nothing was written. */
  | {
      readonly key: string;
      readonly outcome: 'unchanged';
      readonly sysId: SysId | undefined;
      /** It was not there when it was sent, and the answer was lost: it is the one that was sent. */
      readonly ours?: boolean;
    }
  /** `because` is the same for all records that are parked for one reason, so that they can be counted. */
  | {
      readonly key: string;
      readonly outcome: 'parked';
      readonly because: string;
      readonly remedy?: string | undefined;
      readonly sysId?: SysId | undefined;
    }
  /** `because`: the instance answered for this very record, and badly; after a few times it parks for that. */
  | { readonly key: string; readonly outcome: 'unknown'; readonly because?: string; readonly sysId?: SysId | undefined }
  /**
   * Not sent by this claim; `afterMs` later it may be claimed again (a reference is still being written by somebody else).
   * `notDone`: it had an intent, and was certainly not carried out. Otherwise an older intent stands.
   */
  | {
      readonly key: string;
      readonly outcome: 'released';
      readonly afterMs: number;
      readonly sysId?: SysId | undefined;
      readonly notDone?: true;
    }
  /** The ledger's sys_id leads nowhere: forget it, look the record up by its natural key next time; `because` as for `unknown`. */
  | { readonly key: string; readonly outcome: 'lost'; readonly because?: string };

/** A record that the instance answered for so often without a clear outcome parks until the next run. */
const unclearAnswersAllowed = 3;

export interface PublishProgress {
  readonly due: number;
  readonly parked: number;
  readonly readyInMs: number;
}

/**
 * Takes up to `limit` records of one table that this deployment owns, differ from what the instance has, and are free. Written so
 * that the planner has one way only, whatever it believes about tables that were filled a moment ago: due records in key order out
 * of their index, each one's owner and row by their whole key. (A join of the same was a join of every row with every row.)
 */
export async function claimRecords(
  database: Database,
  words: Words,
  run: RunHandle,
  table: string,
  limit: number,
  leaseMs: number,
  settleMs: number,
): Promise<RecordClaim> {
  const token = randomUUID();
  const tableId = await words.idOf(table);
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const claimed = await tx.query<TakenRow>(
      `WITH due AS (
         SELECT r.key FROM record r WHERE r.instance_id = $1 AND r.table_id = $2 AND r.desired IS DISTINCT FROM r.published AND NOT r.parked
           AND ${isFree('r', '$7')}
           AND (SELECT o.gone_at IS NULL FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id AND o.key = r.key
             AND o.deployment_id = $3)
         ORDER BY r.key LIMIT $4 FOR UPDATE OF r SKIP LOCKED)
       UPDATE record r SET claim_token = $5, claim_until = ledger_now() + $6 * interval '1 millisecond', claim_deployment = $3
       WHERE r.instance_id = $1 AND r.table_id = $2 AND r.key = ANY(ARRAY(SELECT due.key FROM due))
       RETURNING r.key, r.key_text, r.sys_id, r.sent_at IS NOT NULL AS was_sent, r.desired, r.incomplete`,
      [run.instanceId, tableId, run.deploymentId, limit, token, leaseMs, settleMs],
    );
    return { table, token, records: claimed.rows.length === 0 ? [] : await withWinners(tx, run, tableId, claimed.rows) };
  });
}

interface TakenRow {
  readonly key: Buffer;
  readonly key_text: string;
  readonly sys_id: string | null;
  readonly was_sent: boolean;
  readonly desired: Buffer;
  readonly incomplete: boolean;
}

interface WinnerRow {
  readonly key: Buffer;
  readonly content: Buffer;
  readonly fields: Record<string, FieldValue>;
  readonly volatile: Record<string, FieldValue> | null;
  readonly only_if_exists: boolean;
}

/**
 * What each taken record should be: read by a statement of its own, after the rows are locked. Before that another deployment
 * could still change it, and the fields of one moment would be remembered as published under the content of another.
 */
async function withWinners(tx: Transaction, run: RunHandle, tableId: number, taken: readonly TakenRow[]): Promise<ClaimedRecord[]> {
  const takenOf = new Map(taken.map((row) => [row.key.toString('latin1'), row]));
  const winners = await tx.query<WinnerRow>(
    `SELECT t.key, w.* FROM unnest($3::bytea[]) AS t(key) JOIN LATERAL (
       SELECT o.content, o.fields, o.volatile, o.only_if_exists FROM record_owner o JOIN deployment d USING (deployment_id)
       WHERE o.instance_id = $1 AND o.table_id = $2 AND o.key = t.key AND o.gone_at IS NULL ORDER BY d.position, d.deployment_id LIMIT 1) AS w ON true
     ORDER BY t.key`,
    [run.instanceId, tableId, taken.map((row) => row.key)],
  );
  const records: ClaimedRecord[] = [];
  const overtaken: WinnerRow[] = [];
  for (const row of winners.rows) {
    const one = takenOf.get(row.key.toString('latin1'));
    if (!one) continue;
    takenOf.delete(row.key.toString('latin1'));
    if (!row.content.equals(one.desired)) overtaken.push(row);
    records.push({
      key: one.key_text,
      sysId: (one.sys_id ?? undefined) as SysId | undefined,
      wasSent: one.was_sent,
      fields: row.fields,
      volatile: row.volatile ?? {},
      onlyIfExists: row.only_if_exists,
      content: row.content,
      incomplete: one.incomplete,
    });
  }
  // The configured order has changed since the winner was last written down.
  if (overtaken.length > 0) {
    await tx.query(
      `UPDATE record r SET desired = t.content FROM unnest($3::bytea[], $4::bytea[]) AS t(key, content)
       WHERE r.instance_id = $1 AND r.table_id = $2 AND r.key = t.key`,
      [run.instanceId, tableId, overtaken.map((row) => row.key), overtaken.map((row) => row.content)],
    );
  }
  // Nobody sees these any more, since a moment ago: nothing is sent for them, and a lease would keep them from who sees them again.
  if (takenOf.size > 0) {
    await tx.query(
      `UPDATE record r SET claim_token = NULL, claim_until = NULL, claim_deployment = NULL
       WHERE r.instance_id = $1 AND r.table_id = $2 AND r.key = ANY($3::bytea[])`,
      [run.instanceId, tableId, [...takenOf.values()].map(({ key }) => key)],
    );
  }
  return records;
}

/**
 * Commits the intent to send these records: from here on the platform may have them, whatever happens to us. What it had before is no
 * longer known: a record that is wanted again as it was must not pass for published.
 */
export async function intendRecords(
  database: Database,
  words: Words,
  run: RunHandle,
  claim: RecordClaim,
  keys: readonly string[],
): Promise<void> {
  const tableId = await words.idOf(claim.table);
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    const intended = await tx.query(
      'UPDATE record SET sent_at = ledger_now(), published = NULL WHERE instance_id = $1 AND table_id = $2 AND key = ANY($3::bytea[]) AND claim_token = $4',
      [run.instanceId, tableId, keys.map(recordKey), claim.token],
    );
    requireWholeClaim(intended.rowCount, keys.length);
  });
}

/** Writes outcomes, their history and their tallies. Outcomes of a claim that passed to somebody else are ignored. */
export async function settleRecords(
  database: Database,
  words: Words,
  run: RunHandle,
  integration: IntegrationName,
  claim: RecordClaim,
  outcomes: readonly RecordOutcome[],
  traffic: 'data' | 'bookkeeping',
): Promise<void> {
  if (outcomes.length === 0) return;
  const tableId = await words.idOf(claim.table);
  const contents = new Map(claim.records.map((record) => [record.key, record.content]));
  const whats = await historyWords(words);
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    const settled = await tx.query<{ outcome: RecordOutcome['outcome'] }>(
      `WITH settled AS (UPDATE record r SET
         sys_id = CASE t.outcome WHEN 'lost' THEN NULL ELSE coalesce(t.sys_id, r.sys_id) END,
         published = CASE WHEN t.known THEN t.content ELSE r.published END,
         created_here = r.created_here OR t.outcome IN ('created', 'created-in-part') OR t.ours,
         incomplete = CASE WHEN t.outcome = 'created-in-part' THEN true WHEN t.known OR t.outcome = 'lost' THEN false ELSE r.incomplete END,
         without = CASE WHEN t.outcome IN ('created', 'updated', 'completed') THEN t.without WHEN t.known THEN NULL ELSE r.without END,
         tries = CASE WHEN t.unclear THEN r.tries + 1 WHEN t.outcome IN ('unknown', 'released') THEN r.tries ELSE 0 END,
         parked = t.parks, reason = CASE WHEN t.parks OR t.unclear THEN t.reason END, remedy = CASE WHEN t.parks THEN t.remedy END,
         parked_in_run = CASE WHEN t.parks THEN $4::uuid END,
         sent_at = CASE WHEN t.outcome = 'unknown' OR (t.outcome = 'released' AND NOT t.not_done) THEN r.sent_at END,
         claim_token = CASE t.outcome WHEN 'created-in-part' THEN r.claim_token END,
         claim_deployment = CASE t.outcome WHEN 'created-in-part' THEN r.claim_deployment END,
         claim_until = CASE t.outcome WHEN 'released' THEN ledger_now() + t.after_ms * interval '1 millisecond' WHEN 'created-in-part' THEN r.claim_until END
       FROM (SELECT s.*, s.outcome IN ('created', 'updated', 'completed', 'unchanged') AS known,
               s.outcome IN ('unknown', 'lost') AND s.reason IS NOT NULL AS unclear,
               s.outcome = 'parked' OR (s.outcome IN ('unknown', 'lost') AND s.reason IS NOT NULL AND c.tries + 1 >= $13) AS parks
             FROM unnest($5::bytea[], $6::text[], $7::text[], $8::bytea[], $9::text[], $10::integer[], $11::text[], $12::text[], $14::boolean[], $15::smallint[], $18::boolean[])
               AS s(key, outcome, sys_id, content, reason, after_ms, remedy, without, not_done, what, ours)
             JOIN record c ON c.instance_id = $1 AND c.table_id = $2 AND c.key = s.key) AS t
       WHERE r.instance_id = $1 AND r.table_id = $2 AND r.key = t.key AND r.claim_token = $3
       RETURNING t.key, CASE WHEN t.parks THEN 'parked' ELSE t.outcome END AS outcome, t.sys_id, t.reason,
         CASE WHEN t.parks AND $16 THEN $17::smallint ELSE t.what END AS what)${appendWrites}
       SELECT outcome FROM settled`,
      [
        run.instanceId,
        tableId,
        claim.token,
        run.runId,
        outcomes.map((one) => recordKey(one.key)),
        outcomes.map((one) => one.outcome),
        outcomes.map((one) => ('sysId' in one ? (one.sysId ?? null) : null)),
        outcomes.map((one) => contents.get(one.key) ?? null),
        outcomes.map((one) => ('because' in one ? (one.because ?? null) : null)),
        outcomes.map((one) => (one.outcome === 'released' ? one.afterMs : 0)),
        outcomes.map((one) => (one.outcome === 'parked' ? (one.remedy ?? null) : null)),
        outcomes.map((one) => ('without' in one && one.without.length > 0 ? [...one.without].sort().join(',') : null)),
        unclearAnswersAllowed,
        outcomes.map((one) => one.outcome === 'released' && one.notDone === true),
        // Run records are written by every run: their history is the runs themselves.
        outcomes.map((one) => (traffic === 'data' ? (whats.get(one.outcome) ?? null) : null)),
        traffic === 'data',
        whats.get('parked'),
        outcomes.map((one) => one.outcome === 'unchanged' && one.ours === true),
      ],
    );
    const count = (wanted: string) => settled.rows.filter((row) => row.outcome === wanted).length;
    const [created, updated] = [count('created') + count('created-in-part'), count('updated')];
    if (traffic === 'data') {
      await addTally(tx, run, integration, 'created', created);
      await addTally(tx, run, integration, 'updated', updated);
    }
    await addTally(tx, run, '', traffic === 'data' ? 'serviceNowWrites' : 'serviceNowBookkeeping', created + updated);
  });
}

/** Records parked in an earlier run get one more try in this one: what refused them may have been put right. */
export async function unparkRecords(database: Database, words: Words, run: RunHandle, tables: readonly string[]): Promise<void> {
  const tableIds = await Promise.all(tables.map((table) => words.idOf(table)));
  await fenced(
    database,
    run,
    `UPDATE record r SET parked = false, tries = 0 WHERE r.instance_id = $1 AND r.table_id = ANY($2::smallint[]) AND r.parked AND r.parked_in_run IS DISTINCT FROM $3
       AND EXISTS (SELECT 1 FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id AND o.key = r.key
         AND o.deployment_id = $4 AND o.gone_at IS NULL)`,
    [run.instanceId, tableIds, run.runId, run.deploymentId],
  );
}

export async function publishProgress(
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
     FROM record r WHERE r.instance_id = $1 AND r.table_id = ANY($2::smallint[]) AND (r.parked OR r.desired IS DISTINCT FROM r.published)
       AND EXISTS (SELECT 1 FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id AND o.key = r.key
         AND o.deployment_id = $3 AND o.gone_at IS NULL)`,
    [run.instanceId, tableIds, run.deploymentId, settleMs],
  );
  return {
    due: Number(row?.due ?? 0),
    parked: Number(row?.parked ?? 0),
    readyInMs: wholeMs(row?.ready_in_ms),
  };
}
