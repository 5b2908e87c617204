import type { EstateProfile } from './generated/profile.ts';

/** Assessments of the default estate. */
export const COMPANY_ASSESSMENTS = 3000;

const BENCHMARK_ONLY = ['Microsoft-cloud-security-benchmark'];
const WITH_ISO = ['Microsoft-cloud-security-benchmark', 'ISO-27001-2013'];

/** A retailer with landing zones: two deployments (corporate and online) that share the platform's subscriptions. */
export const COMPANY_PROFILE: EstateProfile = {
  tenantName: 'Contoso Retail',
  domain: 'contoso-retail.example',
  short: 'ctso',
  managementGroups: [
    { name: 'contoso', displayName: 'Tenant Root Group', parent: null },
    { name: 'contoso-platform', displayName: 'Platform', parent: 'contoso' },
    { name: 'contoso-landingzones', displayName: 'Landing zones', parent: 'contoso' },
    { name: 'contoso-corp', displayName: 'Corp', parent: 'contoso-landingzones' },
    { name: 'contoso-online', displayName: 'Online', parent: 'contoso-landingzones' },
    { name: 'contoso-sandbox', displayName: 'Sandbox', parent: 'contoso-online' },
  ],
  subscriptions: [
    {
      name: 'platform',
      displayName: 'Contoso Platform',
      managementGroup: 'contoso-platform',
      environment: 'shared',
      weight: 6,
      clouds: ['AWS', 'OnPremises'],
      standards: [...WITH_ISO, 'AWS-Foundational-Security-Best-Practices'],
      paidPlan: true,
      tags: { businessUnit: 'it', criticality: 'high' },
    },
    {
      name: 'corp-prod',
      displayName: 'Contoso ERP Production',
      managementGroup: 'contoso-corp',
      environment: 'prod',
      weight: 6,
      clouds: ['OnPremises'],
      standards: WITH_ISO,
      paidPlan: true,
      tags: { businessUnit: 'finance', criticality: 'high' },
    },
    {
      name: 'corp-test',
      displayName: 'Contoso ERP Test',
      managementGroup: 'contoso-corp',
      environment: 'test',
      weight: 3,
      clouds: [],
      standards: BENCHMARK_ONLY,
      paidPlan: true,
      tags: { businessUnit: 'finance', criticality: 'low' },
    },
    {
      name: 'online-prod',
      displayName: 'Contoso Webshop Production',
      managementGroup: 'contoso-online',
      environment: 'prod',
      weight: 8,
      clouds: ['AWS', 'GCP'],
      standards: [...BENCHMARK_ONLY, 'PCI-DSS-4.0', 'AWS-Foundational-Security-Best-Practices'],
      paidPlan: true,
      tags: { businessUnit: 'ecommerce', criticality: 'high' },
    },
    {
      name: 'online-dev',
      displayName: 'Contoso Webshop Development',
      managementGroup: 'contoso-online',
      environment: 'dev',
      weight: 4,
      clouds: ['GCP'],
      standards: BENCHMARK_ONLY,
      paidPlan: true,
      tags: { businessUnit: 'ecommerce', criticality: 'low' },
    },
    {
      // No paid plan: its regulatory lists answer 400, which is a state of its own and not a failure (azure.md §1.8).
      name: 'sandbox',
      displayName: 'Contoso Sandbox',
      managementGroup: 'contoso-sandbox',
      environment: 'dev',
      weight: 3,
      clouds: [],
      standards: [],
      paidPlan: false,
      tags: { businessUnit: 'it', criticality: 'none' },
    },
  ],
  deployments: [
    { deployment: 'A', displayName: 'defender-sync-corp', managementGroups: ['contoso-platform', 'contoso-corp'] },
    { deployment: 'B', displayName: 'defender-sync-online', managementGroups: ['contoso-platform', 'contoso-online'] },
  ],
  workloads: [
    'billing',
    'catalog',
    'checkout',
    'erp',
    'fulfilment',
    'hr',
    'loyalty',
    'orders',
    'payments',
    'pim',
    'search',
    'storefront',
    'warehouse',
  ],
  regions: [
    { name: 'westeurope', short: 'weu' },
    { name: 'germanywestcentral', short: 'gwc' },
    { name: 'northeurope', short: 'neu' },
  ],
  owners: ['platform', 'commerce', 'logistics', 'finance'],
};
