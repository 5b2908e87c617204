/** What the application may do at a scope, as Azure RBAC says it (azure.md §1.12). */

/** One role's actions at a scope, with what the same role takes out again. Names may hold `*`. */
export interface PermissionEntry {
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
}

/**
 * True where some entry allows the action. `notActions` take out of their own entry only: another role may allow it all the same.
 * Deny assignments are not part of what Azure says here.
 */
export function allowsAction(entries: readonly PermissionEntry[], action: string): boolean {
  return entries.some(
    ({ actions, notActions }) =>
      actions.some((pattern) => matches(pattern, action)) && !notActions.some((pattern) => matches(pattern, action)),
  );
}

function matches(pattern: string, action: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`, 'i').test(action);
}
