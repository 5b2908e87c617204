/** From what a person has in hand to a resource that the ledger knows. */
import type { Database } from './database.ts';
import { ciKeyDigest } from './groups.ts';
import type { CiKey, FieldValue } from '../model.ts';

/** What a sys_id is of. `other`: a record of the engine's that hangs on no CI (a test, a policy). */
export type FoundBySysId =
  | { readonly found: 'ci'; readonly ciKey: CiKey }
  | { readonly found: 'record'; readonly table: string; readonly ciKey: CiKey }
  | { readonly found: 'other'; readonly table: string; readonly key: string };

/**
 * The resource behind the sys_id of a CI (also one that it was before), or of a record that hangs on one. Records are not indexed by
 * sys_id, because publishing never needs it: with a million of them this takes about a second.
 */
export async function findBySysId(database: Database, instanceUrl: string, sysId: string): Promise<FoundBySysId | undefined> {
  const [ci] = await database.query<{ key_text: CiKey }>(
    `SELECT c.key_text FROM instance i JOIN ci c USING (instance_id) WHERE i.url = $1 AND (c.sys_id = $2 OR c.ci_key IN
       (SELECT e.ci_key FROM ci_event e WHERE e.instance_id = i.instance_id AND e.sys_id = $2))
     ORDER BY c.sys_id = $2 DESC, c.key_text LIMIT 1`,
    [instanceUrl, sysId],
  );
  if (ci) return { found: 'ci', ciKey: ci.key_text };
  const [record] = await database.query<{ word: string; key_text: string; fields: Record<string, FieldValue> | null }>(
    `SELECT w.word, r.key_text, o.fields FROM instance i JOIN record r USING (instance_id) JOIN word w ON w.word_id = r.table_id
     LEFT JOIN LATERAL (SELECT fields FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id AND o.key = r.key LIMIT 1) AS o ON true
     WHERE i.url = $1 AND r.sys_id = $2 LIMIT 1`,
    [instanceUrl, sysId],
  );
  if (!record) return undefined;
  for (const value of Object.values(record.fields ?? {}))
    if (value !== null && typeof value === 'object' && 'ci' in value) return { found: 'record', table: record.word, ciKey: value.ci };
  return { found: 'other', table: record.word, key: record.key_text };
}

/** The ids under which a CI's resources were observed. */
export async function idsOfCi(database: Database, instanceUrl: string, ciKey: CiKey): Promise<string[]> {
  const rows = await database.query<{ group_id: string }>(
    `SELECT DISTINCT g.group_id FROM instance i JOIN deployment d USING (instance_id) JOIN observed_group g USING (deployment_id)
     WHERE i.url = $1 AND g.ci_key = $2 ORDER BY 1`,
    [instanceUrl, ciKeyDigest(ciKey)],
  );
  return rows.length > 0 ? rows.map((row) => row.group_id) : [ciKey.replace(/^resource:/, '').replace(/^image:/, 'sha256:')];
}

/**
 * Ids that a person may have meant, the likeliest first: those that begin with the text, those of a parent of it, those that end with
 * its last segment (the name), those that contain it.
 * @param text lower case
 */
export async function nearMisses(database: Database, instanceUrl: string, text: string, limit: number): Promise<string[]> {
  const trimmed = text.replace(/\/+$/, '');
  const name = trimmed.slice(trimmed.lastIndexOf('/') + 1);
  if (name === '') return [];
  const rows = await database.query<{ group_id: string }>(
    `SELECT group_id FROM (
       SELECT DISTINCT g.group_id, CASE
         WHEN starts_with(g.group_id, $2) THEN 1 WHEN starts_with($2, g.group_id || '/') THEN 2
         WHEN right(g.group_id, length($3) + 1) = '/' || $3 THEN 3 WHEN strpos(g.group_id, $3) > 0 THEN 4 END AS rank
       FROM instance i JOIN deployment d USING (instance_id) JOIN observed_group g USING (deployment_id)
       WHERE i.url = $1 AND g.ci_key IS NOT NULL) AS near
     WHERE rank IS NOT NULL ORDER BY rank, length(group_id), group_id LIMIT $4`,
    [instanceUrl, trimmed, name, limit],
  );
  return rows.map((row) => row.group_id);
}
