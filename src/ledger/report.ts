import type { Database } from './database.ts';
import type { RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { IntegrationName, IntegrationReport, JsonObject, Report } from '../model.ts';

/** Counts of one integration of a run, as the ledger has them. Outcome and reason are the caller's to say. */
export type IntegrationCounts = Omit<IntegrationReport, 'name' | 'outcome' | 'because'> & {
  /** Reasons of scans that are not complete, each with how many scopes say so; at most ten. */
  readonly reasons: readonly { readonly state: string; readonly because: string; readonly scopes: number }[];
  /** Lists that could not be read in any scope: without them the integration has not been done. */
  readonly unreadLists: readonly string[];
};

/**
 * Counts what an integration read and what became of it.
 * @param tables the tables that it writes; records there that this deployment owns and did not touch are `unchanged`
 */
export async function countIntegration(
  database: Database,
  words: Words,
  run: RunHandle,
  integration: IntegrationName,
  tables: readonly string[],
): Promise<IntegrationCounts> {
  const scans = await database.query<{ state: string; n: string }>(
    'SELECT state, count(*) AS n FROM scan WHERE run_id = $1 AND integration = $2 GROUP BY state',
    [run.runId, integration],
  );
  const scopes = (state: string) => Number(scans.find((row) => row.state === state)?.n ?? 0);
  const [rows] = await database.query<{ read: string; excluded: string; quarantined: string }>(
    `SELECT coalesce(sum(p.rows_excluded), 0) AS excluded, coalesce(sum(p.rows_quarantined), 0) AS quarantined,
       (SELECT count(DISTINCT d) FROM scan s2 JOIN scan_page p2 ON p2.scan_id = s2.scan_id AND p2.attempt = s2.attempt, unpack_digests(p2.digests) AS d
        WHERE s2.run_id = $1 AND s2.integration = $2) AS read
     FROM scan s JOIN scan_page p ON p.scan_id = s.scan_id AND p.attempt = s.attempt WHERE s.run_id = $1 AND s.integration = $2`,
    [run.runId, integration],
  );
  const tableIds = await Promise.all(tables.map((table) => words.idOf(table)));
  const [records] = await database.query<{ owned: string; parked: string }>(
    `SELECT count(*) AS owned, count(*) FILTER (WHERE r.parked) AS parked FROM record_owner o JOIN record r USING (instance_id, table_id, key)
     WHERE o.deployment_id = $1 AND o.table_id = ANY($2::smallint[]) AND o.gone_at IS NULL AND (r.parked OR r.sys_id IS NOT NULL)`,
    [run.deploymentId, tableIds],
  );
  const [cis] = await database.query<{ owned: string; parked: string }>(
    `SELECT count(DISTINCT c.ci_key) FILTER (WHERE c.state = 'resolved') AS owned, count(DISTINCT c.ci_key) FILTER (WHERE c.state = 'parked') AS parked
     FROM observed_group g JOIN ci c ON c.instance_id = $3 AND c.ci_key = g.ci_key WHERE g.deployment_id = $1 AND g.integration = $2`,
    [run.deploymentId, await words.idOf(integration), run.instanceId],
  );
  const [excludedRecords] = await database.query<{ n: string }>(
    `SELECT count(*) AS n FROM observed o JOIN observed_group g ON g.deployment_id = o.deployment_id AND g.group_key = o.group_key
     WHERE o.deployment_id = $1 AND g.integration = $2 AND o.excluded IS NOT NULL`,
    [run.deploymentId, await words.idOf(integration)],
  );
  const tally = await tallies(database, run, integration);
  const created = tally.get('created') ?? 0;
  const updated = tally.get('updated') ?? 0;
  const parked = Number(records?.parked ?? 0) + Number(cis?.parked ?? 0);
  const owned = Number(records?.owned ?? 0) + Number(cis?.owned ?? 0) + Number(cis?.parked ?? 0);
  const unread = await database.query<{ read_name: string }>(
    `SELECT read_name FROM scan WHERE run_id = $1 AND integration = $2 GROUP BY read_name HAVING bool_and(state = 'failed') ORDER BY read_name`,
    [run.runId, integration],
  );
  const reasons = await database.query<{ state: string; because: string; scopes: string }>(
    `SELECT state, because, count(*) AS scopes FROM scan WHERE run_id = $1 AND integration = $2 AND because IS NOT NULL
     GROUP BY state, because ORDER BY count(*) DESC, because LIMIT 10`,
    [run.runId, integration],
  );
  return {
    scopes: { complete: scopes('complete'), partial: scopes('partial'), failed: scopes('failed'), notApplicable: scopes('not-applicable') },
    read: Number(rows?.read ?? 0),
    excluded: Number(rows?.excluded ?? 0) + Number(excludedRecords?.n ?? 0),
    quarantined: Number(rows?.quarantined ?? 0),
    created,
    updated,
    unchanged: Math.max(0, owned - created - updated - parked),
    closed: 0,
    parked,
    unreadLists: unread.map((row) => row.read_name),
    reasons: reasons.map((row) => ({ ...row, scopes: Number(row.scopes) })),
  };
}

async function tallies(database: Database, run: RunHandle, integration: string): Promise<Map<string, number>> {
  const rows = await database.query<{ counter: string; n: string }>(
    'SELECT counter, n FROM run_tally WHERE run_id = $1 AND integration = $2',
    [run.runId, integration],
  );
  return new Map(rows.map((row) => [row.counter, Number(row.n)]));
}

export async function countCalls(database: Database, run: RunHandle): Promise<Report['calls']> {
  const calls = await tallies(database, run, '');
  return {
    azure: calls.get('azure') ?? 0,
    serviceNowReads: calls.get('serviceNowReads') ?? 0,
    serviceNowWrites: calls.get('serviceNowWrites') ?? 0,
    serviceNowBookkeeping: calls.get('serviceNowBookkeeping') ?? 0,
  };
}

/** Seconds since the run began, by the ledger's clock. */
export async function secondsSinceStart(database: Database, run: RunHandle): Promise<number> {
  const [row] = await database.query<{ seconds: string }>(
    'SELECT extract(epoch FROM ledger_now() - started_at) AS seconds FROM run WHERE run_id = $1',
    [run.runId],
  );
  return Math.round(Number(row?.seconds ?? 0) * 10) / 10;
}

/** The newest finished report of a deployment, or of one run. */
export async function readReport(
  database: Database,
  selector: { readonly deployment?: string; readonly run?: string },
): Promise<Report | undefined> {
  const [row] = await database.query<{ report: Report }>(
    `SELECT r.report FROM run r JOIN deployment d USING (deployment_id) WHERE r.report IS NOT NULL
       AND ($1::text IS NULL OR d.name = $1) AND ($2::uuid IS NULL OR r.run_id = $2) ORDER BY r.started_at DESC LIMIT 1`,
    [selector.deployment ?? null, selector.run ?? null],
  );
  return row?.report;
}

export interface RunStatus {
  readonly deployment: string;
  readonly run: string;
  readonly outcome: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/** The newest run of every deployment that ever ran. */
export async function readStatus(database: Database): Promise<RunStatus[]> {
  const rows = await database.query<{ name: string; run_id: string; outcome: string | null; started_at: Date; ended_at: Date | null }>(
    `SELECT DISTINCT ON (d.position, d.name) d.name, r.run_id, r.outcome, r.started_at, r.ended_at FROM run r JOIN deployment d USING (deployment_id)
     WHERE r.mode <> 'reconcile' ORDER BY d.position, d.name, r.started_at DESC`,
  );
  return rows.map((row) => ({
    deployment: row.name,
    run: row.run_id,
    outcome: row.outcome,
    startedAt: row.started_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
  }));
}

export async function readFindings(database: Database, run: RunHandle): Promise<JsonObject[]> {
  const rows = await database.query<{ finding: JsonObject }>('SELECT finding FROM run_finding WHERE run_id = $1 ORDER BY position', [
    run.runId,
  ]);
  return rows.map((row) => row.finding);
}

/** How far an open run is: rows read, records created and updated. Empty while it has not begun. */
export async function readProgress(database: Database, workflowRunId: string): Promise<Readonly<Record<string, number>>> {
  const [row] = await database.query<{ read: string; created: string; updated: string }>(
    `SELECT coalesce((SELECT sum(rows_read) FROM scan s WHERE s.run_id = r.run_id), 0) AS read,
       coalesce((SELECT sum(n) FROM run_tally t WHERE t.run_id = r.run_id AND counter = 'created'), 0) AS created,
       coalesce((SELECT sum(n) FROM run_tally t WHERE t.run_id = r.run_id AND counter = 'updated'), 0) AS updated
     FROM run r WHERE r.workflow_run_id = $1`,
    [workflowRunId],
  );
  return row ? { read: Number(row.read), created: Number(row.created), updated: Number(row.updated) } : {};
}
