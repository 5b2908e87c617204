import type { Caller } from './access.ts';
import { apiPath, json, type ApiRequest, type ApiResponse } from './http.ts';
import type { Row, Store } from './store.ts';
import { apiLevelRefusal, methodNotAllowed, noRecord, unknownResource, type ApiContext } from './table-api.ts';

/**
 * `GET /api/global/user_role_inheritance?user_sysid=` (servicenow.md §6; schema/user_role_inheritance.json): how a user came to each role,
 * as paths from a group or from a role that was granted directly. Needs user_admin.
 */
export function handleRoleInheritance({ store }: ApiContext, caller: Caller, request: ApiRequest): ApiResponse {
  const parts = apiPath(request.path, 'global')?.parts ?? [];
  if (parts.length !== 1 || parts[0] !== 'user_role_inheritance') throw unknownResource();
  if (request.method !== 'GET') throw methodNotAllowed();
  if (!caller.roles.has('admin') && !caller.roles.has('user_admin')) throw apiLevelRefusal();
  const sysId = request.query.get('user_sysid') ?? '';
  // Without a user the platform answers an empty one (batch/batch_two_gets_one_post.json, item 11).
  if (sysId === '') return json(200, { result: { user_name: '', from_group: [], from_role: [] } });
  const user = store.find('sys_user', sysId);
  if (user === undefined) throw noRecord();
  const fromRole = grantedRoles(store, user).flatMap((role) => pathsFrom(store, role, ''));
  const fromGroup = groupsOf(store, user).flatMap((group) =>
    linked(store, 'sys_group_has_role', 'group', group, 'role', 'sys_user_role').flatMap((role) =>
      pathsFrom(store, role, `[${group.values['name'] ?? ''}]`),
    ),
  );
  return json(200, { result: { user_name: user.values['user_name'] ?? '', from_group: fromGroup, from_role: fromRole } });
}

function grantedRoles(store: Store, user: Row): Row[] {
  return store
    .equal('sys_user_has_role', 'user', [user.sysId])
    .filter(({ values }) => values['inherited'] !== 'true' && values['state'] === 'active')
    .flatMap(({ values }) => store.find('sys_user_role', values['role'] ?? '') ?? []);
}

function groupsOf(store: Store, user: Row): Row[] {
  return linked(store, 'sys_user_grmember', 'user', user, 'group', 'sys_user_group');
}

/** The path of a role, then the paths of the roles it contains. */
function pathsFrom(store: Store, role: Row, prefix: string): string[] {
  const name = role.values['name'] ?? '';
  // Roles that contain each other would never end.
  if (prefix.split('/').includes(name)) return [];
  const path = `${prefix}/${name}`;
  const contained = linked(store, 'sys_user_role_contains', 'role', role, 'contains', 'sys_user_role');
  return [path, ...contained.flatMap((inner) => pathsFrom(store, inner, path))];
}

function linked(store: Store, table: string, by: string, row: Row, to: string, target: string): Row[] {
  return store.equal(table, by, [row.sysId]).flatMap(({ values }) => store.find(target, values[to] ?? '') ?? []);
}
