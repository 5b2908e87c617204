import type { JsonObject } from '../../json.ts';
import type { PlanTier } from '../model.ts';

const PLANS: readonly (readonly [name: string, subPlan: string | undefined])[] = [
  ['VirtualMachines', 'P2'],
  ['SqlServers', undefined],
  ['AppServices', undefined],
  ['StorageAccounts', 'DefenderForStorageV2'],
  ['SqlServerVirtualMachines', undefined],
  ['KeyVaults', 'PerKeyVault'],
  ['Arm', 'PerSubscription'],
  ['OpenSourceRelationalDatabases', undefined],
  ['CosmosDbs', undefined],
  ['Containers', undefined],
  ['CloudPosture', undefined],
  ['Api', 'P1'],
];

/** The Defender plans of the lab. */
export const PLAN_NAMES: readonly string[] = PLANS.map(([name]) => name);

/** `pricings` of a subscription, each plan by its own tier (azure.md §1.8; booleans are strings). */
export function pricingRows(scope: string, tierOf: (plan: string) => PlanTier): JsonObject[] {
  return PLANS.map(([name, subPlan]) => ({
    id: `${scope}/providers/Microsoft.Security/pricings/${name}`,
    name,
    type: 'Microsoft.Security/pricings',
    properties: tierOf(name) === 'Standard' ? paidPlan(name, subPlan) : FREE_PLAN,
  }));
}

const FREE_PLAN: JsonObject = {
  pricingTier: 'Free',
  freeTrialRemainingTime: 'PT0S',
  enforce: 'False',
  resourcesCoverageStatus: 'NotCovered',
};

function paidPlan(name: string, subPlan: string | undefined): JsonObject {
  return {
    pricingTier: 'Standard',
    subPlan,
    freeTrialRemainingTime: 'PT0S',
    enablementTime: '2025-03-01T12:42:42.1921106Z',
    enforce: 'False',
    resourcesCoverageStatus: 'FullyCovered',
    extensions:
      name === 'Containers' || name === 'CloudPosture'
        ? [{ name: 'ContainerRegistriesVulnerabilityAssessments', isEnabled: 'True' }]
        : undefined,
  };
}
