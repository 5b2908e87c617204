/**
 * The history that `explain` tells: every write, and every change of how a CI was matched. Rows are added in the transaction of the
 * outcome that they record, by the same statement, so that neither can be there without the other.
 */
import type { Database } from './database.ts';
import { assertFence, type RunHandle } from './runs.ts';
import type { Words } from './words.ts';

/** What a history row can say of a record. */
export const historyOutcomes = ['created', 'updated', 'parked', 'found', 'lost', 're-pointed', 'put back'] as const;
export type HistoryOutcome = (typeof historyOutcomes)[number];

/** Outcomes of a claim that are history, each with the number of its word. */
export async function historyWords(words: Words): Promise<ReadonlyMap<string, number>> {
  const named: readonly (readonly [string, HistoryOutcome])[] = [
    ['created', 'created'],
    // A record that needs a second write is there after the first one; the second is no news.
    ['created-in-part', 'created'],
    ['updated', 'updated'],
    ['parked', 'parked'],
    ['unchanged', 'found'],
    ['lost', 'lost'],
  ];
  return new Map(await Promise.all(named.map(async ([outcome, word]) => [outcome, await words.idOf(word)] as const)));
}

/** A sys_id of the platform's usual form as the 16 bytes that it is; the rest as the name that it is. */
export const sysIdColumns = (sysId: string): string =>
  `CASE WHEN ${sysId} ~ '^[0-9a-f]{32}$' THEN ${sysId}::uuid END, CASE WHEN ${sysId} !~ '^[0-9a-f]{32}$' THEN ${sysId} END`;

/**
 * Second half of the statement that settles records: `settled (key, outcome, sys_id, reason, what)` with $1 instance, $2 table, $4
 * run. A record that was only found is noted once, one that is parked again for the same reason not again. (Subqueries of one
 * statement see what was there before it.)
 */
export const appendWrites = `, history AS (
  INSERT INTO write_event (key, sys_id, sys_name, at, run_no, table_id, what, reason)
  SELECT s.key, ${sysIdColumns('s.sys_id')}, (SELECT ledger_now()), (SELECT run_no FROM run WHERE run_id = $4), $2, s.what, s.reason
  FROM settled s WHERE s.what IS NOT NULL AND CASE s.outcome
    WHEN 'unchanged' THEN s.sys_id IS NOT NULL
      AND (SELECT old.sys_id IS NULL FROM record old WHERE old.instance_id = $1 AND old.table_id = $2 AND old.key = s.key)
    WHEN 'parked' THEN s.reason IS DISTINCT FROM
      (SELECT e.reason FROM write_event e WHERE e.key = s.key AND e.table_id = $2 ORDER BY e.at DESC LIMIT 1)
    ELSE true END)`;

/** The same for CIs: `settled (ci_key, outcome, sys_id, class_name, match, reason, evidence)` with $1 instance, $3 run. */
export const appendMatches = `
  INSERT INTO ci_event (instance_id, ci_key, at, run_no, what, sys_id, class_name, match, evidence)
  SELECT $1, s.ci_key, (SELECT ledger_now()), (SELECT run_no FROM run WHERE run_id = $3),
    CASE s.outcome WHEN 'resolved' THEN 'matched' ELSE 'parked' END,
    CASE s.outcome WHEN 'resolved' THEN s.sys_id END, CASE s.outcome WHEN 'resolved' THEN s.class_name END,
    CASE s.outcome WHEN 'resolved' THEN s.match END, CASE s.outcome WHEN 'resolved' THEN s.evidence ELSE s.reason END
  FROM settled s LEFT JOIN LATERAL (
    SELECT e.what, e.sys_id, e.class_name, e.match, e.evidence FROM ci_event e
    WHERE e.instance_id = $1 AND e.ci_key = s.ci_key ORDER BY e.ci_event_id DESC LIMIT 1) AS last ON true
  WHERE CASE s.outcome
    WHEN 'resolved' THEN (last.what IS DISTINCT FROM 'parked' AND last.sys_id = s.sys_id AND last.class_name = s.class_name) IS NOT TRUE
    WHEN 'parked' THEN (last.what = 'parked' AND last.evidence = s.reason) IS NOT TRUE
    ELSE false END`;

/** Rows deleted at a time: bounds the length of a transaction. */
const prunedAtATime = 20_000;

/**
 * Forgets history of runs that began more than `keepDays` ago, up to `maxSteps` steps of 20,000 rows; what is left is for the next run. How a
 * CI is matched now is kept, however long ago that was. Returns how many rows went.
 */
export async function pruneHistory(database: Database, run: RunHandle, keepDays: number, maxSteps: number): Promise<number> {
  const old = `SELECT run_no FROM run WHERE started_at < ledger_now() - $1 * interval '1 day'`;
  const steps = [
    `DELETE FROM write_event WHERE ctid = ANY(ARRAY(SELECT e.ctid FROM write_event e WHERE e.run_no IN (${old}) LIMIT $2))`,
    `DELETE FROM ci_event WHERE ci_event_id = ANY(ARRAY(SELECT e.ci_event_id FROM ci_event e WHERE e.run_no IN (${old})
       AND EXISTS (SELECT 1 FROM ci_event later WHERE later.instance_id = e.instance_id AND later.ci_key = e.ci_key
         AND later.ci_event_id > e.ci_event_id) LIMIT $2))`,
  ];
  let pruned = 0;
  for (const step of steps) {
    for (let count = 0; count < maxSteps; count += 1) {
      const gone = await database.transaction(async (tx) => {
        await assertFence(tx, run);
        return (await tx.query(step, [keepDays, prunedAtATime])).rowCount ?? 0;
      });
      pruned += gone;
      if (gone < prunedAtATime) break;
    }
  }
  return pruned;
}
