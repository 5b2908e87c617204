import type { Database } from './database.ts';
import { digest } from './digest.ts';
import { assertFence, fenced, type RunHandle } from './runs.ts';
import { observedKey } from './pages.ts';
import type { Words } from './words.ts';
import type {
  CiMatch,
  IntegrationName,
  JsonObject,
  ObservedGroup,
  ObservedId,
  ObservedKind,
  ObservedRecord,
  ResolvedCi,
  SysId,
} from '../model.ts';

/** A group whose desired records have to be derived again, with the sequence that this derivation answers. */
export interface DueGroup {
  readonly groupKey: Buffer;
  readonly groupId: string;
  readonly dueSeq: string;
}

/** All groups of one CI, due because the CI or one of the groups changed. */
export interface DueCi {
  readonly ci: ResolvedCi;
  readonly groups: readonly DueGroupOfCi[];
}

export interface DueGroupOfCi extends DueGroup {
  readonly derivedSeq: string;
  /** The CI that its records were derived for before, when that was another one. */
  readonly formerSysId: SysId | undefined;
}

/** Makes every group of an integration due when the mapping that derived it was another version of the code. */
export async function noticeMappingVersion(
  database: Database,
  words: Words,
  run: RunHandle,
  integration: IntegrationName,
  version: string,
): Promise<void> {
  const integrationId = await words.idOf(integration);
  await database.transaction(async (tx) => {
    await assertFence(tx, run);
    const changed = await tx.query(
      `INSERT INTO derived_with AS d (deployment_id, integration, mapping_version) VALUES ($1, $2, $3)
       ON CONFLICT (deployment_id, integration) DO UPDATE SET mapping_version = excluded.mapping_version
       WHERE d.mapping_version <> excluded.mapping_version RETURNING 1`,
      [run.deploymentId, integrationId, version],
    );
    if (changed.rowCount === 0) return;
    await tx.query(
      'UPDATE observed_group SET due_seq = due_seq + 1 WHERE deployment_id = $1 AND integration = $2 AND due_seq = derived_seq',
      [run.deploymentId, integrationId],
    );
  });
}

/** Makes whole-derived groups (`''`) due: a kind they look at in full has changed since. */
export async function makeWholeGroupDue(database: Database, words: Words, run: RunHandle, integration: IntegrationName): Promise<void> {
  await fenced(
    database,
    run,
    `UPDATE observed_group SET due_seq = due_seq + 1 WHERE deployment_id = $1 AND integration = $2 AND group_id = '' AND due_seq = derived_seq`,
    [run.deploymentId, await words.idOf(integration)],
  );
}

export async function dueGroups(
  database: Database,
  words: Words,
  run: RunHandle,
  integration: IntegrationName,
  limit: number,
): Promise<DueGroup[]> {
  const rows = await database.query<{ group_key: Buffer; group_id: string; due_seq: string }>(
    `SELECT group_key, group_id, due_seq FROM observed_group WHERE deployment_id = $1 AND integration = $2 AND due_seq > derived_seq ORDER BY group_key LIMIT $3`,
    [run.deploymentId, await words.idOf(integration), limit],
  );
  return rows.map((row) => ({ groupKey: row.group_key, groupId: row.group_id, dueSeq: row.due_seq }));
}

/** The observed records of some groups, each group's in id order. */
export async function loadGroups(
  database: Database,
  words: Words,
  run: RunHandle,
  groups: readonly DueGroup[],
  kinds: readonly ObservedKind[],
): Promise<ObservedGroup[]> {
  const kindNames = await kindNamesOf(words, kinds);
  const rows = await database.query<ObservedRow>(
    `SELECT kind, group_key, id, body, links FROM observed WHERE deployment_id = $1 AND group_key = ANY($2::bytea[]) AND kind = ANY($3::smallint[])
     ORDER BY group_key, kind, id COLLATE "C"`,
    [run.deploymentId, groups.map((group) => group.groupKey), [...kindNames.keys()]],
  );
  const idOf = new Map(groups.map((group) => [group.groupKey.toString('latin1'), group.groupId]));
  const records = new Map<string, ObservedRecord[]>(groups.map((group) => [group.groupId, []]));
  for (const row of rows) {
    const group = idOf.get(row.group_key.toString('latin1'));
    const kind = kindNames.get(row.kind);
    if (group === undefined || kind === undefined) continue;
    records.get(group)?.push({ kind, id: row.id as ObservedId, body: row.body, group, ...(row.links ? { links: row.links } : {}) });
  }
  return [...records].map(([group, list]) => ({ group, records: list }));
}

interface ObservedRow {
  kind: number;
  group_key: Buffer;
  id: string;
  body: JsonObject;
  links: { kind: ObservedKind; id: ObservedId }[] | null;
}

async function kindNamesOf(words: Words, kinds: readonly ObservedKind[]): Promise<Map<number, ObservedKind>> {
  const names = new Map<number, ObservedKind>();
  for (const kind of kinds) names.set(await words.idOf(kind), kind);
  return names;
}

/** All records of a kind, by id: for small kinds that a derivation looks at in full. */
export async function loadKind(database: Database, words: Words, run: RunHandle, kind: ObservedKind): Promise<Map<string, JsonObject>> {
  const rows = await database.query<{ id: string; body: JsonObject }>(
    'SELECT id, body FROM observed WHERE deployment_id = $1 AND kind = $2 ORDER BY id COLLATE "C"',
    [run.deploymentId, await words.idOf(kind)],
  );
  return new Map(rows.map((row) => [row.id, row.body]));
}

/** Records of a kind by id, only those asked for. */
export async function loadRecords(
  database: Database,
  words: Words,
  run: RunHandle,
  kind: ObservedKind,
  ids: readonly string[],
): Promise<Map<string, JsonObject>> {
  if (ids.length === 0) return new Map();
  const rows = await database.query<{ id: string; body: JsonObject }>(
    'SELECT id, body FROM observed WHERE deployment_id = $1 AND kind = $2 AND key = ANY($3::bytea[])',
    [run.deploymentId, await words.idOf(kind), ids.map((id) => observedKey(kind, id))],
  );
  return new Map(rows.map((row) => [row.id, row.body]));
}

/** When a record of these kinds last changed, UTC milliseconds; 0 = never. */
export async function lastChangeMs(database: Database, words: Words, run: RunHandle, kinds: readonly ObservedKind[]): Promise<number> {
  if (kinds.length === 0) return 0;
  const ids = await Promise.all(kinds.map((kind) => words.idOf(kind)));
  const [row] = await database.query<{ at: Date | null }>(
    'SELECT max(changed_at) AS at FROM observed WHERE deployment_id = $1 AND kind = ANY($2::smallint[])',
    [run.deploymentId, ids],
  );
  return row?.at?.getTime() ?? 0;
}

/**
 * CIs that are known now and whose records have not been derived for that, with all groups of each; from at most `limit` groups.
 * Groups that were derived anew come out of their index in order, so that a million cost no more than they are; that a group's CI
 * has become another one is rare and looked for when nothing else is left.
 */
export async function dueCis(
  database: Database,
  words: Words,
  run: RunHandle,
  integration: IntegrationName,
  limit: number,
): Promise<DueCi[]> {
  const values = [run.deploymentId, await words.idOf(integration), run.instanceId, limit];
  for (const due of ['g.derived_seq > g.ci_derived_seq', 'g.ci_sys_id IS DISTINCT FROM c.sys_id']) {
    const rows = await database.query<DueCiRow>(
      `WITH due AS (
         SELECT DISTINCT sys_id FROM (
           SELECT c.sys_id FROM observed_group g JOIN ci c ON c.instance_id = $3 AND c.ci_key = g.ci_key
           WHERE g.deployment_id = $1 AND g.integration = $2 AND g.ci_key IS NOT NULL AND c.state = 'resolved' AND ${due}
           ORDER BY g.group_key LIMIT $4) AS first)
       SELECT c.sys_id, c.key_text, c.match, g.group_key, g.group_id, g.due_seq, g.derived_seq, g.ci_sys_id
       FROM due JOIN ci c ON c.instance_id = $3 AND c.sys_id = due.sys_id AND c.state = 'resolved'
       JOIN observed_group g ON g.ci_key = c.ci_key AND g.deployment_id = $1 AND g.integration = $2
       ORDER BY c.sys_id, g.group_id COLLATE "C"`,
      values,
    );
    if (rows.length > 0) return groupedByCi(rows);
  }
  return [];
}

interface DueCiRow {
  sys_id: string;
  key_text: string;
  match: string;
  group_key: Buffer;
  group_id: string;
  due_seq: string;
  derived_seq: string;
  ci_sys_id: string | null;
}

function groupedByCi(rows: readonly DueCiRow[]): DueCi[] {
  const bySysId = new Map<string, { ci: ResolvedCi; groups: DueGroupOfCi[] }>();
  for (const row of rows) {
    const found = bySysId.get(row.sys_id) ?? {
      ci: { key: row.key_text as ResolvedCi['key'], sysId: row.sys_id as SysId, match: row.match as CiMatch },
      groups: [],
    };
    found.groups.push({
      groupKey: row.group_key,
      groupId: row.group_id,
      dueSeq: row.due_seq,
      derivedSeq: row.derived_seq,
      formerSysId: row.ci_sys_id === null || row.ci_sys_id === row.sys_id ? undefined : (row.ci_sys_id as SysId),
    });
    bySysId.set(row.sys_id, found);
  }
  return [...bySysId.values()];
}

export function ciKeyDigest(key: string): Buffer {
  return digest(`ci\n${key}`);
}

/** When the whole-derived group of an integration was last derived, UTC milliseconds; 0 = never. */
export async function wholeGroupDerivedAtMs(
  database: Database,
  words: Words,
  run: RunHandle,
  integration: IntegrationName,
): Promise<number> {
  const [row] = await database.query<{ at: Date | null }>(
    `SELECT max(derived_at) AS at FROM observed_group WHERE deployment_id = $1 AND integration = $2 AND group_id = ''`,
    [run.deploymentId, await words.idOf(integration)],
  );
  return row?.at?.getTime() ?? 0;
}
