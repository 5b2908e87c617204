import { rowsOf, type Estate, type Subscription } from '../../estate/model.ts';
import type { JsonObject } from '../../json.ts';
import { authorizationFailed, badRequest } from '../errors.ts';
import { readTop } from '../paging.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

const API_VERSIONS = ['2022-12-01', '2020-01-01', '2016-06-01'];
const RESOURCE_API_VERSIONS = ['2024-03-01', '2021-04-01'];

/** Tenants, subscriptions, resources and tags: azure.md §1.10. */
export function subscriptionRoutes(): readonly ArmRoute[] {
  return [
    {
      resourceType: 'Microsoft.Resources/tenants',
      form: 'list',
      scopes: ['tenant'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) => listAnswer(call, rowsOf([tenantRow(call.services.estate)]), { pageSize: 100 }),
    },
    {
      resourceType: 'Microsoft.Resources/subscriptions',
      form: 'list',
      scopes: ['tenant'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) => {
        const { access, estate, options } = call.services;
        const rows = access.visibleSubscriptions(call.principal).map((subscription) => subscriptionRow(estate, subscription));
        return listAnswer(call, rowsOf(rows), { pageSize: options.pageSizes.subscriptions });
      },
    },
    {
      resourceType: 'Microsoft.Resources/subscriptions',
      form: 'item',
      scopes: ['subscription'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) => ({ body: subscriptionRow(call.services.estate, visibleSubscription(call)) }),
    },
    {
      resourceType: 'Microsoft.Resources/subscriptions/resources',
      form: 'list',
      scopes: ['subscription'],
      apiVersions: RESOURCE_API_VERSIONS,
      action: 'Microsoft.Resources/subscriptions/resources/read',
      handle: (call) => {
        const { estate, options } = call.services;
        const rows = estate.resources(call.path.names[0] ?? '');
        const wanted = resourceTypeFilter(call.query.get('$filter'));
        const listed =
          wanted === undefined
            ? rows
            : rowsOf(
                indexes(rows.size)
                  .map((index) => rows.at(index))
                  .filter((row) => sameType(row, wanted)),
              );
        return listAnswer(call, listed, { pageSize: readTop(call.query) ?? options.pageSizes.resources });
      },
    },
    {
      resourceType: 'Microsoft.Resources/tags',
      form: 'item',
      scopes: ['subscription', 'resourceGroup', 'resource'],
      apiVersions: RESOURCE_API_VERSIONS,
      action: 'Microsoft.Resources/tags/read',
      handle: (call) => {
        const scope = call.path.scope;
        const tags = call.services.estate.tagsOf(scope) ?? {};
        return {
          body: {
            id: `${scope}/providers/Microsoft.Resources/tags/default`,
            name: 'default',
            type: 'Microsoft.Resources/tags',
            properties: { tags },
          },
        };
      },
    },
  ];
}

function tenantRow({ tenant }: Estate): JsonObject {
  return {
    id: `/tenants/${tenant.tenantId}`,
    tenantId: tenant.tenantId,
    countryCode: 'DE',
    displayName: tenant.displayName,
    domains: [tenant.defaultDomain],
    tenantCategory: 'Home',
    defaultDomain: tenant.defaultDomain,
    tenantType: 'AAD',
  };
}

function subscriptionRow(estate: Estate, subscription: Subscription): JsonObject {
  return {
    id: `/subscriptions/${subscription.subscriptionId}`,
    authorizationSource: 'RoleBased',
    managedByTenants: [],
    subscriptionId: subscription.subscriptionId,
    tenantId: estate.tenant.tenantId,
    displayName: subscription.displayName,
    state: subscription.state,
    subscriptionPolicies: { locationPlacementId: 'Public_2014-09-01', quotaId: 'EnterpriseAgreement_2014-09-01', spendingLimit: 'Off' },
    tags: subscription.tags,
  };
}

/** Any role on a subscription shows the subscription itself. */
function visibleSubscription(call: ArmCall): Subscription {
  const id = (call.path.names[0] ?? '').toLowerCase();
  const found = call.services.access.visibleSubscriptions(call.principal).find(({ subscriptionId }) => subscriptionId.toLowerCase() === id);
  if (found !== undefined) return found;
  throw authorizationFailed(call.principal.clientId, call.principal.principalId, 'Microsoft.Resources/subscriptions/read', call.path.scope);
}

function resourceTypeFilter(filter: string | null): string | undefined {
  if (filter === null || filter.trim() === '') return undefined;
  const type = /^\s*resourceType\s+eq\s+'([^']+)'\s*$/i.exec(filter)?.[1];
  if (type === undefined) throw badRequest('InvalidFilterInQueryString', `Invalid $filter '${filter}' specified in the query string.`);
  return type;
}

function sameType(row: JsonObject, type: string): boolean {
  return typeof row.type === 'string' && row.type.toLowerCase() === type.toLowerCase();
}

function indexes(size: number): number[] {
  return Array.from({ length: size }, (_unused, index) => index);
}
