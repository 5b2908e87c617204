/** What a table of an instance does to columns that are written to it, as answers and read-backs showed (design §5). */
import type { Database } from './database.ts';
import { assertFence, fenced, type RunHandle } from './runs.ts';
import type { Words } from './words.ts';

/** second-step: dropped on insert, kept by an update. skipped: never kept. undone: kept, and changed again afterwards. */
export type Behaviour = 'second-step' | 'skipped' | 'undone';

export interface ColumnBehaviour {
  /** Real name on the instance. */
  readonly column: string;
  readonly behaviour: Behaviour;
  readonly evidence: string;
}

/** What is known of a table's columns; ordered by name. */
export async function columnBehaviours(database: Database, words: Words, run: RunHandle, table: string): Promise<ColumnBehaviour[]> {
  return database.query<{ column: string; behaviour: Behaviour; evidence: string }>(
    'SELECT column_name AS column, behaviour, evidence FROM column_behaviour WHERE instance_id = $1 AND table_id = $2 ORDER BY column_name',
    [run.instanceId, await words.idOf(table)],
  );
}

/** Remembers what was seen. Something worse replaces what was known; the first evidence stays otherwise. */
export async function learnColumns(
  database: Database,
  words: Words,
  run: RunHandle,
  table: string,
  learned: readonly ColumnBehaviour[],
): Promise<void> {
  if (learned.length === 0) return;
  await fenced(
    database,
    run,
    `INSERT INTO column_behaviour AS c (instance_id, table_id, column_name, behaviour, evidence, since, tried_in_run, tried_at)
     SELECT $1, $2, t.column_name, t.behaviour, t.evidence, ledger_now(), $6, ledger_now() FROM unnest($3::text[], $4::text[], $5::text[]) AS t(column_name, behaviour, evidence)
     ORDER BY t.column_name
     ON CONFLICT (instance_id, table_id, column_name) DO UPDATE SET behaviour = excluded.behaviour, evidence = excluded.evidence, since = excluded.since,
       tried_in_run = excluded.tried_in_run, tried_at = excluded.tried_at
     WHERE c.behaviour = 'second-step' AND excluded.behaviour <> 'second-step'`,
    [
      run.instanceId,
      await words.idOf(table),
      learned.map((one) => one.column),
      learned.map((one) => one.behaviour),
      learned.map((one) => one.evidence),
      run.runId,
    ],
  );
}

/** Those of the left-out columns that this caller, alone in this run, is to write to one record: they may have been put right. */
export async function takeColumnTrial(
  database: Database,
  words: Words,
  run: RunHandle,
  table: string,
  columns: readonly string[],
): Promise<Set<string>> {
  if (columns.length === 0) return new Set();
  const tableId = await words.idOf(table);
  const taken = await database.transaction(async (tx) => {
    await assertFence(tx, run);
    return tx.query<{ column_name: string }>(
      `UPDATE column_behaviour SET tried_in_run = $4, tried_at = ledger_now() WHERE instance_id = $1 AND table_id = $2 AND column_name = ANY($3::text[])
         AND behaviour IN ('skipped', 'undone') AND tried_in_run IS DISTINCT FROM $4 RETURNING column_name`,
      [run.instanceId, tableId, columns, run.runId],
    );
  });
  return new Set(taken.rows.map((row) => row.column_name));
}

/** A left-out column is kept again: forgets what was known of it; {@link makeHealedDue} brings up the records that lack it. */
export async function healColumns(
  database: Database,
  words: Words,
  run: RunHandle,
  table: string,
  columns: readonly string[],
): Promise<void> {
  if (columns.length === 0) return;
  await fenced(
    database,
    run,
    `WITH healed AS (DELETE FROM column_behaviour WHERE instance_id = $1 AND table_id = $2 AND column_name = ANY($3::text[]) AND behaviour <> 'second-step'
       RETURNING behaviour)
     UPDATE record SET published = NULL WHERE instance_id = $1 AND table_id = $2 AND published IS NOT NULL AND sys_id IS NOT NULL
       AND EXISTS (SELECT 1 FROM healed WHERE behaviour = 'undone')`,
    [run.instanceId, await words.idOf(table), columns],
  );
}

/** Records that were written without a column that is kept again are due once more. (What was undone had been written first.) */
export async function makeHealedDue(database: Database, words: Words, run: RunHandle, tables: readonly string[]): Promise<void> {
  const tableIds = await Promise.all(tables.map((table) => words.idOf(table)));
  await fenced(
    database,
    run,
    `UPDATE record r SET published = NULL WHERE r.instance_id = $1 AND r.table_id = ANY($2::smallint[]) AND r.without IS NOT NULL AND r.published IS NOT NULL
       AND EXISTS (SELECT 1 FROM unnest(string_to_array(r.without, ',')) AS w(name) WHERE left(w.name, 1) NOT IN ('!', '~') AND NOT EXISTS (
         SELECT 1 FROM column_behaviour c WHERE c.instance_id = r.instance_id AND c.table_id = r.table_id AND c.column_name = w.name AND c.behaviour <> 'second-step'))`,
    [run.instanceId, tableIds],
  );
}

/** How a record notes that a column of it is empty because what it points at is parked. */
export function waitsFor(column: string): string {
  return `~${column}`;
}

/** A column that points into another table. */
export interface Pointer {
  readonly table: string;
  /** Its real name. */
  readonly column: string;
  readonly target: string;
}

/** Records that were written without a reference are due once more when nothing of the table it points into is parked, or still to be written. */
export async function makeFollowersDue(database: Database, words: Words, run: RunHandle, pointers: readonly Pointer[]): Promise<void> {
  if (pointers.length === 0) return;
  const idsOf = (names: readonly string[]): Promise<number[]> => Promise.all(names.map((name) => words.idOf(name)));
  await fenced(
    database,
    run,
    `UPDATE record r SET published = NULL FROM unnest($2::smallint[], $3::text[], $4::smallint[]) AS t(table_id, note, target_id)
     WHERE r.instance_id = $1 AND r.table_id = t.table_id AND r.without IS NOT NULL AND r.published IS NOT NULL
       AND t.note = ANY(string_to_array(r.without, ','))
       AND NOT EXISTS (SELECT 1 FROM record p WHERE p.instance_id = $1 AND p.table_id = t.target_id AND p.parked)
       AND NOT EXISTS (SELECT 1 FROM record p WHERE p.instance_id = $1 AND p.table_id = t.target_id AND p.desired IS DISTINCT FROM p.published AND NOT p.parked)`,
    [
      run.instanceId,
      await idsOf(pointers.map(({ table }) => table)),
      pointers.map(({ column }) => waitsFor(column)),
      await idsOf(pointers.map(({ target }) => target)),
    ],
  );
}

/**
 * An estate that does not change writes nothing, so nobody would ever learn that an administrator has acted: one record of each
 * table with a left-out column becomes due when the last trial is older than `olderThanMs`.
 */
export async function makeColumnTrialsDue(
  database: Database,
  words: Words,
  run: RunHandle,
  tables: readonly string[],
  olderThanMs: number,
): Promise<void> {
  const tableIds = await Promise.all(tables.map((table) => words.idOf(table)));
  await fenced(
    database,
    run,
    `UPDATE record r SET published = NULL FROM (
       SELECT DISTINCT ON (c.table_id) o.instance_id, o.table_id, o.key FROM column_behaviour c
       JOIN record_owner o ON o.instance_id = c.instance_id AND o.table_id = c.table_id AND o.deployment_id = $4 AND o.gone_at IS NULL
       JOIN record d ON d.instance_id = o.instance_id AND d.table_id = o.table_id AND d.key = o.key
       WHERE c.instance_id = $1 AND c.table_id = ANY($2::smallint[]) AND c.behaviour IN ('skipped', 'undone') AND c.tried_in_run IS DISTINCT FROM $5
         AND c.tried_at + $3 * interval '1 millisecond' < ledger_now() AND NOT d.parked AND d.sys_id IS NOT NULL
         AND d.published IS NOT DISTINCT FROM d.desired AND (c.behaviour = 'undone' OR string_to_array(d.without, ',') @> ARRAY[c.column_name])
       ORDER BY c.table_id, o.key) AS one
     WHERE r.instance_id = one.instance_id AND r.table_id = one.table_id AND r.key = one.key`,
    [run.instanceId, tableIds, olderThanMs, run.deploymentId, run.runId],
  );
}
