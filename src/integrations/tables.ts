/**
 * Every ServiceNow table that the engine writes, and how its logical columns are found (design §5: "what exists is read from
 * the instance, never assumed"). Names are those that product pages or public code show (examples/servicenow/dictionary);
 * columns whose names nobody prints are found by what they reference. Everything is optional except what the record is
 * meaningless without. Fields of analysts (assignment, state, notes, exceptions) are not listed, so they cannot be written.
 */
import type { ColumnSpec, TableSpec } from '../model.ts';

const text = (...names: string[]): ColumnSpec => ({ names, type: 'text' });
const key = (...names: string[]): ColumnSpec => ({ names, type: 'key' });
const time = (...names: string[]): ColumnSpec => ({ names, type: 'time' });
const decimal = (...names: string[]): ColumnSpec => ({ names, type: 'decimal' });
const flag = (...names: string[]): ColumnSpec => ({ names, type: 'boolean' });
const choice = (...names: string[]): ColumnSpec => ({ names, type: 'choice' });
const label = (...names: string[]): ColumnSpec => ({ names, type: 'label' });
const reference = (references: string, ...names: string[]): ColumnSpec => ({ names, references, type: 'reference' });
const list = (references: string, ...names: string[]): ColumnSpec => ({ names, references, type: 'list' });
const required = (column: ColumnSpec): ColumnSpec => ({ ...column, required: true });
const onCreate = (column: ColumnSpec): ColumnSpec => ({ ...column, onCreateOnly: true });

const data = { traffic: 'data', ifMissing: 'stop' } as const;
/** A feature that the rest can do without. */
const optionalData = { traffic: 'data', ifMissing: 'skip' } as const;
/** Container Vulnerability Response is an application of its own, which not every instance has. */
const ofContainers = { onlyWith: 'sn_vul_container_image' } as const;
const bookkeeping = { traffic: 'bookkeeping', ifMissing: 'skip' } as const;

/** Configuration Compliance: servicenow.md §2. */
const compliance: readonly TableSpec[] = [
  {
    ...data,
    name: 'sn_vulc_policy',
    naturalKey: ['source', 'source_id'],
    columns: {
      source: text('source'),
      source_id: required(key('source_id')),
      short_description: required(text('short_description')),
      description: text('description'),
      source_created: time('source_created'),
      source_updated: time('source_updated'),
    },
  },
  {
    ...data,
    name: 'sn_vulc_test',
    naturalKey: ['source', 'source_id'],
    columns: {
      source: text('source'),
      source_id: required(key('source_id')),
      short_description: required(text('short_description')),
      description: text('description'),
      remediation: text('remediation'),
      source_category: text('source_category'),
      source_sub_category: text('source_sub_category'),
      source_criticality: text('source_criticality'),
      // The instance's criticality map and its analysts own this from then on.
      criticality: onCreate(label('criticality')),
      source_created: time('source_created'),
    },
  },
  {
    ...optionalData,
    name: 'sn_vulc_policy_test',
    naturalKey: ['policy', 'test'],
    columns: { policy: required(reference('sn_vulc_policy', 'policy')), test: required(reference('sn_vulc_test', 'test')) },
  },
  {
    ...data,
    name: 'sn_vulc_auth_src',
    naturalKey: ['source', 'source_id'],
    columns: {
      source: text('source'),
      source_id: required(key('source_id')),
      short_description: required(text('short_description')),
      description: text('description'),
    },
  },
  {
    ...data,
    name: 'sn_vulc_citation',
    naturalKey: ['auth_src', 'control', 'section'],
    columns: {
      source: text('source'),
      auth_src: required(reference('sn_vulc_auth_src', 'auth_src')),
      control: required(reference('sn_vulc_test', 'control')),
      section: required(key('section')),
      section_name: text('section_name'),
    },
  },
  {
    ...data,
    name: 'sn_vulc_result',
    naturalKey: ['integration_instance', 'cmdb_ci', 'control'],
    columns: {
      source: text('source'),
      source_id: key('source_id'),
      integration_instance: required(reference('sn_sec_int_impl', 'integration_instance')),
      cmdb_ci: required(reference('cmdb_ci', 'cmdb_ci')),
      src_ci: reference('sn_sec_cmn_src_ci', 'src_ci'),
      control: required(reference('sn_vulc_test', 'control')),
      result: required(choice('result')),
      first_seen: time('first_seen'),
      last_seen: time('last_seen'),
      last_pass: time('last_pass'),
      actual_values: text('actual_values'),
      result_details: text('result_details'),
      source_risk_score: text('source_risk_score'),
      is_ignored: flag('is_ignored'),
    },
  },
];

/** Discovered items and their attributes: servicenow.md §1.4, §4. The attribute tables' only known purpose is a name. */
const common: readonly TableSpec[] = [
  ...['sn_sec_cmn_cloud_account', 'sn_sec_cmn_region', 'sn_sec_cmn_cloud_resource_type', 'sn_sec_cmn_cloud_service_provider'].map(
    (name): TableSpec => ({ ...optionalData, yieldedByMany: true, name, naturalKey: ['name'], columns: { name: required(key('name')) } }),
  ),
  {
    ...data,
    name: 'sn_sec_cmn_src_ci',
    naturalKey: ['source', 'source_id'],
    columns: {
      source: required(reference('sn_sec_int_impl', 'source')),
      source_id: required(key('source_id')),
      cmdb_ci: required(reference('cmdb_ci', 'cmdb_ci')),
      resource_id: text('resource_id'),
      resource_name: text('resource_name'),
      asset_category: text('asset_category'),
      cloud_account: reference('sn_sec_cmn_cloud_account', 'cloud_account'),
      cloud_region: reference('sn_sec_cmn_region', 'cloud_region'),
      cloud_resource_type: reference('sn_sec_cmn_cloud_resource_type', 'cloud_resource_type'),
      cloud_service_provider: reference('sn_sec_cmn_cloud_service_provider', 'cloud_service_provider'),
      source_data: text('source_data'),
      // What filters on resource tags look at.
      host_tag: list('sn_sec_cmn_host_tag', 'host_tag'),
      // The platform re-matches items by its own rules; what it says then stands.
      matching_type: onCreate(choice('matching_type')),
      last_scan_date: time('last_scan_date'),
      // Configuration Compliance's stale rules look at this one (servicenow.md §11).
      last_comp_scan_date: time('last_comp_scan_date'),
    },
  },
  {
    // Whoever was first spells it, and everybody's items point at it.
    ...optionalData,
    createOnly: true,
    yieldedByMany: true,
    name: 'sn_sec_cmn_host_tag',
    naturalKey: ['name'],
    columns: { name: required(key('name')) },
  },
  {
    ...optionalData,
    createOnly: true,
    removedFrom: 'src_ci',
    name: 'sn_sec_cmn_m2m_src_ci_tag',
    naturalKey: ['src_ci', 'host_tag'],
    columns: { src_ci: required(reference('sn_sec_cmn_src_ci')), host_tag: required(reference('sn_sec_cmn_host_tag')) },
  },
];

/** Container Vulnerability Response: servicenow.md §3, §11. Two dialects name the image's columns in singular or plural. */
const containers: readonly TableSpec[] = [
  {
    ...data,
    ...ofContainers,
    name: 'sn_vul_nvd_entry',
    naturalKey: ['id'],
    createOnly: true,
    yieldedByMany: true,
    columns: {
      id: required(key('id')),
      summary: text('summary'),
      source_severity: text('source_severity'),
      score: decimal('score'),
      v4_base_score: decimal('v4_base_score'),
      v4_vector_string: text('v4_vector_string'),
      v3_base_score: decimal('v3_base_score'),
      v3_vector_string: text('v3_vector_string'),
      v2_base_score: decimal('v2_base_score'),
      v2_vector_string: text('v2_vector_string'),
      epss_score: decimal('epss_score'),
      exploit: flag('exploit', 'public_exploit'),
      date_published: time('date_published'),
      last_modified: time('last_modified'),
    },
  },
  {
    ...data,
    ...ofContainers,
    name: 'sn_vul_container_image',
    naturalKey: ['integration_instance', 'repository', 'image_digest'],
    columns: {
      integration_instance: reference('sn_sec_int_impl', 'integration_instance'),
      docker_image: reference('cmdb_ci_docker_image'),
      image_name: text('image_name'),
      image_digest: required(key('image_digest')),
      image_id: text('image_id'),
      repository_entry: text('repository_entry'),
      registry: text('registry'),
      repository: required(key('repository', 'repo')),
      cloud_provider: text('cloud_provider', 'cloud_providers'),
      cloud_account: text('cloud_account', 'cloud_account_ids'),
      cloud_region: text('cloud_region', 'cloud_regions'),
    },
  },
  {
    ...optionalData,
    ...ofContainers,
    name: 'sn_vul_container_image_package',
    naturalKey: ['image', 'name', 'version'],
    columns: {
      image: reference('sn_vul_container_image'),
      name: required(key('name')),
      version: key('version'),
    },
  },
  {
    ...data,
    ...ofContainers,
    name: 'sn_vul_container_image_findings',
    naturalKey: ['source_id'],
    columns: {
      source_id: required(key('source_id')),
      unique_key: key('unique_key'),
      image: reference('sn_vul_container_image'),
      package: reference('sn_vul_container_image_package'),
      vulnerability: reference('sn_vul_entry', 'vulnerability'),
      docker_image: reference('cmdb_ci_docker_image'),
      status: label('status'),
      severity: choice('severity'),
      proof: text('proof'),
      path: text('path'),
      fixed_version: text('fixed_version', 'fix_status'),
      first_found: time('first_found'),
      last_found: time('last_found'),
    },
  },
  {
    ...data,
    ...ofContainers,
    name: 'sn_vul_container_image_vulnerable_item',
    naturalKey: ['vulnerability', 'image'],
    columns: {
      vulnerability: required(reference('sn_vul_entry', 'vulnerability')),
      image: required(reference('sn_vul_container_image', 'discovered_container_image')),
      // A stock job cancels items without it (servicenow.md §11).
      docker_image: required(reference('cmdb_ci_docker_image')),
      source: text('source'),
      image_repository: text('image_repository'),
      first_found: time('first_found_dt_tm', 'first_found_dt_time'),
      last_found: time('last_found_dt_tm', 'last_found_dt_time'),
    },
  },
  {
    ...optionalData,
    ...ofContainers,
    name: 'sn_vul_container_finding_m2m_vul_item',
    naturalKey: ['finding', 'item'],
    columns: {
      finding: required(reference('sn_vul_container_image_findings')),
      item: required(reference('sn_vul_container_image_vulnerable_item')),
    },
  },
];

/** The engine's own records: servicenow.md §6. Without the right to make them, bookkeeping is off and the report says so. */
const engine: readonly TableSpec[] = [
  {
    ...bookkeeping,
    name: 'sn_sec_int_integration',
    naturalKey: ['name'],
    columns: {
      name: required(text('name')),
      id: text('id'),
      short_description: text('short_description'),
      description: text('description'),
      source: text('source'),
    },
  },
  {
    // Results, items and images point at their instance: it is bookkeeping that nothing can do without.
    ...bookkeeping,
    ifMissing: 'stop',
    name: 'sn_sec_int_impl',
    naturalKey: ['name'],
    columns: {
      name: required(text('name')),
      integration: reference('sn_sec_int_integration', 'integration'),
      description: text('description'),
      // ServiceNow's own off switch: said once, then it is the operator's.
      active: onCreate(flag('active')),
    },
  },
  {
    ...bookkeeping,
    name: 'sn_vul_integration',
    naturalKey: ['name'],
    columns: {
      name: required(text('name')),
      integration: reference('sn_sec_int_integration', 'integration'),
      instance: reference('sn_sec_int_impl', 'instance'),
      active: flag('active'),
      run_type: text('run_type'),
      run_as: reference('sys_user', 'run_as'),
    },
  },
  {
    ...bookkeeping,
    name: 'sn_vul_integration_run',
    naturalKey: ['integration', 'start_datetime'],
    columns: {
      integration: reference('sn_vul_integration', 'integration'),
      implementation: reference('sn_sec_int_impl', 'implementation'),
      source: text('source'),
      state: choice('state'),
      substate: choice('substate'),
      start_datetime: required(time('start_datetime')),
      end_datetime: time('end_datetime'),
      notes: text('notes'),
      fatal_error_message: text('fatal_error_message'),
    },
  },
];

export const tableSpecs: readonly TableSpec[] = [...engine, ...compliance, ...common, ...containers];

const byName: ReadonlyMap<string, TableSpec> = new Map(tableSpecs.map((spec) => [spec.name, spec]));

/** The specification of a table. @throws RangeError for a table that the engine does not write: a defect of the caller */
export function tableSpecOf(name: string): TableSpec {
  const spec = byName.get(name);
  if (spec === undefined) throw new RangeError(`${name} is not a table that the engine writes`);
  return spec;
}

/** Whether a run can do without what this table holds; of tables that the engine does not write it cannot tell, and says no. */
export function isDispensable(name: string): boolean {
  return byName.get(name)?.ifMissing === 'skip';
}
