import type { Transaction } from './database.ts';
import type { RunHandle } from './runs.ts';
import type { SysId } from '../model.ts';

export interface RenamedRecord {
  readonly tableId: number;
  readonly from: Buffer;
  readonly to: Buffer;
}

/**
 * Hands the instance's record from the old key to the new one, and makes it due: its fields are those of the new key. A new key that
 * has a record already keeps its own; the old one then stays where it is, without an owner.
 */
export async function carryOver(tx: Transaction, run: RunHandle, renames: readonly RenamedRecord[]): Promise<void> {
  if (renames.length === 0) return;
  const columns = [renames.map((one) => one.tableId), renames.map((one) => one.from), renames.map((one) => one.to)];
  // Of several old records that become one the first is carried over.
  const carried = await tx.query<{ table_id: number; from_key: Buffer }>(
    `WITH pair AS (
       SELECT DISTINCT ON (t.table_id, t.to_key) t.table_id, t.from_key, t.to_key, o.sys_id
       FROM unnest($2::smallint[], $3::bytea[], $4::bytea[]) AS t(table_id, from_key, to_key)
       JOIN record o ON o.instance_id = $1 AND o.table_id = t.table_id AND o.key = t.from_key
       WHERE o.sys_id IS NOT NULL ORDER BY t.table_id, t.to_key, t.from_key)
     UPDATE record n SET sys_id = pair.sys_id, published = NULL FROM pair
     WHERE n.instance_id = $1 AND n.table_id = pair.table_id AND n.key = pair.to_key AND n.sys_id IS NULL AND n.sent_at IS NULL
     RETURNING pair.table_id, pair.from_key`,
    [run.instanceId, ...columns],
  );
  await tx.query(
    `UPDATE record o SET sys_id = NULL, published = NULL FROM unnest($2::smallint[], $3::bytea[]) AS t(table_id, from_key)
     WHERE o.instance_id = $1 AND o.table_id = t.table_id AND o.key = t.from_key`,
    [run.instanceId, carried.rows.map((row) => row.table_id), carried.rows.map((row) => row.from_key)],
  );
}

/** Records that were derived for a CI which none of the deployment's groups is on any more: it no longer sees them. */
export async function abandonStages(
  tx: Transaction,
  run: RunHandle,
  integrationId: number,
  former: readonly { readonly sysId: SysId; readonly stage: Buffer }[],
): Promise<void> {
  await tx.query(
    `UPDATE record_owner o SET gone_at = ledger_now() FROM unnest($2::text[], $3::bytea[]) AS t(sys_id, stage)
     WHERE o.deployment_id = $1 AND o.group_key = t.stage AND o.gone_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM observed_group g WHERE g.deployment_id = $1 AND g.integration = $4 AND g.ci_sys_id = t.sys_id)`,
    [run.deploymentId, former.map(({ sysId }) => sysId), former.map(({ stage }) => stage), integrationId],
  );
}
