import type { EstateChanges, StatusCounts } from '../model.ts';
import type { SubscriptionEstate } from './subscription.ts';

/** What one subscription's rows add up to. Sets hold what several subscriptions may share. */
export interface SubscriptionTally {
  readonly statuses: StatusCounts;
  readonly keys: ReadonlySet<string>;
  /** Keys of rules without metadata. */
  readonly unknownKeys: ReadonlySet<string>;
  readonly resources: number;
  readonly resourcesWithResult: number;
  readonly containers: ContainerTally;
}

export interface ContainerTally {
  readonly rows: number;
  readonly rowsServed: number;
  readonly byStatus: StatusCounts;
  readonly images: ReadonlySet<string>;
  readonly imagesByRepositoryDigest: ReadonlySet<string>;
  readonly imagesByDigest: ReadonlySet<string>;
  readonly packages: number;
  readonly findings: number;
  readonly cves: ReadonlySet<string>;
}

const known = new WeakMap<SubscriptionEstate, { revision: number; tally: SubscriptionTally }>();

/** Goes once over the plan of a subscription; the result stays until a change. */
export function tallyOf(subscription: SubscriptionEstate, changes: EstateChanges): SubscriptionTally {
  const before = known.get(subscription);
  if (before?.revision === changes.revision) return before.tally;
  const tally = { ...tallyAssessments(subscription), containers: tallyContainers(subscription) };
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
  const keys = new Set<string>();
  const unknownKeys = new Set<string>();
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
    keys.add(rule.key);
    if (rule.withoutMetadata) unknownKeys.add(rule.key);
    const code = subscription.codeOf(ordinal);
    addStatus(statuses, code);
    if (code === 'NotApplicable') continue;
    if (!hasResult) resourcesWithResult += 1;
    hasResult = true;
  }
  return { statuses, keys, unknownKeys, resources, resourcesWithResult };
}

function tallyContainers({ containers }: SubscriptionEstate): ContainerTally {
  const byStatus = { healthy: 0, unhealthy: 0, notApplicable: 0 };
  const images = new Set<string>();
  const imagesByRepositoryDigest = new Set<string>();
  const imagesByDigest = new Set<string>();
  const cves = new Set<string>();
  let [rows, packages, findings] = [0, 0, 0];
  const places = [
    ...containers.images.map((image) => ({ image, registry: image.registryName })),
    ...containers.runningImages.map((image) => ({ image, registry: '' })),
  ];
  for (const { image, registry } of places) {
    images.add(`${registry}/${image.repository}@${image.digest}`);
    imagesByRepositoryDigest.add(`${image.repository}@${image.digest}`);
    imagesByDigest.add(image.digest);
    // The packages of one image are distinct, so what each adds is new.
    for (const detection of containers.detections(image)) {
      const { code } = containers.statusOf(detection);
      rows += 1;
      packages += detection.versions.length;
      addStatus(byStatus, code);
      if (code !== 'Unhealthy') continue;
      findings += detection.cves.length * detection.versions.length;
      for (const cve of detection.cves) cves.add(cve.id);
    }
  }
  const rowsServed = containers.partitions.reduce((sum, partition) => sum + partition.rows.size, 0);
  return { rows, rowsServed, byStatus, images, imagesByRepositoryDigest, imagesByDigest, packages, findings, cves };
}
