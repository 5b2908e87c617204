/** Where lists are read: ARM paths of scopes, Resource Graph queries (azure.md §1.1–§1.9). */
import type { ReadContext, Scope } from '../model.ts';

/** A scope with the ARM path in front of its lists; the tenant's is empty. */
export interface ArmScope {
  readonly scope: Scope;
  readonly path: string;
}

export function subscriptionScope(subscription: string): ArmScope {
  return { scope: { kind: 'subscription', id: subscription }, path: `/subscriptions/${encodeURIComponent(subscription)}` };
}

/** All management groups and subscriptions of the deployment. */
export function armScopes(context: ReadContext): readonly ArmScope[] {
  return [
    ...context.managementGroups.map((name): ArmScope => ({
      scope: { kind: 'management-group', id: name.toLowerCase() },
      path: `/providers/Microsoft.Management/managementGroups/${encodeURIComponent(name)}`,
    })),
    ...context.subscriptions.map(subscriptionScope),
  ];
}

/** Resource Graph advises 300 subscriptions a query (azure.md §1.9). */
const subscriptionsPerQuery = 300;

/** The deployment's subscriptions in groups for one query each. The first group of a tenant keeps its name when others are added. */
export function subscriptionGroups(context: ReadContext): readonly (readonly string[])[] {
  const sorted = [...context.subscriptions].sort();
  const groups: string[][] = [];
  for (let start = 0; start < sorted.length; start += subscriptionsPerQuery)
    groups.push(sorted.slice(start, start + subscriptionsPerQuery));
  return groups;
}

/** A KQL string literal. Doubling is not KQL's way to escape; a backslash is. */
export function kqlText(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** KQL that selects rows of some types, projects the id and orders by it, as paging needs (azure.md §1.9). */
export function kql(table: string, conditions: readonly string[], columns: readonly string[]): string {
  return [
    table,
    ...conditions.map((condition) => `where ${condition}`),
    `project ${['id', ...columns].join(', ')}`,
    'order by id asc',
  ].join('\n| ');
}
