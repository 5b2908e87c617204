/** The end of a pair: in one transaction its outcome, the ledger's CI, the keys of results, and the history. */
import type { Database, Transaction } from './database.ts';
import { ciStageKey } from './desired.ts';
import { recordKey } from './digest.ts';
import { ciKeyDigest } from './groups.ts';
import { sysIdColumns } from './history.ts';
import { assertFences, type ClaimedPair, type KeyedStep, type PairClaim, type PairOutcome } from './reconciles.ts';
import type { RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { CiKey, FieldValue, IntegrationName, SysId } from '../model.ts';

/** Records whose key names the CI, and items, which hang on it too, are derived by this integration. */
const integration: IntegrationName = 'assessments';
const resultTable = 'sn_vulc_result';
const itemTable = 'sn_sec_cmn_src_ci';

/** A record that the ledger has derived for a deployment's resources on one CI. */
export interface RecordOnCi {
  readonly deployment: string;
  readonly table: string;
  readonly key: string;
  readonly sysId: SysId | null;
  readonly fields: Readonly<Record<string, FieldValue>>;
}

/** What hangs on each of these CIs, by its sys_id. */
export async function recordsOnCis(
  database: Database,
  runs: readonly RunHandle[],
  sysIds: readonly SysId[],
): Promise<ReadonlyMap<string, readonly RecordOnCi[]>> {
  const stages = new Map(sysIds.map((sysId) => [ciStageKey(integration, sysId).toString('latin1'), sysId]));
  const rows = await database.query<{
    name: string;
    word: string;
    key_text: string;
    sys_id: SysId | null;
    fields: Record<string, FieldValue>;
    group_key: Buffer;
  }>(
    `SELECT d.name, w.word, r.key_text, r.sys_id, o.fields, o.group_key
     FROM record_owner o JOIN record r USING (instance_id, table_id, key) JOIN word w ON w.word_id = o.table_id JOIN deployment d USING (deployment_id)
     WHERE o.deployment_id = ANY($1::integer[]) AND o.group_key = ANY($2::bytea[]) AND o.gone_at IS NULL ORDER BY r.key_text`,
    [runs.map(({ deploymentId }) => deploymentId), sysIds.map((sysId) => ciStageKey(integration, sysId))],
  );
  const found = new Map<string, RecordOnCi[]>();
  for (const row of rows) {
    const sysId = stages.get(row.group_key.toString('latin1'));
    if (sysId === undefined) continue;
    const record = { deployment: row.name, table: row.word, key: row.key_text, sysId: row.sys_id, fields: row.fields };
    found.set(sysId, [...(found.get(sysId) ?? []), record]);
  }
  return found;
}

export interface SettledPair {
  readonly pair: ClaimedPair;
  readonly outcome: PairOutcome;
  readonly because: string | null;
  /** Steps that this engine's requests carried out. */
  readonly written: readonly KeyedStep[];
  /** Of a moved pair: results of the ledger under their new keys; null: it stays behind and is no longer seen. */
  readonly rekeyed: readonly { readonly key: string; readonly newKey: string | null }[];
}

/**
 * Settles pairs of a claim; those of a claim that passed to somebody else are left alone.
 * @param isUndo what the history calls it: put back, or re-pointed
 */
export async function settlePairs(
  database: Database,
  words: Words,
  runs: readonly RunHandle[],
  claim: PairClaim,
  settled: readonly SettledPair[],
  isUndo: boolean,
): Promise<void> {
  if (settled.length === 0) return;
  const tables = { item: await words.idOf(itemTable), result: await words.idOf(resultTable) };
  const what = await words.idOf(isUndo ? 'put back' : 're-pointed');
  await database.transaction(async (tx) => {
    await assertFences(tx, runs);
    const held = await tx.query<{ ci_key: Buffer }>(
      `UPDATE reconcile_pair p SET state = t.state, because = t.because, claim_token = NULL, claim_until = NULL,
         steps = CASE t.state WHEN 'refused' THEN NULL ELSE p.steps END
       FROM unnest($3::bytea[], $4::text[], $5::text[]) AS t(ci_key, state, because)
       WHERE p.reconcile_id = $1 AND p.claim_token = $2 AND p.ci_key = t.ci_key RETURNING p.ci_key`,
      [
        claim.reconcileId,
        claim.token,
        settled.map(({ pair }) => ciKeyDigest(pair.ciKey)),
        settled.map(({ outcome }) => outcome),
        settled.map(({ because }) => because),
      ],
    );
    const mine = new Set(held.rows.map((row) => row.ci_key.toString('latin1')));
    const own = settled.filter(({ pair }) => mine.has(ciKeyDigest(pair.ciKey).toString('latin1')));
    const moved = own.filter(({ outcome }) => outcome === 'moved');
    for (const one of moved) await moveCi(tx, runs, claim.reconcileId, one, isUndo);
    for (const one of moved) await moveRecords(tx, runs, one, tables);
    await appendSteps(
      tx,
      runs,
      own.flatMap((one) => one.written.map((step) => ({ step, reconcileId: claim.reconcileId }))),
      tables,
      what,
    );
  });
}

async function moveCi(
  tx: Transaction,
  runs: readonly RunHandle[],
  reconcileId: string,
  { pair: { ciKey, from, to } }: SettledPair,
  isUndo: boolean,
): Promise<void> {
  const [first] = runs;
  const moved = await tx.query(
    `UPDATE ci SET sys_id = $3, class_name = $4, match = $5, created_by_engine = $6, state = 'resolved', reason = NULL
     WHERE instance_id = $1 AND ci_key = $2 AND sys_id IN ($3, $7)`,
    [first?.instanceId, ciKeyDigest(ciKey), to.sysId, to.className, to.match, to.createdByEngine, from.sysId],
  );
  if (moved.rowCount === 0) throw new Error(`The CI of ${ciKey} was changed while it was locked.`);
  await tx.query(
    `INSERT INTO ci_event (instance_id, ci_key, at, run_no, what, sys_id, class_name, match, evidence)
     SELECT $1, $2, ledger_now(), r.run_no, $4, $5, $6, $7, $8 FROM run r WHERE r.run_id = $3`,
    [
      first?.instanceId,
      ciKeyDigest(ciKey),
      first?.runId,
      isUndo ? 'put-back' : 'reconciled',
      to.sysId,
      to.className,
      to.match,
      isUndo
        ? `reconcile ${reconcileId} took it back from ${from.className} ${from.sysId}`
        : `reconcile ${reconcileId} chose it over ${from.className} ${from.sysId}`,
    ],
  );
}

interface Tables {
  readonly item: number;
  readonly result: number;
}

/**
 * What was derived for the old CI belongs to the new one: the next run derives the same again, under the keys that it has by now. A
 * result that the new CI has already is no longer seen under the old one.
 */
async function moveRecords(tx: Transaction, runs: readonly RunHandle[], { pair, rekeyed }: SettledPair, tables: Tables): Promise<void> {
  const instanceId = runs[0]?.instanceId;
  const [oldStage, newStage] = [ciStageKey(integration, pair.from.sysId), ciStageKey(integration, pair.to.sysId)];
  const deployments = runs.map(({ deploymentId }) => deploymentId);
  const going = rekeyed.flatMap(({ key, newKey }) => (newKey === null ? [] : [{ key, newKey }]));
  const keys = [going.map(({ key }) => recordKey(key)), going.map(({ newKey }) => recordKey(newKey)), going.map(({ newKey }) => newKey)];
  const moved = await tx.query<{ key: Buffer }>(
    `INSERT INTO record (instance_id, table_id, key, key_text, sys_id, desired, published, parked, reason, parked_in_run, sent_at)
     SELECT r.instance_id, r.table_id, t.new_key, t.new_text, r.sys_id, r.desired, r.published, r.parked, r.reason, r.parked_in_run, r.sent_at
     FROM unnest($3::bytea[], $4::bytea[], $5::text[]) AS t(key, new_key, new_text)
     JOIN record r ON r.instance_id = $1 AND r.table_id = $2 AND r.key = t.key ON CONFLICT DO NOTHING RETURNING key`,
    [instanceId, tables.result, ...keys],
  );
  const there = moved.rows.map((row) => row.key);
  await tx.query(
    `INSERT INTO record_owner (instance_id, table_id, key, deployment_id, group_key, content, fields, volatile, only_if_exists)
     SELECT o.instance_id, o.table_id, t.new_key, o.deployment_id, $6, o.content, o.fields, o.volatile, o.only_if_exists
     FROM unnest($3::bytea[], $4::bytea[]) AS t(key, new_key)
     JOIN record_owner o ON o.instance_id = $1 AND o.table_id = $2 AND o.key = t.key AND o.gone_at IS NULL
     WHERE t.new_key = ANY($5::bytea[])`,
    [instanceId, tables.result, keys[0], keys[1], there, newStage],
  );
  const left = going.filter(({ newKey }) => there.some((key) => key.equals(recordKey(newKey)))).map(({ key }) => recordKey(key));
  await tx.query('DELETE FROM record_owner WHERE instance_id = $1 AND table_id = $2 AND key = ANY($3::bytea[])', [
    instanceId,
    tables.result,
    left,
  ]);
  await tx.query('DELETE FROM record WHERE instance_id = $1 AND table_id = $2 AND key = ANY($3::bytea[])', [
    instanceId,
    tables.result,
    left,
  ]);
  await tx.query(
    `UPDATE record_owner SET gone_at = ledger_now() WHERE instance_id = $1 AND table_id = $2 AND key = ANY($3::bytea[]) AND gone_at IS NULL`,
    [instanceId, tables.result, rekeyed.map(({ key }) => recordKey(key))],
  );
  await tx.query(
    `UPDATE record_owner o SET group_key = $5 FROM record r WHERE o.instance_id = $1 AND o.table_id = $2 AND o.deployment_id = ANY($3::integer[])
       AND o.group_key = $4 AND o.gone_at IS NULL AND r.instance_id = o.instance_id AND r.table_id = o.table_id AND r.key = o.key
       AND o.fields->>'source_id' = $6`,
    [instanceId, tables.item, deployments, oldStage, newStage, pair.resourceId],
  );
}

/** A line of history for every record that was re-pointed, in the run of the deployment whose it is. */
async function appendSteps(
  tx: Transaction,
  runs: readonly RunHandle[],
  written: readonly { readonly step: KeyedStep; readonly reconcileId: string }[],
  tables: Tables,
  what: number,
): Promise<void> {
  const known = written.filter(({ step }) => step.key !== null);
  if (known.length === 0) return;
  const runOf = new Map(runs.map((run) => [run.deployment as string, run.runId]));
  await tx.query(
    `INSERT INTO write_event (key, sys_id, sys_name, at, run_no, table_id, what, reason)
     SELECT t.key, ${sysIdColumns('t.sys_id')}, (SELECT ledger_now()), r.run_no, t.table_id, $1, t.reason
     FROM unnest($2::bytea[], $3::text[], $4::uuid[], $5::smallint[], $6::text[]) AS t(key, sys_id, run_id, table_id, reason) JOIN run r USING (run_id)`,
    [
      what,
      known.map(({ step }) => recordKey(step.newKey ?? step.key ?? '')),
      known.map(({ step }) => step.sysId),
      known.map(({ step }) => runOf.get(step.deployment) ?? runs[0]?.runId ?? null),
      known.map(({ step }) => (step.table === itemTable ? tables.item : tables.result)),
      known.map(({ step, reconcileId }) => `reconcile ${reconcileId}: from CI ${step.from} to ${step.to}`),
    ],
  );
}

/** Every key that a record of this CI had, by its sys_id: its history stands under each of them. */
export async function keysThroughReconciles(database: Database, ciKey: CiKey): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const rows = await database.query<{ steps: KeyedStep[] }>(
    `SELECT steps FROM reconcile_pair WHERE ci_key = $1 AND steps IS NOT NULL AND state IN ('moved', 'parked')`,
    [ciKeyDigest(ciKey)],
  );
  const keys = new Map<string, Set<string>>();
  for (const step of rows.flatMap(({ steps }) => steps)) {
    const list = keys.get(step.sysId) ?? new Set<string>();
    for (const key of [step.key, step.newKey]) if (key !== null) list.add(key);
    keys.set(step.sysId, list);
  }
  return keys;
}
