/**
 * Accounts: subscriptions, and the AWS accounts and GCP projects behind connectors (azure.md §1.10; mapping.md §4). They
 * name the service account of a CI and say which foreign account a connector's resources belong to.
 */
import { z } from 'zod';
import type { JsonObject, Read, ReadContext, Related } from '../model.ts';
import { isGuid } from '../inventory/azure-id.ts';
import { asText } from './fields.ts';
import { subscriptionScope } from './reads.ts';
import { armId, body, looseRow, rowParser, text } from './row.ts';
import { cleanLine } from './text.ts';

export const parseSubscription = rowParser(
  'subscription',
  looseRow({ subscriptionId: z.string(), displayName: text }),
  (row) => (isGuid(row.subscriptionId.toLowerCase()) ? row.subscriptionId : { problem: 'subscriptionId is not a GUID' }),
  (row) => ({ group: '', body: body({ name: cleanLine(row.displayName ?? '') }) }),
);

export const parseConnector = rowParser(
  'connector',
  looseRow({
    id: z.string(),
    name: text,
    properties: looseRow({
      hierarchyIdentifier: text,
      environmentName: text,
      environmentData: looseRow({ projectDetails: looseRow({ projectId: text }).optional() }).optional(),
    }),
  }),
  armId('microsoft.security/securityconnectors'),
  ({ name, properties }, id) => {
    const environment = properties.environmentName?.toLowerCase();
    // Code platforms have connectors too; they have no cloud account.
    if (environment !== 'aws' && environment !== 'gcp')
      return { excluded: `connector of ${environment ?? 'no'} environment, not of AWS or GCP` };
    // The hierarchy identifier of a GCP project is its number; most resource names carry the project's id, some rows the number.
    const hierarchy = properties.hierarchyIdentifier?.toLowerCase();
    const account = (environment === 'gcp' ? properties.environmentData?.projectDetails?.projectId?.toLowerCase() : undefined) ?? hierarchy;
    return {
      group: '',
      body: body({
        cloud: environment,
        account,
        ...(hierarchy !== account && { alias: hierarchy }),
        name: cleanLine(name ?? '') || id.slice(id.lastIndexOf('/') + 1),
      }),
    };
  },
);

/** Subscriptions once, connectors of each. */
export function accountReads({ tenantId, subscriptions }: ReadContext): readonly Read[] {
  return [
    {
      name: 'subscriptions',
      scope: { kind: 'tenant', id: tenantId },
      source: { type: 'arm-list', path: '/subscriptions', apiVersion: '2022-12-01' },
      parse: parseSubscription,
    },
    ...subscriptions.map(subscriptionScope).map(({ scope, path }): Read => ({
      name: 'connectors',
      scope,
      source: { type: 'arm-list', path: `${path}/providers/Microsoft.Security/securityConnectors`, apiVersion: '2024-03-01-preview' },
      parse: parseConnector,
    })),
  ];
}

export interface Account {
  readonly id: string | undefined;
  readonly name: string | undefined;
}

/** The account that a resource belongs to: its own, else that of the connector whose entity it is; with its name, if known. */
export function accountOf(resource: { readonly resourceId: string; readonly accountId?: string | undefined }, related: Related): Account {
  const { accountId, resourceId } = resource;
  const subscription = accountId === undefined ? undefined : related.subscription?.get(accountId);
  if (subscription !== undefined) return { id: accountId, name: asText(subscription, 'name') };
  const entity = /^(.*\/providers\/microsoft\.security\/securityconnectors\/[^/]+)\//.exec(resourceId)?.[1];
  const connector = accountId === undefined ? related.connector?.get(entity ?? '') : connectorOfAccount(accountId, related);
  return { id: (connector && asText(connector, 'account')) ?? accountId, name: connector && asText(connector, 'name') };
}

const connectorsByAccount = new WeakMap<ReadonlyMap<string, JsonObject>, ReadonlyMap<string, JsonObject>>();

/** By account id or project number. Of several connectors of one account the first by id names it. */
function connectorOfAccount(account: string, { connector }: Related): JsonObject | undefined {
  if (connector === undefined) return undefined;
  let byAccount = connectorsByAccount.get(connector);
  if (byAccount === undefined) {
    const lastToFirst = [...connector].sort(([a], [b]) => (a < b ? 1 : -1));
    byAccount = new Map(
      lastToFirst.flatMap(([, row]) =>
        [asText(row, 'alias'), asText(row, 'account')].flatMap((id) => (id === undefined ? [] : [[id, row] as const])),
      ),
    );
    connectorsByAccount.set(connector, byAccount);
  }
  return byAccount.get(account);
}
