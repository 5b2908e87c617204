import { randomAt } from '../kit/random.ts';
import type { Estate, LabApplication, ManagementGroup } from './estate/model.ts';
import { actionMatches, BUILT_IN_ROLES, permits, type Assignment, type DenyAssignment, type RoleDefinition } from './rbac/roles.ts';
import { createTenantTree, subscriptionOf, type CurrentSubscription, type TenantTree } from './rbac/tree.ts';

export { subscriptionOf } from './rbac/tree.ts';

const MANAGEMENT_GROUP = '/providers/Microsoft.Management/managementGroups/';
const READ_SUBSCRIPTION = 'Microsoft.Resources/subscriptions/read';

/** Azure RBAC of the lab's principals, with what an administrator changed meanwhile. */
export interface Access extends TenantTree {
  application(clientId: string): LabApplication | undefined;
  /** Subscriptions where the principal holds any role, be it on a resource in them. */
  visibleSubscriptions(application: LabApplication): readonly CurrentSubscription[];
  /** Management groups at or below an assignment of the principal that lets it read them. */
  visibleManagementGroups(application: LabApplication): ManagementGroup[];
  /** True where a role at the scope, or inherited, allows the action and nothing denies it. The tenant scope `/` is open to every principal. */
  allows(application: LabApplication, scope: string, action: string): boolean;
  /** True where the action is allowed at the scope and denied nowhere below it. */
  allowsAllBelow(application: LabApplication, scope: string, action: string): boolean;
  /** The roles that apply at a scope. */
  rolesAt(application: LabApplication, scope: string): RoleDefinition[];
  roleDefinitions(): readonly RoleDefinition[];
  roleDefinition(name: string): RoleDefinition | undefined;
  assignments(): readonly Assignment[];
  denyAssignments(): readonly DenyAssignment[];
  /** Name of the group that holds a subscription; empty where the tenant has no such subscription. */
  groupOfSubscription(subscriptionId: string): string[];

  /** Defines or redefines a role of the customer's own. */
  defineRole(role: RoleDefinition): void;
  assign(clientId: string, scope: string, role: string): void;
  /** Takes away what matches; returns how many assignments that were. */
  unassign(clientId: string, match: { scope?: string | undefined; role?: string | undefined }): number;
  deny(clientId: string, scope: string, what: Pick<DenyAssignment, 'actions' | 'notActions'>): void;
  /** Lifts the deny assignments of a principal, at one scope or everywhere; returns how many. */
  liftDeny(clientId: string, scope?: string): number;
  /** Takes all roles on a subscription from a principal, inherited ones too. */
  revoke(clientId: string, subscriptionId: string): void;
  restore(clientId: string, subscriptionId: string): void;
}

/** RBAC over an estate's tree. */
export function createAccess(estate: Estate): Access {
  const tree = createTenantTree(estate);
  const roles = new Map(BUILT_IN_ROLES.map((role) => [role.name.toLowerCase(), role]));
  const revoked = new Set<string>();
  let assignments: Assignment[] = estate.applications.flatMap((application) =>
    application.roleAssignments.map(({ scope, role }) => assignmentOf(application, scope, role)),
  );
  let denials: DenyAssignment[] = [];
  const decisions = createDecisions();
  const application = (clientId: string): LabApplication | undefined =>
    estate.applications.find((candidate) => candidate.clientId === clientId.toLowerCase());

  const isRevoked = ({ clientId }: LabApplication, scope: string): boolean => {
    const subscription = subscriptionOf(scope);
    return subscription !== undefined && revoked.has(`${clientId}|${subscription}`);
  };
  const rolesAt = (principal: LabApplication, scope: string): RoleDefinition[] => {
    if (isRevoked(principal, scope)) return [];
    const scopes = new Set(tree.inheritedScopes(scope));
    const names = assignments
      .filter(({ clientId, scope: at }) => clientId === principal.clientId && scopes.has(at.toLowerCase()))
      .map(({ role }) => role.toLowerCase());
    return [...new Set(names)].map((name) => roles.get(name)).filter((role) => role !== undefined);
  };
  const deniedAt = ({ clientId }: LabApplication, scope: string, action: string): boolean => {
    const own = denials.filter((denial) => denial.clientId === clientId && permits(denial, action));
    if (own.length === 0) return false;
    const scopes = new Set(tree.inheritedScopes(scope));
    return own.some((denial) => scopes.has(denial.scope.toLowerCase()));
  };
  const allows = (principal: LabApplication, scope: string, action: string): boolean =>
    scope === '/' ||
    (rolesAt(principal, scope).some((role) => role.permissions.some((entry) => permits(entry, action))) &&
      !deniedAt(principal, scope, action));
  const allowsAllBelow = (principal: LabApplication, scope: string, action: string): boolean =>
    allows(principal, scope, action) &&
    !denials.some((denial) => denial.clientId === principal.clientId && concernsBelow(denial, scope, action)) &&
    // A wildcard stands for actions that `notActions` may take back one by one.
    !(
      action.includes('*') && rolesAt(principal, scope).some(({ permissions }) => permissions.some((entry) => entry.notActions.length > 0))
    );
  const seesSubscription = (principal: LabApplication, subscriptionId: string): boolean => {
    const scope = `/subscriptions/${subscriptionId}`.toLowerCase();
    if (isRevoked(principal, scope) || deniedAt(principal, scope, READ_SUBSCRIPTION)) return false;
    const below = (assignment: Assignment): boolean =>
      assignment.clientId === principal.clientId && assignment.scope.toLowerCase().startsWith(`${scope}/`);
    return rolesAt(principal, scope).length > 0 || assignments.some(below);
  };

  return {
    ...tree,
    application,
    visibleSubscriptions: (principal) =>
      tree
        .subscriptions()
        .filter(({ subscriptionId: id }) => decisions.of(`${principal.clientId}|sees|${id}`, () => seesSubscription(principal, id))),
    visibleManagementGroups: (principal) =>
      estate.managementGroups.filter((group) =>
        allows(principal, MANAGEMENT_GROUP + group.name, 'Microsoft.Management/managementGroups/read'),
      ),
    allows,
    allowsAllBelow: (principal, scope, action) =>
      decisions.of(`${principal.clientId}|${action}|${scope.toLowerCase()}`, () => allowsAllBelow(principal, scope, action)),
    rolesAt,
    roleDefinitions: () => [...roles.values()],
    roleDefinition: (name) => roles.get(name.toLowerCase()),
    assignments: () => assignments,
    denyAssignments: () => denials,
    groupOfSubscription: (subscriptionId) => {
      const subscription = tree.subscription(subscriptionId);
      return subscription === undefined ? [] : [subscription.managementGroup];
    },
    change: (subscriptionId, change) => {
      decisions.forget();
      tree.change(subscriptionId, change);
    },
    defineRole: (role) => {
      decisions.forget();
      roles.set(role.name.toLowerCase(), role);
    },
    assign: (clientId, scope, role) => {
      decisions.forget();
      const principal = application(clientId);
      if (principal === undefined) return;
      const added = assignmentOf(principal, scope, role);
      assignments = [...assignments.filter(({ assignmentId }) => assignmentId !== added.assignmentId), added];
    },
    unassign: (clientId, { scope, role }) => {
      decisions.forget();
      const goes = (assignment: Assignment): boolean =>
        assignment.clientId === clientId.toLowerCase() && same(assignment.scope, scope) && same(assignment.role, role);
      const before = assignments.length;
      assignments = assignments.filter((assignment) => !goes(assignment));
      return before - assignments.length;
    },
    deny: (clientId, scope, what) => {
      decisions.forget();
      const principal = application(clientId);
      if (principal === undefined) return;
      const denyId = randomAt('deny-assignment', principal.clientId, scope.toLowerCase()).uuid();
      const added = { denyId, principalId: principal.principalId, clientId: principal.clientId, scope, ...what };
      denials = [...denials.filter((denial) => denial.denyId !== denyId), added];
    },
    liftDeny: (clientId, scope) => {
      decisions.forget();
      const before = denials.length;
      denials = denials.filter((denial) => denial.clientId !== clientId.toLowerCase() || !same(denial.scope, scope));
      return before - denials.length;
    },
    revoke: (clientId, subscriptionId) => {
      decisions.forget();
      revoked.add(`${clientId.toLowerCase()}|${subscriptionId.toLowerCase()}`);
    },
    restore: (clientId, subscriptionId) => {
      decisions.forget();
      revoked.delete(`${clientId.toLowerCase()}|${subscriptionId.toLowerCase()}`);
    },
  };
}

/** What was decided about whole subscriptions stays until an administrator changes anything: a page asks for thousands of them. */
function createDecisions(): { of(key: string, decide: () => boolean): boolean; forget(): void } {
  const known = new Map<string, boolean>();
  return {
    of: (key, decide) => {
      const before = known.get(key);
      if (before !== undefined) return before;
      const decision = decide();
      known.set(key, decision);
      return decision;
    },
    forget: () => {
      known.clear();
    },
  };
}

/** Equal whatever the casing; a missing wish matches everything. */
function same(value: string, wanted: string | undefined): boolean {
  return wanted === undefined || value.toLowerCase() === wanted.toLowerCase();
}

/** True where a deny assignment at the scope or below it takes something of the action away. */
function concernsBelow(denial: DenyAssignment, scope: string, action: string): boolean {
  const at = denial.scope.toLowerCase();
  const lower = scope.toLowerCase();
  const touches = denial.actions.some((pattern) => actionMatches(pattern, action) || actionMatches(action, pattern));
  return touches && (at.startsWith(`${lower}/`) || action.includes('*'));
}

function assignmentOf({ clientId, principalId }: LabApplication, scope: string, role: string): Assignment {
  const assignmentId = randomAt('role-assignment', clientId, scope.toLowerCase(), role.toLowerCase()).uuid();
  return { assignmentId, principalId, clientId, scope, role };
}
