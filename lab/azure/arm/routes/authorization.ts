import type { Assignment, DenyAssignment, RoleDefinition } from '../../rbac/roles.ts';
import { rowsOf } from '../../estate/model.ts';
import { textAt, type JsonObject } from '../../json.ts';
import { badRequest, notFound } from '../errors.ts';
import type { ScopeKind } from '../path.ts';
import { listAnswer, type ArmAnswer, type ArmCall, type ArmRoute } from '../router.ts';

const API_VERSIONS = ['2022-04-01'];
const ANY_SCOPE: readonly ScopeKind[] = ['managementGroup', 'subscription', 'resourceGroup', 'resource'];
const AUTHORIZATION = 'Microsoft.Authorization';

/**
 * What the principal may do at a scope (azure.md §1.12), and the assignments it follows from. `permissions` holds one entry per
 * entry of each role; what a deny assignment takes away is listed under `denyAssignments` and is not worked into them, so that a
 * reader of `permissions` alone is told more than a real call will grant.
 */
export function authorizationRoutes(): readonly ArmRoute[] {
  return [
    {
      resourceType: `${AUTHORIZATION}/permissions`,
      form: 'list',
      scopes: ANY_SCOPE,
      apiVersions: API_VERSIONS,
      action: null,
      handle: (call) =>
        answerRows(
          call,
          call.services.access
            .rolesAt(call.principal, call.path.scope)
            .flatMap(({ permissions }) => permissions.map((entry) => ({ ...entry }))),
        ),
    },
    ...assignmentRoutes('roleAssignments', (call) => call.services.access.assignments().map(assignmentRow(call))),
    ...assignmentRoutes('denyAssignments', (call) => call.services.access.denyAssignments().map(denyRow)),
    ...definitionRoutes(),
  ];
}

/** Assignments at a scope, above and below it; `atScope()` leaves out what is below (examples/azure/authorization). */
function assignmentRoutes(type: string, source: (call: ArmCall) => JsonObject[]): ArmRoute[] {
  const resourceType = `${AUTHORIZATION}/${type}`;
  const common = { resourceType, scopes: ANY_SCOPE, apiVersions: API_VERSIONS, action: `${resourceType}/read` };
  return [
    {
      ...common,
      form: 'list',
      handle: (call) => {
        const filter = readAssignmentFilter(call);
        return answerRows(call, source(call).filter(filter));
      },
    },
    {
      ...common,
      form: 'item',
      handle: (call) => itemNamed(call, source(call), type),
    },
  ];
}

function definitionRoutes(): ArmRoute[] {
  const resourceType = `${AUTHORIZATION}/roleDefinitions`;
  const common = {
    resourceType,
    scopes: ['tenant', ...ANY_SCOPE] as ScopeKind[],
    apiVersions: API_VERSIONS,
    action: `${resourceType}/read`,
  };
  const rows = (call: ArmCall): JsonObject[] => call.services.access.roleDefinitions().map(definitionRow(call));
  return [
    {
      ...common,
      form: 'list',
      handle: (call) => answerRows(call, rows(call).filter(readDefinitionFilter(call.query.get('$filter')))),
    },
    { ...common, form: 'item', handle: (call) => itemNamed(call, rows(call), 'roleDefinitions') },
  ];
}

function answerRows(call: ArmCall, rows: readonly JsonObject[]): ArmAnswer {
  return listAnswer(call, rowsOf(rows), { pageSize: call.services.options.pageSizes.authorization });
}

function itemNamed(call: ArmCall, rows: readonly JsonObject[], type: string): ArmAnswer {
  const name = (call.path.names[0] ?? '').toLowerCase();
  const row = rows.find((candidate) => textAt(candidate, 'name').toLowerCase() === name);
  if (row === undefined) throw notFound('NotFound', `The ${type} '${name}' was not found.`);
  return { body: row };
}

/** `/` is written as the tenant's own id: without a scope in front. */
function idAt(scope: string, type: string, name: string): string {
  return `${scope === '/' ? '' : scope}/providers/${AUTHORIZATION}/${type}/${name}`;
}

function assignmentRow({ services: { access } }: ArmCall): (assignment: Assignment) => JsonObject {
  return ({ assignmentId, principalId, role, scope }) => ({
    properties: {
      roleDefinitionId: `/providers/${AUTHORIZATION}/roleDefinitions/${access.roleDefinition(role)?.roleId ?? ''}`,
      principalId,
      principalType: 'ServicePrincipal',
      scope,
    },
    id: idAt(scope, 'roleAssignments', assignmentId),
    type: `${AUTHORIZATION}/roleAssignments`,
    name: assignmentId,
  });
}

function denyRow({ denyId, principalId, scope, actions, notActions }: DenyAssignment): JsonObject {
  return {
    properties: {
      denyAssignmentName: `Deny assignment of ${scope}`,
      permissions: [{ actions, notActions, dataActions: [], notDataActions: [] }],
      scope,
      doNotApplyToChildScopes: false,
      principals: [{ id: principalId, type: 'ServicePrincipal' }],
      excludePrincipals: [],
      isSystemProtected: false,
    },
    id: idAt(scope, 'denyAssignments', denyId),
    type: `${AUTHORIZATION}/denyAssignments`,
    name: denyId,
  };
}

function definitionRow({ path }: ArmCall): (role: RoleDefinition) => JsonObject {
  return ({ roleId, name, custom, description, permissions }) => ({
    properties: {
      roleName: name,
      type: custom ? 'CustomRole' : 'BuiltInRole',
      description,
      assignableScopes: ['/'],
      permissions: permissions.map((entry) => ({ ...entry })),
    },
    id: idAt(path.scope, 'roleDefinitions', roleId),
    type: `${AUTHORIZATION}/roleDefinitions`,
    name: roleId,
  });
}

function readAssignmentFilter(call: ArmCall): (row: JsonObject) => boolean {
  const filter = (call.query.get('$filter') ?? '').trim();
  const above = new Set(call.services.access.inheritedScopes(call.path.scope));
  const below = `${call.path.scope.toLowerCase()}/`;
  const scopeOf = (row: JsonObject): string => textAt(row, 'properties', 'scope').toLowerCase();
  const atOrAbove = (row: JsonObject): boolean => above.has(scopeOf(row));
  const around = (row: JsonObject): boolean => atOrAbove(row) || scopeOf(row).startsWith(below);
  if (filter === '') return around;
  if (/^atScope\(\)$/i.test(filter)) return atOrAbove;
  const principal = (/^principalId\s+eq\s+'([^']+)'$/i.exec(filter) ?? /^assignedTo\('([^']+)'\)$/i.exec(filter))?.[1]?.toLowerCase();
  if (principal === undefined) throw badRequest('InvalidFilter', `The filter '${filter}' is not supported.`);
  return (row) => around(row) && JSON.stringify(row.properties).toLowerCase().includes(principal);
}

function readDefinitionFilter(filter: string | null): (row: JsonObject) => boolean {
  if (filter === null || filter.trim() === '' || /^\s*atScopeAndBelow\(\)\s*$/i.test(filter)) return () => true;
  const [, field, value = ''] = /^\s*(roleName|type)\s+eq\s+'([^']*)'\s*$/i.exec(filter) ?? [];
  if (field === undefined) throw badRequest('InvalidFilter', `The filter '${filter}' is not supported.`);
  const path = field.toLowerCase() === 'type' ? 'type' : 'roleName';
  return (row) => textAt(row, 'properties', path).toLowerCase() === value.toLowerCase();
}
