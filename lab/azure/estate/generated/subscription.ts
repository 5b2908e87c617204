import { randomAt } from '../../../kit/random.ts';
import { objectAt, textAt, type JsonObject } from '../../json.ts';
import type { Catalogue, CatalogueRule } from '../catalogue/catalogue.ts';
import type { SoftwarePackage } from '../catalogue/software.ts';
import {
  concatRows,
  rowsOf,
  type EstateChanges,
  type GraphPartition,
  type RegulatoryStandard,
  type Rows,
  type StatusCounts,
} from '../model.ts';
import { classicCode, graphEnvelope, graphRow, restRow, type RowContext } from './assessment-rows.ts';
import { createContainers, type ContainerEstate } from './containers.ts';
import { hash32 } from './hash.ts';
import { createLayout, type Layout, type RowReference } from './layout.ts';
import { createMachines, type MachineEstate } from './machines.ts';
import type { NamingContext } from './naming.ts';
import type { EstateProfile, SubscriptionProfile } from './profile.ts';
import { createResources, type ResourceEstate } from './resource-rows.ts';
import type { StatusCode } from './status.ts';
import { regulatoryRows, type StandardPlan } from './standards.ts';

/** Everything one generated subscription holds. */
export interface SubscriptionEstate {
  readonly profile: SubscriptionProfile;
  readonly subscriptionId: string;
  readonly layout: Layout;
  readonly machines: MachineEstate;
  readonly containers: ContainerEstate;
  readonly resources: ResourceEstate;
  readonly standards: readonly StandardPlan[];
  readonly customMetadata: readonly JsonObject[];
  /** Rows of the REST list. */
  readonly assessments: Rows;
  restRow(reference: RowReference): JsonObject;
  codeOf(ordinal: number): StatusCode;
  hasPaidPlan(): boolean;
  regulatory(): readonly RegulatoryStandard[];
  partitions(): GraphPartition[];
}

interface Input {
  readonly seed: string;
  readonly profile: EstateProfile;
  readonly subscription: SubscriptionProfile;
  readonly tenantId: string;
  readonly subscriptionId: string;
  /** Classic assessments of this subscription. */
  readonly rows: number;
  readonly catalogue: Catalogue;
  readonly packages: readonly SoftwarePackage[];
  readonly standards: readonly StandardPlan[];
  readonly metadataOf: (key: string) => JsonObject | undefined;
  readonly changes: EstateChanges;
}

/** Builds a subscription from its seed, its profile and a number of rows. */
export function createSubscription(input: Input): SubscriptionEstate {
  const { catalogue, changes, subscription, subscriptionId, tenantId } = input;
  const seed = hash32(0, ...Buffer.from(`${input.seed}/${subscription.name}`));
  const naming: NamingContext = { seed, profile: input.profile, subscription, subscriptionId };
  const custom = customRules(input.seed, subscription);
  const customMetadata = custom.map(customMetadataRow);
  const metadataOf = (key: string): JsonObject | undefined => customMetadata.find((row) => row.name === key) ?? input.metadataOf(key);
  const context: RowContext = { seed, tenantId, subscriptionId, changes, metadataOf };
  const layout = createLayout({
    naming,
    catalogue,
    rows: input.rows,
    clouds: subscription.clouds,
    headRules: [...catalogue.rulesFor('subscription'), ...custom],
  });
  const machines = createMachines({ context, layout, classicRows: input.rows, rules: catalogue.dynamicRules });
  const containers = createContainers({ context, naming, layout, classicRows: input.rows, packages: input.packages });
  const resources = createResources({ naming, tenantId, layout, hosts: containers.hosts });
  const standards = input.standards.filter(({ name }) => subscription.standards.includes(name));
  const titles = new Map(catalogue.rules.map(({ key, title }) => [key, title]));
  const regulatory = perRevision(changes, () =>
    regulatoryRows(subscriptionId, standards, { counts: countByKey(layout, context), titleOf: (key) => titles.get(key) ?? key }),
  );
  const graphStandards = regulatoryPartitions(context, standards, regulatory);
  const hasPaidPlan = (): boolean =>
    (changes.planTiers.get(subscriptionId) ?? (subscription.paidPlan ? 'Standard' : 'Free')) === 'Standard';
  const fixedPartitions = [classicPartition(context, layout), ...machines.partitions, ...containers.partitions, ...resources.partitions];
  return {
    profile: subscription,
    hasPaidPlan,
    subscriptionId,
    layout,
    machines,
    containers,
    resources,
    standards,
    customMetadata,
    assessments: concatRows([{ size: layout.size, at: (index) => restRow(context, layout.rowAt(index)) }, machines.restRows()]),
    restRow: (reference) => restRow(context, reference),
    codeOf: (ordinal) => classicCode(context, ordinal),
    regulatory,
    partitions: () => [...fixedPartitions, ...(hasPaidPlan() ? graphStandards : [])],
  };
}

/** Computes once per revision of the estate. */
function perRevision<T>(changes: EstateChanges, make: () => T): () => T {
  let known: { revision: number; value: T } | undefined;
  return () => {
    if (known?.revision !== changes.revision) known = { revision: changes.revision, value: make() };
    return known.value;
  };
}

function countByKey(layout: Layout, context: RowContext): Map<string, StatusCounts> {
  const counts = new Map<string, StatusCounts>();
  for (const { rule, ordinal } of layout.rowsInPlan()) {
    const count = counts.get(rule.key) ?? { healthy: 0, unhealthy: 0, notApplicable: 0 };
    counts.set(rule.key, count);
    const code = classicCode(context, ordinal);
    if (code === 'Healthy') count.healthy += 1;
    else if (code === 'Unhealthy') count.unhealthy += 1;
    else count.notApplicable += 1;
  }
  return counts;
}

/** Recommendations of the customer's own, on the subscription itself. */
function customRules(seed: string, subscription: SubscriptionProfile): CatalogueRule[] {
  return ['Emergency accounts should be tested every quarter', 'Workloads should have a named owner'].map((title) => ({
    key: randomAt(seed, 'custom', subscription.name, title).uuid(),
    title: `${title} (${subscription.displayName})`,
    severity: 'Medium',
    category: 'IdentityAndAccess',
    cloud: 'Azure',
    resourceType: 'subscription',
    policy: undefined,
    withoutMetadata: false,
  }));
}

function customMetadataRow(rule: CatalogueRule): JsonObject {
  return {
    id: `/providers/Microsoft.Security/assessmentMetadata/${rule.key}`,
    name: rule.key,
    type: 'Microsoft.Security/assessmentMetadata',
    properties: {
      displayName: rule.title,
      description: 'Assessment that the organisation created for itself.',
      remediationDescription: 'Follow the runbook of the platform team.',
      categories: [rule.category],
      severity: rule.severity,
      userImpact: 'Low',
      implementationEffort: 'Low',
      threats: [],
      assessmentType: 'CustomerManaged',
    },
  };
}

function classicPartition(context: RowContext, layout: Layout): GraphPartition {
  return {
    table: 'securityresources',
    subscriptionId: context.subscriptionId,
    constants: new Map<string, string | null>([
      ['type', 'microsoft.security/assessments'],
      ['subscriptionId', context.subscriptionId],
      ['properties.metadata.recommendationCategory', null],
    ]),
    rows: { size: layout.size, at: (index) => graphRow(context, layout.sortedRowAt(index)) },
  };
}

/**
 * The three regulatory types of Resource Graph (azure.md §1.8). How many rows there are follows from the standards; the rows
 * themselves need every status of the subscription, so they wait until one is asked for.
 */
function regulatoryPartitions(
  context: RowContext,
  plans: readonly StandardPlan[],
  standards: () => readonly RegulatoryStandard[],
): GraphPartition[] {
  const type = 'microsoft.security/regulatorycompliancestandards';
  const controls = plans.flatMap((plan) => plan.controls);
  const controlsIn = (): RegulatoryStandard['controls'] => standards().flatMap((standard) => standard.controls);
  const levels: readonly { type: string; size: number; rows: () => readonly JsonObject[] }[] = [
    { type, size: plans.length, rows: () => standards().map(({ row }) => row) },
    { type: `${type}/regulatorycompliancecontrols`, size: controls.length, rows: () => controlsIn().map(({ row }) => row) },
    {
      type: `${type}/regulatorycompliancecontrols/regulatorycomplianceassessments`,
      size: controls.reduce((sum, { keys }) => sum + keys.length, 0),
      rows: () => controlsIn().flatMap(({ assessments }) => assessments),
    },
  ];
  return levels.map((level) => {
    const sorted = perRevision(context.changes, () =>
      level.rows().toSorted((left, right) => (textAt(left, 'id').toLowerCase() < textAt(right, 'id').toLowerCase() ? -1 : 1)),
    );
    return {
      table: 'securityresources',
      subscriptionId: context.subscriptionId,
      constants: new Map<string, string | null>([
        ['type', level.type],
        ['subscriptionId', context.subscriptionId],
        ['properties.metadata.recommendationCategory', null],
      ]),
      rows: {
        size: level.size,
        at: (index) => {
          const row = rowsOf(sorted()).at(index);
          const properties = { ...objectAt(row, 'properties'), scope: 'Subscription' };
          return graphEnvelope(context, {
            id: textAt(row, 'id'),
            name: textAt(row, 'name'),
            resourceGroup: '',
            type: level.type,
            properties,
          });
        },
      },
    };
  });
}
