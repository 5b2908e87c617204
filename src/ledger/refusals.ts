/** What an instance does not take, counted for people: parked records by reason, and columns that it does not keep. */
import type { Behaviour } from './columns.ts';
import type { Database } from './database.ts';
import type { RunHandle } from './runs.ts';
import type { DeploymentName } from '../model.ts';

/** Whose records are counted. */
export type Owner = Pick<RunHandle, 'deploymentId' | 'instanceId'>;

/** Undefined for a deployment that never ran. */
export async function ownerOf(database: Database, deployment: DeploymentName): Promise<Owner | undefined> {
  const [row] = await database.query<{ deployment_id: number; instance_id: number }>(
    'SELECT deployment_id, instance_id FROM deployment WHERE name = $1',
    [deployment],
  );
  return row && { deploymentId: row.deployment_id, instanceId: row.instance_id };
}

export interface ParkedReason {
  /** `cmdb_ci` for resources whose CI is parked. */
  readonly table: string;
  readonly because: string;
  readonly remedy: string | null;
  readonly records: number;
  /** The first few natural keys. */
  readonly keys: readonly string[];
}

const reasonsShown = 50;
const keysShown = 5;

/** Parked records and CIs of a deployment by table and reason, the most frequent first; at most fifty reasons. */
export async function parkedReasons(database: Database, { deploymentId, instanceId }: Owner): Promise<ParkedReason[]> {
  const rows = await database.query<{ table: string; because: string | null; remedy: string | null; records: string; keys: string[] }>(
    `WITH parked AS (
       SELECT w.word AS table, r.reason AS because, r.remedy, r.key_text FROM record r JOIN word w ON w.word_id = r.table_id
       WHERE r.instance_id = $2 AND r.parked AND EXISTS (SELECT 1 FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id
         AND o.key = r.key AND o.deployment_id = $1 AND o.gone_at IS NULL)
       UNION ALL
       SELECT 'cmdb_ci', c.reason, NULL, c.key_text FROM ci c WHERE c.instance_id = $2 AND c.state = 'parked'
         AND EXISTS (SELECT 1 FROM observed_group g WHERE g.deployment_id = $1 AND g.ci_key = c.ci_key))
     SELECT p.table, p.because, p.remedy, count(*) AS records, (array_agg(p.key_text ORDER BY p.key_text))[1:$3] AS keys
     FROM parked p GROUP BY 1, 2, 3 ORDER BY count(*) DESC, 1, 2 LIMIT $4`,
    [deploymentId, instanceId, keysShown, reasonsShown],
  );
  return rows.map((row) => ({ ...row, because: row.because ?? 'no reason is known', records: Number(row.records) }));
}

export interface LeftOutColumn {
  readonly table: string;
  readonly column: string;
  /** `some-records`: the column is kept in general. */
  readonly behaviour: Exclude<Behaviour, 'second-step'> | 'some-records';
  readonly evidence: string;
  /** Records of this deployment that were written without it. */
  readonly records: number;
}

/** Columns that the instance does not keep, by table. */
export async function leftOutColumns(database: Database, { deploymentId, instanceId }: Owner): Promise<LeftOutColumn[]> {
  const rows = await database.query<{
    table: string;
    column: string;
    behaviour: Behaviour | null;
    evidence: string | null;
    records: string;
  }>(
    `WITH lacking AS (
       SELECT r.table_id, ltrim(n.name, '!') AS column_name, count(*) AS records
       FROM record r, unnest(string_to_array(r.without, ',')) AS n(name)
       -- What a parked record keeps empty is told with that record.
       WHERE r.instance_id = $2 AND r.without IS NOT NULL AND left(n.name, 1) <> '~'
         AND EXISTS (SELECT 1 FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id AND o.key = r.key
           AND o.deployment_id = $1 AND o.gone_at IS NULL)
       GROUP BY 1, 2),
     known AS (SELECT table_id, column_name, behaviour, evidence FROM column_behaviour WHERE instance_id = $2 AND behaviour <> 'second-step')
     SELECT w.word AS table, column_name AS column, k.behaviour, k.evidence, coalesce(l.records, 0) AS records
     FROM lacking l FULL JOIN known k USING (table_id, column_name) JOIN word w ON w.word_id = table_id ORDER BY 1, 2`,
    [deploymentId, instanceId],
  );
  return rows.map(({ behaviour, evidence, records, ...row }) => ({
    ...row,
    behaviour: behaviour === null || behaviour === 'second-step' ? 'some-records' : behaviour,
    evidence: evidence ?? 'other records of the table keep it',
    records: Number(records),
  }));
}
