/** What is remembered of attachments on data sources: counts by run, lists as they were shown, run-as fields that were put back. */
import { randomBytes } from 'node:crypto';
import type { Database } from './database.ts';
import type { Owner } from './refusals.ts';
import { assertFence, type RunHandle } from './runs.ts';
import { SyncError } from '../errors.ts';
import type { RunId, SysId } from '../model.ts';

/** Counts of this many runs are compared, and kept. */
const runsCompared = 10;

/** sys_id of a data source → what earlier runs of the deployment counted there, the oldest first. @param except a run that is still counting */
export async function attachmentCounts(
  database: Database,
  { deploymentId, instanceId }: Owner,
  except?: RunId,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const rows = await database.query<{ data_source: string; counts: number[] }>(
    `SELECT data_source, array_agg(attachments ORDER BY counted_at, run_id) AS counts FROM (
       SELECT c.*, row_number() OVER (PARTITION BY c.data_source ORDER BY c.counted_at DESC, c.run_id DESC) AS n
       FROM attachment_count c JOIN run r USING (run_id) JOIN deployment d USING (deployment_id)
       WHERE r.deployment_id = $1 AND d.instance_id = $2 AND ($3::uuid IS NULL OR c.run_id <> $3)) AS newest
     WHERE n <= $4 GROUP BY data_source`,
    [deploymentId, instanceId, except ?? null, runsCompared],
  );
  return new Map(rows.map((row) => [row.data_source, row.counts]));
}

/** Keeps the counts of a run; one that counts again replaces its own. Counts too old to be compared are dropped. */
export async function rememberAttachmentCounts(database: Database, run: RunHandle, counts: ReadonlyMap<string, number>): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query(
      `INSERT INTO attachment_count (run_id, data_source, attachments, counted_at)
       SELECT $1, t.data_source, t.attachments, ledger_now() FROM unnest($2::text[], $3::integer[]) AS t(data_source, attachments)
       ON CONFLICT (run_id, data_source) DO UPDATE SET attachments = EXCLUDED.attachments, counted_at = EXCLUDED.counted_at`,
      [run.runId, [...counts.keys()], [...counts.values()]],
    );
    await tx.query(
      `DELETE FROM attachment_count WHERE run_id IN (
         SELECT run_id FROM (SELECT c.run_id, max(c.counted_at) AS at FROM attachment_count c JOIN run r USING (run_id)
           WHERE r.deployment_id = $1 GROUP BY c.run_id ORDER BY at DESC OFFSET $2) AS old)`,
      [run.deploymentId, runsCompared + 1],
    );
  });
}

/** Notes that a run put a run-as field back. */
export async function addRunAsChange(database: Database, run: RunHandle, note: string): Promise<void> {
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query('INSERT INTO run_as_change (run_id, note) VALUES ($1, $2)', [run.runId, note]);
  });
}

/** What a run put back, for its report. */
export async function runAsChanges(database: Database, run: RunHandle): Promise<string[]> {
  const rows = await database.query<{ note: string }>('SELECT note FROM run_as_change WHERE run_id = $1 ORDER BY position', [run.runId]);
  return rows.map((row) => row.note);
}

export interface ListedAttachment {
  readonly sysId: SysId;
  readonly fileName: string;
  /** UTC `YYYY-MM-DD HH:mm:ss`. */
  readonly createdOn: string;
  readonly sizeBytes: number | null;
  /** Older than the newest that a run is expected to leave. */
  readonly surplus: boolean;
}

export interface ListedDataSource {
  readonly sysId: SysId;
  readonly name: string;
  /** The plugin's integration record that attaches its pages there. */
  readonly integration: { readonly sysId: SysId; readonly name: string; readonly runAs: string };
  /** Why nothing there may be deleted now; null: nothing stands in the way. */
  readonly obstacle: string | null;
  /** The oldest first. */
  readonly attachments: readonly ListedAttachment[];
}

export interface AttachmentList {
  readonly id: string;
  readonly instanceUrl: string;
  /** ISO 8601. */
  readonly foundAt: string;
  readonly dataSources: readonly ListedDataSource[];
}

/** Keeps a list as it is shown. */
export async function keepAttachmentList(
  database: Database,
  instanceUrl: string,
  dataSources: readonly ListedDataSource[],
): Promise<AttachmentList> {
  const id = randomBytes(5).toString('hex');
  const [row] = await database.query<{ found_at: Date }>(
    `INSERT INTO attachment_list (list_id, instance_url, found_at, data_sources) VALUES ($1, $2, ledger_now(), $3) RETURNING found_at`,
    [id, instanceUrl, JSON.stringify(dataSources)],
  );
  return { id, instanceUrl, foundAt: row?.found_at.toISOString() ?? '', dataSources };
}

/**
 * A list as it was shown.
 * @throws SyncError `usage` where there is none of that id, it was used, or it is of another instance
 */
export async function usableAttachmentList(database: Database, instanceUrl: string, id: string): Promise<AttachmentList> {
  const [row] = await database.query<{
    instance_url: string;
    found_at: Date;
    data_sources: readonly ListedDataSource[];
    deleted_at: Date | null;
  }>('SELECT instance_url, found_at, data_sources, deleted_at FROM attachment_list WHERE list_id = $1', [id]);
  if (row === undefined) throw unusable(`There is no list of attachments ${JSON.stringify(id)}.`);
  if (row.instance_url !== instanceUrl)
    throw unusable(`The list of attachments ${id} is of ${row.instance_url}, and the configuration says ${instanceUrl}.`);
  if (row.deleted_at !== null) throw used(id);
  return { id, instanceUrl, foundAt: row.found_at.toISOString(), dataSources: row.data_sources };
}

/** Uses a list up. @throws SyncError `usage` where somebody else has */
export async function useAttachmentList(database: Database, id: string): Promise<void> {
  const rows = await database.query<{ list_id: string }>(
    'UPDATE attachment_list SET deleted_at = ledger_now() WHERE list_id = $1 AND deleted_at IS NULL RETURNING list_id',
    [id],
  );
  if (rows.length === 0) throw used(id);
}

function used(id: string): SyncError {
  return unusable(`The list of attachments ${id} has been used.`);
}

function unusable(message: string): SyncError {
  return new SyncError({ kind: 'usage', message, remedy: 'List them as they are now: defender-sync attachments list' });
}

/** Drops lists that nobody will use any more. */
export async function forgetAttachmentLists(database: Database, keepDays: number): Promise<void> {
  await database.query(`DELETE FROM attachment_list WHERE found_at < ledger_now() - $1 * interval '1 day'`, [keepDays]);
}
