import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from './database.ts';
import type { DeploymentName, IntegrationName, JsonObject, Report, RunId, RunMode, RunOutcome, Scope } from '../model.ts';
import { SyncError } from '../errors.ts';

/** A run as every ledger call sees it. The fence makes a stale holder's next transaction fail. */
export interface RunHandle {
  readonly runId: RunId;
  readonly deployment: DeploymentName;
  readonly deploymentId: number;
  readonly instanceId: number;
  readonly fence: number;
  /** Rises with every run on this instance. */
  readonly sequence: number;
  readonly startedAtMs: number;
  /** How often it has been checked: what was read of the instance before belongs to an earlier check. */
  readonly checks: number;
}

export interface RunScope {
  readonly kind: Scope['kind'];
  readonly id: string;
  readonly name: string;
  readonly state: string;
}

export interface DeploymentFacts {
  readonly name: DeploymentName;
  readonly instanceUrl: string;
  /** Order in the configuration. */
  readonly position: number;
}

interface RunRow {
  run_id: string;
  deployment_id: number;
  instance_id: number;
  fence: string;
  sequence: string;
  started_at: Date;
  name: string;
  checks: number;
}

const runColumns = `r.run_id, r.deployment_id, d.instance_id, r.fence, r.sequence, r.started_at, r.checks, d.name`;

/**
 * Begins a run: takes the deployment's next fence, closes what an earlier run left dangling, and frees its claims that
 * were never sent. Idempotent per workflow execution: a second try gets the same run and fence (design §2).
 */
export async function beginRun(
  database: Database,
  facts: DeploymentFacts,
  workflowRunId: string,
  mode: RunMode | 'reconcile',
): Promise<RunHandle & { readonly closedDangling: number }> {
  return database.transaction(async (tx) => {
    const deploymentId = await registerDeployment(tx, facts);
    await tx.query('SELECT 1 FROM deployment WHERE deployment_id = $1 FOR UPDATE', [deploymentId]);
    const existing = await tx.query<RunRow>(
      `SELECT ${runColumns} FROM run r JOIN deployment d USING (deployment_id) WHERE workflow_run_id = $1`,
      [workflowRunId],
    );
    if (existing.rows[0]) return { ...handleOf(existing.rows[0]), closedDangling: 0 };

    const dangling = await tx.query(
      `UPDATE run SET ended_at = ledger_now(), outcome = 'cancelled' WHERE deployment_id = $1 AND ended_at IS NULL`,
      [deploymentId],
    );
    await freeClaims(tx, deploymentId);
    await tx.query(
      `UPDATE scan SET state = 'failed', because = 'superseded by a newer run', ended_at = ledger_now() WHERE deployment_id = $1 AND state = 'open'`,
      [deploymentId],
    );
    await tx.query('UPDATE deployment SET fence = fence + 1 WHERE deployment_id = $1', [deploymentId]);
    await tx.query(
      'UPDATE instance SET sequence = sequence + 1 WHERE instance_id = (SELECT instance_id FROM deployment WHERE deployment_id = $1)',
      [deploymentId],
    );
    const inserted = await tx.query<RunRow>(
      `WITH inserted AS (
         INSERT INTO run (run_id, deployment_id, workflow_run_id, mode, fence, sequence, started_at)
         SELECT $2, d.deployment_id, $3, $4, d.fence, i.sequence, ledger_now() FROM deployment d JOIN instance i USING (instance_id) WHERE d.deployment_id = $1
         RETURNING *)
       SELECT ${runColumns} FROM inserted r JOIN deployment d USING (deployment_id)`,
      [deploymentId, randomUUID(), workflowRunId, mode],
    );
    const row = inserted.rows[0];
    if (!row) throw new Error('The run could not be inserted.');
    return { ...handleOf(row), closedDangling: dangling.rowCount ?? 0 };
  });
}

async function registerDeployment(tx: Transaction, facts: DeploymentFacts): Promise<number> {
  await tx.query('INSERT INTO instance (url) VALUES ($1) ON CONFLICT DO NOTHING', [facts.instanceUrl]);
  const found = await tx.query<{ deployment_id: number; url: string }>(
    `INSERT INTO deployment (instance_id, name, position) SELECT instance_id, $2, $3 FROM instance WHERE url = $1
     ON CONFLICT (name) DO UPDATE SET position = excluded.position
     RETURNING deployment_id, (SELECT url FROM instance i WHERE i.instance_id = deployment.instance_id) AS url`,
    [facts.instanceUrl, facts.name, facts.position],
  );
  const row = found.rows[0];
  if (!row) throw new Error('The deployment could not be registered.');
  if (row.url !== facts.instanceUrl) {
    throw new SyncError({
      kind: 'misconfigured',
      service: 'ledger',
      message: `Deployment ${facts.name} was synced to ${row.url} so far, and the configuration now says ${facts.instanceUrl}.`,
      remedy: 'Give the deployment another name (its records on the new instance start afresh), or put the old address back.',
    });
  }
  return row.deployment_id;
}

/**
 * Takes a deployment's claims away from whoever holds them: the holder notices at its next ledger transaction. Records with
 * an intent stay untouchable until the platform has settled; the others can be taken at once.
 */
async function freeClaims(tx: Transaction, deploymentId: number): Promise<void> {
  for (const table of ['record', 'ci']) {
    await tx.query(
      `UPDATE ${table} SET claim_token = NULL, claim_until = NULL, claim_deployment = NULL WHERE claim_deployment = $1 AND claim_token IS NOT NULL`,
      [deploymentId],
    );
  }
}

/** A new attempt of an activity takes over what an earlier attempt (killed, or cut off) still holds, instead of waiting for its lease. */
export async function takeOverClaims(database: Database, run: RunHandle): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await freeClaims(tx, run.deploymentId);
  });
}

/** Reads a run back from its id. Throws `fenced-out` when the given fence is no longer the deployment's. */
export async function openRun(database: Database, runId: string, fence: number): Promise<RunHandle> {
  const [row] = await database.query<RunRow & { current_fence: string }>(
    `SELECT ${runColumns}, d.fence AS current_fence FROM run r JOIN deployment d USING (deployment_id) WHERE run_id = $1`,
    [runId],
  );
  if (!row) throw new SyncError({ kind: 'bug', service: 'ledger', message: `Run ${runId} is not in the ledger.` });
  if (Number(row.current_fence) !== fence) {
    throw new SyncError({ kind: 'fenced-out', service: 'ledger', message: `A newer run of ${row.name} took over; run ${runId} stops.` });
  }
  return handleOf(row);
}

function handleOf(row: RunRow): RunHandle {
  return {
    runId: row.run_id as RunId,
    deployment: row.name as DeploymentName,
    deploymentId: row.deployment_id,
    instanceId: row.instance_id,
    fence: Number(row.fence),
    sequence: Number(row.sequence),
    startedAtMs: row.started_at.getTime(),
    checks: row.checks,
  };
}

/** Every ledger transaction of a run starts with this. */
export async function assertFence(tx: Transaction, run: RunHandle): Promise<void> {
  await tx.query('SELECT assert_fence($1, $2)', [run.deploymentId, run.fence]);
}

/** One statement of a run, in a transaction of its own. */
export async function fenced(database: Database, run: RunHandle, sql: string, values: readonly unknown[]): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query(sql, [...values]);
  });
}

export async function addTally(
  tx: Transaction,
  run: RunHandle,
  integration: IntegrationName | '',
  counter: string,
  n: number,
): Promise<void> {
  if (n > 0) await tx.query('SELECT add_tally($1, $2, $3, $4)', [run.runId, integration, counter, n]);
}

/** Begins another check of a run: from here on nothing counts that was read of the instance before. Returns the handle to go on with. */
export async function beginCheck(database: Database, run: RunHandle): Promise<RunHandle> {
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    const counted = await tx.query<{ checks: number }>('UPDATE run SET checks = checks + 1 WHERE run_id = $1 RETURNING checks', [
      run.runId,
    ]);
    return { ...run, checks: counted.rows[0]?.checks ?? run.checks };
  });
}

/** Replaces the scopes that this run reads. */
export async function saveScopes(database: Database, run: RunHandle, scopes: readonly RunScope[]): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query('DELETE FROM run_scope WHERE run_id = $1', [run.runId]);
    await tx.query(
      `INSERT INTO run_scope (run_id, kind, id, name, state) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])`,
      [run.runId, scopes.map((s) => s.kind), scopes.map((s) => s.id), scopes.map((s) => s.name), scopes.map((s) => s.state)],
    );
  });
}

export async function loadScopes(database: Database, run: RunHandle): Promise<RunScope[]> {
  return database.query<{ kind: Scope['kind']; id: string; name: string; state: string }>(
    'SELECT kind, id, name, state FROM run_scope WHERE run_id = $1 ORDER BY kind, id',
    [run.runId],
  );
}

/** Keeps what the preflight found, for the report and `doctor`. */
export async function saveFindings(database: Database, run: RunHandle, findings: readonly JsonObject[]): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query('DELETE FROM run_finding WHERE run_id = $1', [run.runId]);
    await tx.query(
      'INSERT INTO run_finding (run_id, position, finding) SELECT $1, n, f FROM unnest($2::jsonb[]) WITH ORDINALITY AS t(f, n)',
      [run.runId, findings.map((finding) => JSON.stringify(finding))],
    );
  });
}

/** Keeps what the report says of an integration beside its counts. */
export async function saveNotes(database: Database, run: RunHandle, integration: IntegrationName, notes: readonly string[]): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query('DELETE FROM run_note WHERE run_id = $1 AND integration = $2', [run.runId, integration]);
    await tx.query(
      'INSERT INTO run_note (run_id, integration, position, note) SELECT $1, $2, n, t.note FROM unnest($3::text[]) WITH ORDINALITY AS t(note, n)',
      [run.runId, integration, notes],
    );
  });
}

export async function loadNotes(database: Database, run: RunHandle, integration: IntegrationName): Promise<string[]> {
  const rows = await database.query<{ note: string }>(
    'SELECT note FROM run_note WHERE run_id = $1 AND integration = $2 ORDER BY position',
    [run.runId, integration],
  );
  return rows.map((row) => row.note);
}

/** Ends a run and stores its report. A run that was superseded keeps its own ending. */
export async function endRun(database: Database, run: RunHandle, outcome: RunOutcome, report: Report): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query('UPDATE run SET ended_at = ledger_now(), outcome = $2, report = $3 WHERE run_id = $1', [
      run.runId,
      outcome,
      JSON.stringify(report),
    ]);
  });
}

/**
 * Drops scans, manifests and quarantine of runs that are no longer the newest of their deployment; reports stay. So does the newest complete
 * scan of each list: "no rows where there were many" is told by it, however long the outage (design §7).
 */
export async function forgetOldScans(database: Database, run: RunHandle, keepRuns: number): Promise<void> {
  await fenced(
    database,
    run,
    `DELETE FROM scan s WHERE s.deployment_id = $1 AND s.run_id IN
       (SELECT run_id FROM run WHERE deployment_id = $1 AND mode <> 'reconcile' ORDER BY started_at DESC OFFSET $2)
       AND NOT (s.state = 'complete' AND NOT EXISTS (
         SELECT 1 FROM scan n WHERE n.deployment_id = s.deployment_id AND n.read_name = s.read_name AND n.scope_kind = s.scope_kind
           AND n.scope_id = s.scope_id AND n.scan_id > s.scan_id AND n.state = 'complete'))`,
    [run.deploymentId, keepRuns],
  );
}

/** Identity of this ledger; the engine's records on an instance carry it, so that a second ledger is noticed. */
export async function ledgerId(database: Database): Promise<string> {
  const [row] = await database.query<{ ledger_id: string }>('SELECT ledger_id FROM ledger');
  return row?.ledger_id ?? '';
}

/** Counts bookkeeping writes that do not go through the records of the ledger (a run-as that was put back). */
export async function countBookkeeping(database: Database, run: RunHandle, writes: number): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await addTally(tx, run, '', 'serviceNowBookkeeping', writes);
  });
}
