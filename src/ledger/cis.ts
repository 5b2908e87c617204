import { randomUUID } from 'node:crypto';
import { republishReferences } from './ci-references.ts';
import { firstFreeInMs, isFree, requireWholeClaim, wholeMs } from './claims.ts';
import type { Database, Transaction } from './database.ts';
import { addTally, assertFence, fenced, type RunHandle } from './runs.ts';
import { ciKeyDigest } from './groups.ts';
import { appendMatches } from './history.ts';
import type { CiIdentity, CiKey, CiMatch, IntegrationName, SysId } from '../model.ts';

/** A CI whose identity this activity attempt is settling. */
export interface ClaimedCi {
  readonly key: CiKey;
  readonly identity: CiIdentity;
  /** It was sent to the platform before and the outcome never came back. */
  readonly wasSent: boolean;
  readonly tries: number;
}

export interface CiClaim {
  readonly token: string;
  readonly cis: readonly ClaimedCi[];
}

export type CiOutcome =
  | {
      readonly key: CiKey;
      readonly outcome: 'resolved';
      readonly sysId: SysId;
      readonly className: string;
      readonly match: CiMatch;
      /** What says so: the rule, the discovered item, the word of the identification engine. Kept as history. */
      readonly evidence?: string | undefined;
      /** Why the match is worth a look, as long as it is. */
      readonly note?: string | undefined;
    }
  /** Tried again `afterMs` later (LOCK_TIMEOUT, ABANDONED). */
  | { readonly key: CiKey; readonly outcome: 'retry'; readonly because: string; readonly afterMs: number }
  | { readonly key: CiKey; readonly outcome: 'parked'; readonly because: string }
  /** Sent, and nobody knows what became of it. */
  | { readonly key: CiKey; readonly outcome: 'unknown' }
  /** Not sent after all. */
  | { readonly key: CiKey; readonly outcome: 'released' };

export interface CiProgress {
  readonly wanted: number;
  readonly parked: number;
  readonly readyInMs: number;
}

/**
 * Takes up to `limit` CIs that this deployment's groups want and nobody holds, in the order of their parents: what two workers hold
 * at a time lies below different accounts, but for one. A CI that was sent without an outcome is taken only `settleMs` after that: until then the platform may still be working on it (design §2).
 */
export async function claimCis(database: Database, run: RunHandle, limit: number, leaseMs: number, settleMs: number): Promise<CiClaim> {
  const token = randomUUID();
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const claimed = await tx.query<{ key_text: string; identity: CiIdentity; sent_at: Date | null; tries: number }>(
      `UPDATE ci SET claim_token = $3, claim_until = ledger_now() + $5 * interval '1 millisecond', claim_deployment = $2
       FROM (
         SELECT c.instance_id, c.ci_key FROM ci c WHERE c.instance_id = $1 AND c.state = 'wanted'
           AND ${isFree('c', '$6')}
           AND EXISTS (SELECT 1 FROM observed_group g WHERE g.ci_key = c.ci_key AND g.deployment_id = $2)
         ORDER BY c.parent_key, c.ci_key LIMIT $4 FOR UPDATE OF c SKIP LOCKED) AS due
       WHERE ci.instance_id = due.instance_id AND ci.ci_key = due.ci_key
       RETURNING ci.key_text, ci.identity, ci.sent_at, ci.tries`,
      [run.instanceId, run.deploymentId, token, limit, leaseMs, settleMs],
    );
    return {
      token,
      cis: claimed.rows.map((row) => ({
        key: row.key_text as CiKey,
        identity: row.identity,
        wasSent: row.sent_at !== null,
        tries: row.tries,
      })),
    };
  });
}

/** Commits the intent: from here on the platform may have the request, whatever happens to us. */
export async function intendCis(database: Database, run: RunHandle, claim: CiClaim, keys: readonly CiKey[]): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    const intended = await tx.query(
      'UPDATE ci SET sent_at = ledger_now(), tries = tries + 1 WHERE instance_id = $1 AND ci_key = ANY($2::bytea[]) AND claim_token = $3',
      [run.instanceId, keys.map(ciKeyDigest), claim.token],
    );
    requireWholeClaim(intended.rowCount, keys.length);
  });
}

/**
 * Writes outcomes and the history of matches; outcomes of a lost claim are ignored. What refers to a CI that became another one is
 * published again.
 */
export async function settleCis(
  database: Database,
  run: RunHandle,
  integration: IntegrationName,
  claim: CiClaim,
  outcomes: readonly CiOutcome[],
  written: { readonly created: number; readonly updated: number; readonly records: number },
): Promise<void> {
  if (outcomes.length === 0) return;
  const resolved = (one: CiOutcome) => (one.outcome === 'resolved' ? one : undefined);
  const because = (one: CiOutcome) => (one.outcome === 'parked' || one.outcome === 'retry' ? one.because : null);
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await republishReferences(tx, run, await becomingOthers(tx, run, claim, outcomes));
    await tx.query(
      `WITH settled AS (UPDATE ci SET
         state = CASE t.outcome WHEN 'resolved' THEN 'resolved' WHEN 'parked' THEN 'parked' ELSE ci.state END,
         sys_id = coalesce(t.sys_id, ci.sys_id), class_name = coalesce(t.class_name, ci.class_name), match = coalesce(t.match, ci.match),
         created_by_engine = ci.created_by_engine OR coalesce(t.match = 'created-by-ire', false),
         note = CASE t.outcome WHEN 'resolved' THEN t.note ELSE ci.note END,
         checked_at = CASE t.outcome WHEN 'resolved' THEN ledger_now() ELSE ci.checked_at END,
         reason = t.reason, parked_in_run = CASE t.outcome WHEN 'parked' THEN $3::uuid END,
         sent_at = CASE t.outcome WHEN 'unknown' THEN ci.sent_at END,
         claim_token = NULL, claim_deployment = NULL,
         claim_until = CASE t.outcome WHEN 'retry' THEN ledger_now() + t.after_ms * interval '1 millisecond' END
       FROM unnest($4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::integer[])
         AS t(ci_key, outcome, sys_id, class_name, match, reason, evidence, note, after_ms)
       WHERE ci.instance_id = $1 AND ci.ci_key = t.ci_key AND ci.claim_token = $2
       RETURNING ci.ci_key, t.outcome, ci.sys_id, ci.class_name, ci.match, t.reason, t.evidence)${appendMatches}`,
      [
        run.instanceId,
        claim.token,
        run.runId,
        outcomes.map((one) => ciKeyDigest(one.key)),
        outcomes.map((one) => one.outcome),
        outcomes.map((one) => resolved(one)?.sysId ?? null),
        outcomes.map((one) => resolved(one)?.className ?? null),
        outcomes.map((one) => resolved(one)?.match ?? null),
        outcomes.map(because),
        outcomes.map((one) => resolved(one)?.evidence ?? null),
        outcomes.map((one) => resolved(one)?.note ?? null),
        outcomes.map((one) => (one.outcome === 'retry' ? one.afterMs : 0)),
      ],
    );
    await addTally(tx, run, integration, 'created', written.created);
    await addTally(tx, run, integration, 'updated', written.updated);
    await addTally(tx, run, '', 'serviceNowWrites', written.records);
  });
}

/** Claimed CIs that were known before, were lost on the instance, and are settled as another record now. */
async function becomingOthers(tx: Transaction, run: RunHandle, claim: CiClaim, outcomes: readonly CiOutcome[]): Promise<Buffer[]> {
  const resolved = outcomes.filter((one) => one.outcome === 'resolved');
  if (resolved.length === 0) return [];
  const others = await tx.query<{ ci_key: Buffer }>(
    `SELECT c.ci_key FROM unnest($3::bytea[], $4::text[]) AS t(ci_key, sys_id) JOIN ci c ON c.instance_id = $1 AND c.ci_key = t.ci_key
     WHERE c.claim_token = $2 AND c.sys_id <> t.sys_id`,
    [run.instanceId, claim.token, resolved.map((one) => ciKeyDigest(one.key)), resolved.map((one) => one.sysId)],
  );
  return others.rows.map((row) => row.ci_key);
}

/** CIs parked in an earlier run get one more try in this one. */
export async function unparkCis(database: Database, run: RunHandle): Promise<void> {
  await fenced(
    database,
    run,
    `UPDATE ci SET state = 'wanted', tries = 0 WHERE instance_id = $1 AND state = 'parked' AND parked_in_run IS DISTINCT FROM $2
       AND EXISTS (SELECT 1 FROM observed_group g WHERE g.ci_key = ci.ci_key AND g.deployment_id = $3)`,
    [run.instanceId, run.runId, run.deploymentId],
  );
}

export async function ciProgress(database: Database, run: RunHandle, settleMs: number): Promise<CiProgress> {
  const [row] = await database.query<{ wanted: string; parked: string; ready_in_ms: string | null }>(
    `SELECT count(*) FILTER (WHERE c.state = 'wanted') AS wanted, count(*) FILTER (WHERE c.state = 'parked') AS parked,
       ${firstFreeInMs('c', '$3', "c.state = 'wanted'")} AS ready_in_ms
     FROM ci c WHERE c.instance_id = $1 AND c.state <> 'resolved'
       AND EXISTS (SELECT 1 FROM observed_group g WHERE g.ci_key = c.ci_key AND g.deployment_id = $2)`,
    [run.instanceId, run.deploymentId, settleMs],
  );
  return {
    wanted: Number(row?.wanted ?? 0),
    parked: Number(row?.parked ?? 0),
    readyInMs: wholeMs(row?.ready_in_ms),
  };
}
