/** The first record of a table is read again a little later: rules that run after a write may undo it (servicenow.md §5.3). */
import type { Database } from './database.ts';
import { recordKey } from './digest.ts';
import { fenced, type RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { SysId } from '../model.ts';

export interface ReadBack {
  readonly table: string;
  readonly sysId: SysId;
  /** Real column → value as it was sent and kept. */
  readonly sent: Readonly<Record<string, string>>;
}

/**
 * Notes a record that was just written, if it is the first one of its table under this definition, or is to be read `again`.
 * @param dictionary digest of the table's definition
 */
export async function noteReadBack(
  database: Database,
  words: Words,
  run: RunHandle,
  dictionary: Buffer,
  written: ReadBack & { readonly key: string; readonly content: Buffer },
  options: { readonly afterMs: number; readonly again: boolean },
): Promise<void> {
  await fenced(
    database,
    run,
    `INSERT INTO read_back AS b (instance_id, table_id, dictionary, key, sys_id, sent, content, due_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, ledger_now() + $8 * interval '1 millisecond')
     ON CONFLICT (instance_id, table_id) DO UPDATE SET dictionary = excluded.dictionary, key = excluded.key, sys_id = excluded.sys_id,
       sent = excluded.sent, content = excluded.content, due_at = excluded.due_at, done = false
     WHERE $9 OR b.dictionary <> excluded.dictionary`,
    [
      run.instanceId,
      await words.idOf(written.table),
      dictionary,
      recordKey(written.key),
      written.sysId,
      JSON.stringify(written.sent),
      written.content,
      options.afterMs,
      options.again,
    ],
  );
}

export interface OpenReadBack extends ReadBack {
  /** 0: now. */
  readonly readyInMs: number;
  /** The record was written again since: what is read would prove nothing. */
  readonly overtaken: boolean;
}

/** Records of these tables that still have to be read again. */
export async function openReadBacks(database: Database, words: Words, run: RunHandle, tables: readonly string[]): Promise<OpenReadBack[]> {
  const tableIds = await Promise.all(tables.map((table) => words.idOf(table)));
  const rows = await database.query<{
    word: string;
    sys_id: string;
    sent: Record<string, string>;
    ready_in_ms: string;
    overtaken: boolean;
  }>(
    `SELECT w.word, b.sys_id, b.sent, extract(epoch FROM greatest(b.due_at - ledger_now(), '0')) * 1000 AS ready_in_ms,
       NOT EXISTS (SELECT 1 FROM record r WHERE r.instance_id = b.instance_id AND r.table_id = b.table_id AND r.key = b.key
         AND r.sys_id = b.sys_id AND r.published = b.content) AS overtaken
     FROM read_back b JOIN word w ON w.word_id = b.table_id WHERE b.instance_id = $1 AND b.table_id = ANY($2::smallint[]) AND NOT b.done`,
    [run.instanceId, tableIds],
  );
  return rows.map((row) => ({
    table: row.word,
    sysId: row.sys_id as SysId,
    sent: row.sent,
    readyInMs: Math.ceil(Number(row.ready_in_ms)),
    overtaken: row.overtaken,
  }));
}

/**
 * Closes a read-back. One that proved nothing, or whose record parks, is forgotten: the next record of the table is read instead.
 * @param verdict `park`: the record lacks a column that it is meaningless without
 */
export async function closeReadBack(
  database: Database,
  words: Words,
  run: RunHandle,
  table: string,
  verdict: 'done' | 'forget' | { readonly park: { readonly because: string; readonly remedy: string } },
): Promise<void> {
  const values = [run.instanceId, await words.idOf(table)];
  const open = 'WHERE instance_id = $1 AND table_id = $2 AND NOT done';
  if (verdict === 'done') return fenced(database, run, `UPDATE read_back SET done = true ${open}`, values);
  if (verdict === 'forget') return fenced(database, run, `DELETE FROM read_back ${open}`, values);
  return fenced(
    database,
    run,
    `WITH closed AS (DELETE FROM read_back ${open} RETURNING key, content)
     UPDATE record r SET parked = true, published = NULL, reason = $3, remedy = $4, parked_in_run = $5 FROM closed
     WHERE r.instance_id = $1 AND r.table_id = $2 AND r.key = closed.key AND r.published = closed.content AND r.claim_token IS NULL`,
    [...values, verdict.park.because, verdict.park.remedy, run.runId],
  );
}
