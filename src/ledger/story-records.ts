/** The records that a resource became on the instance, their owners, and every write that was made for them. */
import type { Database } from './database.ts';
import { ciStageKey, stageKey } from './desired.ts';
import { recordKey } from './digest.ts';
import type { HistoryOutcome } from './history.ts';
import { keysThroughReconciles } from './reconcile-settle.ts';
import type { StoryGroup } from './story.ts';
import type { CiKey, FieldValue, SysId } from '../model.ts';

export interface WriteStory {
  readonly at: string;
  readonly run: string;
  readonly deployment: string;
  readonly what: HistoryOutcome;
  readonly sysId: string | null;
  readonly reason: string | null;
}

export interface RecordStory {
  readonly table: string;
  /** Natural key. */
  readonly key: string;
  readonly sysId: SysId | null;
  /**
   * `published`: the instance has it as it should be; `due`: a write is outstanding; `parked`: refused, with the reason; `absent`: it
   * is only kept true where it exists, and it does not.
   */
  readonly state: 'published' | 'due' | 'parked' | 'absent';
  readonly reason: string | null;
  /** Deployments that see it, the one that gives its fields first. */
  readonly owners: readonly string[];
  /** By the owner that gives them. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Oldest first, as far back as history is kept. */
  readonly writes: readonly WriteStory[];
}

/** Records that thousands of resources yield (a region, a CVE) say nothing about one of them. */
const tablesOfEverybody = [
  'sn_sec_cmn_cloud_account',
  'sn_sec_cmn_region',
  'sn_sec_cmn_cloud_resource_type',
  'sn_sec_cmn_cloud_service_provider',
  'sn_vul_nvd_entry',
  'sn_sec_cmn_host_tag',
];

interface RecordRow {
  table_id: number;
  table_name: string;
  key: Buffer;
  key_text: string;
  sys_id: SysId | null;
  published: boolean;
  parked: boolean;
  reason: string | null;
  owners: string[];
  fields: Record<string, FieldValue>;
}

export interface StoryOf {
  readonly ciKey: CiKey;
  readonly groups: readonly StoryGroup[];
  /** Every CI that the resource is or was: what was derived for it hangs there. */
  readonly sysIds: readonly string[];
  /** Where other resources are the same CI: what tells its records from theirs. */
  readonly alone: { readonly ids: readonly string[]; readonly tests: ReadonlySet<string> } | undefined;
}

export async function readRecordStories(
  database: Database,
  instanceId: number,
  { ciKey, groups, sysIds, alone }: StoryOf,
): Promise<RecordStory[]> {
  const keys = groups.flatMap((group) => [
    stageKey('group', group.groupKey),
    ...sysIds.map((sysId) => ciStageKey(group.integration, sysId)),
  ]);
  const found = await database.query<RecordRow>(
    `WITH mine AS (
       SELECT DISTINCT o.table_id, o.key FROM record_owner o
       WHERE o.instance_id = $1 AND o.deployment_id = ANY($2::integer[]) AND o.group_key = ANY($3::bytea[]) AND o.gone_at IS NULL)
     SELECT r.table_id, w.word AS table_name, r.key, r.key_text, r.sys_id, r.desired IS NOT DISTINCT FROM r.published AS published,
       r.parked, r.reason, o.owners, o.fields
     FROM mine JOIN record r ON r.instance_id = $1 AND r.table_id = mine.table_id AND r.key = mine.key
     JOIN word w ON w.word_id = r.table_id
     JOIN LATERAL (
       SELECT array_agg(d.name ORDER BY d.position, d.deployment_id) AS owners, (array_agg(o.fields ORDER BY d.position, d.deployment_id))[1] AS fields
       FROM record_owner o JOIN deployment d USING (deployment_id)
       WHERE o.instance_id = $1 AND o.table_id = r.table_id AND o.key = r.key AND o.gone_at IS NULL) AS o ON true
     WHERE NOT w.word = ANY($4::text[])
     ORDER BY w.word, r.key_text COLLATE "C"`,
    [instanceId, [...new Set(groups.map(({ deploymentId }) => deploymentId))], keys, tablesOfEverybody],
  );
  const rows = alone === undefined ? found : found.filter((row) => isOf(row, alone));
  const writes = await readWrites(database, rows, await keysThroughReconciles(database, ciKey));
  return rows.map((row) => ({
    table: row.table_name,
    key: row.key_text,
    sysId: row.sys_id,
    state: stateOf(row),
    reason: row.reason,
    owners: row.owners,
    fields: row.fields,
    writes: writes.get(nameOf(row)) ?? [],
  }));
}

/** An item says which resource it is of; a result belongs to whoever is assessed by its test. */
function isOf({ table_name, fields }: RecordRow, { ids, tests }: NonNullable<StoryOf['alone']>): boolean {
  if (table_name === 'sn_sec_cmn_src_ci') return ids.some((id) => id === fields['source_id']);
  const control = fields['control'];
  const test = control !== null && typeof control === 'object' && 'record' in control ? control.record.key : undefined;
  return table_name !== 'sn_vulc_result' || test === undefined || tests.has(test);
}

function stateOf({ parked, published, sys_id }: RecordRow): RecordStory['state'] {
  if (parked) return 'parked';
  if (!published) return 'due';
  return sys_id === null ? 'absent' : 'published';
}

function nameOf({ table_id, key }: { readonly table_id: number; readonly key: Buffer }): string {
  return `${table_id}/${key.toString('latin1')}`;
}

async function readWrites(
  database: Database,
  records: readonly RecordRow[],
  formerKeys: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<Map<string, WriteStory[]>> {
  // A result that a reconcile re-pointed had another key before; its history goes on under the new one.
  const asked = records.flatMap((record) => {
    const keys = [record.key, ...[...(formerKeys.get(record.sys_id ?? '') ?? [])].map(recordKey)];
    const distinct = [...new Map(keys.map((key) => [key.toString('latin1'), key])).values()];
    return distinct.map((key) => ({ name: nameOf(record), tableId: record.table_id, key }));
  });
  const rows = await database.query<{
    n: string;
    at: Date;
    run_id: string;
    name: string;
    what: HistoryOutcome;
    sys_id: string | null;
    reason: string | null;
  }>(
    `SELECT t.n, e.at, r.run_id, d.name, w.word AS what, coalesce(replace(e.sys_id::text, '-', ''), e.sys_name) AS sys_id, e.reason
     FROM unnest($1::smallint[], $2::bytea[]) WITH ORDINALITY AS t(table_id, key, n) JOIN write_event e ON e.key = t.key AND e.table_id = t.table_id
     JOIN run r USING (run_no) JOIN deployment d USING (deployment_id) JOIN word w ON w.word_id = e.what ORDER BY e.at`,
    [asked.map(({ tableId }) => tableId), asked.map(({ key }) => key)],
  );
  const writes = new Map<string, WriteStory[]>();
  for (const row of rows) {
    const name = asked[Number(row.n) - 1]?.name ?? '';
    const list = writes.get(name) ?? [];
    list.push({ at: row.at.toISOString(), run: row.run_id, deployment: row.name, what: row.what, sysId: row.sys_id, reason: row.reason });
    writes.set(name, list);
  }
  return writes;
}
