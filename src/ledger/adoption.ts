/** Records that we created without knowing it, found again although their key is not whole (servicenow.md §5.3). */
import { requireWholeClaim } from './claims.ts';
import type { Database } from './database.ts';
import { recordKey } from './digest.ts';
import type { RecordClaim } from './records.ts';
import { assertFence, type RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { SysId } from '../model.ts';

export interface Orphaned {
  /** A claimed record that was sent once and is nowhere to be found. */
  readonly key: string;
  /** Records of the instance that could be it: alike in everything but the column that was dropped. */
  readonly candidates: readonly SysId[];
}

/**
 * Gives each record one of its candidates that no record of the ledger has yet. One transaction per table at a time, so that nobody
 * else adopts the same one.
 * @param settleMs while another record of the table is that freshly sent, its own half-written record could be taken for one of these
 * Returns `wait` in that case: nothing was adopted.
 */
export async function adoptOrphans(
  database: Database,
  words: Words,
  run: RunHandle,
  claim: RecordClaim,
  orphaned: readonly Orphaned[],
  settleMs: number,
): Promise<ReadonlyMap<string, SysId> | 'wait'> {
  const tableId = await words.idOf(claim.table);
  const candidates = [...new Set(orphaned.flatMap((one) => one.candidates))];
  if (candidates.length === 0) return new Map();
  return database.transaction(async (tx) => {
    await assertFence(tx, run);
    await tx.query('SELECT pg_advisory_xact_lock($1, $2)', [run.instanceId, tableId]);
    const inFlight = await tx.query(
      `SELECT 1 FROM record WHERE instance_id = $1 AND table_id = $2 AND sys_id IS NULL AND claim_token IS DISTINCT FROM $3
         AND sent_at + $4 * interval '1 millisecond' >= ledger_now() LIMIT 1`,
      [run.instanceId, tableId, claim.token, settleMs],
    );
    if (inFlight.rows.length > 0) return 'wait';
    const known = await tx.query<{ sys_id: string }>(
      'SELECT sys_id FROM record WHERE instance_id = $1 AND table_id = $2 AND sys_id = ANY($3::text[])',
      [run.instanceId, tableId, candidates],
    );
    const taken = new Set(known.rows.map((row) => row.sys_id));
    const adopted = new Map<string, SysId>();
    for (const one of orphaned) {
      const free = one.candidates.find((candidate) => !taken.has(candidate));
      if (free === undefined) continue;
      taken.add(free);
      adopted.set(one.key, free);
    }
    const written = await tx.query(
      `UPDATE record r SET sys_id = t.sys_id, incomplete = true FROM unnest($4::bytea[], $5::text[]) AS t(key, sys_id)
       WHERE r.instance_id = $1 AND r.table_id = $2 AND r.key = t.key AND r.claim_token = $3`,
      [run.instanceId, tableId, claim.token, [...adopted.keys()].map(recordKey), [...adopted.values()]],
    );
    requireWholeClaim(written.rowCount, adopted.size);
    return adopted;
  });
}
