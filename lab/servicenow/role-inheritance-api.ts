import type { Caller } from './access.ts';
import { ApiError, json, type ApiRequest, type ApiResponse } from './http.ts';
import type { Row, Store } from './store.ts';

const PATH = '/api/global/user_role_inheritance';

export function isRoleInheritance(request: ApiRequest): boolean {
  return request.path === PATH;
}

/** `GET /api/global/user_role_inheritance?user_sysid=`: where a user's roles come from; needs user_admin (schema/user_role_inheritance.json). */
export function handleRoleInheritance(store: Store, caller: Caller, request: ApiRequest): ApiResponse {
  if (request.method !== 'GET') throw new ApiError(405, 'Method not supported', null);
  if (!caller.roles.has('admin') && !caller.roles.has('user_admin')) {
    throw new ApiError(403, 'User Not Authorized', 'Failed API level ACL Validation');
  }
  const user = store.find('sys_user', request.query.get('user_sysid') ?? '');
  // The answer for an unknown user was not recorded.
  if (user === undefined) throw new ApiError(404, 'No Record found', "Record doesn't exist or ACL restricts the record retrieval");
  return json(200, {
    result: { user_name: user.values['user_name'] ?? '', from_group: fromGroups(store, user), from_role: fromRoles(store, user) },
  });
}

function fromGroups(store: Store, user: Row): string[] {
  return store.equal('sys_user_grmember', 'user', [user.sysId]).flatMap((member) => {
    const group = store.find('sys_user_group', member.values['group'] ?? '');
    if (group === undefined) return [];
    const roles = store.equal('sys_group_has_role', 'group', [group.sysId]).map(({ values }) => values['role'] ?? '');
    return roles.flatMap((role) => paths(store, role, `[${group.values['name'] ?? ''}]`, []));
  });
}

function fromRoles(store: Store, user: Row): string[] {
  return store
    .equal('sys_user_has_role', 'user', [user.sysId])
    .filter(({ values }) => values['inherited'] !== 'true' && values['state'] === 'active')
    .flatMap(({ values }) => paths(store, values['role'] ?? '', '', []));
}

/** The role itself, then every role it contains, each with the way to it. */
function paths(store: Store, role: string, prefix: string, trail: string[]): string[] {
  const name = store.find('sys_user_role', role)?.values['name'];
  if (name === undefined || trail.includes(role)) return [];
  const path = `${prefix}/${name}`;
  const contained = store.equal('sys_user_role_contains', 'role', [role]).map(({ values }) => values['contains'] ?? '');
  return [path, ...contained.flatMap((next) => paths(store, next, path, [...trail, role]))];
}
