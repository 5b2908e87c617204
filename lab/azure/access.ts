import type { ConsentState, Estate, LabApplication, ManagementGroup, RoleName, Subscription } from './estate/model.ts';

const MANAGEMENT_GROUP_PREFIX = '/providers/microsoft.management/managementgroups/';

/** What each built-in role allows, as `permissions` reports it (azure.md §1.12). */
export const ROLE_ACTIONS: Readonly<Record<RoleName, readonly string[]>> = {
  Reader: ['*/read'],
  'Security Reader': [
    'Microsoft.Authorization/*/read',
    'Microsoft.Insights/alertRules/read',
    'Microsoft.Management/managementGroups/read',
    'Microsoft.OperationalInsights/workspaces/*/read',
    'Microsoft.Resources/deployments/*/read',
    'Microsoft.Resources/subscriptions/resourceGroups/read',
    'Microsoft.Security/*/read',
    'Microsoft.Support/*/read',
  ],
};

/** Graph application permissions an app holds apart from the ones under test. */
export interface GraphGrants {
  /** State of SecurityIncident.Read.All and SecurityIncident.ReadWrite.All. */
  consent: ConsentState;
  /** Whether Application.Read.All and Directory.Read.All are granted as application permissions. */
  directoryReader: boolean;
}

/** Azure RBAC and Graph consent of the lab's principals, with what an administrator changed meanwhile. */
export interface Access {
  application(clientId: string): LabApplication | undefined;
  /** Subscriptions where the principal holds any role. */
  visibleSubscriptions(application: LabApplication): Subscription[];
  /** Management groups at or below an assignment of the principal. */
  visibleManagementGroups(application: LabApplication): ManagementGroup[];
  /** True where a role at the scope, or inherited, allows the action. The tenant scope `/` is open to every principal of the tenant. */
  allows(application: LabApplication, scope: string, action: string): boolean;
  rolesAt(application: LabApplication, scope: string): RoleName[];
  managementGroup(name: string): ManagementGroup | undefined;
  childGroups(name: string): ManagementGroup[];
  /** The subscriptions of a group and of all groups below it. */
  subscriptionsUnder(group: string): Subscription[];
  /** The group and every group above it, nearest first. */
  ancestors(group: string): ManagementGroup[];
  /** Name of the group that holds a subscription; empty where the tenant has no such subscription. */
  groupOfSubscription(subscriptionId: string): string[];
  /** Takes all roles on a subscription from a principal, inherited ones too, as a deny assignment does. */
  revoke(clientId: string, subscriptionId: string): void;
  restore(clientId: string, subscriptionId: string): void;
  grants(application: LabApplication): GraphGrants;
  setGrants(clientId: string, grants: Partial<GraphGrants>): void;
}

/** RBAC over an estate's tree. */
export function createAccess(estate: Estate): Access {
  const groups = new Map(estate.managementGroups.map((group) => [group.name.toLowerCase(), group]));
  const subscriptions = new Map(estate.subscriptions.map((subscription) => [subscription.subscriptionId.toLowerCase(), subscription]));
  const revoked = new Set<string>();
  const grants = new Map<string, GraphGrants>();

  const ancestors = (name: string): ManagementGroup[] => {
    const chain: ManagementGroup[] = [];
    for (let group = groups.get(name.toLowerCase()); group !== undefined; group = groups.get(group.parent?.toLowerCase() ?? '')) {
      chain.push(group);
    }
    return chain;
  };

  /** The scope itself and every scope whose assignments it inherits, lower case. */
  const inheritedScopes = (scope: string): string[] => {
    const lower = scope.toLowerCase();
    const scopes = ['/', lower];
    if (lower.startsWith(MANAGEMENT_GROUP_PREFIX)) {
      const name = lower.slice(MANAGEMENT_GROUP_PREFIX.length).split('/', 1)[0] ?? '';
      for (const group of ancestors(name)) scopes.push(MANAGEMENT_GROUP_PREFIX + group.name.toLowerCase());
    }
    const subscription = subscriptionOf(lower);
    if (subscription !== undefined) {
      scopes.push(`/subscriptions/${subscription}`);
      const home = subscriptions.get(subscription)?.managementGroup;
      if (home !== undefined) for (const group of ancestors(home)) scopes.push(MANAGEMENT_GROUP_PREFIX + group.name.toLowerCase());
    }
    return scopes;
  };

  const rolesAt = (application: LabApplication, scope: string): RoleName[] => {
    const subscription = subscriptionOf(scope.toLowerCase());
    if (subscription !== undefined && revoked.has(`${application.clientId}|${subscription}`)) return [];
    const scopes = new Set(inheritedScopes(scope));
    const held = application.roleAssignments.filter((assignment) => scopes.has(assignment.scope.toLowerCase())).map(({ role }) => role);
    return [...new Set(held)];
  };

  const visibleManagementGroups = (application: LabApplication): ManagementGroup[] =>
    estate.managementGroups.filter((group) => rolesAt(application, MANAGEMENT_GROUP_PREFIX + group.name).length > 0);

  return {
    application: (clientId) => estate.applications.find((application) => application.clientId === clientId.toLowerCase()),
    visibleSubscriptions: (application) =>
      estate.subscriptions.filter(({ subscriptionId }) => rolesAt(application, `/subscriptions/${subscriptionId}`).length > 0),
    visibleManagementGroups,
    allows: (application, scope, action) =>
      scope === '/' || rolesAt(application, scope).some((role) => ROLE_ACTIONS[role].some((pattern) => actionMatches(pattern, action))),
    rolesAt,
    managementGroup: (name) => groups.get(name.toLowerCase()),
    childGroups: (name) => estate.managementGroups.filter((group) => group.parent?.toLowerCase() === name.toLowerCase()),
    subscriptionsUnder: (name) =>
      estate.subscriptions.filter((subscription) =>
        ancestors(subscription.managementGroup).some((group) => group.name.toLowerCase() === name.toLowerCase()),
      ),
    ancestors,
    groupOfSubscription: (subscriptionId) => {
      const subscription = subscriptions.get(subscriptionId.toLowerCase());
      return subscription === undefined ? [] : [subscription.managementGroup];
    },
    revoke: (clientId, subscriptionId) => void revoked.add(`${clientId.toLowerCase()}|${subscriptionId.toLowerCase()}`),
    restore: (clientId, subscriptionId) => void revoked.delete(`${clientId.toLowerCase()}|${subscriptionId.toLowerCase()}`),
    grants: (application) => grants.get(application.clientId) ?? { consent: 'granted', directoryReader: false },
    setGrants: (clientId, change) => {
      const id = clientId.toLowerCase();
      grants.set(id, { ...(grants.get(id) ?? { consent: 'granted', directoryReader: false }), ...change });
    },
  };
}

/** Azure's wildcard rule: `*` stands for any characters, matching ignores case. */
export function actionMatches(pattern: string, action: string): boolean {
  const expression = pattern
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`))
    .join('.*');
  return new RegExp(`^${expression}$`, 'i').test(action);
}

/** The subscription id in a scope, lower case. */
export function subscriptionOf(scope: string): string | undefined {
  return /^\/subscriptions\/([^/]+)/i.exec(scope)?.[1]?.toLowerCase();
}
