/** Reconciles: discovered items and results re-pointed on command, pair by pair, with intents, and put back from here. */
import { randomBytes, randomUUID } from 'node:crypto';
import { isFree, requireWholeClaim } from './claims.ts';
import type { Database, Transaction } from './database.ts';
import { ciKeyDigest } from './groups.ts';
import { hashOfPairs, pairDigest, readPairSet, type CiOfClass, type CiPair, type ReconcileStep } from './pairs.ts';
import { assertFence, type RunHandle } from './runs.ts';
import type { CiKey, CiMatch, SysId } from '../model.ts';
import { SyncError } from '../errors.ts';

/** What is asked for: the pairs of a set (or one of them), or to take a reconcile back. */
export type ReconcileRequest =
  { readonly type: 'apply'; readonly setId: string; readonly only: CiKey | null } | { readonly type: 'undo'; readonly reconcileId: string };

/** The ledger's CI of a resource, before or after. */
export interface LedgerCi {
  readonly sysId: SysId;
  readonly className: string;
  readonly match: CiMatch | null;
  readonly createdByEngine: boolean;
}

/** A step as it is kept: with the ledger's keys of its record, because a result's key names its CI. */
export type KeyedStep = ReconcileStep & { readonly key: string | null; readonly newKey: string | null };

export interface ClaimedPair {
  readonly ciKey: CiKey;
  readonly identity: CiOfClass['identity'];
  /** What the ledger says now. */
  readonly now: { readonly sysId: SysId | null; readonly match: CiMatch | null; readonly others: number };
  readonly resourceId: string;
  /** As it was shown; undefined when a reconcile is taken back. */
  readonly shown: CiPair | undefined;
  readonly from: LedgerCi;
  readonly to: LedgerCi;
  /** Planned before, when it was sent and its outcome never came. */
  readonly steps: readonly KeyedStep[] | undefined;
  /** What the reconcile did that is taken back. */
  readonly undone: readonly KeyedStep[];
  readonly wasSent: boolean;
}

export interface PairClaim {
  readonly reconcileId: string;
  readonly token: string;
  readonly pairs: readonly ClaimedPair[];
}

export type PairOutcome = 'moved' | 'unchanged' | 'refused' | 'parked';

function usage(message: string, remedy: string): SyncError {
  return new SyncError({ kind: 'usage', service: 'ledger', message, remedy });
}

/**
 * Whose locks a request needs: every deployment that sees one of its resources, in configured order; and how many pairs it concerns.
 * Errors: SyncError `usage` for a set or a reconcile that does not exist, or a resource that is not in it.
 */
export async function reconcileScope(
  database: Database,
  request: ReconcileRequest,
): Promise<{ readonly deployments: readonly string[]; readonly pairs: number; readonly setId: string }> {
  const { setId, pairs } =
    request.type === 'apply' ? await scopeOfSet(database, request) : await scopeOfUndo(database, request.reconcileId);
  const deployments = await database.query<{ name: string }>(
    `WITH concerned AS (
       SELECT ci_key FROM ci_pair WHERE $1 AND set_id = $2 AND ($3::bytea IS NULL OR ci_key = $3)
       UNION ALL SELECT ci_key FROM reconcile_pair WHERE NOT $1 AND reconcile_id = $4 AND state IN ('moved', 'parked') AND steps IS NOT NULL)
     SELECT d.name FROM deployment d JOIN ci_pair_set s ON s.set_id = $2 AND s.instance_id = d.instance_id
     WHERE EXISTS (SELECT 1 FROM concerned c JOIN observed_group g ON g.ci_key = c.ci_key AND g.deployment_id = d.deployment_id)
     ORDER BY d.position, d.deployment_id`,
    [
      request.type === 'apply',
      setId,
      request.type === 'apply' && request.only !== null ? ciKeyDigest(request.only) : null,
      request.type === 'undo' ? request.reconcileId : null,
    ],
  );
  return { deployments: deployments.map(({ name }) => name), pairs, setId };
}

async function scopeOfSet(
  database: Database,
  { setId, only }: Extract<ReconcileRequest, { type: 'apply' }>,
): Promise<{ setId: string; pairs: number }> {
  const set = await readPairSet(database, setId);
  if (!set) throw usage(`There is no list of pairs with the id ${setId}.`, 'Make one, and look at it: defender-sync cis pairs');
  if (set.hash !== (await hashOfPairs(database, setId, set.platformMovesResults)))
    throw usage(`The list of pairs ${setId} is not the one that was shown: its hash differs.`, 'Make a new one: defender-sync cis pairs');
  const [row] = await database.query<{ n: string }>(
    `SELECT count(*) AS n FROM ci_pair WHERE set_id = $1 AND ($2::bytea IS NULL OR ci_key = $2)`,
    [setId, only === null ? null : ciKeyDigest(only)],
  );
  if (Number(row?.n ?? 0) === 0)
    throw usage(
      `${String(only).replace(/^resource:/, '')} is not in the list of pairs ${setId}.`,
      'Name one of the resources that it shows.',
    );
  return { setId, pairs: Number(row?.n ?? 0) };
}

async function scopeOfUndo(database: Database, reconcileId: string): Promise<{ setId: string; pairs: number }> {
  const [row] = await database.query<{ set_id: string; undo_of: string | null; n: string }>(
    `SELECT r.set_id, r.undo_of, (SELECT count(*) FROM reconcile_pair p WHERE p.reconcile_id = r.reconcile_id AND p.state IN ('moved', 'parked') AND p.steps IS NOT NULL) AS n
     FROM reconcile r WHERE r.reconcile_id = $1`,
    [reconcileId],
  );
  if (!row) throw usage(`There is no reconcile with the id ${reconcileId}.`, 'It stands in the first line of what cis reconcile prints.');
  if (row.undo_of !== null)
    throw usage(
      `${reconcileId} itself took the reconcile ${row.undo_of} back.`,
      'To re-point again, list the pairs again: defender-sync cis pairs',
    );
  return { setId: row.set_id, pairs: Number(row.n) };
}

/** Begins a reconcile, with all its pairs due. Idempotent per workflow execution. Returns its id. */
export async function beginReconcile(
  database: Database,
  request: ReconcileRequest,
  setId: string,
  workflowRunId: string,
): Promise<{ readonly reconcileId: string }> {
  return database.transaction(async (tx) => {
    const id = randomBytes(5).toString('hex');
    const inserted = await tx.query(
      `INSERT INTO reconcile (reconcile_id, instance_id, set_id, undo_of, workflow_run_id, started_at)
       SELECT $1, instance_id, set_id, $3, $4, ledger_now() FROM ci_pair_set WHERE set_id = $2 ON CONFLICT (workflow_run_id) DO NOTHING`,
      [id, setId, request.type === 'undo' ? request.reconcileId : null, workflowRunId],
    );
    if (inserted.rowCount === 0) {
      const begun = await tx.query<{ reconcile_id: string }>('SELECT reconcile_id FROM reconcile WHERE workflow_run_id = $1', [
        workflowRunId,
      ]);
      return { reconcileId: begun.rows[0]?.reconcile_id ?? '' };
    }
    if (request.type === 'apply') await insertPairs(tx, id, request);
    else await insertInverse(tx, id, request.reconcileId);
    return { reconcileId: id };
  });
}

/** A pair that cannot be reconciled is refused from the start, with what stands in its way. */
async function insertPairs(tx: Transaction, id: string, { setId, only }: Extract<ReconcileRequest, { type: 'apply' }>): Promise<void> {
  await tx.query(
    `INSERT INTO reconcile_pair (reconcile_id, ci_key, resource_id, from_ci, to_ci, state, because)
     SELECT $1, p.ci_key, p.pair->>'resourceId',
       jsonb_build_object('sysId', p.pair#>>'{placeholder,sysId}', 'className', p.pair#>>'{placeholder,className}',
         'match', c.match, 'createdByEngine', c.created_by_engine),
       jsonb_build_object('sysId', p.pair#>>'{specific,0,sysId}', 'className', p.pair#>>'{specific,0,className}',
         'match', 'reconciled', 'createdByEngine', false),
       CASE WHEN p.pair->>'obstacle' IS NULL THEN 'due' ELSE 'refused' END, p.pair->>'obstacle'
     FROM ci_pair p JOIN ci_pair_set s USING (set_id) JOIN ci c ON c.instance_id = s.instance_id AND c.ci_key = p.ci_key
     WHERE p.set_id = $2 AND ($3::bytea IS NULL OR p.ci_key = $3)`,
    [id, setId, only === null ? null : ciKeyDigest(only)],
  );
}

async function insertInverse(tx: Transaction, id: string, undone: string): Promise<void> {
  await tx.query(
    `INSERT INTO reconcile_pair (reconcile_id, ci_key, resource_id, from_ci, to_ci)
     SELECT $1, ci_key, resource_id, to_ci, from_ci FROM reconcile_pair WHERE reconcile_id = $2 AND state IN ('moved', 'parked') AND steps IS NOT NULL`,
    [id, undone],
  );
}

/** Every transaction of a reconcile holds against the fences of all its deployments. */
export async function assertFences(tx: Transaction, runs: readonly RunHandle[]): Promise<void> {
  for (const run of [...runs].sort((left, right) => left.deploymentId - right.deploymentId)) await assertFence(tx, run);
}

/** A new attempt of the activity takes over what an earlier one still holds. */
export async function takeOverPairs(database: Database, runs: readonly RunHandle[], reconcileId: string): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFences(tx, runs);
    await tx.query('UPDATE reconcile_pair SET claim_token = NULL, claim_until = NULL WHERE reconcile_id = $1 AND claim_token IS NOT NULL', [
      reconcileId,
    ]);
  });
}

interface PairRow {
  key_text: CiKey;
  resource_id: string;
  shown: CiPair | null;
  shown_digest: Buffer | null;
  from_ci: LedgerCi;
  to_ci: LedgerCi;
  steps: KeyedStep[] | null;
  undone: KeyedStep[] | null;
  identity: CiOfClass['identity'];
  now_sys_id: SysId | null;
  now_match: CiMatch | null;
  others: string;
  was_sent: boolean;
}

/** Takes up to `limit` open pairs; one that was sent without an outcome only once the platform must have finished with it. */
export async function claimPairs(
  database: Database,
  runs: readonly RunHandle[],
  reconcileId: string,
  limit: number,
  leaseMs: number,
  settleMs: number,
): Promise<PairClaim> {
  const token = randomUUID();
  return database.transaction(async (tx) => {
    await assertFences(tx, runs);
    const taken = await tx.query<PairRow>(
      `WITH due AS (
         SELECT p.ci_key FROM reconcile_pair p WHERE p.reconcile_id = $1 AND p.state IN ('due', 'sent')
           AND ${isFree('p', '$5')}
         ORDER BY p.ci_key LIMIT $2 FOR UPDATE OF p SKIP LOCKED),
       taken AS (
         UPDATE reconcile_pair p SET claim_token = $3, claim_until = ledger_now() + $4 * interval '1 millisecond'
         FROM due WHERE p.reconcile_id = $1 AND p.ci_key = due.ci_key
         RETURNING p.ci_key, p.resource_id, p.from_ci, p.to_ci, p.steps, p.sent_at IS NOT NULL AS was_sent)
       SELECT t.*, c.key_text, c.identity, c.sys_id AS now_sys_id, c.match AS now_match, s.pair AS shown, s.digest AS shown_digest, u.steps AS undone,
         (SELECT count(*) - 1 FROM ci o WHERE o.instance_id = c.instance_id AND o.sys_id = c.sys_id) AS others
       FROM taken t JOIN reconcile r ON r.reconcile_id = $1
       JOIN ci c ON c.instance_id = r.instance_id AND c.ci_key = t.ci_key
       LEFT JOIN reconcile_pair u ON u.reconcile_id = r.undo_of AND u.ci_key = t.ci_key
       LEFT JOIN ci_pair s ON r.undo_of IS NULL AND s.set_id = r.set_id AND s.ci_key = t.ci_key ORDER BY t.resource_id`,
      [reconcileId, limit, token, leaseMs, settleMs],
    );
    return { reconcileId, token, pairs: taken.rows.map(pairOf) };
  });
}

function pairOf(row: PairRow): ClaimedPair {
  if (row.shown !== null && row.shown_digest?.equals(pairDigest(row.shown)) !== true)
    throw usage(
      `The pair of ${row.resource_id} in the ledger is not the one that was shown.`,
      'List the pairs again: defender-sync cis pairs',
    );
  return {
    ciKey: row.key_text,
    identity: row.identity,
    now: { sysId: row.now_sys_id, match: row.now_match, others: Number(row.others) },
    resourceId: row.resource_id,
    shown: row.shown ?? undefined,
    from: row.from_ci,
    to: row.to_ci,
    steps: row.steps ?? undefined,
    undone: row.undone ?? [],
    wasSent: row.was_sent,
  };
}

/** Commits what will be re-pointed, before it is sent. */
export async function intendPairs(
  database: Database,
  runs: readonly RunHandle[],
  claim: PairClaim,
  planned: readonly { readonly ciKey: CiKey; readonly steps: readonly KeyedStep[] }[],
): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFences(tx, runs);
    const intended = await tx.query(
      `UPDATE reconcile_pair p SET state = 'sent', sent_at = ledger_now(), steps = t.steps FROM unnest($3::bytea[], $4::jsonb[]) AS t(ci_key, steps)
       WHERE p.reconcile_id = $1 AND p.claim_token = $2 AND p.ci_key = t.ci_key`,
      [claim.reconcileId, claim.token, planned.map(({ ciKey }) => ciKeyDigest(ciKey)), planned.map(({ steps }) => JSON.stringify(steps))],
    );
    requireWholeClaim(intended.rowCount, planned.length);
  });
}

/** Gives pairs back: nothing was ever sent, or nobody knows (then the intent stays, and they are looked at once that has settled). */
export async function releasePairs(database: Database, claim: PairClaim, keys: readonly CiKey[], neverSent: boolean): Promise<void> {
  if (keys.length === 0) return;
  await database.query(
    `UPDATE reconcile_pair SET claim_token = NULL, claim_until = NULL, sent_at = CASE WHEN $4 THEN NULL ELSE sent_at END,
       steps = CASE WHEN $4 THEN NULL ELSE steps END, state = CASE WHEN $4 THEN 'due' ELSE state END
     WHERE reconcile_id = $1 AND claim_token = $2 AND ci_key = ANY($3::bytea[])`,
    [claim.reconcileId, claim.token, keys.map(ciKeyDigest), neverSent],
  );
}

/** What was sent and has no outcome when a reconcile ends is parked: so it is counted, and can be taken back. */
export async function parkUnsettledPairs(database: Database, reconcileId: string): Promise<void> {
  await database.query(
    `UPDATE reconcile_pair SET state = 'parked', because = $2, claim_token = NULL, claim_until = NULL WHERE reconcile_id = $1 AND state = 'sent'`,
    [reconcileId, 'it was sent, and the reconcile ended before its outcome was known'],
  );
}

/** Ends a reconcile and the runs under which it wrote; a run that was superseded keeps its own ending. */
export async function endReconcile(
  database: Database,
  runIds: readonly string[],
  reconcileId: string,
  outcome: 'succeeded' | 'degraded' | 'failed' | 'cancelled',
): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query('UPDATE reconcile SET ended_at = ledger_now(), outcome = $2 WHERE reconcile_id = $1', [reconcileId, outcome]);
    await tx.query('UPDATE run SET ended_at = ledger_now(), outcome = $2 WHERE run_id = ANY($1::uuid[]) AND ended_at IS NULL', [
      runIds,
      outcome,
    ]);
  });
}
