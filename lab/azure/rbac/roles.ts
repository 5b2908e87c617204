import { randomAt } from '../../kit/random.ts';

/** One entry of a role: what `permissions` answers, one per role and entry (azure.md §1.12). */
export interface RolePermission {
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
  readonly dataActions: readonly string[];
  readonly notDataActions: readonly string[];
}

/** A built-in role, or one that an administrator defined. */
export interface RoleDefinition {
  /** The GUID in its id. */
  readonly roleId: string;
  readonly name: string;
  readonly custom: boolean;
  readonly description: string;
  readonly permissions: readonly RolePermission[];
}

/** One role of one principal at one scope. */
export interface Assignment {
  readonly assignmentId: string;
  readonly principalId: string;
  readonly clientId: string;
  /** `/`, the id of a management group, subscription, resource group or resource. */
  readonly scope: string;
  readonly role: string;
}

/** What a principal may not do at a scope and below, whatever its roles say. */
export interface DenyAssignment {
  readonly denyId: string;
  readonly principalId: string;
  readonly clientId: string;
  readonly scope: string;
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
}

/** The two roles that a deployment is told to hold, with the ids and actions of azure.md §1.12. */
export const BUILT_IN_ROLES: readonly RoleDefinition[] = [
  {
    roleId: 'acdd72a7-3385-48ef-bd42-f606fba81ae7',
    name: 'Reader',
    custom: false,
    description: 'View all resources, but does not allow you to make any changes.',
    permissions: [entryOf(['*/read'])],
  },
  {
    roleId: '39bc4728-0917-49c7-9d2c-d95423bc2eb4',
    name: 'Security Reader',
    custom: false,
    description: 'View recommendations, alerts, policies and states of security, but not change them.',
    permissions: [
      entryOf([
        'Microsoft.Authorization/*/read',
        'Microsoft.Insights/alertRules/read',
        'Microsoft.Management/managementGroups/read',
        'Microsoft.OperationalInsights/workspaces/*/read',
        'Microsoft.Resources/deployments/*/read',
        'Microsoft.Resources/subscriptions/resourceGroups/read',
        'Microsoft.Security/*/read',
        'Microsoft.Support/*/read',
      ]),
    ],
  },
];

/** A permission entry with what is left out empty. */
export function entryOf(actions: readonly string[], notActions: readonly string[] = []): RolePermission {
  return { actions, notActions, dataActions: [], notDataActions: [] };
}

/** A role of the customer's own; its id follows from its name. */
export function customRole(name: string, permissions: readonly RolePermission[]): RoleDefinition {
  return { roleId: randomAt('role-definition', name.toLowerCase()).uuid(), name, custom: true, description: `${name}.`, permissions };
}

/** Allowed by `actions` and not taken back by `notActions` of the same entry (azure.md §1.12). */
export function permits(entry: Pick<RolePermission, 'actions' | 'notActions'>, action: string): boolean {
  const matches = (pattern: string): boolean => actionMatches(pattern, action);
  return entry.actions.some(matches) && !entry.notActions.some(matches);
}

const expressions = new Map<string, RegExp>();

/** Azure's wildcard rule: `*` stands for any characters, matching ignores case. */
export function actionMatches(pattern: string, action: string): boolean {
  let expression = expressions.get(pattern);
  if (expression === undefined) {
    const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
    expression = new RegExp(`^${escaped.join('.*')}$`, 'i');
    expressions.set(pattern, expression);
  }
  return expression.test(action);
}
