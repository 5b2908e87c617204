/** Which ServiceNow application brings a table, and what it is for (servicenow.md §1.1, §1.2). */
export interface Application {
  readonly name: string;
  readonly scope: string;
  /** What of the sync needs it. */
  readonly feature: string;
  /** Lets its tables be read. */
  readonly readRole: string;
}

/** The longest prefix wins: the first that fits. */
const applications: readonly (Application & { readonly prefix: string })[] = [
  {
    prefix: 'sn_vul_container_',
    name: 'Container Vulnerability Response',
    scope: 'sn_vul_container',
    feature: 'container images, their findings and vulnerable items',
    readRole: 'sn_vul_container.read_all',
  },
  {
    prefix: 'sn_vul_integration',
    name: 'Vulnerability Response',
    scope: 'sn_vul',
    feature: 'integration and run records on the instance',
    readRole: 'sn_vul.read_all',
  },
  {
    prefix: 'sn_vulc_',
    name: 'Configuration Compliance',
    scope: 'sn_vulc',
    feature: 'policies, tests, standards and test results',
    readRole: 'sn_vulc.read',
  },
  { prefix: 'sn_vul_', name: 'Vulnerability Response', scope: 'sn_vul', feature: 'CVEs', readRole: 'sn_vul.read_all' },
  {
    prefix: 'sn_sec_int_',
    name: 'Security Support Common',
    scope: 'sn_sec_cmn',
    feature: 'integration records on the instance',
    readRole: 'sn_sec_cmn.read',
  },
  {
    prefix: 'sn_sec_cmn_',
    name: 'Security Support Common',
    scope: 'sn_sec_cmn',
    feature: 'discovered items',
    readRole: 'sn_sec_cmn.read',
  },
  { prefix: 'cmdb_', name: 'CMDB CI Class Models', scope: 'sn_cmdb_ci_class', feature: 'CIs', readRole: 'itil' },
];

export function applicationOf(table: string): Application {
  return (
    applications.find(({ prefix }) => table.startsWith(prefix)) ?? {
      name: `the application that brings ${table}`,
      scope: 'global',
      feature: table,
      readRole: 'that its ACLs name',
    }
  );
}
