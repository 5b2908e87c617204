/** One record of every table that the engine writes, with what it refers to already on the instance. */
import { tableSpecOf } from '../../../src/integrations/tables.ts';
import type { DesiredRecord } from '../../../src/model.ts';
import type { StartedLab } from '../lab-servicenow/start.ts';

/** sys_ids of records that others refer to. */
export type Fixtures = Readonly<
  Record<'impl' | 'integration' | 'test' | 'source' | 'ci' | 'imageCi' | 'image' | 'cve' | 'finding' | 'item', string>
>;

/** What administrators and earlier runs have put there. */
export function insertFixtures({ lab }: StartedLab): Fixtures {
  const insert = (table: string, values: Record<string, string>): string => lab.store.insert(table, values, 'admin').sysId;
  const image = insert('sn_vul_container_image', { image_digest: 'sha256:fixture', repository: 'fixture' });
  const cve = insert('sn_vul_nvd_entry', { id: 'CVE-2026-0001' });
  return {
    impl: insert('sn_sec_int_impl', { name: 'fixture', active: 'true' }),
    integration: insert('sn_vul_integration', { name: 'fixture' }),
    test: insert('sn_vulc_test', { source_id: 'fixture', short_description: 'fixture' }),
    source: insert('sn_vulc_auth_src', { source_id: 'fixture', short_description: 'fixture' }),
    ci: insert('cmdb_ci_cmp_resource', { name: 'fixture', object_id: 'fixture' }),
    imageCi: insert('cmdb_ci_docker_image', { name: 'fixture', image_id: '0123456789ab' }),
    image,
    cve,
    finding: insert('sn_vul_container_image_findings', { source_id: 'fixture' }),
    item: insert('sn_vul_container_image_vulnerable_item', { discovered_container_image: image, vulnerability: cve }),
  };
}

/** Tables whose key is made of references: each record needs one of its own. */
const ownReference: Readonly<Record<string, string>> = {
  sn_vulc_policy_test: 'sn_vulc_policy',
  sn_vulc_result: 'sn_vulc_test',
  sn_vul_container_image_vulnerable_item: 'sn_vul_nvd_entry',
  sn_vul_container_finding_m2m_vul_item: 'sn_vul_container_image_findings',
};

/** @param version another one changes the record, not its key */
export function wanted({ lab }: StartedLab, fixtures: Fixtures, table: string, key: string, version: number): DesiredRecord {
  const target = ownReference[table];
  const keyColumn = target === 'sn_vul_nvd_entry' ? 'id' : 'source_id';
  const own =
    target === undefined
      ? ''
      : (lab.store.equal(target, keyColumn, [key])[0] ?? lab.store.insert(target, { [keyColumn]: key }, 'admin')).sysId;
  const text = `${key}, version ${version}`;
  const { impl, integration, test, source, ci, imageCi, image, cve, item } = fixtures;
  const fields: Readonly<Record<string, DesiredRecord['fields']>> = {
    sn_sec_int_impl: { name: key, active: true },
    sn_vul_integration: { name: key, instance: impl, active: false, run_type: 'on_demand' },
    sn_vul_integration_run: { integration, start_datetime: startOf(key), state: 'complete', substate: 'success', notes: text },
    sn_vulc_policy: { source: 'test', source_id: key, short_description: text, description: `description of ${text}` },
    sn_vulc_test: { source: 'test', source_id: key, short_description: text, description: text, criticality: 'High' },
    sn_vulc_policy_test: { policy: own, test },
    sn_vulc_auth_src: { source: 'test', source_id: key, short_description: text },
    sn_vulc_citation: { source: 'test', auth_src: source, control: test, section: key, section_name: text },
    sn_vulc_result: {
      source: 'test',
      source_id: key,
      integration_instance: impl,
      cmdb_ci: ci,
      control: own,
      result: version === 1 ? 'failed' : 'passed',
      source_risk_score: `${version}`,
      actual_values: text,
    },
    sn_sec_cmn_region: { name: key },
    sn_sec_cmn_src_ci: {
      source: impl,
      source_id: key,
      cmdb_ci: ci,
      resource_id: key,
      resource_name: text,
      matching_type: 'created_by_ire',
    },
    sn_vul_nvd_entry: { id: key, summary: text },
    sn_vul_container_image: { integration_instance: impl, docker_image: imageCi, image_name: text, image_digest: key, repository: 'test' },
    sn_vul_container_image_package: { image, name: key, version: '1.10' },
    sn_vul_container_image_findings: { source_id: key, image, vulnerability: cve, severity: '2', proof: text },
    sn_vul_container_image_vulnerable_item: { vulnerability: own, image, docker_image: imageCi, source: 'test', image_repository: text },
    sn_vul_container_finding_m2m_vul_item: { finding: own, item },
  };
  const known = fields[table];
  if (known === undefined) throw new Error(`No record of ${table} is described.`);
  const columns = Object.keys(tableSpecOf(table).columns);
  return { table, key, fields: Object.fromEntries(Object.entries(known).filter(([column]) => columns.includes(column))) };
}

/** A moment of its own for every key. */
function startOf(key: string): string {
  const seconds = Buffer.from(key).reduce((sum, byte) => (sum * 31 + byte) % 86_400, 7);
  return new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString().slice(0, 19).replace('T', ' ');
}
