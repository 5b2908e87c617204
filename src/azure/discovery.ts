/** Which subscriptions there are and which plans they have (azure.md §1.8, §1.10). */
import { z } from 'zod';
import { SyncError } from '../errors.ts';
import type { ArmClient, PageRequest } from './arm.ts';
import { guardPage, startOfPaging, type PagingState } from './paging.ts';
import type { PermissionEntry } from './permissions.ts';

export interface Subscription {
  /** Lower-case. */
  readonly subscriptionId: string;
  readonly displayName: string;
  /** Enabled, Warned, PastDue, Disabled, Deleted, or whatever the service says; undefined where it does not. */
  readonly state: string | undefined;
  readonly tenantId: string | undefined;
}

/** Name and tier of a Defender plan: `CloudPosture`, `Standard`. */
export interface Pricing {
  readonly name: string;
  readonly tier: string;
  /** Names of the parts that are switched on. */
  readonly extensions: readonly string[];
}

export interface Discovery {
  /** All subscriptions that the application may see. Rows that cannot be read are counted in `unreadable`. */
  listSubscriptions(signal?: AbortSignal): Promise<{ readonly subscriptions: readonly Subscription[]; readonly unreadable: number }>;
  /** All subscriptions below a management group, at any depth; their `state` is not part of that answer. */
  listManagementGroupSubscriptions(
    managementGroup: string,
    signal?: AbortSignal,
  ): Promise<{ readonly subscriptions: readonly Subscription[]; readonly unreadable: number }>;
  /** Defender plans of a subscription. `Free` in all of them is a state, not a fault (azure.md §0.4). */
  readPricings(subscriptionId: string, signal?: AbortSignal): Promise<readonly Pricing[]>;
  /** What the application may do in a subscription (azure.md §1.12). */
  readPermissions(subscriptionId: string, signal?: AbortSignal): Promise<readonly PermissionEntry[]>;
}

const subscriptionRow = z.looseObject({
  subscriptionId: z.string().min(1),
  displayName: z.string().optional(),
  state: z.string().optional(),
  tenantId: z.string().optional(),
});
const descendantRow = z.looseObject({
  name: z.string().min(1),
  type: z.string(),
  properties: z.looseObject({ displayName: z.string().nullish() }).nullish(),
});
const permissionRow = z.looseObject({ actions: z.array(z.string()).default([]), notActions: z.array(z.string()).default([]) });
const pricingRow = z.looseObject({
  name: z.string(),
  properties: z.looseObject({
    pricingTier: z.string(),
    // Booleans are texts here (azure.md §1.8).
    extensions: z
      .array(z.looseObject({ name: z.string(), isEnabled: z.union([z.string(), z.boolean()]).nullish() }))
      .nullish()
      .catch(undefined),
  }),
});

export function createDiscovery(arm: ArmClient): Discovery {
  return {
    listSubscriptions: async (signal) => {
      const rows = await readAll(arm, { path: '/subscriptions', apiVersion: '2022-12-01' }, signal);
      const parsed = rows.map((row) => subscriptionRow.safeParse(row).data);
      const subscriptions = parsed
        .filter((row) => row !== undefined)
        .map((row) => ({
          subscriptionId: row.subscriptionId.toLowerCase(),
          displayName: row.displayName ?? row.subscriptionId,
          state: row.state,
          tenantId: row.tenantId?.toLowerCase(),
        }));
      return { subscriptions, unreadable: parsed.length - subscriptions.length };
    },
    listManagementGroupSubscriptions: async (managementGroup, signal) => {
      const path = `/providers/Microsoft.Management/managementGroups/${encodeURIComponent(managementGroup)}/descendants`;
      const rows = await readAll(arm, { path, apiVersion: '2023-04-01' }, signal);
      const parsed = rows.map((row) => descendantRow.safeParse(row).data);
      const readable = parsed.filter((row) => row !== undefined);
      return {
        subscriptions: readable
          .filter((row) => row.type.toLowerCase().endsWith('/subscriptions'))
          .map((row) => ({
            subscriptionId: row.name.toLowerCase(),
            displayName: row.properties?.displayName ?? row.name,
            state: undefined,
            tenantId: undefined,
          })),
        unreadable: parsed.length - readable.length,
      };
    },
    readPricings: async (subscriptionId, signal) => {
      const path = `/subscriptions/${encodeURIComponent(subscriptionId)}/providers/Microsoft.Security/pricings`;
      const { items } = await arm.getPage({ path, apiVersion: '2024-01-01' }, signal);
      return items
        .map((row) => pricingRow.safeParse(row).data)
        .filter((row) => row !== undefined)
        .map(({ name, properties: { pricingTier, extensions } }) => ({
          name,
          tier: pricingTier,
          extensions: (extensions ?? []).filter(({ isEnabled }) => String(isEnabled).toLowerCase() === 'true').map((one) => one.name),
        }));
    },
    readPermissions: async (subscriptionId, signal) => {
      const path = `/subscriptions/${encodeURIComponent(subscriptionId)}/providers/Microsoft.Authorization/permissions`;
      const rows = await readAll(arm, { path, apiVersion: '2022-04-01' }, signal);
      return rows.map((row) => permissionRow.safeParse(row).data).filter((row) => row !== undefined);
    },
  };
}

/** Reads a short list to its end; a list that cannot be read to its end is an error, never a shorter list. */
async function readAll(arm: ArmClient, first: PageRequest, signal: AbortSignal | undefined): Promise<unknown[]> {
  const rows: unknown[] = [];
  let state: PagingState = startOfPaging;
  for (let request = first; ;) {
    const page = await arm.getPage(request, signal);
    for (const item of page.items) rows.push(item);
    const step = guardPage(state, { itemCount: page.items.length, next: page.nextLink });
    state = step.state;
    if ('next' in step) request = { nextLink: step.next };
    else if (step.stop === 'end') return rows;
    else {
      throw new SyncError({
        kind: 'malformed-answer',
        service: 'azure',
        message: `The list ${'path' in first ? first.path : ''} could not be read to its end: ${step.because}.`,
      });
    }
  }
}
