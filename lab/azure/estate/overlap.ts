import { BENCH_PROFILE, type DeploymentProfile, type EstateProfile, type SubscriptionProfile } from './generated/profile.ts';
import type { ManagementGroup } from './model.ts';

/** How much of what a deployment sees is seen by another one too, in percent of assessments, unless the estate says otherwise. */
export const DEFAULT_OVERLAP_PERCENT = 60;

const ROOT = 'fabrikam';
/** Weights are in these: a third of the shared part is a whole number then. */
const WEIGHT_OF_ONE = 300;

/**
 * Many deployments over one tenant, each an app registration of its own. A deployment reads its own subscription and shared ones:
 * one that all read, and one with each of its two neighbours in a ring, in equal parts. Every subscription has a management group of
 * its own, so that roles can be given one by one.
 */
export function overlapProfile(deployments: number, overlapPercent = DEFAULT_OVERLAP_PERCENT): EstateProfile {
  if (!Number.isInteger(deployments) || deployments < 2) throw new Error('An overlap needs at least two deployments.');
  if (overlapPercent <= 0 || overlapPercent >= 100) throw new Error('An overlap is more than 0 and less than 100 percent.');
  const own = (WEIGHT_OF_ONE * (100 - overlapPercent)) / 100;
  const shared = (WEIGHT_OF_ONE * overlapPercent) / 100 / 3;
  const numbers = Array.from({ length: deployments }, (_unused, index) => index);
  const subscriptions = [
    subscription('hub', 'Shared by all', shared, 'shared'),
    ...numbers.map((index) => subscription(ringName(index), `Shared by ${nameOf(index)} and its neighbour`, shared, 'test')),
    ...numbers.map((index) => subscription(ownName(index), `Only of ${nameOf(index)}`, own, 'prod')),
  ];
  return {
    ...BENCH_PROFILE,
    managementGroups: [
      { name: ROOT, displayName: 'Tenant Root Group', parent: null },
      ...subscriptions.map(({ managementGroup, displayName }): ManagementGroup => ({ name: managementGroup, displayName, parent: ROOT })),
    ],
    subscriptions,
    deployments: numbers.map((index): DeploymentProfile => ({
      deployment: nameOf(index),
      displayName: `defender-sync-${nameOf(index)}`,
      managementGroups: ['hub', ringName(index), ringName((index + deployments - 1) % deployments), ownName(index)].map(groupOf),
    })),
  };
}

function nameOf(index: number): string {
  return `d${String(index + 1).padStart(2, '0')}`;
}

function ownName(index: number): string {
  return `own-${nameOf(index)}`;
}

/** The subscription that a deployment shares with the next one of the ring. */
function ringName(index: number): string {
  return `ring-${nameOf(index)}`;
}

function groupOf(subscriptionName: string): string {
  return `${ROOT}-${subscriptionName}`;
}

function subscription(
  name: string,
  displayName: string,
  weight: number,
  environment: SubscriptionProfile['environment'],
): SubscriptionProfile {
  return {
    name,
    displayName,
    managementGroup: groupOf(name),
    environment,
    weight,
    clouds: ['AWS', 'OnPremises'],
    standards: ['Microsoft-cloud-security-benchmark', 'ISO-27001-2013'],
    paidPlan: true,
    tags: { division: name },
  };
}
