/** Which deployments see a record, and whose content it therefore has (design §2, shared records). */
import { contentOf, recordKey } from './digest.ts';
import { columnsOf, markToRemove, orphans, type DerivedRow, type GoneRow, type RecordName } from './orphans.ts';
import type { Transaction } from './database.ts';
import type { RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { DesiredRecord } from '../model.ts';

export interface OwnedRecord {
  readonly record: DesiredRecord;
  readonly groupKey: Buffer;
}

/** Writes the owner rows that differ and refreshes the winning content of their records. Returns how many differed. */
export async function writeOwned(
  tx: Transaction,
  words: Words,
  run: RunHandle,
  owned: readonly OwnedRecord[],
  derivedGroups: readonly Buffer[],
  keptTables: readonly number[] = [],
  removedTables: ReadonlyMap<number, string> = new Map(),
): Promise<number> {
  const rows = await ownerRows(words, owned);
  const columns = [rows.map((r) => r.tableId), rows.map((r) => r.key)] as const;
  // A previous owner row of these groups that is not derived any more: this deployment no longer sees the record.
  const gone = await tx.query<GoneRow>(
    `UPDATE record_owner o SET gone_at = ledger_now() WHERE o.deployment_id = $1 AND o.group_key = ANY($2::bytea[]) AND o.gone_at IS NULL
       AND NOT o.table_id = ANY($5::smallint[])
       AND NOT EXISTS (SELECT 1 FROM unnest($3::smallint[], $4::bytea[]) AS t(table_id, key) WHERE t.table_id = o.table_id AND t.key = o.key)
     RETURNING table_id, key, CASE WHEN table_id = ANY($6::smallint[]) THEN fields END AS fields`,
    [run.deploymentId, derivedGroups, ...columns, keptTables, [...removedTables.keys()]],
  );
  const same = await tx.query<{ table_id: number; key: Buffer }>(
    `SELECT t.table_id, t.key FROM unnest($2::smallint[], $3::bytea[], $4::bytea[], $5::bytea[]) AS t(table_id, key, content, group_key)
     JOIN record_owner o ON o.instance_id = $6 AND o.table_id = t.table_id AND o.key = t.key AND o.deployment_id = $1
     WHERE o.content = t.content AND o.group_key = t.group_key AND o.gone_at IS NULL`,
    [run.deploymentId, ...columns, rows.map((r) => r.content), rows.map((r) => r.groupKey), run.instanceId],
  );
  const unchanged = new Set(same.rows.map((row) => `${row.table_id}/${row.key.toString('latin1')}`));
  const changed = rows.filter((row) => !unchanged.has(`${row.tableId}/${row.key.toString('latin1')}`));
  const touched = [...changed, ...gone.rows.map((row) => ({ tableId: row.table_id, key: row.key }))];
  if (touched.length === 0) return 0;
  await insertRecords(tx, run, changed);
  await lockRecords(tx, run, touched);
  await upsertOwners(tx, run, changed);
  await refreshWinners(tx, run, touched);
  if (removedTables.size > 0) await markToRemove(tx, run, changed, await orphans(words, rows, gone.rows, removedTables));
  return touched.length;
}

interface OwnerRow extends DerivedRow {
  readonly groupKey: Buffer;
  readonly content: Buffer;
  readonly fields: string;
  readonly volatile: string | null;
}

async function ownerRows(words: Words, owned: readonly OwnedRecord[]): Promise<OwnerRow[]> {
  const rows = new Map<string, OwnerRow>();
  for (const { record, groupKey } of owned) {
    const tableId = await words.idOf(record.table);
    const key = recordKey(record.key);
    rows.set(`${tableId}/${key.toString('latin1')}`, {
      tableId,
      key,
      keyText: record.key,
      groupKey,
      content: contentOf(record),
      fields: JSON.stringify(record.fields),
      volatile: record.volatile ? JSON.stringify(record.volatile) : null,
      onlyIfExists: record.onlyIfExists === true,
    });
  }
  // Key order: two deployments that own the same records lock them in the same order.
  return [...rows.values()].sort((a, b) => a.tableId - b.tableId || Buffer.compare(a.key, b.key));
}

async function insertRecords(tx: Transaction, run: RunHandle, rows: readonly OwnerRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.query(
    `INSERT INTO record (instance_id, table_id, key, key_text) SELECT $1, t.* FROM unnest($2::smallint[], $3::bytea[], $4::text[]) AS t ON CONFLICT DO NOTHING`,
    [run.instanceId, ...columnsOf(rows), rows.map((row) => row.keyText)],
  );
}

/** The record row is the lock under which owners change: the winner is then computed from all committed owners. */
async function lockRecords(tx: Transaction, run: RunHandle, records: readonly RecordName[]): Promise<void> {
  await tx.query(
    `SELECT 1 FROM record r JOIN unnest($2::smallint[], $3::bytea[]) AS t(table_id, key) ON r.table_id = t.table_id AND r.key = t.key
     WHERE r.instance_id = $1 ORDER BY r.table_id, r.key FOR UPDATE OF r`,
    [run.instanceId, ...columnsOf(records)],
  );
}

async function upsertOwners(tx: Transaction, run: RunHandle, rows: readonly OwnerRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.query(
    `INSERT INTO record_owner AS o (instance_id, deployment_id, table_id, key, group_key, content, fields, volatile, only_if_exists)
     SELECT $1, $2, t.* FROM unnest($3::smallint[], $4::bytea[], $5::bytea[], $6::bytea[], $7::jsonb[], $8::jsonb[], $9::boolean[]) AS t
     ON CONFLICT (instance_id, table_id, key, deployment_id) DO UPDATE SET
       group_key = excluded.group_key, content = excluded.content, fields = excluded.fields, volatile = excluded.volatile,
       only_if_exists = excluded.only_if_exists, gone_at = NULL`,
    [
      run.instanceId,
      run.deploymentId,
      ...columnsOf(rows),
      rows.map((row) => row.groupKey),
      rows.map((row) => row.content),
      rows.map((row) => row.fields),
      rows.map((row) => row.volatile),
      rows.map((row) => row.onlyIfExists),
    ],
  );
}

/**
 * A record has the content of the first deployment in configured order that still sees it; when the last one is gone it keeps
 * what it had. Changed content gets a fresh chance even if the record was parked for its old content.
 */
async function refreshWinners(tx: Transaction, run: RunHandle, records: readonly RecordName[]): Promise<void> {
  await tx.query(
    `UPDATE record r SET desired = w.content, parked = r.parked AND r.desired IS NOT DISTINCT FROM w.content FROM (
       SELECT DISTINCT ON (o.table_id, o.key) o.table_id, o.key, o.content
       FROM record_owner o JOIN deployment d USING (deployment_id)
       JOIN unnest($2::smallint[], $3::bytea[]) AS t(table_id, key) ON o.table_id = t.table_id AND o.key = t.key
       WHERE o.instance_id = $1 AND o.gone_at IS NULL ORDER BY o.table_id, o.key, d.position, d.deployment_id) AS w
     WHERE r.instance_id = $1 AND r.table_id = w.table_id AND r.key = w.key AND r.desired IS DISTINCT FROM w.content`,
    [run.instanceId, ...columnsOf(records)],
  );
}
