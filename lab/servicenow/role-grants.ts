import type { Row, Store } from './store.ts';

/** Gives a role to a user by hand; what it contains follows. */
export function grantRole(store: Store, user: Row, role: Row, actor: string): void {
  const [existing] = grantsOf(store, user.sysId).filter(({ values }) => values['role'] === role.sysId);
  const values = { user: user.sysId, role: role.sysId, inherited: 'false', state: 'active' };
  if (existing === undefined) store.insert('sys_user_has_role', values, actor);
  else store.update(existing, { inherited: 'false', state: 'active', granted_by: '' }, actor);
  deriveRoles(store, user.sysId, actor);
}

/** Takes a role that was given by hand; the user keeps it where a group or another role still gives it. False where it was not given. */
export function revokeRole(store: Store, user: Row, role: Row, actor: string): boolean {
  const grant = grantsOf(store, user.sysId).find(({ values }) => values['role'] === role.sysId && values['inherited'] !== 'true');
  if (grant !== undefined) store.delete(grant);
  deriveRoles(store, user.sysId, actor);
  return grant !== undefined;
}

/** Makes the inherited rows of sys_user_has_role what direct grants, groups and containment give. */
export function deriveRoles(store: Store, userSysId: string, actor: string): void {
  const grants = grantsOf(store, userSysId);
  const direct = grants.filter(({ values }) => values['inherited'] !== 'true').map(({ values }) => values['role'] ?? '');
  /** By role: the group it comes from, '' where it comes from another role. */
  const derived = new Map<string, string>();
  for (const [role, group] of groupRoles(store, userSysId)) {
    for (const contained of withContained(store, role)) if (!derived.has(contained)) derived.set(contained, group);
  }
  for (const role of direct) for (const contained of withContained(store, role)) if (!derived.has(contained)) derived.set(contained, '');
  for (const role of direct) derived.delete(role);
  for (const grant of grants) {
    if (grant.values['inherited'] === 'true' && !derived.has(grant.values['role'] ?? '')) store.delete(grant);
  }
  const held = new Set(grants.map(({ values }) => values['role'] ?? ''));
  for (const [role, group] of derived) {
    if (held.has(role)) continue;
    store.insert('sys_user_has_role', { user: userSysId, role, inherited: 'true', state: 'active', granted_by: group }, actor);
  }
}

/** Everybody who holds a role, however it came. */
export function holdersOf(store: Store, roleSysId: string): string[] {
  return [...new Set(store.equal('sys_user_has_role', 'role', [roleSysId]).map(({ values }) => values['user'] ?? ''))];
}

export function membersOf(store: Store, groupSysId: string): string[] {
  return store.equal('sys_user_grmember', 'group', [groupSysId]).map(({ values }) => values['user'] ?? '');
}

function grantsOf(store: Store, userSysId: string): Row[] {
  return [...store.equal('sys_user_has_role', 'user', [userSysId])];
}

function groupRoles(store: Store, userSysId: string): [string, string][] {
  return store.equal('sys_user_grmember', 'user', [userSysId]).flatMap(({ values: { group = '' } }) =>
    store
      .equal('sys_group_has_role', 'group', [group])
      .filter(({ values }) => values['inherits'] !== 'false')
      .map(({ values }): [string, string] => [values['role'] ?? '', group]),
  );
}

function withContained(store: Store, role: string): Set<string> {
  const roles = new Set([role]);
  for (const container of roles) {
    for (const { values } of store.equal('sys_user_role_contains', 'role', [container])) roles.add(values['contains'] ?? '');
  }
  return roles;
}
