/** Which role writes which tables, as far as product pages and public code say (servicenow.md §2, §6; dictionary/roles). */

export interface WriteRight {
  readonly feature: string;
  /** Any of them is enough; admin always is. */
  readonly roles: readonly string[];
  readonly tables: readonly string[];
  /** Without it there is nothing to sync: a run waits for it. Without the others it leaves out their feature. */
  readonly indispensable?: true;
}

export const writeRights = {
  compliance: {
    feature: 'policies, tests, standards and results',
    roles: ['sn_vulc.write'],
    tables: ['sn_vulc_test', 'sn_vulc_policy', 'sn_vulc_policy_test', 'sn_vulc_auth_src', 'sn_vulc_citation', 'sn_vulc_result'],
    indispensable: true,
  },
  discoveredItems: {
    feature: 'discovered items',
    roles: ['sn_vulc.import_admin', 'sn_vul.vr_import_admin'],
    tables: ['sn_sec_cmn_src_ci'],
    indispensable: true,
  },
  attributes: {
    feature: 'accounts, regions, types, providers and host tags of discovered items',
    roles: ['sn_sec_cmn.write', 'sn_vulc.write'],
    tables: [
      'sn_sec_cmn_cloud_account',
      'sn_sec_cmn_region',
      'sn_sec_cmn_cloud_resource_type',
      'sn_sec_cmn_cloud_service_provider',
      'sn_sec_cmn_host_tag',
      'sn_sec_cmn_m2m_src_ci_tag',
    ],
  },
  vulnerabilities: {
    feature: 'placeholders of CVEs that the instance does not know',
    roles: ['sn_vul.vulnerability_write'],
    tables: ['sn_vul_nvd_entry'],
  },
  images: {
    feature: 'container images, packages and findings',
    roles: ['sn_vul_container.write_all'],
    tables: [
      'sn_vul_container_image',
      'sn_vul_container_image_package',
      'sn_vul_container_image_findings',
      'sn_vul_container_finding_m2m_vul_item',
    ],
  },
  vulnerableItems: {
    feature: 'container vulnerable items',
    roles: ['sn_vul_container.create_vi', 'sn_vul_container.write_all'],
    tables: ['sn_vul_container_image_vulnerable_item'],
  },
  integrationInstance: {
    feature: "records of the engine's runs on the instance",
    roles: ['sn_sec_int.admin', 'sn_vul_msft_tvm.configure_integration'],
    tables: ['sn_sec_int_impl', 'sn_sec_int_integration'],
  },
  integrations: {
    feature: 'the five integration records',
    roles: ['sn_vul_msft_tvm.configure_integration', 'sn_vul.vulnerability_admin'],
    tables: ['sn_vul_integration'],
  },
  runs: {
    feature: 'one record per run and integration',
    roles: ['sn_vul.vr_import_admin'],
    tables: ['sn_vul_integration_run'],
  },
} as const satisfies Readonly<Record<string, WriteRight>>;

/** The right that a table needs; undefined for a table that nobody documents. */
export function rightTo(table: string): WriteRight | undefined {
  return Object.values<WriteRight>(writeRights).find(({ tables }) => tables.includes(table));
}
