import { concatRows, type Rows } from '../../estate/model.ts';
import { objectAt, textAt, type JsonObject } from '../../json.ts';
import { badRequest, notFound } from '../errors.ts';
import { managementGroupOf } from '../path.ts';
import { withRowQuirks } from '../row-quirks.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

const COMMON = {
  resourceType: 'Microsoft.Security/assessments',
  apiVersions: ['2025-05-04', '2021-06-01', '2020-01-01'],
  action: 'Microsoft.Security/assessments/read',
} as const;

/** Assessments of a subscription or management group, and single ones: azure.md §1.4. */
export function assessmentRoutes(): readonly ArmRoute[] {
  return [
    {
      ...COMMON,
      form: 'list',
      scopes: ['subscription', 'managementGroup'],
      handle: (call) => {
        const all = assessmentsInScope(call);
        // The list takes api-version and nothing else: no $expand, so neither links nor metadata.
        const rows: Rows = {
          size: all.size,
          at: (index) => withRowQuirks(inVersion(withoutExpansions(all.at(index)), call.apiVersion), call.services.options),
        };
        return listAnswer(call, rows, { pageSize: call.services.options.pageSizes.assessments });
      },
    },
    {
      ...COMMON,
      form: 'item',
      scopes: ['subscription', 'resourceGroup', 'resource'],
      handle: (call) => {
        const key = call.path.names[0] ?? '';
        const expansions = readExpansions(call.query.get('$expand'));
        const row = call.services.estate.findAssessment(call.path.scope, key);
        if (row === undefined)
          throw notFound('ResourceNotFound', `The assessment '${key}' was not found on resource '${call.path.scope}'.`);
        return { body: withRowQuirks(inVersion(expanded(call, row, expansions), call.apiVersion), call.services.options) };
      },
    },
  ];
}

/** The subscriptions a list call reads: the one in its scope, or those of its management group where the principal may do the same. */
export function subscriptionsInScope(call: ArmCall, action: string): string[] {
  const { access } = call.services;
  if (call.path.scopeKind === 'managementGroup') {
    return access
      .subscriptionsUnder(managementGroupOf(call.path.scope))
      .map(({ subscriptionId }) => subscriptionId)
      .filter((subscriptionId) => access.allows(call.principal, `/subscriptions/${subscriptionId}`, action));
  }
  return [call.path.scope.split('/')[2]?.toLowerCase() ?? ''];
}

function assessmentsInScope(call: ArmCall): Rows {
  return concatRows(subscriptionsInScope(call, COMMON.action).map((subscriptionId) => call.services.estate.assessments(subscriptionId)));
}

function readExpansions(text: string | null): Set<string> {
  const wanted = (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const unknown = wanted.find((part) => part !== 'links' && part !== 'metadata');
  if (unknown !== undefined)
    throw badRequest('InvalidExpandParameter', `The $expand value '${unknown}' is not valid. Supported values are 'links', 'metadata'.`);
  return new Set(wanted);
}

function withoutExpansions(row: JsonObject): JsonObject {
  const properties = objectAt(row, 'properties');
  if (properties.links === undefined && properties.metadata === undefined) return row;
  return { ...row, properties: { ...properties, links: undefined, metadata: undefined } };
}

function expanded(call: ArmCall, row: JsonObject, expansions: Set<string>): JsonObject {
  const properties = objectAt(row, 'properties');
  const key = textAt(row, 'name');
  return {
    ...row,
    properties: {
      ...properties,
      links: expansions.has('links') ? (properties.links ?? { azurePortalUri: portalUri(key) }) : undefined,
      metadata: expansions.has('metadata') ? (properties.metadata ?? metadataOf(call, key)) : undefined,
    },
  };
}

function portalUri(key: string): string {
  return `https://www.portal.azure.com/?fea#blade/Microsoft_Azure_Security/RecommendationsBlade/assessmentKey/${key}`;
}

/** The metadata as it stands in an assessment: without the members that only metadata responses have (azure.md §1.4). */
function metadataOf(call: ArmCall, key: string): JsonObject | undefined {
  const { estate } = call.services;
  const subscription = call.path.scope.split('/')[2]?.toLowerCase() ?? '';
  const row = [...estate.customMetadata(subscription), ...estate.assessmentMetadata].find((candidate) => candidate.name === key);
  if (row === undefined) return undefined;
  return {
    ...objectAt(row, 'properties'),
    publishDates: undefined,
    plannedDeprecationDate: undefined,
    tactics: undefined,
    techniques: undefined,
  };
}

/** Dates exist from 2021-06-01, risk from 2025-05-04 (azure.md §1.4). */
function inVersion(row: JsonObject, apiVersion: string): JsonObject {
  if (apiVersion === '2025-05-04') return row;
  const properties = objectAt(row, 'properties');
  const status = objectAt(properties, 'status');
  return {
    ...row,
    properties: {
      ...properties,
      risk: undefined,
      status: apiVersion === '2020-01-01' ? { ...status, firstEvaluationDate: undefined, statusChangeDate: undefined } : status,
    },
  };
}
