import { randomAt } from '../../../kit/random.ts';
import { textAt } from '../../json.ts';
import { createCatalogue } from '../catalogue/catalogue.ts';
import { createSoftware, cveDetailsRow } from '../catalogue/software.ts';
import { rowsOf, type Estate, type EstateChanges, type LabApplication } from '../model.ts';
import { createBlockPlan, type BlockPlan } from './block-plan.ts';
import { createCurrentKeys } from './current-keys.ts';
import { createGrowth, divide } from './growth.ts';
import { createPolicyLibrary } from './library.ts';
import { createSharedCache, perVersion } from './memo.ts';
import { pricingRows } from './pricing-rows.ts';
import type { EstateProfile } from './profile.ts';
import { connectorStandardAssignments, connectorStandards, customRecommendationRows, type ConnectorScope } from './scope-standards.ts';
import { createStandards, securityStandardRows, standardAssignmentRows } from './standards.ts';
import { createSubscription, type Growth, type Shared, type SubscriptionEstate } from './subscription.ts';
import { generatedTruth } from './truth.ts';

/** Blocks kept as they were described last, of all subscriptions together. */
const BLOCKS_AT_HAND = 512;
/** Subscriptions whose regulatory rows are kept. */
const REGULATORY_AT_HAND = 8;

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
  const { packages, cves } = createSoftware();
  const standards = createStandards(catalogue);
  const keys = createCurrentKeys(changes.content);
  const metadata = perVersion(keys.version, () => keys.metadata(catalogue.metadata));
  const metadataByKey = perVersion(keys.version, () => new Map(metadata().map((row) => [textAt(row, 'name'), row])));
  const titles = perVersion(keys.version, () => new Map(catalogue.rules.map(({ key, title }) => [keys.key(key), title])));
  const plans = new Map<string, BlockPlan>();
  const shared: Shared = {
    catalogue,
    packages,
    standards: perVersion(keys.version, () => keys.standards(standards)),
    metadataOf: (key) => metadataByKey().get(key),
    titleOf: (key) => titles().get(key) ?? key,
    changes,
    keys,
    planOf: (clouds) => {
      const name = clouds.toSorted().join();
      const plan = plans.get(name) ?? createBlockPlan(catalogue, clouds);
      plans.set(name, plan);
      return plan;
    },
    blocks: createSharedCache(BLOCKS_AT_HAND),
    regulatory: createSharedCache(REGULATORY_AT_HAND),
  };
  const weights = profile.subscriptions.map(({ weight }) => weight);
  const rows = divide(input.assessments, weights);
  const ids = profile.subscriptions.map(({ name }) => randomAt(seed, 'subscription', name).uuid());
  const indexOf = new Map(ids.map((id, index) => [id, index]));
  const growthOf = createGrowth(changes.content, ids, weights);
  // Built when first asked for, and anew when something was added to it.
  const built = new Map<number, { growth: readonly Growth[]; subscription: SubscriptionEstate }>();
  const subscriptionAt = (index: number): SubscriptionEstate => {
    const growth = growthOf(index);
    const known = built.get(index);
    if (known?.growth.length === growth.length) return known.subscription;
    const subscription = createSubscription({
      seed,
      profile,
      subscription: rowsOf(profile.subscriptions).at(index),
      tenantId,
      subscriptionId: ids[index] ?? '',
      rows: rows[index] ?? 0,
      growth,
      shared,
    });
    built.set(index, { growth, subscription });
    return subscription;
  };
  const findIn = (scope: string): SubscriptionEstate | undefined => {
    const index = indexOf.get(/^\/subscriptions\/([^/]+)/i.exec(scope)?.[1]?.toLowerCase() ?? '');
    return index === undefined ? undefined : subscriptionAt(index);
  };
  const find = (subscriptionId: string): SubscriptionEstate => {
    const index = indexOf.get(subscriptionId.toLowerCase());
    if (index === undefined) throw new Error(`The estate has no subscription '${subscriptionId}'.`);
    return subscriptionAt(index);
  };
  const inScope = (scope: string): SubscriptionEstate | undefined => (/^\/[^/]+\/[^/]+$/.test(scope) ? findIn(scope) : undefined);
  const library = createPolicyLibrary(catalogue, profile, ids);
  const hasPaidPlan = (subscriptionId: string): boolean => find(subscriptionId).hasPaidPlan();
  const customStandardKeys = catalogue
    .rulesFor('subscription')
    .slice(0, 6)
    .map(({ key }) => key);
  const customKeys = (): string[] => customStandardKeys.map(keys.key);
  const standardsOf = (subscription: SubscriptionEstate): ReturnType<typeof securityStandardRows> =>
    securityStandardRows(`/subscriptions/${subscription.subscriptionId}`, subscription.standards(), customKeys());
  /** The connector that a scope is, with the standards that apply to its cloud. */
  const connectorAt = (scope: string): ConnectorScope | undefined => {
    const subscription = findIn(scope);
    const row = subscription?.resources.connectors().find((candidate) => textAt(candidate, 'id').toLowerCase() === scope.toLowerCase());
    return row === undefined || subscription === undefined ? undefined : { row, standards: subscription.standards() };
  };
  const cveRows = cves.map(cveDetailsRow).sort((left, right) => (textAt(left, 'id') < textAt(right, 'id') ? -1 : 1));

  return {
    name: input.name,
    tenant: { tenantId, displayName: profile.tenantName, defaultDomain: profile.domain },
    applications: profile.deployments.map(({ deployment, displayName, managementGroups }) =>
      application(seed, deployment, displayName, managementGroups),
    ),
    managementGroups: profile.managementGroups,
    subscriptions: profile.subscriptions.map(({ displayName, managementGroup, tags }, index) => ({
      subscriptionId: ids[index] ?? '',
      displayName,
      state: 'Enabled',
      managementGroup,
      tags,
    })),
    policyDefinitions: library.definitions,
    policySetDefinitions: library.sets,
    policyAssignments: library.assignments,
    policyExemptions: library.exemptions,
    get assessmentMetadata() {
      return metadata();
    },
    customMetadata: (subscriptionId) => find(subscriptionId).customMetadata(),
    securityStandards: (scope) => {
      const subscription = inScope(scope);
      return subscription === undefined ? connectorStandards(connectorAt(scope)) : standardsOf(subscription);
    },
    standardAssignments: (scope) => {
      const subscription = inScope(scope);
      if (subscription === undefined) return connectorStandardAssignments(connectorAt(scope));
      return standardAssignmentRows(scope, subscription.standards(), customKeys()[0] ?? '');
    },
    customRecommendations: (scope) => customRecommendationRows(scope, inScope(scope)?.customMetadata() ?? []),
    regulatoryStandards: (subscriptionId) => find(subscriptionId).regulatory(),
    pricings: (scope) => {
      const subscription = find(/^\/subscriptions\/([^/]+)/i.exec(scope)?.[1] ?? '');
      return pricingRows(scope, (plan) => subscription.planTier(plan), subscription.isAssessed());
    },
    securityConnectors: (subscriptionId) => find(subscriptionId).resources.connectors(),
    assessments: (subscriptionId) => find(subscriptionId).assessments(),
    findAssessment: (resourceId, key) => {
      const subscription = findIn(resourceId);
      if (subscription?.isAssessed() !== true) return undefined;
      const reference = subscription.layout.findRow(resourceId, key);
      return reference === undefined || !subscription.layout.isPresent(reference) ? undefined : subscription.restRow(reference);
    },
    // Grouped recommendations and their sub-assessments are gone (azure.md §0.1).
    subAssessments: () => [],
    resources: (subscriptionId) => find(subscriptionId).resources.list(),
    tagsOf: (scope) => findIn(scope)?.resources.tagsOf(scope),
    graphPartitions: (subscriptionIds) => subscriptionIds.flatMap((subscriptionId) => find(subscriptionId).partitions()),
    tenantGraphPartitions: () => [
      {
        table: 'securityresources',
        subscriptionId: null,
        idPrefix: '/providers/microsoft.security/cvedetails/',
        constants: new Map([['type', 'microsoft.security/cvedetails']]),
        rows: rowsOf(cveRows),
      },
    ],
    hasPaidPlan,
    content: {
      locate: (id) => {
        const subscription = findIn(id);
        const target = subscription?.locate(id.toLowerCase());
        return subscription === undefined || target === undefined ? undefined : { subscriptionId: subscription.subscriptionId, target };
      },
      isKey: (key) =>
        titles().has(key) ||
        ids.some((id) =>
          find(id)
            .customMetadata()
            .some((row) => row.name === key),
        ),
    },
    truth: ({ subscriptionIds, managementGroups, metadataCap }) =>
      generatedTruth({
        catalogue,
        library,
        subscriptions: subscriptionIds.map(find),
        managementGroups,
        metadataCap,
        changes,
        customStandardKeys: customStandardKeys.length,
      }),
  };
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
