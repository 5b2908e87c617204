import { rowsOf } from '../../estate/model.ts';
import { textAt, type JsonObject } from '../../json.ts';
import { notFound } from '../errors.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

const COMMON = {
  resourceType: 'Microsoft.Security/securityConnectors',
  apiVersions: ['2024-03-01-preview', '2021-07-01-preview'],
  action: 'Microsoft.Security/securityConnectors/read',
} as const;

/** Connectors to AWS accounts, GCP projects and code hosts. */
export function connectorRoutes(): readonly ArmRoute[] {
  return [
    {
      ...COMMON,
      form: 'list',
      scopes: ['subscription', 'resourceGroup'],
      handle: (call) => listAnswer(call, rowsOf(connectors(call)), { pageSize: call.services.options.pageSizes.security }),
    },
    {
      ...COMMON,
      form: 'item',
      scopes: ['resourceGroup'],
      handle: (call) => {
        const id = `${call.path.scope}/providers/Microsoft.Security/securityConnectors/${call.path.names[0] ?? ''}`.toLowerCase();
        const row = connectors(call).find((candidate) => textAt(candidate, 'id').toLowerCase() === id);
        if (row === undefined) throw notFound('ResourceNotFound', `The security connector '${call.path.names[0] ?? ''}' was not found.`);
        return { body: row };
      },
    },
  ];
}

function connectors(call: ArmCall): JsonObject[] {
  const below = `${call.path.scope.toLowerCase()}/`;
  const subscriptionId = call.path.scope.split('/')[2]?.toLowerCase() ?? '';
  return call.services.estate.securityConnectors(subscriptionId).filter((row) => textAt(row, 'id').toLowerCase().startsWith(below));
}
