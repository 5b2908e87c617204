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

/**
 * Listed among the plans with the tier Standard, and free of charge: they open nothing that a paid plan does. What Foundational CSPM says
 * where it is off is not documented (azure.md, open question 10); Free is what every other plan says then.
 */
const FREE_OF_CHARGE = { foundational: 'FoundationalCspm', discovery: 'Discovery' } as const;

/** The Defender plans of the lab that can be bought. */
export const PLAN_NAMES: readonly string[] = PLANS.map(([name]) => name);

/** `pricings` of a subscription, each plan by its own tier (azure.md §1.8; booleans are strings). */
export function pricingRows(scope: string, tierOf: (plan: string) => PlanTier, isAssessed: boolean): JsonObject[] {
  const row = (name: string, subPlan: string | undefined, tier: PlanTier): JsonObject => ({
    id: `${scope}/providers/Microsoft.Security/pricings/${name}`,
    name,
    type: 'Microsoft.Security/pricings',
    properties: tier === 'Standard' ? planInForce(name, subPlan) : FREE_PLAN,
  });
  return [
    ...PLANS.map(([name, subPlan]) => row(name, subPlan, tierOf(name))),
    row(FREE_OF_CHARGE.foundational, undefined, isAssessed ? 'Standard' : 'Free'),
    row(FREE_OF_CHARGE.discovery, undefined, 'Standard'),
  ];
}

/** Either one brings the scan of images in registries (examples/azure/pricings). */
export const SCANNING_PLANS: readonly string[] = ['Containers', 'CloudPosture'];

const FREE_PLAN: JsonObject = {
  pricingTier: 'Free',
  freeTrialRemainingTime: 'PT0S',
  enforce: 'False',
  resourcesCoverageStatus: 'NotCovered',
};

function planInForce(name: string, subPlan: string | undefined): JsonObject {
  return {
    pricingTier: 'Standard',
    subPlan,
    freeTrialRemainingTime: 'PT0S',
    enablementTime: '2025-03-01T12:42:42.1921106Z',
    enforce: 'False',
    resourcesCoverageStatus: 'FullyCovered',
    extensions: SCANNING_PLANS.includes(name) ? [{ name: 'ContainerRegistriesVulnerabilityAssessments', isEnabled: 'True' }] : undefined,
  };
}
