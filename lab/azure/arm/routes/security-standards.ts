import { rowsOf } from '../../estate/model.ts';
import { textAt, type JsonObject } from '../../json.ts';
import { notFound } from '../errors.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

/** securityStandards, standardAssignments and customRecommendations of a subscription, management group or connector: azure.md §1.2. */
export function standardRoutes(): readonly ArmRoute[] {
  return [
    ...routesOf('securityStandards', (call) => call.services.estate.securityStandards(call.path.scope)),
    ...routesOf('standardAssignments', (call) => call.services.estate.standardAssignments(call.path.scope)),
    ...routesOf('customRecommendations', (call) => call.services.estate.customRecommendations(call.path.scope)),
  ];
}

function routesOf(type: string, source: (call: ArmCall) => readonly JsonObject[]): ArmRoute[] {
  const common = {
    resourceType: `Microsoft.Security/${type}`,
    scopes: ['subscription', 'managementGroup', 'resource'],
    apiVersions: ['2024-08-01'],
    action: `Microsoft.Security/${type}/read`,
  } as const;
  return [
    {
      ...common,
      form: 'list',
      handle: (call) => {
        const rows = source(call);
        if (rows.length === 0) requireConnector(call);
        return listAnswer(call, rowsOf(rows), { pageSize: call.services.options.pageSizes.security });
      },
    },
    {
      ...common,
      form: 'item',
      handle: (call) => {
        const name = (call.path.names[0] ?? '').toLowerCase();
        const row = source(call).find((candidate) => textAt(candidate, 'name').toLowerCase() === name);
        if (row === undefined) throw notFound('ResourceNotFound', `The resource '${type}/${call.path.names[0] ?? ''}' was not found.`);
        return { body: row };
      },
    },
  ];
}

/** Of all resources only connectors have standards, and what was assigned on a resource itself (ListStandardAssignments.json). */
function requireConnector({ path, services }: ArmCall): void {
  if (path.scopeKind !== 'resource') return;
  const connectors = services.estate.securityConnectors(path.scope.split('/')[2]?.toLowerCase() ?? '');
  if (connectors.some((row) => textAt(row, 'id').toLowerCase() === path.scope.toLowerCase())) return;
  throw notFound('ResourceNotFound', `The security connector '${path.scope}' was not found.`);
}
