import { AdminError } from '../kit/admin-api.ts';
import type { Access } from './access.ts';
import type { ReadThrottle } from './arm/throttle.ts';
import { scopeKindOf } from './arm/path.ts';
import type { Estate, EstateChanges, Subscription } from './estate/model.ts';
import { isJsonObject, textAt, type Json, type JsonObject } from './json.ts';
import { customRole, entryOf, type RolePermission } from './rbac/roles.ts';
import { subscriptionOf, type SubscriptionChange } from './rbac/tree.ts';

/** What the changes of an Azure administrator work on. */
export interface AccessAdminContext {
  readonly estate: Estate;
  readonly changes: EstateChanges;
  readonly access: Access;
  readonly throttle: ReadThrottle;
}

type Change = (value: JsonObject) => void;

/**
 * The keys of `POST /azure/change` that an administrator of Azure RBAC, subscriptions and Defender plans works with
 * (azure.md §1.10, §1.12). Each takes an object; AdminError 400 for a value that makes no sense, 404 for what is not there.
 */
export function accessChanges(context: AccessAdminContext): Record<string, Change> {
  const { access, changes } = context;
  return {
    revoke: (value) => access.revoke(clientOf(context, value), subscriptionIn(context, value)),
    restore: (value) => access.restore(clientOf(context, value), subscriptionIn(context, value)),
    defineRole: (value) => defineRole(context, value),
    assignRole: (value) => access.assign(clientOf(context, value), scopeIn(context, value), roleIn(context, value)),
    removeRole: (value) => removeRole(context, value),
    deny: (value) =>
      access.deny(clientOf(context, value), scopeIn(context, value), {
        actions: texts('deny.actions', value.actions ?? ['*']),
        notActions: texts('deny.notActions', value.notActions ?? []),
      }),
    liftDeny: (value) => liftDeny(context, value),
    subscription: (value) => access.change(subscriptionIn(context, value), subscriptionChange(context, value)),
    plan: (value) => setPlan(context, value),
    foundationalCspm: (value) => toggle(changes.unassessed, subscriptionIn(context, value), value.enabled, 'foundationalCspm.enabled'),
    resourceGraph: (value) => toggle(changes.graphUnaware, subscriptionIn(context, value), value.knows, 'resourceGraph.knows'),
    throttle: (value) => setThrottle(context, value),
  };
}

function defineRole({ access }: AccessAdminContext, value: JsonObject): void {
  const { name, permissions } = value;
  if (typeof name !== 'string' || name === '') throw new AdminError(400, 'defineRole.name is the name of the role.');
  if (access.roleDefinition(name)?.custom === false) throw new AdminError(400, `'${name}' is a built-in role.`);
  const entries = Array.isArray(permissions) ? (permissions as readonly Json[]) : [value];
  access.defineRole(customRole(name, entries.map(permissionEntry)));
}

function permissionEntry(value: Json): RolePermission {
  if (!isJsonObject(value)) throw new AdminError(400, 'defineRole.permissions is a list of {actions, notActions}.');
  return entryOf(texts('defineRole.actions', value.actions), texts('defineRole.notActions', value.notActions ?? []));
}

function removeRole(context: AccessAdminContext, value: JsonObject): void {
  const role = value.role === undefined ? undefined : roleIn(context, value);
  const scope = value.scope === undefined ? undefined : scopeIn(context, value);
  if (context.access.unassign(clientOf(context, value), { role, scope }) === 0) {
    throw new AdminError(404, 'The principal has no such role assignment; inherited ones are removed at the scope they were made at.');
  }
}

function liftDeny(context: AccessAdminContext, value: JsonObject): void {
  const scope = value.scope === undefined ? undefined : scopeIn(context, value);
  if (context.access.liftDeny(clientOf(context, value), scope) === 0) throw new AdminError(404, 'There is no such deny assignment.');
}

const STATES: readonly Subscription['state'][] = ['Enabled', 'Warned', 'PastDue', 'Disabled', 'Deleted'];

function subscriptionChange({ access }: AccessAdminContext, value: JsonObject): SubscriptionChange {
  const state = STATES.find((candidate) => candidate === value.state);
  if (value.state !== undefined && state === undefined) throw new AdminError(400, `subscription.state is one of ${STATES.join(', ')}.`);
  const { managementGroup, authorizationSource, managedByTenants } = value;
  const group = typeof managementGroup === 'string' ? access.managementGroup(managementGroup) : undefined;
  if (managementGroup !== undefined && group === undefined)
    throw new AdminError(404, `There is no management group '${JSON.stringify(managementGroup)}'.`);
  if (authorizationSource !== undefined && typeof authorizationSource !== 'string')
    throw new AdminError(400, 'subscription.authorizationSource is text.');
  return {
    ...(state === undefined ? {} : { state }),
    ...(group === undefined ? {} : { managementGroup: group.name }),
    ...(authorizationSource === undefined ? {} : { authorizationSource }),
    ...(managedByTenants === undefined ? {} : { managedByTenants: texts('subscription.managedByTenants', managedByTenants) }),
  };
}

/** One plan by its name, or all of them; the latter forgets what was said about single ones. */
function setPlan(context: AccessAdminContext, value: JsonObject): void {
  const { tier, name } = value;
  const { namedPlanTiers, planTiers } = context.changes;
  if (tier !== 'Free' && tier !== 'Standard') throw new AdminError(400, "plan.tier is 'Free' or 'Standard'.");
  const subscription = subscriptionIn(context, value);
  if (name === undefined) {
    for (const key of [...namedPlanTiers.keys()]) if (key.startsWith(`${subscription}|`)) namedPlanTiers.delete(key);
    planTiers.set(subscription, tier);
    return;
  }
  const known = context.estate.pricings(`/subscriptions/${subscription}`).map((row) => textAt(row, 'name'));
  const plan = known.find((candidate) => typeof name === 'string' && candidate.toLowerCase() === name.toLowerCase());
  if (plan === undefined)
    throw new AdminError(404, `The subscription has no plan '${JSON.stringify(name)}'; there are ${known.join(', ')}.`);
  namedPlanTiers.set(`${subscription}|${plan.toLowerCase()}`, tier);
}

function setThrottle(context: AccessAdminContext, value: JsonObject): void {
  const { form = 'requests', seconds, retryAfterSeconds = 6 } = value;
  if (form !== 'requests' && form !== 'backend-storage') throw new AdminError(400, "throttle.form is 'requests' or 'backend-storage'.");
  if (typeof seconds !== 'number' || seconds < 0) throw new AdminError(400, 'throttle.seconds is a number of seconds; 0 ends it.');
  if (typeof retryAfterSeconds !== 'number' || !Number.isInteger(retryAfterSeconds) || retryAfterSeconds < 0)
    throw new AdminError(400, 'throttle.retryAfterSeconds is a whole number.');
  context.throttle.force({
    form,
    seconds,
    retryAfterSeconds,
    ...(value.clientId === undefined ? {} : { principalId: context.access.application(clientOf(context, value))?.principalId ?? '' }),
    ...(value.subscription === undefined ? {} : { subscriptionId: subscriptionIn(context, value) }),
  });
}

/** A set that names what is not as usual: `true` takes the subscription out of it. */
function toggle(set: Set<string>, subscription: string, usual: Json | undefined, name: string): void {
  if (typeof usual !== 'boolean') throw new AdminError(400, `${name} is true or false.`);
  if (usual) set.delete(subscription);
  else set.add(subscription);
}

function texts(name: string, value: Json | undefined): string[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw new AdminError(400, `${name} is a list of texts.`);
  return value;
}

function roleIn({ access }: AccessAdminContext, { role }: JsonObject): string {
  const found = typeof role === 'string' ? access.roleDefinition(role) : undefined;
  if (found !== undefined) return found.name;
  const names = access.roleDefinitions().map(({ name }) => name);
  throw new AdminError(404, `There is no role '${JSON.stringify(role ?? null)}'; there are ${names.join(', ')}. defineRole makes others.`);
}

/** `/`, a management group's id, or a subscription's id with whatever is below it. */
function scopeIn({ access }: AccessAdminContext, { scope }: JsonObject): string {
  if (scope === '/') return scope;
  if (typeof scope !== 'string' || !scope.startsWith('/') || scope.endsWith('/'))
    throw new AdminError(400, 'scope is an id that starts with /.');
  const subscription = subscriptionOf(scope);
  if (subscription !== undefined && access.subscription(subscription) !== undefined) return scope;
  if (scopeKindOf(scope) === 'managementGroup' && access.managementGroup(scope.split('/')[4] ?? '') !== undefined) return scope;
  throw new AdminError(404, `The tenant has no scope '${scope}'.`);
}

/** The clientId in a change; 404 where no application has it. */
export function clientOf({ access }: Pick<AccessAdminContext, 'access'>, { clientId }: JsonObject): string {
  if (typeof clientId !== 'string' || access.application(clientId) === undefined)
    throw new AdminError(404, `No application has the clientId '${JSON.stringify(clientId ?? null)}'.`);
  return clientId.toLowerCase();
}

/** The subscription in a change, lower case; 404 where the estate has none. */
export function subscriptionIn({ access }: Pick<AccessAdminContext, 'access'>, { subscription }: JsonObject): string {
  const id = typeof subscription === 'string' ? subscription.toLowerCase() : '';
  if (access.subscription(id) === undefined) throw new AdminError(404, `The estate has no subscription '${id}'.`);
  return id;
}
