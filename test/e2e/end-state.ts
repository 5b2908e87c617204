/**
 * What a run leaves on the lab's instance, in a form that two runs of the same estate must share: every record that was
 * written, with sys_ids replaced by natural keys, and without what only says when or in which order it was written.
 */
import type { Lab, Row } from './harness.ts';

/** Columns that identify a record, by mapping.md; written down here again so that nothing of the engine is trusted. */
const naturalKeys: Readonly<Record<string, readonly string[]>> = {
  sn_sec_int_integration: ['id'],
  sn_sec_int_impl: ['name'],
  sn_vul_integration: ['instance', 'name'],
  sn_vulc_policy: ['source_id'],
  sn_vulc_test: ['source_id'],
  sn_vulc_policy_test: ['policy', 'test'],
  sn_vulc_auth_src: ['source_id'],
  sn_vulc_citation: ['auth_src', 'control', 'section'],
  sn_vulc_result: ['integration_instance', 'cmdb_ci', 'control'],
  sn_sec_cmn_cloud_account: ['name'],
  sn_sec_cmn_region: ['name'],
  sn_sec_cmn_cloud_resource_type: ['name'],
  sn_sec_cmn_cloud_service_provider: ['name'],
  sn_sec_cmn_src_ci: ['source', 'source_id'],
  sn_sec_cmn_host_tag: ['name'],
  sn_sec_cmn_m2m_src_ci_tag: ['src_ci', 'host_tag'],
  sn_vul_nvd_entry: ['id'],
  sn_vul_container_image: ['integration_instance', 'repository', 'image_digest'],
  sn_vul_container_image_package: ['container_image', 'name', 'version'],
  sn_vul_container_image_findings: ['source_id'],
  sn_vul_container_image_vulnerable_item: ['discovered_container_image', 'image_repository', 'vulnerability', 'tag'],
  sn_vul_container_finding_m2m_vul_item: ['finding', 'vulnerable_item'],
  cmdb_ci_cmp_resource: ['object_id'],
  cmdb_ci_cloud_service_account: ['object_id'],
  cmdb_ci_azure_datacenter: ['object_id'],
  cmdb_ci_aws_datacenter: ['object_id'],
  cmdb_ci_google_datacenter: ['object_id'],
  cmdb_ci_docker_image: ['image_id'],
  cmdb_rel_ci: ['parent', 'type', 'child'],
  sys_object_source: ['name', 'id', 'target_sys_id'],
};

/** One per run and integration: how many there are is judged by the tests, what is in them is a report. */
export const runRecordTable = 'sn_vul_integration_run';

/** Numbers are drawn, and versions counted, in the order of writing; who writes a shared record first is a matter of time too. */
const orderColumns = new Set(['sys_id', 'number', 'sys_mod_count', 'sys_created_by', 'sys_updated_by']);
const listOfSysIds = /^[0-9a-f]{32}(?:,[0-9a-f]{32})+$/;
const instant = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

export interface EndState {
  /** Natural key → the record's content, as one line of JSON; several where the key is doubled. */
  readonly records: ReadonlyMap<string, readonly string[]>;
  readonly runRecords: readonly Row[];
}

export interface Circumstances {
  /** Instants from here on are "now": they say when the run happened, not what it found. */
  readonly sinceMs: number;
  /** What the deployments of this very scenario are called by, taken out of every value. */
  readonly ownName: string;
}

/** Reads what was written since the lab started. */
export async function readEndState(lab: Lab, circumstances: Circumstances): Promise<EndState> {
  const written = Object.entries(await lab.summary())
    .filter(([, { writes }]) => writes > 0)
    .map(([table]) => table);
  const unknown = written.filter((table) => naturalKeys[table] === undefined && table !== runRecordTable);
  if (unknown.length > 0) throw new Error(`Nobody said what identifies a record of ${unknown.join(', ')}.`);
  const rowsOf = new Map<string, readonly Row[]>();
  for (const table of written)
    rowsOf.set(
      table,
      (await lab.rows(table)).filter((row) => row['sys_class_name'] === table),
    );
  const data = [...rowsOf].filter(([table]) => table !== runRecordTable).flatMap(([, rows]) => rows);
  const normalise = createNormaliser(data, circumstances);
  const records = new Map<string, string[]>();
  for (const row of data) {
    const label = normalise.label(row);
    records.set(label, [...(records.get(label) ?? []), normalise.content(row)].sort());
  }
  return { records, runRecords: rowsOf.get(runRecordTable) ?? [] };
}

interface Normaliser {
  label(row: Row): string;
  content(row: Row): string;
}

function createNormaliser(rows: readonly Row[], { sinceMs, ownName }: Circumstances): Normaliser {
  const bySysId = new Map(rows.map((row) => [row['sys_id'] ?? '', row]));
  // A datacenter is a region of one account: the same object_id below another account is another datacenter.
  const hosts = new Map(
    rows.filter((row) => row['sys_class_name'] === 'cmdb_rel_ci').map((row) => [row['parent'] ?? '', row['child'] ?? '']),
  );
  const labels = new Map<string, string>();
  const label = (row: Row): string => {
    const sysId = row['sys_id'] ?? '';
    const known = labels.get(sysId);
    if (known !== undefined) return known;
    const table = row['sys_class_name'] ?? '';
    const key = (naturalKeys[table] ?? []).map((column) => valueOf(row[column] ?? ''));
    if (table.endsWith('_datacenter')) key.push(valueOf(hosts.get(sysId) ?? ''));
    const made = `${table}(${key.join(' | ')})`;
    labels.set(sysId, made);
    return made;
  };
  const valueOf = (value: string): string => {
    // A list of references has no order of its own.
    if (listOfSysIds.test(value)) return value.split(',').map(valueOf).sort().join();
    const referenced = bySysId.get(value);
    if (referenced) return label(referenced);
    if (instant.test(value) && Date.parse(`${value.replace(' ', 'T')}Z`) >= sinceMs) return '(now)';
    return value.replaceAll(ownName, '');
  };
  return {
    label: (row) => label(row).toLowerCase(),
    content: (row) => {
      const columns = Object.keys(row)
        .filter((column) => !orderColumns.has(column))
        .sort();
      return JSON.stringify(Object.fromEntries(columns.map((column) => [column, valueOf(withoutLedgerId(row, column))])));
    },
  };
}

/** The engine's integration carries the id of its ledger, and every ledger has its own. */
function withoutLedgerId(row: Row, column: string): string {
  const value = row[column] ?? '';
  return row['sys_class_name'] === 'sn_sec_int_integration' && column === 'description' ? value.replace(uuid, '(ledger)') : value;
}

/** Every difference in words; empty when the two are identical and no natural key is there twice. */
export function differences(actual: EndState, expected: EndState): string[] {
  const found: string[] = [];
  for (const [key, contents] of actual.records) {
    if (contents.length > 1) found.push(`${contents.length} times: ${key}`);
    const wanted = expected.records.get(key);
    if (wanted === undefined) found.push(`too much: ${key}`);
    else if (wanted.join('\n') !== contents.join('\n')) found.push(`differs: ${key}: ${differingColumns(contents[0], wanted[0])}`);
  }
  for (const key of expected.records.keys()) if (!actual.records.has(key)) found.push(`missing: ${key}`);
  return found;
}

function differingColumns(actual = '{}', expected = '{}'): string {
  const [is, wanted] = [JSON.parse(actual), JSON.parse(expected)] as [Row, Row];
  return [...new Set([...Object.keys(is), ...Object.keys(wanted)])]
    .filter((column) => is[column] !== wanted[column])
    .map((column) => `${column} is ${JSON.stringify(is[column])} instead of ${JSON.stringify(wanted[column])}`)
    .join(', ');
}
