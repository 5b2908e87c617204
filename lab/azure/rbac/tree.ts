import type { Estate, ManagementGroup, Subscription } from '../estate/model.ts';
import type { JsonObject } from '../json.ts';

const MANAGEMENT_GROUP_PREFIX = '/providers/microsoft.management/managementgroups/';

/** What an administrator may change about a subscription itself: azure.md §1.10. */
export interface SubscriptionChange {
  readonly state?: Subscription['state'];
  /** How the caller came to see it: `RoleBased`, `Legacy`, `Bypassed`, `Direct`, `Management`. */
  readonly authorizationSource?: string;
  /** Tenants that manage it from outside. */
  readonly managedByTenants?: readonly string[];
  readonly managementGroup?: string;
}

/** A subscription as it stands now. */
export interface CurrentSubscription extends Subscription {
  readonly authorizationSource: string;
  readonly managedByTenants: readonly JsonObject[];
}

/** The tenant's management groups and subscriptions, with what was moved meanwhile. */
export interface TenantTree {
  subscriptions(): readonly CurrentSubscription[];
  subscription(subscriptionId: string): CurrentSubscription | undefined;
  change(subscriptionId: string, change: SubscriptionChange): void;
  managementGroup(name: string): ManagementGroup | undefined;
  childGroups(name: string): ManagementGroup[];
  /** The group and every group above it, nearest first. */
  ancestors(group: string): ManagementGroup[];
  /** The subscriptions of a group and of all groups below it. */
  subscriptionsUnder(group: string): CurrentSubscription[];
  /** The scope itself and every scope whose assignments it inherits, lower case. */
  inheritedScopes(scope: string): string[];
}

/** The tree of an estate. */
export function createTenantTree(estate: Estate): TenantTree {
  const groups = new Map(estate.managementGroups.map((group) => [group.name.toLowerCase(), group]));
  const changes = new Map<string, SubscriptionChange>();
  let current = currentSubscriptions(estate, changes);

  const ancestors = (name: string): ManagementGroup[] => {
    const chain: ManagementGroup[] = [];
    for (let group = groups.get(name.toLowerCase()); group !== undefined; group = groups.get(group.parent?.toLowerCase() ?? '')) {
      chain.push(group);
    }
    return chain;
  };
  const groupScopes = (name: string): string[] => ancestors(name).map((group) => MANAGEMENT_GROUP_PREFIX + group.name.toLowerCase());

  return {
    subscriptions: () => [...current.values()],
    subscription: (subscriptionId) => current.get(subscriptionId.toLowerCase()),
    change: (subscriptionId, change) => {
      const id = subscriptionId.toLowerCase();
      changes.set(id, { ...changes.get(id), ...change });
      current = currentSubscriptions(estate, changes);
    },
    managementGroup: (name) => groups.get(name.toLowerCase()),
    childGroups: (name) => estate.managementGroups.filter((group) => group.parent?.toLowerCase() === name.toLowerCase()),
    ancestors,
    subscriptionsUnder: (name) =>
      [...current.values()].filter(({ managementGroup }) =>
        ancestors(managementGroup).some((group) => group.name.toLowerCase() === name.toLowerCase()),
      ),
    inheritedScopes: (scope) => {
      const lower = scope.toLowerCase();
      const scopes = ['/', lower];
      if (lower.startsWith(MANAGEMENT_GROUP_PREFIX)) {
        scopes.push(...groupScopes(lower.slice(MANAGEMENT_GROUP_PREFIX.length).split('/', 1)[0] ?? ''));
      }
      const subscription = subscriptionOf(lower);
      if (subscription === undefined) return scopes;
      const group = /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+/.exec(lower)?.[0];
      if (group !== undefined) scopes.push(group);
      scopes.push(`/subscriptions/${subscription}`, ...groupScopes(current.get(subscription)?.managementGroup ?? ''));
      return scopes;
    },
  };
}

function currentSubscriptions(estate: Estate, changes: ReadonlyMap<string, SubscriptionChange>): Map<string, CurrentSubscription> {
  return new Map(
    estate.subscriptions.map((subscription) => {
      const id = subscription.subscriptionId.toLowerCase();
      const { managedByTenants = [], authorizationSource = 'RoleBased', ...change } = changes.get(id) ?? {};
      return [
        id,
        { ...subscription, ...change, authorizationSource, managedByTenants: managedByTenants.map((tenantId) => ({ tenantId })) },
      ];
    }),
  );
}

/** The subscription id in a scope, lower case. */
export function subscriptionOf(scope: string): string | undefined {
  return /^\/subscriptions\/([^/]+)/i.exec(scope)?.[1]?.toLowerCase();
}
