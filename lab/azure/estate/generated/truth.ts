import { textAt, type JsonObject } from '../../json.ts';
import type { Catalogue } from '../catalogue/catalogue.ts';
import type { EstateTruth } from '../model.ts';
import { policyTruth } from '../policy-truth.ts';
import type { PolicyLibrary } from './library.ts';
import type { securityStandardRows } from './standards.ts';
import type { SubscriptionEstate } from './subscription.ts';

interface TruthInput {
  readonly catalogue: Catalogue;
  readonly library: PolicyLibrary;
  readonly subscriptions: readonly SubscriptionEstate[];
  readonly managementGroups: readonly string[];
  readonly metadataCap: number;
  readonly hasPaidPlan: (subscriptionId: string) => boolean;
  readonly securityStandards: (subscription: SubscriptionEstate) => ReturnType<typeof securityStandardRows>;
}

/** Counts a generated estate from its plan: resources by their place, statuses by their draws, images by their index. */
export function generatedTruth(input: TruthInput): EstateTruth {
  const { subscriptions } = input;
  return {
    subscriptions: subscriptions.map(({ subscriptionId }) => subscriptionId),
    ...assessmentTruth(input),
    ...policyTruth({
      ...input.library,
      scopes: new Set(
        [...subscriptions.map(({ subscriptionId }) => `/subscriptions/${subscriptionId}`), ...input.managementGroups.map(groupScope)].map(
          (scope) => scope.toLowerCase(),
        ),
      ),
    }),
    metadata: metadataTruth(input),
    standards: standardsTruth(input),
    containers: containerTruth(subscriptions),
    connectors: subscriptions.reduce((sum, { resources }) => sum + resources.connectors().length, 0),
  };
}

function groupScope(name: string): string {
  return `/providers/Microsoft.Management/managementGroups/${name}`;
}

function assessmentTruth({ subscriptions, catalogue }: TruthInput): Pick<EstateTruth, 'assessments' | 'resources'> {
  const inScope = { healthy: 0, unhealthy: 0, notApplicable: 0, total: 0 };
  const resources = { listed: 0, inScope: 0, withResult: 0 };
  const keys = new Set<string>();
  const unknownKeys = new Set<string>();
  let outOfScope = 0;
  for (const subscription of subscriptions) {
    const { layout, machines } = subscription;
    let current: string | undefined;
    let counted = false;
    // Rows of one resource follow each other in the plan, so a resource is new exactly when the row before was another's.
    for (const { resource, rule, ordinal } of layout.rowsInPlan()) {
      if (resource.id !== current) {
        current = resource.id;
        counted = false;
        resources.inScope += 1;
      }
      keys.add(rule.key);
      if (rule.withoutMetadata) unknownKeys.add(rule.key);
      inScope.total += 1;
      const { code } = subscription.statusOf(ordinal);
      if (code === 'NotApplicable') {
        inScope.notApplicable += 1;
        continue;
      }
      if (code === 'Healthy') inScope.healthy += 1;
      else inScope.unhealthy += 1;
      if (!counted) resources.withResult += 1;
      counted = true;
    }
    outOfScope += machines.rows.length;
  }
  // Machine recommendations are on virtual machines and clusters that have other rows too.
  resources.listed = resources.inScope;
  const known = new Set(catalogue.metadata.map((row) => textAt(row, 'name')));
  for (const { customMetadata } of subscriptions) for (const row of customMetadata) known.add(textAt(row, 'name'));
  return {
    assessments: {
      listed: inScope.total + outOfScope,
      inScope,
      outOfScope,
      // A resource has a rule once.
      results: inScope.healthy + inScope.unhealthy,
      keys: keys.size,
      keysWithoutMetadata: [...unknownKeys].filter((key) => !known.has(key)).length,
    },
    resources,
  };
}

function metadataTruth({ catalogue, subscriptions, metadataCap }: TruthInput): EstateTruth['metadata'] {
  const custom = subscriptions.reduce((sum, { customMetadata }) => sum + customMetadata.length, 0);
  const dynamic = catalogue.dynamicRules.length;
  const all = catalogue.metadata.length;
  return { keys: all + custom, listed: Math.min(all, metadataCap) + custom, builtIn: all - dynamic, custom, dynamic };
}

function standardsTruth(input: TruthInput): EstateTruth['standards'] {
  const paid = input.subscriptions.filter(({ subscriptionId }) => input.hasPaidPlan(subscriptionId));
  const plans = new Map(paid.flatMap(({ standards }) => standards).map((plan) => [plan.name.toLowerCase(), plan]));
  const controls = [...plans.values()].flatMap((plan) => plan.controls);
  const rows = input.subscriptions.flatMap((subscription) => input.securityStandards(subscription));
  const pairs = new Set(rows.flatMap((row) => assessmentKeys(row).map((key) => `${textAt(row, 'name')}|${key}`)));
  return {
    regulatory: plans.size,
    controls: controls.length,
    triples: controls.reduce((sum, { keys }) => sum + keys.length, 0),
    securityStandards: new Set(rows.map((row) => textAt(row, 'name'))).size,
    securityStandardPairs: pairs.size,
    notApplicableSubscriptions: input.subscriptions.length - paid.length,
  };
}

function assessmentKeys(row: JsonObject): string[] {
  const list = (row.properties as { assessments?: readonly { assessmentKey: string }[] }).assessments ?? [];
  return list.map(({ assessmentKey }) => assessmentKey);
}

function containerTruth(subscriptions: readonly SubscriptionEstate[]): EstateTruth['containers'] {
  const byStatus = { healthy: 0, unhealthy: 0, notApplicable: 0 };
  const images = new Set<string>();
  const byRepository = new Set<string>();
  const byDigest = new Set<string>();
  const cves = new Set<string>();
  let [rows, rowsServed, packages, findings] = [0, 0, 0, 0];
  for (const { containers } of subscriptions) {
    rowsServed += containers.partitions().reduce((sum, partition) => sum + partition.rows.size, 0);
    const places = [
      ...containers.images.map((image) => ({ image, registry: image.registryName })),
      ...containers.runningImages.map((image) => ({ image, registry: '' })),
    ];
    for (const { image, registry } of places) {
      images.add(`${registry}/${image.repository}@${image.digest}`);
      byRepository.add(`${image.repository}@${image.digest}`);
      byDigest.add(image.digest);
      // Packages of one image are distinct, so what is new per image adds up.
      for (const detection of containers.detections(image)) {
        rows += 1;
        packages += detection.versions.length;
        const { code } = containers.statusOf(detection);
        if (code === 'Healthy') byStatus.healthy += 1;
        else if (code === 'NotApplicable') byStatus.notApplicable += 1;
        else {
          byStatus.unhealthy += 1;
          findings += detection.cves.length * detection.versions.length;
          for (const cve of detection.cves) cves.add(cve.id);
        }
      }
    }
  }
  return {
    rows,
    byStatus,
    rowsServed,
    images: images.size,
    imagesByRepositoryDigest: byRepository.size,
    imagesByDigest: byDigest.size,
    packages,
    findings,
    cves: cves.size,
  };
}
