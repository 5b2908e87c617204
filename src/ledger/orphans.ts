/** What is gone although what it hangs on is still there: the records that are to be removed from the instance. */
import type { Transaction } from './database.ts';
import type { RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { FieldValue } from '../model.ts';

export interface RecordName {
  readonly tableId: number;
  readonly key: Buffer;
}

export function columnsOf(records: readonly RecordName[]): [number[], Buffer[]] {
  return [records.map((record) => record.tableId), records.map((record) => record.key)];
}

export interface GoneRow {
  readonly table_id: number;
  readonly key: Buffer;
  /** Of tables whose records are removed. */
  readonly fields: Record<string, FieldValue> | null;
}

/** A record that was derived just now. */
export interface DerivedRow extends RecordName {
  readonly keyText: string;
  readonly onlyIfExists: boolean;
}

/** Of the gone ones, those that hang on a record which is still seen: a resource that lost a tag, not a lost resource. */
export async function orphans(
  words: Words,
  rows: readonly DerivedRow[],
  gone: readonly GoneRow[],
  removedTables: ReadonlyMap<number, string>,
): Promise<RecordName[]> {
  const seen = new Set(rows.filter((row) => !row.onlyIfExists).map((row) => `${row.tableId}\n${row.keyText}`));
  const found: RecordName[] = [];
  for (const { table_id: tableId, key, fields } of gone) {
    const from = fields?.[removedTables.get(tableId) ?? ''];
    if (from === undefined || from === null || typeof from !== 'object' || !('record' in from)) continue;
    if (seen.has(`${await words.idOf(from.record.table)}\n${from.record.key}`)) found.push({ tableId, key });
  }
  return found;
}

/** What somebody wants (again) stays; what is gone goes, if this ledger created it or may have. */
export async function markToRemove(
  tx: Transaction,
  run: RunHandle,
  wanted: readonly RecordName[],
  gone: readonly RecordName[],
): Promise<void> {
  await tx.query(
    // Where its removal was sent, it may be gone by now: it is looked for again.
    `UPDATE record r SET to_remove = false, parked = false, published = CASE WHEN r.sent_at IS NULL THEN r.published END,
       sys_id = CASE WHEN r.sent_at IS NULL THEN r.sys_id END FROM unnest($2::smallint[], $3::bytea[]) AS t(table_id, key)
     WHERE r.instance_id = $1 AND r.table_id = t.table_id AND r.key = t.key AND r.to_remove`,
    [run.instanceId, ...columnsOf(wanted)],
  );
  await tx.query(
    `UPDATE record r SET to_remove = true, parked = false FROM unnest($2::smallint[], $3::bytea[]) AS t(table_id, key)
     WHERE r.instance_id = $1 AND r.table_id = t.table_id AND r.key = t.key AND (r.created_here OR r.sent_at IS NOT NULL)
       AND NOT EXISTS (SELECT 1 FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id AND o.key = r.key AND o.gone_at IS NULL)`,
    [run.instanceId, ...columnsOf(gone)],
  );
}
