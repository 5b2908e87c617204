import type { SeverityInitial } from './tables-azure.ts';

/** Titles for one type of resource outside Azure's own. */
export interface CloudTable {
  /** The type as resourceDetails name it. */
  readonly resourceType: string;
  readonly category: string;
  readonly titles: readonly (readonly [SeverityInitial, string])[];
}

export const AWS_TABLES: readonly CloudTable[] = [
  {
    resourceType: 'ec2.instance',
    category: 'Compute',
    titles: [
      ['H', 'EC2 instances should use Instance Metadata Service Version 2 (IMDSv2)'],
      ['M', 'EC2 instances should be managed by AWS Systems Manager'],
      ['H', 'EC2 instances should not have a public IP address'],
      ['M', 'EDR solution should be installed on EC2 instances'],
      ['L', 'Stopped EC2 instances should be removed after a specified time period'],
      ['M', 'Attached EBS volumes should be encrypted at rest'],
      ['L', 'EC2 instances should not use multiple ENIs'],
    ],
  },
  {
    resourceType: 's3.bucket',
    category: 'Data',
    titles: [
      ['H', 'S3 buckets should prohibit public read access'],
      ['H', 'S3 buckets should prohibit public write access'],
      ['M', 'S3 Block Public Access setting should be enabled'],
      ['M', 'S3 buckets should require requests to use Secure Socket Layer'],
      ['L', 'S3 buckets should have server access logging enabled'],
      ['L', 'S3 buckets should have cross-region replication enabled'],
      ['M', 'S3 buckets should have server-side encryption enabled'],
    ],
  },
  {
    resourceType: 'iam.user',
    category: 'IdentityAndAccess',
    titles: [
      ['H', 'MFA should be enabled for all IAM users that have a console password'],
      ['M', 'IAM users should not have IAM policies attached directly'],
      ['M', "IAM users' access keys should be rotated every 90 days or less"],
      ['L', 'IAM credentials unused for 45 days or greater should be disabled'],
    ],
  },
  {
    resourceType: 'rds.dbinstance',
    category: 'Data',
    titles: [
      ['H', 'RDS DB instances should prohibit public access'],
      ['M', 'RDS DB instances should have encryption at rest enabled'],
      ['L', 'RDS DB instances should be configured with multiple Availability Zones'],
      ['L', 'RDS automatic minor version upgrades should be enabled'],
      ['M', 'IAM authentication should be configured for RDS instances'],
    ],
  },
  {
    resourceType: 'lambda.function',
    category: 'AppServices',
    titles: [
      ['H', 'Lambda functions should prohibit public access by other accounts'],
      ['M', 'Lambda functions should use the latest runtimes'],
      ['L', 'Lambda functions should have a dead-letter queue configured'],
    ],
  },
  {
    resourceType: 'eks.cluster',
    category: 'Container',
    titles: [
      ['H', 'EKS clusters should grant the required AWS permissions to Microsoft Defender for Cloud'],
      ['H', "EKS clusters should have Microsoft Defender's extension for Azure Arc installed"],
      ['M', 'EKS cluster endpoints should not be publicly accessible'],
      ['M', 'EKS clusters should have control plane audit logs enabled'],
    ],
  },
  {
    resourceType: 'iam.account',
    category: 'IdentityAndAccess',
    titles: [
      ['H', 'Hardware MFA should be enabled for the root account'],
      ['H', 'IAM root user access key should not exist'],
      ['M', 'CloudTrail should be enabled and configured with at least one multi-Region trail'],
      ['L', 'AWS Config should be enabled'],
      ['M', 'Password policies for IAM users should have strong configurations'],
      ['H', 'Security groups should not allow ingress from 0.0.0.0/0 to port 22'],
    ],
  },
];

export const GCP_TABLES: readonly CloudTable[] = [
  {
    resourceType: 'compute.instance',
    category: 'Compute',
    titles: [
      ['H', 'Compute instances should not have public IP addresses'],
      ['M', 'Compute instances should be launched with Shielded VM enabled'],
      ['M', 'Block project-wide SSH keys should be enabled for VM instances'],
      ['M', 'Instances should not use the default service account with full access to all Cloud APIs'],
      ['L', 'Oslogin should be enabled for a project'],
      ['M', 'IP forwarding should not be enabled on compute instances'],
    ],
  },
  {
    resourceType: 'storage.bucket',
    category: 'Data',
    titles: [
      ['H', 'Cloud Storage buckets should not be anonymously or publicly accessible'],
      ['M', 'Cloud Storage buckets should have uniform bucket-level access enabled'],
      ['L', 'Retention policies on log buckets should be configured using Bucket Lock'],
      ['L', 'Logging should be enabled on Cloud Storage buckets'],
    ],
  },
  {
    resourceType: 'sqladmin.instance',
    category: 'Data',
    titles: [
      ['H', 'Cloud SQL database instances should not have public IPs'],
      ['H', 'Cloud SQL database instances should require all incoming connections to use SSL'],
      ['M', 'Cloud SQL database instances should be configured with automated backups'],
      ['M', "The 'log_min_messages' database flag should be set to 'Warning' for Cloud SQL PostgreSQL instances"],
    ],
  },
  {
    resourceType: 'container.cluster',
    category: 'Container',
    titles: [
      ['H', 'GKE cluster legacy authorization should be disabled'],
      ['M', 'GKE clusters should have private cluster enabled'],
      ['M', 'GKE cluster nodes should have automatic repair feature enabled'],
      ['H', "GKE clusters should have Microsoft Defender's extension for Azure Arc installed"],
      ['L', 'GKE clusters should have alias IP ranges enabled'],
    ],
  },
  {
    resourceType: 'cloudresourcemanager.project',
    category: 'IdentityAndAccess',
    titles: [
      ['H', 'Corporate login credentials should be used instead of Gmail accounts'],
      ['M', 'Service accounts should not have admin privileges'],
      ['M', 'User-managed service account keys should be rotated every 90 days or less'],
      ['L', 'Log metric filter and alerts should exist for project ownership assignments and changes'],
      ['M', 'The default network should not exist in a project'],
    ],
  },
];

/** Machines and SQL servers that report through a workspace (azure.md §1.4: OnPremise, OnPremiseSql). */
export const ON_PREMISES_TABLES: readonly CloudTable[] = [
  {
    resourceType: 'OnPremise',
    category: 'Compute',
    titles: [
      ['H', 'Endpoint protection should be installed on your machines'],
      ['M', 'Endpoint protection health issues on machines should be resolved'],
      ['L', 'Vulnerabilities in security configuration on your machines should be remediated'],
      ['M', 'Machines should be restarted to apply security configuration updates'],
      ['M', 'File integrity monitoring should be enabled on machines'],
    ],
  },
  {
    resourceType: 'OnPremiseSql',
    category: 'Data',
    titles: [
      ['L', 'SQL servers on machines should have auditing enabled'],
      ['M', 'SQL servers on machines should run a supported version'],
    ],
  },
];

/** Machine software the platform recommends to update: fixed keys with metadata of type DynamicBuiltIn. */
export const DYNAMIC_MACHINE_RULES: readonly {
  readonly title: string;
  readonly category: 'SoftwareUpdate' | 'SystemUpdate' | 'ServiceUpgrade';
}[] = [
  { title: 'Update OpenSSL', category: 'SoftwareUpdate' },
  { title: 'Update Google Chrome', category: 'SoftwareUpdate' },
  { title: 'Update Microsoft .NET Runtime', category: 'SoftwareUpdate' },
  { title: 'Install the security update KB5068787', category: 'SystemUpdate' },
  { title: 'Upgrade the Kubernetes version of the node pool', category: 'ServiceUpgrade' },
];
