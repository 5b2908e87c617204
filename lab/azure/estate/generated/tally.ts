import type { CatalogueRule } from '../catalogue/catalogue.ts';
import type { EstateChanges, StatusCounts } from '../model.ts';
import type { SubscriptionEstate } from './subscription.ts';

/** What one subscription's rows add up to: numbers, and sets that stay small however many rows there are. */
export interface SubscriptionTally {
  readonly statuses: StatusCounts;
  /** Rules that rows use. */
  readonly rules: ReadonlySet<CatalogueRule>;
  readonly resources: number;
  readonly resourcesWithResult: number;
  /** Individual recommendations on machines, and the resources that only they mention. */
  readonly outOfScope: number;
  readonly resourcesOutOfScope: number;
  readonly containers: ContainerTally;
}

export interface ContainerTally {
  readonly rows: number;
  readonly rowsServed: number;
  readonly byStatus: StatusCounts;
  /** Registries belong to one subscription, and so do digests: what subscriptions add is new. */
  readonly images: number;
  readonly imagesByRepositoryDigest: number;
  readonly imagesByDigest: number;
  readonly packages: number;
  readonly findings: number;
  readonly cves: ReadonlySet<string>;
}

const known = new WeakMap<SubscriptionEstate, { revision: number; tally: SubscriptionTally }>();

/** Goes once over the plan of a subscription; the result stays until a change. */
export function tallyOf(subscription: SubscriptionEstate, changes: EstateChanges): SubscriptionTally {
  const before = known.get(subscription);
  if (before?.revision === changes.revision) return before.tally;
  const tally = {
    ...(subscription.isAssessed() ? tallyAssessments(subscription) : nothingAssessed()),
    containers: subscription.scansImages() ? tallyContainers(subscription) : noImages(),
  };
  known.set(subscription, { revision: changes.revision, tally });
  return tally;
}

function addStatus(counts: StatusCounts, code: string): void {
  if (code === 'Healthy') counts.healthy += 1;
  else if (code === 'Unhealthy') counts.unhealthy += 1;
  else counts.notApplicable += 1;
}

function tallyAssessments(subscription: SubscriptionEstate): Omit<SubscriptionTally, 'containers'> {
  const statuses = { healthy: 0, unhealthy: 0, notApplicable: 0 };
  const rules = new Set<CatalogueRule>();
  let resources = 0;
  let resourcesWithResult = 0;
  let current: string | undefined;
  let hasResult = false;
  // Rows of one resource follow each other in the plan, so a resource is new exactly when the row before was another's.
  for (const { resource, rule, ordinal } of subscription.layout.rowsInPlan()) {
    if (resource.id !== current) {
      current = resource.id;
      hasResult = false;
      resources += 1;
    }
    rules.add(rule);
    const code = subscription.codeOf(ordinal);
    addStatus(statuses, code);
    if (code === 'NotApplicable') continue;
    if (!hasResult) resourcesWithResult += 1;
    hasResult = true;
  }
  const { machines } = subscription;
  return { statuses, rules, resources, resourcesWithResult, outOfScope: machines.listed.size, resourcesOutOfScope: machines.countAlone() };
}

function tallyContainers({ containers }: SubscriptionEstate): ContainerTally {
  const byStatus = { healthy: 0, unhealthy: 0, notApplicable: 0 };
  const images = new Set<string>();
  const imagesByRepositoryDigest = new Set<string>();
  const imagesByDigest = new Set<string>();
  const cves = new Set<string>();
  let [rows, packages, findings] = [0, 0, 0];
  for (const { image, isRunning, detections } of containers.places()) {
    // An image without a single recommendation is not known to Defender.
    if (detections.length === 0) continue;
    images.add(`${isRunning ? '' : image.registryName}/${image.repository}@${image.digest}`);
    imagesByRepositoryDigest.add(`${image.repository}@${image.digest}`);
    imagesByDigest.add(image.digest);
    // The packages of one image are distinct, so what each adds is new.
    for (const detection of detections) {
      const { code } = containers.statusOf(detection);
      rows += 1;
      packages += detection.versions.length;
      addStatus(byStatus, code);
      if (code !== 'Unhealthy') continue;
      findings += detection.cves.length * detection.versions.length;
      for (const cve of detection.cves) cves.add(cve.id);
    }
  }
  return {
    rows,
    rowsServed: containers.partitions.reduce((sum, partition) => sum + partition.rows.size, 0),
    byStatus,
    images: images.size,
    imagesByRepositoryDigest: imagesByRepositoryDigest.size,
    imagesByDigest: imagesByDigest.size,
    packages,
    findings,
    cves,
  };
}

function nothingAssessed(): Omit<SubscriptionTally, 'containers'> {
  const statuses = { healthy: 0, unhealthy: 0, notApplicable: 0 };
  return { statuses, rules: new Set(), resources: 0, resourcesWithResult: 0, outOfScope: 0, resourcesOutOfScope: 0 };
}

function noImages(): ContainerTally {
  return {
    rows: 0,
    rowsServed: 0,
    byStatus: { healthy: 0, unhealthy: 0, notApplicable: 0 },
    images: 0,
    imagesByRepositoryDigest: 0,
    imagesByDigest: 0,
    packages: 0,
    findings: 0,
    cves: new Set(),
  };
}
