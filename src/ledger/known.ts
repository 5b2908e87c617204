/** What the ledger knows of an instance, for checks that ask whether the instance still shows it, and how much a run has to send. */
import type { DeploymentName, SysId } from '../model.ts';
import type { Database } from './database.ts';

export interface KnownCounts {
  /** Records that a deployment wants on the instance. */
  readonly records: number;
  /** CIs that are known on the instance, of all deployments. */
  readonly cis: number;
}

export async function countKnown(database: Database, deployment: DeploymentName): Promise<KnownCounts> {
  const [row] = await database.query<{ records: string; cis: string }>(
    `SELECT (SELECT count(*) FROM record_owner o WHERE o.deployment_id = d.deployment_id AND o.gone_at IS NULL) AS records,
            (SELECT count(*) FROM ci c WHERE c.instance_id = d.instance_id) AS cis
     FROM deployment d WHERE d.name = $1`,
    [deployment],
  );
  return { records: Number(row?.records ?? 0), cis: Number(row?.cis ?? 0) };
}

/** One record that this engine wrote to the instance: its integration instance, which is the first that a run makes. */
export async function findWritten(
  database: Database,
  instanceUrl: string,
): Promise<{ readonly table: string; readonly sysId: SysId } | undefined> {
  const [row] = await database.query<{ sys_id: string; word: string }>(
    `SELECT r.sys_id, w.word FROM instance i JOIN record r USING (instance_id) JOIN word w ON w.word_id = r.table_id
     WHERE i.url = $1 AND w.word = 'sn_sec_int_impl' AND r.sys_id IS NOT NULL ORDER BY r.key LIMIT 1`,
    [instanceUrl],
  );
  return row && { table: row.word, sysId: row.sys_id as SysId };
}
