/** Which subscriptions the configured scope means, and which of them the application sees (azure.md §1.10). */
import type { Discovery } from '../azure/index.ts';
import type { DeploymentScope } from '../config/index.ts';
import type { SyncError } from '../errors.ts';
import type { RunScope } from '../ledger/index.ts';
import { inParallel } from './in-parallel.ts';
import { blocking, counted, isAnswer, listed, ok, warning } from './results.ts';
import { identityOf, reader, readersOn, securityReaderOn } from './azure-roles.ts';
import type { Check, Result } from './types.ts';

export interface ResolvedSubscription {
  /** Lower-case. */
  readonly id: string;
  readonly name: string;
  /** As Azure says it (Enabled, Warned, PastDue, Disabled, Deleted, …), or `not-visible`. */
  readonly state: string;
}

export interface ResolvedScopes {
  readonly subscriptions: readonly ResolvedSubscription[];
  /** Only for scopes that name management groups; `refused` says why one could not be expanded. */
  readonly managementGroups: readonly { readonly id: string; readonly refused: SyncError | undefined }[];
  /** Subscriptions that the application sees, in scope or not. */
  readonly visible: number;
  /** Rows of Azure's lists that could not be understood. */
  readonly unreadableRows: number;
}

export const notVisible = 'not-visible';
const notRead: ReadonlySet<string> = new Set(['Disabled', 'Deleted']);
const groupsAtATime = 4;

/** True for a subscription that answers reads: visible, and neither disabled nor deleted. */
export function isReadable({ state }: ResolvedSubscription): boolean {
  return state !== notVisible && !notRead.has(state);
}

export async function resolveScopes(scope: DeploymentScope, discovery: Discovery, signal: AbortSignal): Promise<ResolvedScopes> {
  const seen = await discovery.listSubscriptions(signal);
  const byId = new Map(seen.subscriptions.map((subscription) => [subscription.subscriptionId, subscription]));
  const groups = scope.type === 'management-groups' ? await expand(scope.managementGroups, discovery, signal) : [];
  const wanted = new Map<string, string>(scope.type === 'subscriptions' ? scope.subscriptions.map((id) => [id, id]) : []);
  for (const group of groups) {
    for (const { subscriptionId, displayName } of group.subscriptions) wanted.set(subscriptionId, displayName);
  }
  return {
    subscriptions: [...wanted].map(([id, name]) => {
      const found = byId.get(id);
      return { id, name: found?.displayName ?? name, state: found === undefined ? notVisible : (found.state ?? 'Enabled') };
    }),
    managementGroups: groups.map(({ id, refused }) => ({ id, refused })),
    visible: byId.size,
    unreadableRows: seen.unreadable + groups.reduce((sum, group) => sum + group.unreadable, 0),
  };
}

type Expanded = Awaited<ReturnType<Discovery['listManagementGroupSubscriptions']>> & {
  readonly id: string;
  readonly refused: SyncError | undefined;
};

async function expand(groups: readonly string[], discovery: Discovery, signal: AbortSignal): Promise<readonly Expanded[]> {
  return inParallel(groups, groupsAtATime, async (id): Promise<Expanded> => {
    try {
      return { id, refused: undefined, ...(await discovery.listManagementGroupSubscriptions(id, signal)) };
    } catch (error) {
      if (!isAnswer(error)) throw error;
      return { id, refused: error, subscriptions: [], unreadable: 0 };
    }
  });
}

/**
 * What the run is to read. A configured subscription that is not visible stays in: its scans then fail by name, instead of its
 * records being forgotten in silence. A disabled one is left out, because it can answer nothing.
 */
export function runScopesOf(scopes: ResolvedScopes): RunScope[] {
  return [
    ...scopes.managementGroups.map(({ id, refused }): RunScope => {
      return { kind: 'management-group', id, name: id, state: refused === undefined ? 'Enabled' : notVisible };
    }),
    ...scopes.subscriptions
      .filter((subscription) => subscription.state === notVisible || isReadable(subscription))
      .map(({ id, name, state }): RunScope => ({ kind: 'subscription', id, name, state })),
  ];
}

export const azureScopes: Check = {
  id: 'azure.scopes',
  area: 'Azure RBAC',
  question: 'Does the application see the configured subscriptions and management groups?',
  fixedBy: 'An Owner or User Access Administrator of the scope',
  permissions: [
    {
      feature: 'a scope of management groups (scope.managementGroups): which subscriptions are below them',
      system: 'Azure RBAC',
      permission: `Reader (${reader}); Security Reader does not hold Microsoft.Management/managementGroups/descendants/read`,
      where: 'each management group that the scope names',
    },
  ],
  needs: ['entra.sign-in'],
  run: async (context) => {
    const scopes = await context.facts.scopes();
    const who = await identityOf(context);
    const readable = scopes.subscriptions.filter(isReadable);
    const results = [
      ...groupResults(scopes, who),
      ...invisibleResults(scopes, who, context.deployment.azure.tenantId),
      ...disabledResults(scopes.subscriptions),
      ...emptyResults(scopes),
    ];
    if (scopes.unreadableRows > 0) {
      results.push(
        warning(
          'rows-not-understood',
          `${counted(scopes.unreadableRows, 'row')} of Azure's lists could not be understood and were left out.`,
          null,
        ),
      );
    }
    // One that is not seen and one that is disabled, and none that answers: there is nothing to begin with.
    if (readable.length === 0) return results.map((result) => (result.verdict === 'warning' ? { ...result, verdict: 'blocking' } : result));
    if (results.length > 0) return results;
    const groups = scopes.managementGroups.length === 0 ? '' : ` below ${listed(scopes.managementGroups.map(({ id }) => id))}`;
    return [ok(`${counted(readable.length, 'subscription')}${groups}, all visible and enabled.`)];
  },
};

function groupResults({ managementGroups }: ResolvedScopes, who: string): Result[] {
  const refused = managementGroups.filter((group) => group.refused !== undefined);
  const [first] = refused;
  if (first?.refused === undefined) return [];
  const names = refused.map(({ id }) => id);
  const evidence = `${counted(refused.length, 'management group')} of ${managementGroups.length} cannot be expanded: ${listed(names)}. ${first.refused.message}`;
  const remedy = `Check the names (the management group's ID, not its display name), then: ${readersOn(names.map(managementGroupPath), who)}`;
  return [(refused.length === managementGroups.length ? blocking : warning)('management-group-refused', evidence, remedy)];
}

export function managementGroupPath(id: string): string {
  return `/providers/Microsoft.Management/managementGroups/${id}`;
}

function invisibleResults({ subscriptions, visible }: ResolvedScopes, who: string, tenantId: string): Result[] {
  const invisible = subscriptions.filter(({ state }) => state === notVisible);
  if (invisible.length === 0) return [];
  const ids = invisible.map(({ id }) => id);
  const all = invisible.length === subscriptions.length;
  const sees = visible === 0 ? 'it sees no subscription at all' : `it sees ${counted(visible, 'subscription')} in all`;
  const consequence = all ? '' : ' Their scans will fail, the run will be degraded, and nothing of theirs will be closed.';
  const evidence = `${counted(invisible.length, 'subscription')} of ${subscriptions.length} not visible to the application (${sees}): ${listed(ids)}.${consequence}`;
  const remedy = `Check that each of them belongs to tenant ${tenantId}, then: ${securityReaderOn(
    ids.map((id) => `/subscriptions/${id}`),
    who,
  )}`;
  return [(all ? blocking : warning)('not-visible', evidence, remedy)];
}

function disabledResults(subscriptions: readonly ResolvedSubscription[]): Result[] {
  const disabled = subscriptions.filter(({ state }) => notRead.has(state));
  if (disabled.length === 0) return [];
  const names = disabled.map(({ id, name, state }) => (name === id ? `${id} (${state})` : `${id} (${name}, ${state})`));
  const evidence = `${counted(disabled.length, 'subscription')} not enabled and left out of this run: ${listed(names)}. Nothing of theirs will be closed.`;
  const remedy =
    'Reactivate them in the Azure portal (Subscriptions › the subscription › Reactivate), or take them out of the scope of the deployment.';
  return [(disabled.length === subscriptions.length ? blocking : warning)('disabled', evidence, remedy)];
}

function emptyResults({ subscriptions, managementGroups }: ResolvedScopes): Result[] {
  const expanded = managementGroups.filter(({ refused }) => refused === undefined).map(({ id }) => id);
  if (subscriptions.length > 0 || expanded.length === 0) return [];
  return [
    blocking(
      'no-subscription',
      `There is no subscription below ${listed(expanded)}.`,
      'Name the management group that holds the subscriptions (az account management-group show --name <id> --expand --recurse), or list the subscriptions themselves.',
    ),
  ];
}
