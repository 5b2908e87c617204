import { arrayAt, textAt, type JsonObject } from '../../json.ts';
import type { Catalogue } from '../catalogue/catalogue.ts';
import type { EstateChanges, EstateTruth, StatusCounts } from '../model.ts';
import { policyTruth } from '../policy-truth.ts';
import type { PolicyLibrary } from './library.ts';
import type { SubscriptionEstate } from './subscription.ts';
import { tallyOf, type ContainerTally, type SubscriptionTally } from './tally.ts';

interface TruthInput {
  readonly catalogue: Catalogue;
  readonly library: PolicyLibrary;
  readonly subscriptions: readonly SubscriptionEstate[];
  readonly managementGroups: readonly string[];
  readonly metadataCap: number;
  readonly changes: EstateChanges;
  readonly securityStandards: (subscription: SubscriptionEstate) => readonly JsonObject[];
}

/** Counts a generated estate from its plan: resources by their place, statuses by their draws, images by their index. */
export function generatedTruth(input: TruthInput): EstateTruth {
  const { subscriptions } = input;
  const tallies = subscriptions.map((subscription) => tallyOf(subscription, input.changes));
  const connectors = subscriptions.reduce((sum, { resources }) => sum + resources.connectors().length, 0);
  const scopes = [
    ...subscriptions.map(({ subscriptionId }) => `/subscriptions/${subscriptionId}`),
    ...input.managementGroups.map((name) => `/providers/Microsoft.Management/managementGroups/${name}`),
  ];
  return {
    subscriptions: subscriptions.map(({ subscriptionId }) => subscriptionId),
    ...assessmentTruth(input, tallies),
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

function assessmentTruth(
  { subscriptions }: TruthInput,
  tallies: readonly SubscriptionTally[],
): Pick<EstateTruth, 'assessments' | 'resources'> {
  const statuses = sumOf(tallies.map((tally) => tally.statuses));
  const total = statuses.healthy + statuses.unhealthy + statuses.notApplicable;
  const outOfScope = sum(subscriptions.map(({ machines }) => machines.rows.length));
  const resources = sum(tallies.map((tally) => tally.resources));
  return {
    assessments: {
      listed: total + outOfScope,
      inScope: { ...statuses, total },
      outOfScope,
      // A resource has a rule once.
      results: statuses.healthy + statuses.unhealthy,
      keys: distinct(tallies.map(({ keys }) => keys)),
      keysWithoutMetadata: distinct(tallies.map(({ unknownKeys }) => unknownKeys)),
    },
    // Machine recommendations are on virtual machines and clusters that have other rows too.
    resources: { listed: resources, inScope: resources, withResult: sum(tallies.map((tally) => tally.resourcesWithResult)) },
  };
}

function metadataTruth({ catalogue, subscriptions, metadataCap }: TruthInput): EstateTruth['metadata'] {
  const custom = sum(subscriptions.map(({ customMetadata }) => customMetadata.length));
  const dynamic = catalogue.dynamicRules.length;
  const all = catalogue.metadata.length;
  return { keys: all + custom, listed: Math.min(all, metadataCap) + custom, builtIn: all - dynamic, custom, dynamic };
}

function standardsTruth(input: TruthInput): EstateTruth['standards'] {
  const paid = input.subscriptions.filter((subscription) => subscription.hasPaidPlan());
  const plans = new Map(paid.flatMap(({ standards }) => standards).map((plan) => [plan.name.toLowerCase(), plan]));
  const controls = [...plans.values()].flatMap((plan) => plan.controls);
  const rows = input.subscriptions.flatMap((subscription) => input.securityStandards(subscription));
  const pairsOf = (standards: readonly JsonObject[]): number =>
    new Set(
      standards.flatMap((row) =>
        arrayAt(row, 'properties', 'assessments').map((assessment) => `${textAt(row, 'name')}|${textAt(assessment, 'assessmentKey')}`),
      ),
    ).size;
  return {
    regulatory: plans.size,
    controls: controls.length,
    triples: sum(controls.map(({ keys }) => keys.length)),
    securityStandards: new Set(rows.map((row) => textAt(row, 'name'))).size,
    securityStandardPairs: pairsOf(rows),
    customStandardPairs: pairsOf(rows.filter((row) => textAt(row, 'properties', 'standardType') === 'Custom')),
    notApplicableSubscriptions: input.subscriptions.length - paid.length,
  };
}

function containerTruth(tallies: readonly ContainerTally[]): EstateTruth['containers'] {
  return {
    rows: sum(tallies.map(({ rows }) => rows)),
    byStatus: sumOf(tallies.map(({ byStatus }) => byStatus)),
    rowsServed: sum(tallies.map(({ rowsServed }) => rowsServed)),
    images: distinct(tallies.map(({ images }) => images)),
    imagesByRepositoryDigest: distinct(tallies.map((tally) => tally.imagesByRepositoryDigest)),
    imagesByDigest: distinct(tallies.map((tally) => tally.imagesByDigest)),
    // Registries belong to one subscription; a running image's digest does too, so what subscriptions add is new.
    packages: sum(tallies.map(({ packages }) => packages)),
    findings: sum(tallies.map(({ findings }) => findings)),
    cves: distinct(tallies.map(({ cves }) => cves)),
  };
}
