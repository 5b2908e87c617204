import { randomAt } from '../../../kit/random.ts';
import { objectAt, textAt, type JsonObject } from '../../json.ts';
import type { Catalogue, CatalogueRule } from '../catalogue/catalogue.ts';
import type { SoftwarePackage } from '../catalogue/software.ts';
import { createPresence, type Addition } from '../content-changes.ts';
import {
  concatRows,
  mappedRows,
  planTierOf,
  rowsOf,
  type EstateChanges,
  type GraphPartition,
  type NamedPart,
  type PlanTier,
  type RegulatoryStandard,
  type Rows,
  type StatusCounts,
} from '../model.ts';
import { classicCode, graphEnvelope, graphRow, restRow, type RowContext } from './assessment-rows.ts';
import type { BlockPlan } from './block-plan.ts';
import { createContainers, type ContainerEstate } from './containers.ts';
import type { CurrentKeys } from './current-keys.ts';
import { hash32 } from './hash.ts';
import { createLayout, type Layout, type RowReference } from './layout.ts';
import { createMachines, type MachineEstate } from './machines.ts';
import { perVersion, type SharedCache } from './memo.ts';
import type { Block, NamingContext } from './naming.ts';
import { PLAN_NAMES, SCANNING_PLANS } from './pricing-rows.ts';
import type { EstateProfile, SubscriptionProfile } from './profile.ts';
import { createResources, type ResourceEstate } from './resource-rows.ts';
import { regulatoryRows, type StandardPlan } from './standards.ts';
import type { StatusCode } from './status.ts';
import { CLASSIC_STREAM } from './streams.ts';

/** Everything one generated subscription holds. */
export interface SubscriptionEstate {
  readonly profile: SubscriptionProfile;
  readonly subscriptionId: string;
  readonly layout: Layout;
  readonly machines: MachineEstate;
  readonly containers: ContainerEstate;
  readonly resources: ResourceEstate;
  readonly standards: () => readonly StandardPlan[];
  readonly customMetadata: () => readonly JsonObject[];
  /** Rows of the REST list. */
  readonly assessments: () => Rows;
  /** False where Foundational CSPM is off: nothing is assessed (azure.md §0.4). */
  readonly isAssessed: () => boolean;
  /** False where the Containers plan was switched off: no individual recommendations for images. */
  readonly scansImages: () => boolean;
  readonly planTier: (plan: string) => PlanTier;
  readonly restRow: (reference: RowReference) => JsonObject;
  readonly codeOf: (ordinal: number) => StatusCode;
  readonly hasPaidPlan: () => boolean;
  readonly regulatory: () => readonly RegulatoryStandard[];
  readonly partitions: () => GraphPartition[];
  /** What a lower-case id names, be it there or gone. */
  readonly locate: (id: string) => NamedPart['target'] | undefined;
}

interface Input {
  readonly seed: string;
  readonly profile: EstateProfile;
  readonly subscription: SubscriptionProfile;
  readonly tenantId: string;
  readonly subscriptionId: string;
  /** Classic assessments of this subscription as it was laid out first. */
  readonly rows: number;
  /** What came since. */
  readonly growth: readonly Growth[];
  readonly shared: Shared;
}

/** Added to one subscription at one time. */
export type Growth = Omit<Addition, 'subscriptionId'>;

/** What all subscriptions of an estate use. */
export interface Shared {
  readonly catalogue: Catalogue;
  readonly packages: readonly SoftwarePackage[];
  readonly standards: () => readonly StandardPlan[];
  readonly metadataOf: (key: string) => JsonObject | undefined;
  readonly titleOf: (key: string) => string;
  readonly changes: EstateChanges;
  readonly keys: CurrentKeys;
  /** The plan of blocks for some clouds. */
  readonly planOf: (clouds: readonly string[]) => BlockPlan;
  readonly blocks: SharedCache<Block>;
  /** The regulatory rows of the subscriptions that were asked for last: each knows every status of its subscription. */
  readonly regulatory: SharedCache<{ revision: number; standards: readonly RegulatoryStandard[] }>;
}

/** Builds a subscription from its seed, its profile and a number of rows. */
export function createSubscription(input: Input): SubscriptionEstate {
  const { subscription, subscriptionId, tenantId, shared } = input;
  const { catalogue, changes, keys } = shared;
  const seed = subscriptionSeed(input.seed, subscription);
  const naming: NamingContext = { seed, profile: input.profile, subscription, subscriptionId };
  const presence = createPresence(changes.content, seed, subscriptionId);
  const custom = customRules(input.seed, subscription);
  const customMetadata = perVersion(keys.version, () => keys.metadata(custom.map(customMetadataRow)));
  const metadataOf = (key: string): JsonObject | undefined => customMetadata().find((row) => row.name === key) ?? shared.metadataOf(key);
  const context: RowContext = { seed, tenantId, subscriptionId, changes, metadataOf };
  const plan = shared.planOf(subscription.clouds);
  const headRules = [...catalogue.rulesFor('subscription'), ...custom];
  const rows = grownRows(plan, headRules.length, input);
  const layout = createLayout({ naming, plan, rows, headRules, presence, blocks: shared.blocks, current: keys });
  const classicRows = input.rows;
  const machines = createMachines({ context, layout, classicRows, rules: catalogue.dynamicRules, presence });
  const containers = createContainers({
    context,
    naming,
    layout,
    classicRows,
    addedImages: input.growth.reduce((sum, { images }) => sum + images, 0),
    firstBlocks: plan.countBlocks(classicRows - Math.min(headRules.length, classicRows)),
    packages: shared.packages,
    presence,
  });
  const resources = createResources({ naming, tenantId, layout, hosts: containers.hosts, presence });
  const standards = perVersion(keys.version, () => shared.standards().filter(({ name }) => subscription.standards.includes(name)));
  const known = shared.regulatory.region(() => ({
    revision: changes.revision,
    standards: regulatoryRows(subscriptionId, standards(), { counts: countByKey(layout, context), titleOf: shared.titleOf }),
  }));
  // A region's keys are its revisions: those of before are never asked for again.
  const regulatory = (): readonly RegulatoryStandard[] => known(changes.revision).standards;
  const graphStandards = regulatoryPartitions(context, standards(), regulatory);
  const planTier = (name: string): PlanTier => planTierOf(changes, subscriptionId, name, subscription.paidPlan ? 'Standard' : 'Free');
  const hasPaidPlan = (): boolean => PLAN_NAMES.some((name) => planTier(name) === 'Standard');
  const isAssessed = (): boolean => !changes.unassessed.has(subscriptionId);
  // A subscription that never had a plan keeps what it was laid out with; switching the plan off takes its findings away.
  const scansImages = (): boolean =>
    isAssessed() && SCANNING_PLANS.some((plan) => planTierOf(changes, subscriptionId, plan, 'Standard') === 'Standard');
  const classicPartitions = [classicPartition(context, layout), ...machines.partitions];
  const listed: Rows = mappedRows(layout.listed, (reference) => restRow(context, reference));
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
    isAssessed,
    scansImages,
    planTier,
    assessments: () => (isAssessed() ? concatRows([listed, machines.listed]) : rowsOf([])),
    restRow: (reference) => restRow(context, reference),
    codeOf: (ordinal) => classicCode(context, ordinal),
    regulatory,
    partitions: () => [
      ...(isAssessed() ? classicPartitions : []),
      ...(scansImages() ? containers.partitions : []),
      ...resources.partitions,
      ...(hasPaidPlan() ? graphStandards : []),
    ],
    locate: (id) => locate(id, { layout, machines, containers }),
  };
}

/** The number that everything in a subscription is drawn from. */
function subscriptionSeed(seed: string, { name }: SubscriptionProfile): number {
  return hash32(0, ...Buffer.from(`${seed}/${name}`));
}

/** Rows after all that was added, in the order it was: assessments continue the plan, resources come with all of theirs. */
function grownRows(plan: BlockPlan, headRules: number, { rows, growth }: Input): number {
  return growth.reduce((total, { assessments, resources }) => {
    const more = total + assessments;
    if (resources === 0) return more;
    return headRules + plan.rowsWith(Math.max(0, more - headRules), resources);
  }, rows);
}

/** What a lower-case id names, be it there or gone. */
function locate(
  id: string,
  { layout, machines, containers }: Pick<SubscriptionEstate, 'layout' | 'machines' | 'containers'>,
): NamedPart['target'] | undefined {
  const [resourceId = '', key] = id.split('/providers/microsoft.security/assessments/');
  if (key === undefined) {
    const place = layout.findPlace(id) ?? containers.findPlace(id);
    return place === undefined ? undefined : { kind: 'resource', place };
  }
  const classic = layout.findRow(resourceId, key);
  const row = classic === undefined ? (machines.find(id) ?? containers.findRow(id)) : { stream: CLASSIC_STREAM, ordinal: classic.ordinal };
  return row === undefined ? undefined : { kind: 'assessment', ...row };
}

function lowerId(row: JsonObject): string {
  return textAt(row, 'id').toLowerCase();
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
    idPrefix: `/subscriptions/${context.subscriptionId}`,
    constants: new Map<string, string | null>([
      ['type', 'microsoft.security/assessments'],
      ['subscriptionId', context.subscriptionId],
      ['properties.metadata.recommendationCategory', null],
    ]),
    rows: mappedRows(layout.sorted, (reference) => graphRow(context, reference)),
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
    // Kept for as long as the rows themselves are.
    const sortedOf = new WeakMap<readonly RegulatoryStandard[], readonly JsonObject[]>();
    const sorted = (): readonly JsonObject[] => {
      const all = standards();
      const rows = sortedOf.get(all) ?? level.rows().toSorted((left, right) => (lowerId(left) < lowerId(right) ? -1 : 1));
      sortedOf.set(all, rows);
      return rows;
    };
    return {
      table: 'securityresources',
      subscriptionId: context.subscriptionId,
      idPrefix: `/subscriptions/${context.subscriptionId}`,
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
