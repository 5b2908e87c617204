import type { Access } from '../../access.ts';
import { rowsOf, type ManagementGroup, type Subscription } from '../../estate/model.ts';
import { textAt, type JsonObject } from '../../json.ts';
import { authorizationFailed, notFound } from '../errors.ts';
import { readTop } from '../paging.ts';
import { listAnswer, type ArmCall, type ArmRoute } from '../router.ts';

const API_VERSIONS = ['2023-04-01', '2021-04-01', '2020-05-01'];
const READ = 'Microsoft.Management/managementGroups/read';
/** An action of its own in the provider's list of operations: Reader holds it, Security Reader does not. */
const READ_DESCENDANTS = 'Microsoft.Management/managementGroups/descendants/read';
const TYPE = 'Microsoft.Management/managementGroups';

/** Management groups, their descendants and subscriptions: azure.md §1.10. The list alone says `@nextLink`. */
export function managementGroupRoutes(): readonly ArmRoute[] {
  return [
    {
      resourceType: TYPE,
      form: 'list',
      scopes: ['tenant'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) => {
        const { access, estate, options } = call.services;
        const rows = access.visibleManagementGroups(call.principal).map((group) => ({
          id: groupId(group.name),
          type: TYPE,
          name: group.name,
          properties: { tenantId: estate.tenant.tenantId, displayName: group.displayName },
        }));
        return listAnswer(call, rowsOf(rows), { pageSize: options.pageSizes.managementGroups, linkKey: '@nextLink', endsWithNull: true });
      },
    },
    {
      resourceType: TYPE,
      form: 'item',
      scopes: ['tenant'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) => ({ body: groupItem(call, readableGroup(call)) }),
    },
    {
      resourceType: `${TYPE}/descendants`,
      form: 'list',
      scopes: ['tenant'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) =>
        listAnswer(call, rowsOf(descendants(call, readableGroup(call, READ_DESCENDANTS))), {
          pageSize: readTop(call.query) ?? call.services.options.pageSizes.managementGroups,
          endsWithNull: true,
        }),
    },
    {
      resourceType: `${TYPE}/subscriptions`,
      form: 'list',
      scopes: ['tenant'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) => {
        const rows = subscriptionRows(call, readableGroup(call));
        return listAnswer(call, rowsOf(rows), { pageSize: call.services.options.pageSizes.managementGroups, endsWithNull: true });
      },
    },
    {
      resourceType: `${TYPE}/subscriptions`,
      form: 'item',
      scopes: ['tenant'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) => {
        const [, name = ''] = call.path.names;
        const row = subscriptionRows(call, readableGroup(call)).find((candidate) => sameName(textAt(candidate, 'name'), name));
        if (row === undefined) throw notFound('NotFound', `The subscription '${name}' is not in the management group.`);
        return { body: row };
      },
    },
    {
      resourceType: 'Microsoft.Management/getEntities',
      form: 'list',
      method: 'POST',
      scopes: ['tenant'],
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) =>
        listAnswer(call, rowsOf(entities(call)), { pageSize: call.services.options.pageSizes.managementGroups, endsWithNull: true }),
    },
  ];
}

function groupId(name: string): string {
  return `/providers/${TYPE}/${name}`;
}

function sameName(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}

/** The group in the path; 404 where the tenant has none, 403 where the principal may not read it. */
function readableGroup(call: ArmCall, action = READ): ManagementGroup {
  const name = call.path.names[0] ?? '';
  const { access } = call.services;
  if (!access.allows(call.principal, groupId(name), action)) {
    throw authorizationFailed(call.principal.clientId, call.principal.principalId, action, groupId(name));
  }
  const group = access.managementGroup(name);
  if (group === undefined) throw notFound('NotFound', `The management group '${name}' cannot be found.`);
  return group;
}

function descendants(call: ArmCall, group: ManagementGroup): JsonObject[] {
  const { access } = call.services;
  const rows: JsonObject[] = [];
  for (const child of access.childGroups(group.name)) {
    rows.push({
      id: groupId(child.name),
      type: TYPE,
      name: child.name,
      properties: { displayName: child.displayName, parent: { id: groupId(group.name) } },
    });
    rows.push(...descendants(call, child));
  }
  for (const subscription of directSubscriptions(access, group)) {
    rows.push({
      id: `/subscriptions/${subscription.subscriptionId}`,
      type: `${TYPE}/subscriptions`,
      name: subscription.subscriptionId,
      properties: { displayName: subscription.displayName, parent: { id: groupId(group.name) } },
    });
  }
  return rows;
}

/** A group with its parent; `$expand=children` adds what is below it, `$recurse=true` everything below. */
function groupItem(call: ArmCall, group: ManagementGroup): JsonObject {
  const { access, estate } = call.services;
  const parent = group.parent === null ? undefined : access.managementGroup(group.parent);
  const expands = call.query.get('$expand')?.toLowerCase() === 'children';
  return {
    id: groupId(group.name),
    type: TYPE,
    name: group.name,
    properties: {
      tenantId: estate.tenant.tenantId,
      displayName: group.displayName,
      details: {
        version: 1,
        updatedTime: '2026-01-12T08:00:00.00Z',
        updatedBy: '00000000-0000-0000-0000-000000000000',
        parent: parent === undefined ? undefined : { id: groupId(parent.name), name: parent.name, displayName: parent.displayName },
      },
      children: expands ? childrenOf(access, group, call.query.get('$recurse')?.toLowerCase() === 'true') : undefined,
    },
  };
}

/** Undefined where a group has none, as the examples leave the key out. */
function childrenOf(access: Access, group: ManagementGroup, recurse: boolean): JsonObject[] | undefined {
  const groups = access.childGroups(group.name).map((child) => ({
    id: groupId(child.name),
    type: TYPE,
    name: child.name,
    displayName: child.displayName,
    children: recurse ? childrenOf(access, child, true) : undefined,
  }));
  const subscriptions = directSubscriptions(access, group).map(({ subscriptionId, displayName }) => ({
    id: `/subscriptions/${subscriptionId}`,
    type: '/subscriptions',
    name: subscriptionId,
    displayName,
  }));
  return groups.length + subscriptions.length === 0 ? undefined : [...groups, ...subscriptions];
}

function directSubscriptions(access: Access, group: ManagementGroup): Subscription[] {
  return access.subscriptions().filter(({ managementGroup }) => sameName(managementGroup, group.name));
}

function subscriptionRows({ services: { access, estate } }: ArmCall, group: ManagementGroup): JsonObject[] {
  return directSubscriptions(access, group).map((subscription) => ({
    name: subscription.subscriptionId,
    id: `${groupId(group.name)}/subscriptions/${subscription.subscriptionId}`,
    type: `${TYPE}/subscriptions`,
    properties: {
      displayName: subscription.displayName,
      parent: { id: groupId(group.name) },
      // Only a subscription that was deleted is not active: the others may still be read.
      state: subscription.state === 'Deleted' ? 'Deleted' : 'Active',
      tenant: estate.tenant.tenantId,
    },
  }));
}

function entities(call: ArmCall): JsonObject[] {
  const { access, estate } = call.services;
  const chain = (name: string | null): ManagementGroup[] => (name === null ? [] : access.ancestors(name).toReversed());
  const properties = (displayName: string, parent: string | null): JsonObject => ({
    tenantId: estate.tenant.tenantId,
    displayName,
    parent: { id: parent === null ? null : groupId(parent) },
    permissions: 'view',
    inheritedPermissions: 'view',
    parentDisplayNameChain: chain(parent).map((group) => group.displayName),
    parentNameChain: chain(parent).map((group) => group.name),
  });
  const counts = (name: string): JsonObject => ({
    numberOfDescendants: groupsBelow(access, name) + access.subscriptionsUnder(name).length,
    numberOfChildren:
      access.childGroups(name).length + access.subscriptions().filter(({ managementGroup }) => sameName(managementGroup, name)).length,
    numberOfChildGroups: access.childGroups(name).length,
  });
  const groups = access.visibleManagementGroups(call.principal).map((group) => ({
    id: groupId(group.name),
    type: TYPE,
    name: group.name,
    properties: { ...properties(group.displayName, group.parent), ...counts(group.name) },
  }));
  const subscriptions = access.visibleSubscriptions(call.principal).map((subscription) => ({
    id: `/subscriptions/${subscription.subscriptionId}`,
    type: '/subscriptions',
    name: subscription.subscriptionId,
    properties: properties(subscription.displayName, subscription.managementGroup),
  }));
  return [...groups, ...subscriptions];
}

function groupsBelow(access: Access, name: string): number {
  return access.childGroups(name).reduce((sum, child) => sum + 1 + groupsBelow(access, child.name), 0);
}
