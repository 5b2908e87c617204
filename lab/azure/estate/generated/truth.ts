import type { Catalogue, CatalogueRule } from '../catalogue/catalogue.ts';
import type { EstateChanges, EstateTruth, StatusCounts } from '../model.ts';
import { policyTruth } from '../policy-truth.ts';
import type { PolicyLibrary } from './library.ts';
import type { StandardPlan } from './standards.ts';
import type { SubscriptionEstate } from './subscription.ts';
import { tallyOf, type ContainerTally, type SubscriptionTally } from './tally.ts';

interface TruthInput {
  readonly catalogue: Catalogue;
  readonly library: PolicyLibrary;
  readonly subscriptions: readonly SubscriptionEstate[];
  readonly managementGroups: readonly string[];
  readonly metadataCap: number;
  readonly changes: EstateChanges;
  /** How many assessments the customer's own standard of a subscription names. */
  readonly customStandardKeys: number;
}

/** Counts a generated estate from its plan: resources by their place, statuses by their draws, images by their index. */
export function generatedTruth(input: TruthInput): EstateTruth {
  const { subscriptions } = input;
  const tallies = subscriptions.map((subscription) => tallyOf(subscription, input.changes));
  const connectors = sum(subscriptions.map(({ resources }) => resources.countConnectors()));
  const scopes = [
    ...subscriptions.map(({ subscriptionId }) => `/subscriptions/${subscriptionId}`),
    ...input.managementGroups.map((name) => `/providers/Microsoft.Management/managementGroups/${name}`),
  ];
  return {
    subscriptions: subscriptions.map(({ subscriptionId }) => subscriptionId),
    ...assessmentTruth(tallies),
    ...policyTruth({ ...input.library, scopes: new Set(scopes.map((scope) => scope.toLowerCase())) }),
    metadata: metadataTruth(input),
    standards: standardsTruth(input),
    containers: containerTruth(tallies.map(({ containers }) => containers)),
    // Generated connectors are all to AWS or GCP.
    connectors: { all: connectors, awsAndGcp: connectors },
  };
}

function sumOf(counts: readonly StatusCounts[]): StatusCounts {
  return counts.reduce<StatusCounts>(
    (sum, { healthy, unhealthy, notApplicable }) => ({
      healthy: sum.healthy + healthy,
      unhealthy: sum.unhealthy + unhealthy,
      notApplicable: sum.notApplicable + notApplicable,
    }),
    { healthy: 0, unhealthy: 0, notApplicable: 0 },
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function distinct(sets: readonly ReadonlySet<string>[]): number {
  return sets.reduce((all, set) => all.union(set), new Set<string>()).size;
}

function assessmentTruth(tallies: readonly SubscriptionTally[]): Pick<EstateTruth, 'assessments' | 'resources'> {
  const statuses = sumOf(tallies.map((tally) => tally.statuses));
  const total = statuses.healthy + statuses.unhealthy + statuses.notApplicable;
  const outOfScope = sum(tallies.map((tally) => tally.outOfScope));
  const rules = tallies.reduce<ReadonlySet<CatalogueRule>>((all, tally) => all.union(tally.rules), new Set());
  const resources = sum(tallies.map((tally) => tally.resources));
  return {
    assessments: {
      listed: total + outOfScope,
      inScope: { ...statuses, total },
      outOfScope,
      // A resource has a rule once.
      results: statuses.healthy + statuses.unhealthy,
      keys: rules.size,
      keysWithoutMetadata: [...rules].filter(({ withoutMetadata }) => withoutMetadata).length,
    },
    // Machine recommendations are on virtual machines and clusters that mostly have other rows too.
    resources: {
      listed: resources + sum(tallies.map((tally) => tally.resourcesOutOfScope)),
      inScope: resources,
      withResult: sum(tallies.map((tally) => tally.resourcesWithResult)),
    },
  };
}

function metadataTruth({ catalogue, subscriptions, metadataCap }: TruthInput): EstateTruth['metadata'] {
  const custom = sum(subscriptions.map(({ customMetadata }) => customMetadata().length));
  const dynamic = catalogue.dynamicRules.length;
  const all = catalogue.metadata.length;
  return { keys: all + custom, listed: Math.min(all, metadataCap) + custom, builtIn: all - dynamic, custom, dynamic };
}

function standardsTruth({ subscriptions, customStandardKeys }: TruthInput): EstateTruth['standards'] {
  const paid = subscriptions.filter((subscription) => subscription.hasPaidPlan());
  const plans = plansOf(paid);
  const controls = plans.flatMap((plan) => plan.controls);
  // Each subscription has one standard of the customer's own, with a GUID of its own; the others share theirs.
  const common = plansOf(subscriptions);
  const customStandardPairs = subscriptions.length * customStandardKeys;
  return {
    regulatory: plans.length,
    controls: controls.length,
    triples: sum(controls.map(({ keys }) => keys.length)),
    securityStandards: common.length + subscriptions.length,
    securityStandardPairs: sum(common.map((plan) => new Set(plan.controls.flatMap(({ keys }) => keys)).size)) + customStandardPairs,
    customStandardPairs,
    notApplicableSubscriptions: subscriptions.length - paid.length,
  };
}

/** The standards that any of these subscriptions has on. */
function plansOf(subscriptions: readonly SubscriptionEstate[]): StandardPlan[] {
  const plans = new Map<string, StandardPlan>();
  for (const subscription of subscriptions) for (const plan of subscription.standards()) plans.set(plan.name.toLowerCase(), plan);
  return [...plans.values()];
}

function containerTruth(tallies: readonly ContainerTally[]): EstateTruth['containers'] {
  return {
    rows: sum(tallies.map(({ rows }) => rows)),
    byStatus: sumOf(tallies.map(({ byStatus }) => byStatus)),
    rowsServed: sum(tallies.map(({ rowsServed }) => rowsServed)),
    images: sum(tallies.map(({ images }) => images)),
    imagesByRepositoryDigest: sum(tallies.map((tally) => tally.imagesByRepositoryDigest)),
    imagesByDigest: sum(tallies.map((tally) => tally.imagesByDigest)),
    packages: sum(tallies.map(({ packages }) => packages)),
    findings: sum(tallies.map(({ findings }) => findings)),
    cves: distinct(tallies.map(({ cves }) => cves)),
  };
}
