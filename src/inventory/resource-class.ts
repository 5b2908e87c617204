/** Which CMDB class Discovery would have put a cloud resource in (mapping.md §4; servicenow.md §11 "Class per Azure type"). */

/** The class of everything without a class of its own, and the only resource class that the engine creates. */
export const placeholderClass = 'cmdb_ci_cmp_resource';
/** What the placeholder and most classes of Discovery's own inherit `object_id` from (dictionary, class tree): asked, it answers for all. */
export const cloudFamilyClass = 'cmdb_ci_vm_object';
export const accountClass = 'cmdb_ci_cloud_service_account';
export const imageClass = 'cmdb_ci_docker_image';
/** Not a CI: tags of one, as related items. */
export const tagClass = 'cmdb_key_value';

const classes: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'microsoft.compute/virtualmachines': 'cmdb_ci_vm_instance',
    'microsoft.storage/storageaccounts': 'cmdb_ci_cloud_storage_account',
    'microsoft.sql/servers': 'cmdb_ci_cloud_database',
    'microsoft.sql/servers/databases': 'cmdb_ci_database',
    'microsoft.web/sites': 'cmdb_ci_cloud_webserver',
    'microsoft.network/networksecuritygroups': 'cmdb_ci_compute_security_group',
    'microsoft.network/publicipaddresses': 'cmdb_ci_cloud_public_ipaddress',
    'microsoft.network/virtualnetworks/subnets': 'cmdb_ci_cloud_subnet',
    'microsoft.resources/subscriptions/resourcegroups': 'cmdb_ci_resource_group',
    'microsoft.resources/subscriptions': accountClass,
    'aws::account': accountClass,
    'gcp::project': accountClass,
    'aws::s3::bucket': 'cmdb_ci_cloud_object_storage',
  }),
);

/** Class to look in before a placeholder is made. @param resourceType lower case */
export function lookupClassOf(resourceType: string): string {
  return classes.get(resourceType) ?? placeholderClass;
}

/** Logical datacenter class of a cloud (servicenow.md §5.1, §11). Machines in no cloud hang on the Azure account they report to. */
export function datacenterClassOf(cloud: 'azure' | 'aws' | 'gcp' | 'on-premises'): string {
  switch (cloud) {
    case 'aws':
      return 'cmdb_ci_aws_datacenter';
    case 'gcp':
      return 'cmdb_ci_google_datacenter';
    case 'azure':
    case 'on-premises':
      return 'cmdb_ci_azure_datacenter';
  }
}

/**
 * Classes of adapters and addresses, and the columns by which each names the CI that it is a part of, best first: a lookup that
 * hits one of them means its parent (servicenow.md §1.5).
 */
export const parentColumns: ReadonlyMap<string, readonly string[]> = new Map([
  ['cmdb_ci_nic', ['cmdb_ci']],
  ['cmdb_ci_network_adapter', ['cmdb_ci']],
  ['cmdb_ci_ip_address', ['owned_by_cmdb_ci', 'nic']],
  ['dscy_switchport', ['cmdb_ci']],
]);

/** Every CI class that the engine looks into or creates: what it has to know the columns of. */
export const ciClasses: readonly string[] = [
  ...new Set([
    'cmdb_ci',
    placeholderClass,
    cloudFamilyClass,
    imageClass,
    ...classes.values(),
    ...parentColumns.keys(),
    ...(['azure', 'aws', 'gcp'] as const).map((cloud) => datacenterClassOf(cloud)),
  ]),
];
