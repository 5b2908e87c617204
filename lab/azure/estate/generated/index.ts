import { randomAt } from '../../../kit/random.ts';
import { textAt } from '../../json.ts';
import { createCatalogue } from '../catalogue/catalogue.ts';
import { createSoftware, cveDetailsRow } from '../catalogue/software.ts';
import { rowsOf, type Estate, type EstateChanges, type LabApplication } from '../model.ts';
import { createPolicyLibrary } from './library.ts';
import { pricingRows } from './pricing-rows.ts';
import type { EstateProfile } from './profile.ts';
import { createStandards, securityStandardRows, standardAssignmentRows } from './standards.ts';
import { createSubscription, type SubscriptionEstate } from './subscription.ts';
import { generatedTruth } from './truth.ts';

/**
 * An estate that is a pure function of its profile, its seed and a number of classic assessments. Rows are computed when they
 * are asked for: a page costs a page, however large the estate.
 */
export function createGeneratedEstate(input: {
  name: string;
  profile: EstateProfile;
  seed: string;
  assessments: number;
  changes: EstateChanges;
}): Estate {
  const { profile, seed, changes } = input;
  const tenantId = randomAt(seed, 'tenant').uuid();
  const catalogue = createCatalogue();
  const metadata = new Map(catalogue.metadata.map((row) => [textAt(row, 'name'), row]));
  const { packages, cves } = createSoftware();
  const standards = createStandards(catalogue);
  const shares = divide(
    input.assessments,
    profile.subscriptions.map(({ weight }) => weight),
  );
  const subscriptions = profile.subscriptions.map((subscription, index) =>
    createSubscription({
      seed,
      profile,
      subscription,
      tenantId,
      subscriptionId: randomAt(seed, 'subscription', subscription.name).uuid(),
      rows: shares[index] ?? 0,
      catalogue,
      packages,
      standards,
      metadataOf: (key) => metadata.get(key),
      changes,
    }),
  );
  const byId = new Map(subscriptions.map((subscription) => [subscription.subscriptionId, subscription]));
  const find = (subscriptionId: string): SubscriptionEstate => {
    const found = byId.get(subscriptionId.toLowerCase());
    if (found === undefined) throw new Error(`The estate has no subscription '${subscriptionId}'.`);
    return found;
  };
  const inScope = (scope: string): SubscriptionEstate | undefined =>
    byId.get(/^\/subscriptions\/([^/]+)$/i.exec(scope)?.[1]?.toLowerCase() ?? '');
  const library = createPolicyLibrary(
    catalogue,
    profile,
    subscriptions.map(({ subscriptionId }) => subscriptionId),
  );
  const hasPaidPlan = (subscriptionId: string): boolean => find(subscriptionId).hasPaidPlan();
  const customStandardKeys = catalogue
    .rulesFor('subscription')
    .slice(0, 6)
    .map(({ key }) => key);
  const standardsOf = (subscription: SubscriptionEstate): ReturnType<typeof securityStandardRows> =>
    securityStandardRows(`/subscriptions/${subscription.subscriptionId}`, subscription.standards, customStandardKeys);
  const cveRows = cves.map(cveDetailsRow).sort((left, right) => (textAt(left, 'id') < textAt(right, 'id') ? -1 : 1));

  return {
    name: input.name,
    tenant: { tenantId, displayName: profile.tenantName, defaultDomain: profile.domain },
    applications: profile.deployments.map(({ deployment, displayName, managementGroups }) =>
      application(seed, deployment, displayName, managementGroups),
    ),
    managementGroups: profile.managementGroups,
    subscriptions: subscriptions.map(({ subscriptionId, profile: { displayName, managementGroup, tags } }) => ({
      subscriptionId,
      displayName,
      state: 'Enabled',
      managementGroup,
      tags,
    })),
    policyDefinitions: library.definitions,
    policySetDefinitions: library.sets,
    policyAssignments: library.assignments,
    policyExemptions: library.exemptions,
    assessmentMetadata: catalogue.metadata,
    customMetadata: (subscriptionId) => find(subscriptionId).customMetadata,
    securityStandards: (scope) => {
      const subscription = inScope(scope);
      return subscription === undefined ? [] : standardsOf(subscription);
    },
    standardAssignments: (scope) => {
      const subscription = inScope(scope);
      return subscription === undefined ? [] : standardAssignmentRows(scope, subscription.standards, customStandardKeys[0] ?? '');
    },
    customRecommendations: () => [],
    regulatoryStandards: (subscriptionId) => find(subscriptionId).regulatory(),
    pricings: (scope) => {
      const subscriptionId = /^\/subscriptions\/([^/]+)/i.exec(scope)?.[1] ?? '';
      return pricingRows(scope, hasPaidPlan(subscriptionId));
    },
    securityConnectors: (subscriptionId) => find(subscriptionId).resources.connectors(),
    assessments: (subscriptionId) => find(subscriptionId).assessments,
    findAssessment: (resourceId, key) => {
      const subscription = byId.get(/^\/subscriptions\/([^/]+)/i.exec(resourceId)?.[1]?.toLowerCase() ?? '');
      const reference = subscription?.layout.findRow(resourceId, key);
      return reference === undefined ? undefined : subscription?.restRow(reference);
    },
    // Grouped recommendations and their sub-assessments are gone (azure.md §0.1).
    subAssessments: () => [],
    resources: (subscriptionId) => find(subscriptionId).resources.list(),
    tagsOf: (scope) => byId.get(/^\/subscriptions\/([^/]+)/i.exec(scope)?.[1]?.toLowerCase() ?? '')?.resources.tagsOf(scope),
    graphPartitions: (subscriptionIds) => subscriptionIds.flatMap((subscriptionId) => find(subscriptionId).partitions()),
    tenantGraphPartitions: () => [
      {
        table: 'securityresources',
        subscriptionId: null,
        constants: new Map([['type', 'microsoft.security/cvedetails']]),
        rows: rowsOf(cveRows),
      },
    ],
    hasPaidPlan,
    truth: ({ subscriptionIds, managementGroups, metadataCap }) =>
      generatedTruth({
        catalogue,
        library,
        subscriptions: subscriptionIds.map(find),
        managementGroups,
        metadataCap,
        changes,
        securityStandards: standardsOf,
      }),
  };
}

/** Splits a whole number by weights; what rounding leaves goes to the first. */
function divide(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((left, right) => left + right, 0);
  const shares = weights.map((weight) => Math.floor((total * weight) / sum));
  const rest = total - shares.reduce((left, right) => left + right, 0);
  return shares.map((share, index) => (index === 0 ? share + rest : share));
}

function application(seed: string, deployment: string, displayName: string, managementGroups: readonly string[]): LabApplication {
  const random = randomAt(seed, 'application', deployment);
  return {
    deployment,
    displayName,
    clientId: random.uuid(),
    principalId: random.uuid(),
    applicationObjectId: random.uuid(),
    // A value, not an id: a GUID would be taken for the secret's id (azure.md §2.4).
    clientSecret: `lab8Q~${random.hex(34)}`,
    roleAssignments: managementGroups.flatMap((name) =>
      (['Reader', 'Security Reader'] as const).map((role) => ({ scope: `/providers/Microsoft.Management/managementGroups/${name}`, role })),
    ),
  };
}
