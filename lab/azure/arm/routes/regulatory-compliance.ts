import { rowsOf, type RegulatoryStandard } from '../../estate/model.ts';
import { textAt, type JsonObject } from '../../json.ts';
import { badRequest, notFound } from '../errors.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

const STANDARDS = 'Microsoft.Security/regulatoryComplianceStandards';
const CONTROLS = `${STANDARDS}/regulatoryComplianceControls`;
const ASSESSMENTS = `${CONTROLS}/regulatoryComplianceAssessments`;

/** Standards, controls and their assessments of a subscription with a paid plan: azure.md §1.8. */
export function regulatoryRoutes(): readonly ArmRoute[] {
  return [
    ...routesOf(STANDARDS, (call) => standardsOf(call).map(({ row }) => row)),
    ...routesOf(CONTROLS, (call) => standardIn(call).controls.map(({ row }) => row)),
    ...routesOf(ASSESSMENTS, (call) => controlIn(call).assessments),
  ];
}

function routesOf(resourceType: string, rowsIn: (call: ArmCall) => readonly JsonObject[]): ArmRoute[] {
  const common = {
    resourceType,
    scopes: ['subscription'],
    apiVersions: ['2019-01-01-preview'],
    action: `${resourceType}/read`,
  } as const;
  return [
    {
      ...common,
      form: 'list',
      handle: (call) =>
        listAnswer(call, rowsOf(rowsIn(call).filter(stateFilter(call.query.get('$filter')))), {
          pageSize: call.services.options.pageSizes.security,
        }),
    },
    {
      ...common,
      form: 'item',
      handle: (call) => ({ body: named(rowsIn(call), call.path.names.at(-1) ?? '') }),
    },
  ];
}

function standardsOf(call: ArmCall): readonly RegulatoryStandard[] {
  const { estate } = call.services;
  const subscriptionId = call.path.scope.split('/')[2]?.toLowerCase() ?? '';
  if (!estate.hasPaidPlan(subscriptionId)) {
    throw badRequest(
      'Subscription with no standard pricing bundle',
      `Regulatory compliance is not supported for subscription '${subscriptionId}' as it has no standard pricing bundle`,
    );
  }
  return estate.regulatoryStandards(subscriptionId);
}

function standardIn(call: ArmCall): RegulatoryStandard {
  const name = call.path.names[0] ?? '';
  const standard = standardsOf(call).find(({ row }) => sameName(row, name));
  if (standard === undefined) throw notFound('ResourceNotFound', `The regulatory compliance standard '${name}' was not found.`);
  return standard;
}

function controlIn(call: ArmCall): RegulatoryStandard['controls'][number] {
  const name = call.path.names[1] ?? '';
  const control = standardIn(call).controls.find(({ row }) => sameName(row, name));
  if (control === undefined) throw notFound('ResourceNotFound', `The regulatory compliance control '${name}' was not found.`);
  return control;
}

function named(rows: readonly JsonObject[], name: string): JsonObject {
  const row = rows.find((candidate) => sameName(candidate, name));
  if (row === undefined) throw notFound('ResourceNotFound', `The resource '${name}' was not found.`);
  return row;
}

function sameName(row: JsonObject, name: string): boolean {
  return textAt(row, 'name').toLowerCase() === name.toLowerCase();
}

function stateFilter(filter: string | null): (row: JsonObject) => boolean {
  if (filter === null || filter.trim() === '') return () => true;
  const state = /^\s*(?:properties\/)?state\s+eq\s+'([^']*)'\s*$/i.exec(filter)?.[1];
  if (state === undefined) throw badRequest('InvalidFilterInQueryString', `Invalid $filter '${filter}' specified in the query string.`);
  return (row) => textAt(row, 'properties', 'state') === state;
}
