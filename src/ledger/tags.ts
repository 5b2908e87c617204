import type { Database } from './database.ts';
import { ciKeyDigest } from './groups.ts';
import type { RunHandle } from './runs.ts';
import type { Words } from './words.ts';
import type { CiKey, JsonObject } from '../model.ts';

/** What the lists of this deployment say of the resources behind these CIs; several where several ids are one CI, in id order. */
export async function listedResourcesOfCis(
  database: Database,
  words: Words,
  run: RunHandle,
  keys: readonly CiKey[],
): Promise<Map<CiKey, JsonObject[]>> {
  const rows = await database.query<{ n: string; body: JsonObject }>(
    `SELECT t.n, o.body FROM unnest($2::bytea[]) WITH ORDINALITY AS t(ci_key, n)
     JOIN observed_group g ON g.ci_key = t.ci_key AND g.deployment_id = $1
     JOIN observed o ON o.deployment_id = g.deployment_id AND o.group_key = g.group_key AND o.kind = $3
     ORDER BY t.n, o.id COLLATE "C"`,
    [run.deploymentId, keys.map(ciKeyDigest), await words.idOf('resource')],
  );
  const found = new Map<CiKey, JsonObject[]>();
  for (const { n, body } of rows) {
    const key = keys[Number(n) - 1];
    if (key !== undefined) found.set(key, [...(found.get(key) ?? []), body]);
  }
  return found;
}

export interface HostTagCounts {
  /** Tags of resources with a discovered item that are beyond what an item takes, or cannot be host tags. */
  readonly leftOut: number;
  readonly unusable: number;
  /** Links that this run removed. */
  readonly removed: number;
  /** Links that the instance does not let go, by its reason. */
  readonly refused: readonly { readonly n: number; readonly because: string }[];
}

/** What became of tags that are not on the instance as they are in Azure. */
export async function hostTagCounts(database: Database, words: Words, run: RunHandle, linkTable: string): Promise<HostTagCounts> {
  const [lost] = await database.query<{ left_out: string | null; unusable: string | null }>(
    `SELECT sum((o.body->>'tagsLeftOut')::integer) AS left_out, sum((o.body->>'tagsUnusable')::integer) AS unusable
     FROM observed o JOIN observed_group g ON g.deployment_id = o.deployment_id AND g.integration = $2 AND g.group_key = o.group_key
     WHERE o.deployment_id = $1 AND o.body ?| ARRAY['tagsLeftOut', 'tagsUnusable'] AND g.ci_sys_id IS NOT NULL`,
    [run.deploymentId, await words.idOf('assessments')],
  );
  const [removed] = await database.query<{ n: string | null }>(
    `SELECT sum(n) AS n FROM run_tally WHERE run_id = $1 AND integration = 'assessments' AND counter = 'removed'`,
    [run.runId],
  );
  const refused = await database.query<{ n: string; reason: string }>(
    `SELECT count(*) AS n, r.reason FROM record r WHERE r.instance_id = $1 AND r.table_id = $2 AND r.to_remove AND r.parked
       AND EXISTS (SELECT 1 FROM record_owner o WHERE o.instance_id = r.instance_id AND o.table_id = r.table_id AND o.key = r.key
         AND o.deployment_id = $3)
     GROUP BY r.reason ORDER BY count(*) DESC, r.reason LIMIT 3`,
    [run.instanceId, await words.idOf(linkTable), run.deploymentId],
  );
  return {
    leftOut: Number(lost?.left_out ?? 0),
    unusable: Number(lost?.unusable ?? 0),
    removed: Number(removed?.n ?? 0),
    refused: refused.map((row) => ({ n: Number(row.n), because: row.reason })),
  };
}
