import type { JsonObject } from '../../json.ts';
import type { ManagementGroup } from '../model.ts';

/** One subscription of a generated estate, before anything in it exists. */
export interface SubscriptionProfile {
  /** `X`, `Y`, … : part of the seed of everything in it. */
  readonly name: string;
  readonly displayName: string;
  readonly managementGroup: string;
  readonly environment: 'prod' | 'test' | 'dev' | 'shared';
  /** Share of the estate's assessments. */
  readonly weight: number;
  readonly clouds: readonly ('AWS' | 'GCP' | 'OnPremises')[];
  /** Names of the regulatory standards that are on here. */
  readonly standards: readonly string[];
  readonly paidPlan: boolean;
  readonly tags: JsonObject;
}

/** A deployment's app registration: what it is called and which management groups it reads. */
export interface DeploymentProfile {
  readonly deployment: string;
  readonly displayName: string;
  readonly managementGroups: readonly string[];
}

/** The shape of a generated estate: everything that is chosen, not computed. */
export interface EstateProfile {
  readonly tenantName: string;
  readonly domain: string;
  /** Short form for names that allow few characters. */
  readonly short: string;
  readonly managementGroups: readonly ManagementGroup[];
  readonly subscriptions: readonly SubscriptionProfile[];
  readonly deployments: readonly DeploymentProfile[];
  /** What the resources are for; block names are made of these. */
  readonly workloads: readonly string[];
  readonly regions: readonly { readonly name: string; readonly short: string }[];
  readonly owners: readonly string[];
}

const ALL_STANDARDS = ['Microsoft-cloud-security-benchmark', 'ISO-27001-2013', 'PCI-DSS-4.0', 'AWS-Foundational-Security-Best-Practices'];

/** Three subscriptions: A reads X and Y, B reads X and Z. */
export const BENCH_PROFILE: EstateProfile = {
  tenantName: 'Fabrikam',
  domain: 'fabrikam.example',
  short: 'fab',
  managementGroups: [
    { name: 'fabrikam', displayName: 'Tenant Root Group', parent: null },
    { name: 'fabrikam-shared', displayName: 'Shared', parent: 'fabrikam' },
    { name: 'fabrikam-a', displayName: 'Division A', parent: 'fabrikam' },
    { name: 'fabrikam-b', displayName: 'Division B', parent: 'fabrikam' },
  ],
  subscriptions: [
    {
      name: 'X',
      displayName: 'Shared services',
      managementGroup: 'fabrikam-shared',
      environment: 'shared',
      weight: 4,
      clouds: ['AWS', 'OnPremises'],
      standards: ALL_STANDARDS,
      paidPlan: true,
      tags: { division: 'shared' },
    },
    {
      name: 'Y',
      displayName: 'Division A production',
      managementGroup: 'fabrikam-a',
      environment: 'prod',
      weight: 3,
      clouds: ['AWS', 'GCP'],
      standards: ['Microsoft-cloud-security-benchmark', 'ISO-27001-2013', 'AWS-Foundational-Security-Best-Practices'],
      paidPlan: true,
      tags: { division: 'a' },
    },
    {
      name: 'Z',
      displayName: 'Division B production',
      managementGroup: 'fabrikam-b',
      environment: 'prod',
      weight: 3,
      clouds: ['GCP', 'OnPremises'],
      standards: ['Microsoft-cloud-security-benchmark', 'PCI-DSS-4.0'],
      paidPlan: true,
      tags: { division: 'b' },
    },
  ],
  deployments: [
    { deployment: 'A', displayName: 'defender-sync-a', managementGroups: ['fabrikam-shared', 'fabrikam-a'] },
    { deployment: 'B', displayName: 'defender-sync-b', managementGroups: ['fabrikam-shared', 'fabrikam-b'] },
  ],
  workloads: [
    'billing',
    'catalog',
    'checkout',
    'crm',
    'etl',
    'fleet',
    'identity',
    'ledger',
    'mobile',
    'orders',
    'payments',
    'portal',
    'reports',
    'search',
  ],
  regions: [
    { name: 'westeurope', short: 'weu' },
    { name: 'northeurope', short: 'neu' },
    { name: 'eastus', short: 'eus' },
    { name: 'germanywestcentral', short: 'gwc' },
  ],
  owners: ['platform', 'data', 'commerce', 'security'],
};
