import { rowsOf, type Estate, type Rows } from '../../estate/model.ts';
import type { CurrentSubscription } from '../../rbac/tree.ts';
import { resourceFilter } from './resource-filter.ts';
import { randomAt } from '../../../kit/random.ts';
import { textAt, type JsonObject } from '../../json.ts';
import { authorizationFailed, badRequest } from '../errors.ts';
import { readTop } from '../paging.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

const API_VERSIONS = ['2022-12-01', '2020-01-01', '2016-06-01'];
const RESOURCE_API_VERSIONS = ['2024-03-01', '2021-04-01'];

/** The regions that the estates use. */
const LOCATIONS = [
  ['eastus', 'East US', 'US'],
  ['germanywestcentral', 'Germany West Central', 'Europe'],
  ['northeurope', 'North Europe', 'Europe'],
  ['westeurope', 'West Europe', 'Europe'],
] as const;

/** Tenants, subscriptions, locations, resources and tags: azure.md §1.10. */
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
      resourceType: 'Microsoft.Resources/subscriptions/locations',
      form: 'list',
      scopes: ['subscription'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) => {
        const { subscriptionId } = visibleSubscription(call);
        return { body: { value: LOCATIONS.map((location) => locationRow(subscriptionId, location)) } };
      },
    },
    {
      resourceType: 'Microsoft.Resources/subscriptions/resources',
      form: 'list',
      scopes: ['subscription'],
      apiVersions: RESOURCE_API_VERSIONS,
      action: 'Microsoft.Resources/subscriptions/resources/read',
      handle: (call) => {
        const pageSize = readTop(call.query) ?? call.services.options.pageSizes.resources;
        return listAnswer(call, resourcesIn(call), { pageSize });
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

/** As in examples/azure/subscriptions/GetLocations.json, without coordinates and pairs. */
function locationRow(subscriptionId: string, [name, displayName, geographyGroup]: (typeof LOCATIONS)[number]): JsonObject {
  return {
    id: `/subscriptions/${subscriptionId}/locations/${name}`,
    name,
    type: 'Region',
    displayName,
    regionalDisplayName: `(${geographyGroup}) ${displayName}`,
    metadata: { regionType: 'Physical', regionCategory: 'Recommended', geographyGroup },
  };
}

function subscriptionRow(estate: Estate, subscription: CurrentSubscription): JsonObject {
  return {
    id: `/subscriptions/${subscription.subscriptionId}`,
    authorizationSource: subscription.authorizationSource,
    managedByTenants: subscription.managedByTenants,
    subscriptionId: subscription.subscriptionId,
    tenantId: estate.tenant.tenantId,
    displayName: subscription.displayName,
    state: subscription.state,
    subscriptionPolicies: { locationPlacementId: 'Public_2014-09-01', quotaId: 'EnterpriseAgreement_2014-09-01', spendingLimit: 'Off' },
    tags: subscription.tags,
  };
}

/** Any role on a subscription shows the subscription itself. */
function visibleSubscription(call: ArmCall): CurrentSubscription {
  const id = (call.path.names[0] ?? '').toLowerCase();
  const found = call.services.access.visibleSubscriptions(call.principal).find(({ subscriptionId }) => subscriptionId.toLowerCase() === id);
  if (found !== undefined) return found;
  throw authorizationFailed(call.principal.clientId, call.principal.principalId, 'Microsoft.Resources/subscriptions/read', call.path.scope);
}

/** The rows that the filter asks for, with the times and the state that `$expand` asks for. */
function resourcesIn(call: ArmCall): Rows {
  const all = call.services.estate.resources(call.path.names[0] ?? '');
  const accepts = resourceFilter(call.query.get('$filter'));
  const rows =
    accepts === undefined
      ? all
      : rowsOf(
          indexes(all.size)
            .map((index) => all.at(index))
            .filter(accepts),
        );
  const expansions = readExpansions(call.query.get('$expand'));
  return { size: rows.size, at: (index) => expanded(rows.at(index), expansions) };
}

const EXPANSIONS: Readonly<Record<string, (row: JsonObject) => string>> = {
  createdTime: (row) => randomMoment(row, '2024-01-01T00:00:00Z', 400),
  changedTime: (row) => randomMoment(row, '2025-06-01T00:00:00Z', 400),
  provisioningState: () => 'Succeeded',
};

function readExpansions(text: string | null): string[] {
  const wanted = (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const unknown = wanted.find((part) => !(part in EXPANSIONS));
  if (unknown !== undefined) throw badRequest('InvalidExpandInQueryString', `Invalid $expand '${unknown}' specified in the query string.`);
  return wanted;
}

function expanded(row: JsonObject, expansions: readonly string[]): JsonObject {
  return { ...row, ...Object.fromEntries(expansions.map((name) => [name, row[name] ?? EXPANSIONS[name]?.(row)])) };
}

/** A moment that belongs to the resource: the same in every answer. */
function randomMoment(row: JsonObject, from: string, days: number): string {
  const offset = randomAt('resource', textAt(row, 'id'), from).integer(0, days * 86_400 - 1);
  return new Date(Date.parse(from) + offset * 1000).toISOString();
}

function indexes(size: number): number[] {
  return Array.from({ length: size }, (_unused, index) => index);
}
