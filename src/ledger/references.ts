/** Natural keys of records and CIs become sys_ids at the moment of sending. */
import type { Database } from './database.ts';
import { recordKey } from './digest.ts';
import { ciKeyDigest } from './groups.ts';
import type { RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { CiKey, SysId } from '../model.ts';

/** What references point at, at this moment. `parked`: it will not come in this run. */
export type ResolvedReference = { readonly state: 'known'; readonly sysId: SysId } | { readonly state: 'pending' | 'parked' | 'absent' };

export interface References {
  readonly records: readonly { readonly table: string; readonly key: string }[];
  readonly cis: readonly CiKey[];
}

/** Looks up the sys_ids of referenced records (`table` + newline + key) and CIs. */
export async function resolveReferences(
  database: Database,
  words: Words,
  run: RunHandle,
  references: References,
): Promise<{ readonly records: ReadonlyMap<string, ResolvedReference>; readonly cis: ReadonlyMap<CiKey, ResolvedReference> }> {
  const records = new Map<string, ResolvedReference>();
  const cis = new Map<CiKey, ResolvedReference>();
  if (references.records.length > 0) {
    const tableIds = await Promise.all(references.records.map((reference) => words.idOf(reference.table)));
    const rows = await database.query<{ n: string; sys_id: string | null; parked: boolean; absent: boolean }>(
      `SELECT t.n, r.sys_id, r.parked, r.published IS NOT NULL AND r.sys_id IS NULL AND r.desired IS NOT DISTINCT FROM r.published AS absent
       FROM unnest($2::smallint[], $3::bytea[]) WITH ORDINALITY AS t(table_id, key, n) JOIN record r ON r.instance_id = $1 AND r.table_id = t.table_id AND r.key = t.key`,
      [run.instanceId, tableIds, references.records.map((reference) => recordKey(reference.key))],
    );
    for (const row of rows) {
      const reference = references.records[Number(row.n) - 1];
      if (reference) records.set(`${reference.table}\n${reference.key}`, stateOf(row.sys_id, row.parked, row.absent));
    }
  }
  if (references.cis.length > 0) {
    const rows = await database.query<{ key_text: string; sys_id: string | null; state: string }>(
      `SELECT key_text, sys_id, state FROM ci WHERE instance_id = $1 AND ci_key = ANY($2::bytea[])`,
      [run.instanceId, references.cis.map(ciKeyDigest)],
    );
    for (const row of rows)
      cis.set(row.key_text as CiKey, stateOf(row.state === 'resolved' ? row.sys_id : null, row.state === 'parked', false));
  }
  return { records, cis };
}

function stateOf(sysId: string | null, parked: boolean, absent: boolean): ResolvedReference {
  if (sysId !== null) return { state: 'known', sysId: sysId as SysId };
  if (parked) return { state: 'parked' };
  return { state: absent ? 'absent' : 'pending' };
}

/** sys_ids of records by natural key, as far as the instance is known to have them. */
export async function ownedSysIds(
  database: Database,
  words: Words,
  run: RunHandle,
  table: string,
  keys: readonly string[],
): Promise<Map<string, SysId>> {
  const rows = await database.query<{ key_text: string; sys_id: string }>(
    'SELECT key_text, sys_id FROM record WHERE instance_id = $1 AND table_id = $2 AND key = ANY($3::bytea[]) AND sys_id IS NOT NULL',
    [run.instanceId, await words.idOf(table), keys.map(recordKey)],
  );
  return new Map(rows.map((row) => [row.key_text, row.sys_id as SysId]));
}
