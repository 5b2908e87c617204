import type { JsonObject } from '../../json.ts';

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

/** `pricings` of a subscription: all plans on, or all free (azure.md §1.8; booleans are strings). */
export function pricingRows(scope: string, paid: boolean): JsonObject[] {
  return PLANS.map(([name, subPlan]) => ({
    id: `${scope}/providers/Microsoft.Security/pricings/${name}`,
    name,
    type: 'Microsoft.Security/pricings',
    properties: paid
      ? {
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
        }
      : { pricingTier: 'Free', freeTrialRemainingTime: 'PT0S', enforce: 'False', resourcesCoverageStatus: 'NotCovered' },
  }));
}
