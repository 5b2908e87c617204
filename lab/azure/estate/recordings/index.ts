import { randomAt } from '../../../kit/random.ts';
import { objectAt, textAt, type JsonObject } from '../../json.ts';
import {
  planTierOf,
  rowsOf,
  type Estate,
  type EstateChanges,
  type GraphPartition,
  type LabApplication,
  type RegulatoryStandard,
} from '../model.ts';
import { collect, HOME, type Collections } from './collect.ts';
import { readMapping, type Mapping } from './mapping.ts';
import { graphAssessment, partitionOf, withFlips } from './rows.ts';
import { recordedTruth } from './truth.ts';

/**
 * An estate of recorded answers: `lab/azure/recordings/mapping.json` says what each file of `dir` becomes. Rows stay as they
 * were recorded, casing and placeholders included. Throws where a mapped file is missing or is no JSON.
 */
export async function loadRecordings(dir: string, changes: EstateChanges): Promise<Estate> {
  const mapping = await readMapping();
  const collections = await collect(dir, mapping);
  const { tenant, subscriptions } = mapping;
  const all = (name: string): readonly JsonObject[] => collections.rows.get(name) ?? [];
  const below = (name: string, path: string): readonly JsonObject[] => collections.below.get(`${name}|${path.toLowerCase()}`) ?? [];
  const inSubscription = (rows: readonly JsonObject[], subscriptionId: string): JsonObject[] =>
    rows.filter((row) => textAt(row, 'id').toLowerCase().startsWith(`/subscriptions/${subscriptionId.toLowerCase()}/`));
  const recordedAssessments = (subscriptionId: string): JsonObject[] =>
    isAssessed(subscriptionId) ? inSubscription(all('assessments'), subscriptionId).map((row) => withFlips(row, changes)) : [];
  const metadata = new Map(all('assessmentMetadata').map((row) => [textAt(row, 'name'), row]));
  const graphRows = (subscriptionId: string): JsonObject[] =>
    isAssessed(subscriptionId) ? homeRows(all('graphRows'), subscriptionId).map((row) => withFlips(row, changes)) : [];
  const regulatory = (subscriptionId: string): RegulatoryStandard[] => regulatoryOf(collections, `/subscriptions/${subscriptionId}`);
  const pricings = (scope: string): JsonObject[] => below('pricings', scope).map((row) => withTier(row, changes));
  const hasPaidPlan = (subscriptionId: string): boolean =>
    changes.planTiers.get(subscriptionId.toLowerCase()) === 'Standard' ||
    pricings(`/subscriptions/${subscriptionId}`).some((row) => textAt(row, 'properties', 'pricingTier') === 'Standard');
  const isAssessed = (subscriptionId: string): boolean => !changes.unassessed.has(subscriptionId.toLowerCase());
  const estate: Estate = {
    name: 'recordings',
    tenant,
    applications: mapping.deployments.map(application),
    managementGroups: mapping.managementGroups,
    subscriptions: subscriptions.map(({ subscriptionId, displayName, managementGroup }) => ({
      subscriptionId,
      displayName,
      managementGroup,
      state: 'Enabled',
      tags: {},
    })),
    policyDefinitions: all('policyDefinitions'),
    policySetDefinitions: all('policySetDefinitions'),
    policyAssignments: all('policyAssignments'),
    policyExemptions: all('policyExemptions'),
    assessmentMetadata: all('assessmentMetadata'),
    customMetadata: () => [],
    securityStandards: (scope) => below('securityStandards', scope),
    standardAssignments: (scope) => below('standardAssignments', scope),
    customRecommendations: (scope) => below('customRecommendations', scope),
    regulatoryStandards: regulatory,
    pricings,
    securityConnectors: (subscriptionId) => inSubscription(all('securityConnectors'), subscriptionId),
    assessments: (subscriptionId) => rowsOf(recordedAssessments(subscriptionId)),
    findAssessment: (resourceId, key) => {
      const id = `${resourceId}/providers/Microsoft.Security/assessments/${key}`.toLowerCase();
      if (!isAssessed(resourceId.split('/')[2] ?? '')) return undefined;
      const row = all('assessments').find((candidate) => textAt(candidate, 'id').toLowerCase() === id);
      return row === undefined ? undefined : withFlips(row, changes);
    },
    subAssessments: (subscriptionId) => inSubscription(all('subAssessments'), subscriptionId),
    resources: (subscriptionId) => rowsOf(inSubscription(all('resources'), subscriptionId)),
    tagsOf: (scope) => {
      const row = all('resources').find((candidate) => textAt(candidate, 'id').toLowerCase() === scope.toLowerCase());
      return row === undefined ? undefined : objectAt(row, 'tags');
    },
    graphPartitions: (subscriptionIds) =>
      subscriptionIds.flatMap((subscriptionId) => [
        partitionOf('securityresources', subscriptionId, [
          ...recordedAssessments(subscriptionId).map((row) => graphAssessment(row, tenant.tenantId, metadata.get(textAt(row, 'name')))),
          ...graphRows(subscriptionId),
          ...(hasPaidPlan(subscriptionId) ? regulatoryGraphRows(regulatory(subscriptionId), tenant.tenantId, subscriptionId) : []),
        ]),
        ...containerPartitions(subscriptionId, mapping, tenant.tenantId, inSubscription(all('resources'), subscriptionId)),
      ]),
    tenantGraphPartitions: () => [partitionOf('securityresources', null, all('cveDetails'))],
    hasPaidPlan,
    truth: ({ subscriptionIds, managementGroups, metadataCap }) =>
      recordedTruth({
        estate,
        subscriptionIds,
        managementGroups,
        metadataCap,
        graphRows: subscriptionIds.flatMap(graphRows),
      }),
  };
  return estate;
}

function application({ deployment, displayName, managementGroups }: Mapping['deployments'][number]): LabApplication {
  const random = randomAt('recordings', deployment);
  return {
    deployment,
    displayName,
    clientId: random.uuid(),
    principalId: random.uuid(),
    applicationObjectId: random.uuid(),
    clientSecret: `lab8Q~${random.hex(34)}`,
    roleAssignments: managementGroups.flatMap((name) =>
      (['Reader', 'Security Reader'] as const).map((role) => ({ scope: `/providers/Microsoft.Management/managementGroups/${name}`, role })),
    ),
  };
}

/** A recorded plan with the tier an administrator gave it meanwhile. */
function withTier(row: JsonObject, changes: EstateChanges): JsonObject {
  const recorded = textAt(row, 'properties', 'pricingTier') === 'Standard' ? 'Standard' : 'Free';
  const tier = planTierOf(changes, textAt(row, 'id').split('/')[2] ?? '', textAt(row, 'name'), recorded);
  return tier === recorded ? row : { ...row, properties: { ...objectAt(row, 'properties'), pricingTier: tier } };
}

/** Resource Graph rows of a subscription: by their own column, or by the mapping's where that is a placeholder. */
function homeRows(rows: readonly JsonObject[], subscriptionId: string): JsonObject[] {
  return rows
    .filter((row) => (textAt(row, HOME) || textAt(row, 'subscriptionId')).toLowerCase() === subscriptionId.toLowerCase())
    .map((row) => ({ ...row, [HOME]: undefined }));
}

function regulatoryOf({ below }: Collections, scope: string): RegulatoryStandard[] {
  const path = scope.toLowerCase();
  return (below.get(`regulatoryStandards|${path}`) ?? []).map((row) => {
    const standard = `${path}|${textAt(row, 'name').toLowerCase()}`;
    const controls = (below.get(`regulatoryControls|${standard}`) ?? []).map((control) => ({
      row: control,
      assessments: below.get(`regulatoryAssessments|${standard}|${textAt(control, 'name').toLowerCase()}`) ?? [],
    }));
    return { row, controls };
  });
}

function regulatoryGraphRows(standards: readonly RegulatoryStandard[], tenantId: string, subscriptionId: string): JsonObject[] {
  const type = 'microsoft.security/regulatorycompliancestandards';
  const graphRow = (row: JsonObject, rowType: string): JsonObject => ({
    id: textAt(row, 'id'),
    name: textAt(row, 'name'),
    type: rowType,
    tenantId,
    location: '',
    resourceGroup: '',
    subscriptionId,
    properties: objectAt(row, 'properties'),
  });
  const controls = standards.flatMap((standard) => standard.controls);
  return [
    ...standards.map(({ row }) => graphRow(row, type)),
    ...controls.map(({ row }) => graphRow(row, `${type}/regulatorycompliancecontrols`)),
    ...controls
      .flatMap(({ assessments }) => assessments)
      .map((row) => graphRow(row, `${type}/regulatorycompliancecontrols/regulatorycomplianceassessments`)),
  ];
}

function containerPartitions(
  subscriptionId: string,
  mapping: Mapping,
  tenantId: string,
  resources: readonly JsonObject[],
): GraphPartition[] {
  const name = mapping.subscriptions.find((subscription) => subscription.subscriptionId === subscriptionId)?.displayName ?? '';
  const subscription = {
    id: `/subscriptions/${subscriptionId}`,
    name,
    type: 'microsoft.resources/subscriptions',
    tenantId,
    location: '',
    tags: {},
    subscriptionId,
  };
  const rows = resources.map((row) => ({
    ...row,
    subscriptionId,
    tenantId,
    resourceGroup: (textAt(row, 'id').split('/')[4] ?? '').toLowerCase(),
  }));
  return [partitionOf('resources', subscriptionId, rows), partitionOf('resourcecontainers', subscriptionId, [subscription])];
}
