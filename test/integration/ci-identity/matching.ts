/**
 * Which CI a resource gets: resource × what the CMDB holds → expected CI, class, and matching type of the discovered item.
 *
 * Every row has resources of its own, so all rows of one set of lookup rules are played in one run. `{n}` in an id is the row's
 * number. What the CMDB holds is written in order, each a second after the one before: "oldest" is what stands first.
 */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../../src/model.ts';

export interface Holding {
  /** What the row calls it; a value `@<label>` is a reference to it. */
  readonly label: string;
  readonly table: string;
  readonly values: Readonly<Record<string, string>>;
}

export type RuleSet = 'shipped' | 'none readable' | 'name first' | 'own rules';

export interface MatchingRow {
  readonly what: string;
  /** Default: the three that ship. */
  readonly rules?: RuleSet;
  readonly id: string;
  /** Default: an Azure resource. */
  readonly details?: JsonObject;
  readonly holds?: readonly Holding[];
  readonly expected:
    | {
        /** Label of the CI that is taken; `new`: created for it; `engine`: not held before, and found by IRE. */
        readonly ci: string;
        readonly class: string;
        /** Of the discovered item; '' where the item says nothing, `kept` where it existed. */
        readonly matchingType: string;
        /** What the ledger says about the match. */
        readonly note?: RegExp;
        /** Object id of the CI that a new one is hosted on. */
        readonly hostedOn?: string;
      }
    | { readonly parked: RegExp }
    | { readonly quarantined: RegExp };
}

export const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const group = `/subscriptions/${subscription}/resourceGroups/Rg-{n}`;
const of = (type: string, name = 'Thing-{n}'): string => `${group}/providers/${type}/${name}`;
const vm = of('Microsoft.Compute/virtualMachines', 'Vm-{n}');
const vault = of('Microsoft.KeyVault/vaults', 'Vault-{n}');
const digest = (row: string): string => createHash('sha256').update(row).digest('hex');

const ci = (table: string, objectId: string, more: Holding['values'] = {}, label = 'a'): Holding => ({
  label,
  table,
  values: { object_id: objectId, name: 'held {n}', ...more },
});
const machine = (objectId = vm, more: Holding['values'] = {}, label = 'a'): Holding => ci('cmdb_ci_vm_instance', objectId, more, label);
const placeholder = (objectId = vm, more: Holding['values'] = {}, label = 'p'): Holding =>
  ci('cmdb_ci_cmp_resource', objectId, more, label);
const item = (source: '@one' | '@other', ciLabel: string, sourceId = vm.toLowerCase(), label = 'item'): Holding => ({
  label,
  table: 'sn_sec_cmn_src_ci',
  values: { source, source_id: sourceId, cmdb_ci: ciLabel, matching_type: 'matched_by_ire' },
});
const retired = { install_status: '7' };
const retiredOperation = { operational_status: '6' };

const specific = 'cmdb_ci_vm_instance';
const cmp = 'cmdb_ci_cmp_resource';
const byRule = 'matched_by_cilookup';
const account = 'cmdb_ci_cloud_service_account';
const found = (label: string, className: string, note?: RegExp) =>
  ({ ci: label, class: className, matchingType: byRule, ...(note && { note }) }) as const;
const created = (className = cmp, hostedOn?: string) =>
  ({ ci: 'new', class: className, matchingType: 'created_by_ire', ...(hostedOn !== undefined && { hostedOn }) }) as const;
const byItem = (label: string, className: string, note?: RegExp) =>
  ({ ci: label, class: className, matchingType: '', ...(note && { note }) }) as const;

const bySpecificClass: readonly MatchingRow[] = [
  { what: 'nothing is known of it', id: vm, expected: created(cmp, subscription) },
  { what: 'Discovery knows it, spelled alike', id: vm, holds: [machine()], expected: found('a', specific) },
  { what: 'Discovery knows it in lower case', id: vm, holds: [machine(vm.toLowerCase())], expected: found('a', specific) },
  { what: 'Discovery knows it in upper case', id: vm, holds: [machine(vm.toUpperCase())], expected: found('a', specific) },
  { what: 'the id comes in upper case', id: vm.toUpperCase(), holds: [machine()], expected: found('a', specific) },
  { what: 'a placeholder of an earlier time', id: vm, holds: [placeholder()], expected: found('p', cmp) },
  { what: 'an older placeholder beside the real class', id: vm, holds: [placeholder(), machine()], expected: found('a', specific) },
  { what: 'another machine only', id: vm, holds: [machine(`${vm}-2`)], expected: created() },
  {
    what: 'the same id in a class that its type is not mapped to',
    id: vm,
    holds: [ci('cmdb_ci_cloud_database', vm)],
    expected: created(),
  },
  { what: 'two of them', id: vm, holds: [machine(), machine(vm, {}, 'b')], expected: found('a', specific, /2 CIs match/) },
  {
    what: 'three of them',
    id: vm,
    holds: [machine(vm, {}, 'c'), machine(), machine(vm, {}, 'b')],
    expected: found('c', specific, /3 CIs match/),
  },
  {
    what: 'a type without a class of its own, held by a placeholder in other spelling',
    id: vault,
    holds: [placeholder(vault.toLowerCase())],
    expected: found('p', cmp),
  },
  { what: 'a type without a class of its own', id: vault, expected: created() },
  {
    what: 'a database server',
    id: of('Microsoft.Sql/servers'),
    holds: [ci('cmdb_ci_cloud_database', of('Microsoft.Sql/servers'))],
    expected: found('a', 'cmdb_ci_cloud_database'),
  },
  {
    what: 'a database: its class has no object id, so no rule can look for it',
    id: of('Microsoft.Sql/servers', 'S-{n}/databases/D-{n}'),
    holds: [{ label: 'a', table: 'cmdb_ci_database', values: { name: 'D-{n}' } }],
    expected: created(),
  },
  {
    what: 'a storage account',
    id: of('Microsoft.Storage/storageAccounts', 'stor{n}'),
    holds: [ci('cmdb_ci_cloud_storage_account', of('Microsoft.Storage/storageAccounts', 'stor{n}'))],
    expected: found('a', 'cmdb_ci_cloud_storage_account'),
  },
  {
    what: 'a web site',
    id: of('Microsoft.Web/sites'),
    holds: [ci('cmdb_ci_cloud_webserver', of('Microsoft.Web/sites'))],
    expected: found('a', 'cmdb_ci_cloud_webserver'),
  },
  {
    what: 'a security group',
    id: of('Microsoft.Network/networkSecurityGroups'),
    holds: [ci('cmdb_ci_compute_security_group', of('Microsoft.Network/networkSecurityGroups'))],
    expected: found('a', 'cmdb_ci_compute_security_group'),
  },
  {
    what: 'a public address',
    id: of('Microsoft.Network/publicIPAddresses'),
    holds: [ci('cmdb_ci_cloud_public_ipaddress', of('Microsoft.Network/publicIPAddresses'))],
    expected: found('a', 'cmdb_ci_cloud_public_ipaddress'),
  },
  {
    what: 'a subnet, contained by its network',
    id: of('Microsoft.Network/virtualNetworks', 'Net-{n}/subnets/Sub-{n}'),
    holds: [ci('cmdb_ci_cloud_subnet', of('Microsoft.Network/virtualNetworks', 'Net-{n}/subnets/Sub-{n}'))],
    expected: found('a', 'cmdb_ci_cloud_subnet'),
  },
  {
    what: 'a subnet that nobody discovered: never created in its class',
    id: of('Microsoft.Network/virtualNetworks', 'Net-{n}/subnets/Sub-{n}'),
    expected: created(),
  },
  { what: 'a resource group', id: group, holds: [ci('cmdb_ci_resource_group', group)], expected: found('a', 'cmdb_ci_resource_group') },
  { what: 'a resource group that nobody discovered', id: group, expected: created() },
];

const inPoorState: readonly MatchingRow[] = [
  { what: 'retired, and nothing else', id: vm, holds: [machine(vm, retired)], expected: found('a', specific, /retired/) },
  {
    what: 'retired by its operational status',
    id: vm,
    holds: [machine(vm, retiredOperation)],
    expected: found('a', specific, /retired/),
  },
  {
    what: 'an old one retired, a new one live',
    id: vm,
    holds: [machine(vm, retired), machine(vm, {}, 'b')],
    expected: found('b', specific),
  },
  { what: 'retired, beside a live placeholder', id: vm, holds: [machine(vm, retired), placeholder()], expected: found('p', cmp) },
  {
    what: 'a duplicate of one with another id',
    id: vm,
    holds: [machine(`${vm}-original`, {}, 'o'), machine(vm, { duplicate_of: '@o' })],
    expected: found('o', specific),
  },
  {
    what: 'a duplicate beside its original',
    id: vm,
    holds: [machine(vm, {}, 'o'), machine(vm, { duplicate_of: '@o' })],
    expected: found('o', specific),
  },
  {
    what: 'a duplicate of a duplicate',
    id: vm,
    holds: [machine(`${vm}-2`, {}, 'o'), machine(`${vm}-3`, { duplicate_of: '@o' }, 'b'), machine(vm, { duplicate_of: '@b' })],
    expected: found('o', specific),
  },
  {
    what: 'a duplicate whose original is gone',
    id: vm,
    holds: [machine(vm, { duplicate_of: 'f'.repeat(32) })],
    expected: found('a', specific, /duplicate of f+/),
  },
  {
    what: 'one of another domain beside one of the own',
    id: vm,
    holds: [machine(vm, { sys_domain: '@foreign' }), machine(vm, { sys_domain: 'global' }, 'b')],
    expected: found('b', specific),
  },
  {
    what: 'one of another domain only',
    id: vm,
    holds: [machine(vm, { sys_domain: '@foreign' })],
    expected: found('a', specific, /another domain/),
  },
];

const byDiscoveredItem: readonly MatchingRow[] = [
  {
    what: 'an own item, whatever the class',
    id: vm,
    holds: [ci('cmdb_ci_server', 'srv-{n}'), item('@one', '@a')],
    expected: { ci: 'a', class: 'cmdb_ci_server', matchingType: 'kept' },
  },
  {
    what: 'an own item on a placeholder: re-pointed only on command',
    id: vm,
    holds: [placeholder(), machine(), item('@one', '@p')],
    expected: { ci: 'p', class: cmp, matchingType: 'kept' },
  },
  {
    what: "another deployment's item",
    id: vm,
    holds: [ci('cmdb_ci_server', 'srv-{n}'), item('@other', '@a')],
    expected: byItem('a', 'cmdb_ci_server'),
  },
  {
    what: "another deployment's item in upper case",
    id: vm,
    holds: [ci('cmdb_ci_server', 'srv-{n}'), item('@other', '@a', vm.toUpperCase())],
    expected: byItem('a', 'cmdb_ci_server'),
  },
  {
    what: 'an own item and an older one of another deployment',
    id: vm,
    holds: [machine(`${vm}-x`), ci('cmdb_ci_server', 'srv-{n}', {}, 'b'), item('@other', '@a', vm.toLowerCase(), 'i1'), item('@one', '@b')],
    expected: { ci: 'b', class: 'cmdb_ci_server', matchingType: 'kept' },
  },
  {
    what: "another deployment's item whose CI is retired, and a live one by rule",
    id: vm,
    holds: [machine(`${vm}-old`, retired, 'r'), machine(), item('@other', '@r')],
    expected: found('a', specific),
  },
  {
    what: "another deployment's item whose CI is retired, and nothing else",
    id: vm,
    holds: [machine(`${vm}-old`, retired, 'r'), item('@other', '@r')],
    expected: byItem('r', specific, /retired/),
  },
  {
    what: "another deployment's item whose CI is deleted",
    id: vm,
    holds: [item('@other', 'e'.repeat(32))],
    expected: created(),
  },
  {
    what: "another deployment's item whose CI is a duplicate",
    id: vm,
    holds: [machine(`${vm}-o`, {}, 'o'), machine(`${vm}-d`, { duplicate_of: '@o' }, 'd'), item('@other', '@d')],
    expected: byItem('o', specific),
  },
];

const byName: readonly MatchingRow[] = [
  { what: 'its name is the object id', id: vm, holds: [machine('Vm-{n}')], expected: found('a', specific) },
  { what: 'its name is the object id, in other case', id: vm, holds: [machine('VM-{n}')], expected: found('a', specific) },
  { what: 'one by name, one by id', id: vm, holds: [machine('Vm-{n}'), machine(vm, {}, 'b')], expected: found('b', specific) },
  {
    what: 'one by name, a placeholder by id',
    id: vm,
    holds: [placeholder(), machine('Vm-{n}')],
    expected: found('a', specific),
  },
  {
    what: 'its name in a class that its type is not mapped to',
    id: vm,
    holds: [ci('cmdb_ci_cloud_webserver', 'Vm-{n}')],
    expected: created(),
  },
];

const bucket = 'arn:aws:s3:::bucket-{n}';
const aws = (nativeId: string, accountId = '123456789012'): JsonObject => ({
  Source: 'Aws',
  NativeResourceId: nativeId,
  AccountId: accountId,
});
const entity = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Security/securityConnectors/c/securityEntityData/e-{n}`;
const workspace = `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/Logs`;
const onPremises = {
  Source: 'OnPremise',
  WorkspaceId: workspace,
  Vmuuid: 'uuid-{n}',
  SourceComputerId: 'c-{n}',
  MachineName: 'Server-{n}',
};
const onPremisesId = `on-premises/${workspace.slice(1).replaceAll('/', ':')}/uuid-{n}/Server-{n}`;

const otherKinds: readonly MatchingRow[] = [
  {
    what: 'a bucket by its ARN',
    id: entity,
    details: aws(bucket),
    holds: [ci('cmdb_ci_cloud_object_storage', bucket)],
    expected: found('a', 'cmdb_ci_cloud_object_storage'),
  },
  {
    what: 'a bucket by its name (rule S3 Bucket follows rule Name)',
    id: entity,
    details: aws(bucket),
    holds: [ci('cmdb_ci_cloud_object_storage', 'bucket-{n}')],
    expected: found('a', 'cmdb_ci_cloud_object_storage'),
  },
  {
    what: 'a bucket that Amazon spells in another partition: rule S3 Bucket',
    id: entity,
    details: aws('arn:aws-us-gov:s3:::bucket-{n}'),
    holds: [ci('cmdb_ci_cloud_object_storage', bucket.toUpperCase())],
    expected: found('a', 'cmdb_ci_cloud_object_storage'),
  },
  { what: 'a bucket that nobody discovered', id: entity, details: aws(bucket), expected: created(cmp, '123456789012') },
  {
    what: 'a machine of AWS: below the datacenter of its region',
    id: entity,
    details: aws('arn:aws:ec2:us-east-1:123456789012:instance/i-{n}'),
    expected: created(cmp, 'us-east-1'),
  },
  {
    what: 'a machine of AWS by a bare native id',
    id: entity,
    details: aws('i-0{n}'),
    holds: [placeholder('aws/123456789012/i-0{n}')],
    expected: found('p', cmp),
  },
  {
    what: 'an AWS account that Discovery knows',
    id: entity,
    details: aws('111111111{n}', '111111111{n}'),
    holds: [ci(account, '111111111{n}', { account_id: '111111111{n}', datacenter_type: 'cmdb_ci_aws_datacenter' })],
    expected: found('a', account),
  },
  { what: 'an AWS account that nobody knows', id: entity, details: aws('222222222{n}', '222222222{n}'), expected: created(account) },
  {
    what: 'a machine of Google: below the datacenter of its region',
    id: entity,
    details: { Source: 'Gcp', NativeResourceId: '//compute.googleapis.com/projects/p-{n}/zones/europe-west1-b/instances/i' },
    expected: created(cmp, 'europe-west1'),
  },
  {
    what: 'a machine of Google that is held by its full name',
    id: entity,
    details: { Source: 'Gcp', NativeResourceId: 'https://www.googleapis.com/compute/v1/projects/p-{n}/zones/europe-west1-b/instances/i' },
    holds: [placeholder('//compute.googleapis.com/projects/p-{n}/zones/europe-west1-b/instances/i')],
    expected: found('p', cmp),
  },
  {
    what: 'a Google project that Discovery knows',
    id: entity,
    details: { Source: 'Gcp', NativeResourceId: 'projects/p-{n}' },
    holds: [ci(account, 'p-{n}', { account_id: 'p-{n}', datacenter_type: 'cmdb_ci_google_datacenter' })],
    expected: found('a', account),
  },
  {
    what: 'a subscription that Discovery knows by its id',
    id: '/subscriptions/30ff7fc3-e762-44dd-bd96-b71116dc0{n}',
    holds: [ci(account, '30ff7fc3-e762-44dd-bd96-b71116dc0{n}', { account_id: 'x', datacenter_type: 'cmdb_ci_azure_datacenter' })],
    expected: found('a', account),
  },
  { what: 'a subscription that nobody knows', id: '/subscriptions/40ff7fc3-e762-44dd-bd96-b71116dc0{n}', expected: created(account) },
  {
    what: 'a subscription that is known by its account id only: IRE knows it by that',
    id: '/subscriptions/50ff7fc3-e762-44dd-bd96-b71116dc0{n}',
    holds: [
      {
        label: 'a',
        table: account,
        values: { name: 'held', account_id: '50ff7fc3-e762-44dd-bd96-b71116dc0{n}', datacenter_type: 'cmdb_ci_azure_datacenter' },
      },
    ],
    expected: { ci: 'a', class: account, matchingType: 'matched_by_ire' },
  },
  {
    what: 'a CI that an administrator renamed: IRE knows it by its source',
    id: vm,
    holds: [
      placeholder('renamed-{n}'),
      {
        label: 's',
        table: 'sys_object_source',
        values: { name: 'Microsoft Defender for Cloud', id: vm.toLowerCase(), target_table: cmp, target_sys_id: '@p' },
      },
    ],
    expected: { ci: 'p', class: cmp, matchingType: 'matched_by_ire' },
  },
  {
    what: 'a management group belongs to no account, and nothing is guessed',
    id: '/providers/Microsoft.Management/managementGroups/Mg-{n}',
    expected: { parked: /belongs to no known subscription/ },
  },
  {
    what: 'a management group that somebody holds',
    id: '/providers/Microsoft.Management/managementGroups/Mg-{n}',
    holds: [placeholder('/providers/microsoft.management/managementgroups/MG-{n}')],
    expected: found('p', cmp),
  },
  {
    what: 'an instance of a scale set: not the machine of the same number in another',
    id: of('Microsoft.Compute/virtualMachineScaleSets', 'Set-{n}/virtualMachines/0'),
    holds: [placeholder(of('Microsoft.Compute/virtualMachineScaleSets', 'Other-{n}/virtualMachines/0'))],
    expected: created(),
  },
  {
    what: 'an extension of a machine is not the machine',
    id: `${vm}/extensions/Agent`,
    holds: [machine()],
    expected: created(),
  },
  {
    what: 'an object in a cluster is not the cluster',
    id: `${of('Microsoft.ContainerService/managedClusters', 'Aks-{n}')}/namespaces/default/deployments/web`,
    holds: [placeholder(of('Microsoft.ContainerService/managedClusters', 'Aks-{n}'))],
    expected: created(),
  },
  { what: 'a machine outside of a cloud', id: `${workspace}/x-{n}/y`, details: onPremises, expected: created(cmp, subscription) },
  {
    what: 'a machine outside of a cloud that is held',
    id: `${workspace}/x-{n}/y`,
    details: onPremises,
    holds: [placeholder(onPremisesId)],
    expected: found('p', cmp),
  },
  {
    what: 'a database outside of a cloud is not its machine',
    id: `${workspace}/x-{n}/y`,
    details: { ...onPremises, Source: 'OnPremiseSql', ServerName: 'Sql-{n}', DatabaseName: 'Db-{n}' },
    holds: [placeholder(onPremisesId)],
    expected: created(),
  },
  {
    what: 'an image that is held by its short id',
    id: `${of('Microsoft.ContainerRegistry/registries', 'reg{n}')}/repositories/app/images/sha256:${digest('held')}`,
    holds: [{ label: 'a', table: 'cmdb_ci_docker_image', values: { image_id: digest('held').slice(0, 12), name: 'app' } }],
    expected: { ci: 'a', class: 'cmdb_ci_docker_image', matchingType: 'matched_by_ire' },
  },
  {
    what: 'an image that nobody knows',
    id: `${of('Microsoft.ContainerRegistry/registries', 'reg{n}')}/repositories/app/images/sha256:${digest('new')}`,
    expected: created('cmdb_ci_docker_image'),
  },
  { what: 'an id that is none', id: `${group}/providers/Microsoft.Compute/virtualMachines/a^b`, expected: { quarantined: /contains \^/ } },
];

const byOtherRules: readonly MatchingRow[] = [
  {
    what: 'no rule is readable: those that ship',
    rules: 'none readable',
    id: vm,
    holds: [machine('Vm-{n}')],
    expected: found('a', specific),
  },
  {
    what: 'rule Name stands before rule Resource Id',
    rules: 'name first',
    id: vm,
    holds: [machine(), machine('Vm-{n}', {}, 'b')],
    expected: found('b', specific),
  },
  {
    what: 'the later rule, where the first finds nothing',
    rules: 'name first',
    id: vm,
    holds: [machine()],
    expected: found('a', specific),
  },
  {
    what: 'a rule that matches another field of another class',
    rules: 'own rules',
    id: vm,
    holds: [{ label: 'a', table: 'cmdb_ci_server', values: { name: 'VM-{n}' } }, machine(vm, {}, 'b')],
    expected: found('a', 'cmdb_ci_server'),
  },
  {
    what: 'a script rule cannot be evaluated; the next rule can',
    rules: 'own rules',
    id: vault,
    holds: [placeholder(vault)],
    expected: found('p', cmp),
  },
  {
    what: 'a rule whose condition does not hold for it',
    rules: 'own rules',
    id: of('Microsoft.Web/sites', 'Site-{n}'),
    holds: [{ label: 'a', table: 'cmdb_ci_server', values: { name: 'Site-{n}' } }],
    expected: created(),
  },
  {
    what: 'an adapter means its machine',
    rules: 'own rules',
    id: of('Microsoft.Network/networkInterfaces', 'Nic-{n}'),
    holds: [machine('m-{n}'), { label: 'n', table: 'cmdb_ci_nic', values: { name: 'Nic-{n}', cmdb_ci: '@a' } }],
    expected: found('a', specific),
  },
  {
    what: 'an address means the owner of its adapter',
    rules: 'own rules',
    id: of('Microsoft.Network/publicIPAddresses', 'Ip-{n}'),
    holds: [
      machine('m-{n}'),
      { label: 'n', table: 'cmdb_ci_nic', values: { name: 'of ip {n}', cmdb_ci: '@a' } },
      { label: 'i', table: 'cmdb_ci_ip_address', values: { name: 'Ip-{n}', nic: '@n' } },
    ],
    expected: found('a', specific),
  },
  {
    what: 'an address means its owner',
    rules: 'own rules',
    id: of('Microsoft.Network/publicIPAddresses', 'Ip-{n}'),
    holds: [machine('m-{n}'), { label: 'i', table: 'cmdb_ci_ip_address', values: { name: 'Ip-{n}', owned_by_cmdb_ci: '@a' } }],
    expected: found('a', specific),
  },
  {
    what: 'an adapter of nobody means nothing',
    rules: 'own rules',
    id: of('Microsoft.Network/networkInterfaces', 'Nic-{n}'),
    holds: [{ label: 'n', table: 'cmdb_ci_nic', values: { name: 'Nic-{n}' } }],
    expected: created(),
  },
  {
    what: 'a rule that is not active, and one of another integration',
    rules: 'own rules',
    id: of('Microsoft.Web/sites', 'Site-{n}'),
    holds: [ci('cmdb_ci_cloud_database', 'Site-{n}'), ci('cmdb_ci_storage_volume', 'Site-{n}', {}, 'b')],
    expected: created(),
  },
];

export const matchingRows: readonly MatchingRow[] = [
  ...bySpecificClass,
  ...inPoorState,
  ...byDiscoveredItem,
  ...byName,
  ...otherKinds,
  ...byOtherRules,
];

/** Rows of `sn_sec_cmn_ci_lookup_rule`; `@defender`, `@qualys`: the integration. */
export const ruleSets: Readonly<Record<Exclude<RuleSet, 'shipped' | 'none readable'>, readonly Readonly<Record<string, string>>[]>> = {
  'name first': [
    { name: 'Resource Id', order: '200', method: 'script', source: '@defender', active: 'true' },
    { name: 'Name', order: '90', method: 'script', source: '@defender', active: 'true' },
  ],
  'own rules': [
    { name: 'By script', order: '1', method: 'script', source: '@defender', active: 'true', script: 'answer = null;' },
    {
      name: 'Machine by name',
      order: '10',
      method: 'field_matching',
      source: '@defender',
      active: 'true',
      condition: 'cloud_resource_type.name=Microsoft.Compute/virtualMachines^resource_nameSTARTSWITHvm-^EQ',
      source_field: 'resource_name',
      target_table: 'cmdb_ci_server',
      target_field: 'name',
    },
    {
      name: 'Adapter by name',
      order: '20',
      method: 'field_matching',
      source: '@defender',
      active: 'true',
      source_field: 'resource_name',
      target_table: 'cmdb_ci_nic',
      target_field: 'name',
    },
    {
      name: 'Address by name',
      order: '30',
      method: 'field_matching',
      source: '@defender',
      active: 'true',
      source_field: 'resource_name',
      target_table: 'cmdb_ci_ip_address',
      target_field: 'name',
    },
    {
      name: 'Database by script condition',
      order: '40',
      method: 'field_matching',
      source: '@defender',
      active: 'true',
      condition: 'cloud_region.name=javascript:gs.getProperty("x")',
      source_field: 'resource_name',
      target_table: 'cmdb_ci_cloud_database',
      target_field: 'object_id',
    },
    {
      name: 'Not active',
      order: '50',
      method: 'field_matching',
      source: '@defender',
      active: 'false',
      source_field: 'resource_name',
      target_table: 'cmdb_ci_cloud_database',
      target_field: 'object_id',
    },
    {
      name: 'Of another integration',
      order: '60',
      method: 'field_matching',
      source: '@qualys',
      active: 'true',
      source_field: 'resource_name',
      target_table: 'cmdb_ci_storage_volume',
      target_field: 'object_id',
    },
    { name: 'Resource Id', order: '100', method: 'script', source: '@defender', active: 'true' },
  ],
};
