import type { Cloud } from '../catalogue/catalogue.ts';

/** One resource of a block: its type, and how its name is made. */
export interface ResourceTemplate {
  readonly cloud: Cloud;
  /** Type as the catalogue knows it. */
  readonly type: string;
  /** Type in ids, where it differs. */
  readonly idType?: string;
  /** Names per type segment; `{w}` workload, `{e}` environment, `{r}` region, `{n}` block number, `{s}` the estate's short name. */
  readonly name: string;
}

/** A handful of resources that belong together, as they would in one resource group. */
export interface BlockKind {
  readonly name: 'web' | 'vm' | 'data' | 'aks' | 'sql' | 'platform' | 'aws' | 'gcp' | 'arc';
  readonly resources: readonly ResourceTemplate[];
}

const azure = (type: string, name: string): ResourceTemplate => ({ cloud: 'Azure', type, name });

export const BLOCK_KINDS: readonly BlockKind[] = [
  {
    name: 'web',
    resources: [
      azure('Microsoft.Web/sites', 'app-{w}-{e}-{r}-{n}'),
      azure('Microsoft.Web/sites', 'func-{w}-{e}-{r}-{n}'),
      azure('Microsoft.KeyVault/vaults', 'kv-{s}-{e}-{n}'),
      azure('Microsoft.Storage/storageAccounts', 'st{s}{e}web{n}'),
      azure('Microsoft.Network/applicationGateways', 'agw-{w}-{e}-{r}'),
      azure('Microsoft.Network/publicIPAddresses', 'pip-agw-{w}-{e}'),
      azure('Microsoft.Cache/Redis', 'redis-{w}-{e}-{n}'),
      azure('Microsoft.ApiManagement/service', 'apim-{s}-{w}-{e}-{n}'),
    ],
  },
  {
    name: 'vm',
    resources: [
      azure('Microsoft.Compute/virtualMachines', 'vm-{w}-{e}-01'),
      azure('Microsoft.Compute/virtualMachines', 'vm-{w}-{e}-02'),
      azure('Microsoft.Compute/virtualMachines', 'vm-{w}-{e}-03'),
      azure('Microsoft.Compute/disks', 'vm-{w}-{e}-01_OsDisk_1'),
      azure('Microsoft.Compute/disks', 'vm-{w}-{e}-02_OsDisk_1'),
      azure('Microsoft.Network/networkSecurityGroups', 'nsg-{w}-{e}-{r}'),
      azure('Microsoft.Network/virtualNetworks', 'vnet-{w}-{e}-{r}'),
      azure('Microsoft.Network/virtualNetworks/subnets', 'vnet-{w}-{e}-{r}/snet-app'),
      azure('Microsoft.Network/virtualNetworks/subnets', 'vnet-{w}-{e}-{r}/snet-data'),
      azure('Microsoft.Network/loadBalancers', 'lbi-{w}-{e}-{r}'),
    ],
  },
  {
    name: 'data',
    resources: [
      azure('Microsoft.Storage/storageAccounts', 'st{s}{e}raw{n}'),
      azure('Microsoft.Storage/storageAccounts', 'st{s}{e}cur{n}'),
      azure('Microsoft.DocumentDB/databaseAccounts', 'cosmos-{w}-{e}-{n}'),
      azure('Microsoft.DBforPostgreSQL/flexibleServers', 'psql-{w}-{e}-{n}'),
      azure('Microsoft.EventHub/namespaces', 'evhns-{w}-{e}-{n}'),
      azure('Microsoft.ServiceBus/namespaces', 'sbns-{w}-{e}-{n}'),
      azure('Microsoft.MachineLearningServices/workspaces', 'mlw-{w}-{e}-{r}'),
      azure('Microsoft.CognitiveServices/accounts', 'oai-{s}-{w}-{e}-{n}'),
    ],
  },
  {
    name: 'aks',
    resources: [
      azure('Microsoft.ContainerService/managedClusters', 'aks-{w}-{e}-{r}'),
      azure('Microsoft.ContainerRegistry/registries', 'cr{s}{e}{n}'),
      azure('Microsoft.Compute/virtualMachineScaleSets', 'aks-nodepool1-{n}-vmss'),
      azure('Microsoft.KeyVault/vaults', 'kv-aks-{e}-{n}'),
      azure('Microsoft.Network/publicIPAddresses', 'pip-aks-{w}-{e}'),
      azure('Microsoft.Network/networkSecurityGroups', 'nsg-aks-{w}-{e}'),
    ],
  },
  {
    name: 'sql',
    resources: [
      azure('Microsoft.Sql/servers', 'sql-{w}-{e}-{r}-{n}'),
      azure('Microsoft.Sql/servers/databases', 'sql-{w}-{e}-{r}-{n}/sqldb-{w}'),
      azure('Microsoft.Sql/servers/databases', 'sql-{w}-{e}-{r}-{n}/sqldb-{w}-archive'),
      azure('Microsoft.Sql/managedInstances', 'sqlmi-{w}-{e}-{r}-{n}'),
      azure('Microsoft.Storage/storageAccounts', 'st{s}{e}aud{n}'),
    ],
  },
  {
    name: 'platform',
    resources: [
      azure('Microsoft.RecoveryServices/vaults', 'rsv-{w}-{e}-{r}'),
      azure('Microsoft.Automation/automationAccounts', 'aa-{w}-{e}-{r}'),
      azure('Microsoft.KeyVault/vaults', 'kv-plt-{e}-{n}'),
      azure('Microsoft.HybridCompute/machines', 'SRV-{W}-{n}A'),
      azure('Microsoft.HybridCompute/machines', 'SRV-{W}-{n}B'),
    ],
  },
  {
    name: 'aws',
    resources: [
      { cloud: 'AWS', type: 'iam.account', name: 'aws-account-{account}' },
      { cloud: 'AWS', type: 'ec2.instance', name: 'aws-ec2-instance-i-0{hex}1' },
      { cloud: 'AWS', type: 'ec2.instance', name: 'aws-ec2-instance-i-0{hex}2' },
      { cloud: 'AWS', type: 's3.bucket', name: 'aws-s3-bucket-{s}-{w}-{e}-{n}' },
      { cloud: 'AWS', type: 's3.bucket', name: 'aws-s3-bucket-{s}-{w}-logs-{n}' },
      { cloud: 'AWS', type: 'iam.user', name: 'aws-iam-user-svc-{w}' },
      { cloud: 'AWS', type: 'rds.dbinstance', name: 'aws-rds-dbinstance-{w}-{e}' },
      { cloud: 'AWS', type: 'lambda.function', name: 'aws-lambda-function-{w}-worker' },
      { cloud: 'AWS', type: 'eks.cluster', name: 'aws-eks-cluster-{w}-{e}' },
    ],
  },
  {
    name: 'gcp',
    resources: [
      { cloud: 'GCP', type: 'cloudresourcemanager.project', name: 'gcp-cloudresourcemanager-project-{project}' },
      { cloud: 'GCP', type: 'compute.instance', name: 'gcp-compute-instance-{w}-{e}-01' },
      { cloud: 'GCP', type: 'compute.instance', name: 'gcp-compute-instance-{w}-{e}-02' },
      { cloud: 'GCP', type: 'storage.bucket', name: 'gcp-storage-bucket-{s}-{w}-{e}-{n}' },
      { cloud: 'GCP', type: 'sqladmin.instance', name: 'gcp-sqladmin-instance-{w}-{e}' },
      { cloud: 'GCP', type: 'container.cluster', name: 'gcp-container-cluster-{w}-{e}' },
    ],
  },
  {
    name: 'arc',
    resources: [
      { cloud: 'OnPremises', type: 'OnPremise', name: '{S}-{W}-{n}-01' },
      { cloud: 'OnPremises', type: 'OnPremise', name: '{S}-{W}-{n}-02' },
      { cloud: 'OnPremises', type: 'OnPremise', name: '{S}-{W}-{n}-03' },
      { cloud: 'OnPremises', type: 'OnPremiseSql', name: '{S}-{W}-{n}-01|MSSQLSERVER|{w}' },
      { cloud: 'OnPremises', type: 'OnPremiseSql', name: '{S}-{W}-{n}-01|MSSQLSERVER|{w}_audit' },
      azure('Microsoft.HybridCompute/machines', 'ARC-{W}-{n}'),
    ],
  },
];
