import { rowsOf } from '../../estate/model.ts';
import { textAt, type JsonObject } from '../../json.ts';
import { notFound } from '../errors.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';
import { subscriptionsInScope } from './security-assessments.ts';

const API_VERSIONS = ['2019-01-01-preview'];
const UNDER_ASSESSMENT = 'Microsoft.Security/assessments/subAssessments';
const ACTION = `${UNDER_ASSESSMENT}/read`;

/** Sub-assessments: azure.md §1.5. Grouped recommendations are gone, so where an estate has none this is 200 with an empty list. */
export function subAssessmentRoutes(): readonly ArmRoute[] {
  return [
    {
      resourceType: 'Microsoft.Security/subAssessments',
      form: 'list',
      scopes: ['subscription', 'managementGroup'],
      apiVersions: API_VERSIONS,
      action: ACTION,
      handle: (call) => answerRows(call, inScope(call)),
    },
    {
      resourceType: UNDER_ASSESSMENT,
      form: 'list',
      scopes: ['subscription', 'managementGroup', 'resourceGroup', 'resource'],
      apiVersions: API_VERSIONS,
      action: ACTION,
      handle: (call) => answerRows(call, ofAssessment(call)),
    },
    {
      resourceType: UNDER_ASSESSMENT,
      form: 'item',
      scopes: ['subscription', 'resourceGroup', 'resource'],
      apiVersions: API_VERSIONS,
      action: ACTION,
      handle: (call) => {
        const name = call.path.names[1] ?? '';
        const row = ofAssessment(call).find((candidate) => textAt(candidate, 'name').toLowerCase() === name.toLowerCase());
        if (row === undefined) throw notFound('ResourceNotFound', `The sub-assessment '${name}' was not found.`);
        return { body: row };
      },
    },
  ];
}

function answerRows(call: ArmCall, rows: readonly JsonObject[]): ReturnType<ArmRoute['handle']> {
  return listAnswer(call, rowsOf(rows), { pageSize: call.services.options.pageSizes.security });
}

function inScope(call: ArmCall): JsonObject[] {
  const rows = subscriptionsInScope(call, ACTION).flatMap((subscriptionId) => call.services.estate.subAssessments(subscriptionId));
  if (call.path.scopeKind === 'managementGroup' || call.path.scopeKind === 'subscription') return rows;
  const below = `${call.path.scope.toLowerCase()}/`;
  return rows.filter((row) => textAt(row, 'id').toLowerCase().startsWith(below));
}

function ofAssessment(call: ArmCall): JsonObject[] {
  const part = `/providers/microsoft.security/assessments/${(call.path.names[0] ?? '').toLowerCase()}/subassessments/`;
  return inScope(call).filter((row) => textAt(row, 'id').toLowerCase().includes(part));
}
