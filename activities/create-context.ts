import { createAzureConnection, type AzureConnection, type CredentialChoice } from '../src/azure/index.ts';
import {
  deploymentConfig,
  type AzureSettings,
  type Configuration,
  type DeploymentSettings,
  type ServiceNowSettings,
} from '../src/config/index.ts';
import { tableSpecs } from '../src/integrations/tables.ts';
import { ciClasses } from '../src/inventory/resource-class.ts';
import { createGate, openLedger, type DatabaseUrl, type Ledger, type RunHandle } from '../src/ledger/index.ts';
import type { Gate } from '../src/model.ts';
import type { Clock } from '../src/observability/clock.ts';
import type { Failpoints } from '../src/observability/failpoints.ts';
import type { Logger } from '../src/observability/logger.ts';
import {
  batchLimits,
  createBatchPaces,
  createServiceNowConnection,
  type ServiceNowClient,
  type ServiceNowConnection,
  type Timeouts,
} from '../src/servicenow/index.ts';
import type { ActivityContext, DeploymentClients } from './context.ts';
import { integrationName } from './engine-records.ts';
import { hostTagTables, placeholdersTakeTags, reasonWithoutHostTags } from './host-tags.ts';
import { createInstanceModel, withoutTables, withoutUnusable, type InstanceModel } from './instance-model.ts';
import { ciRuleTables, readCiRules } from './lookup-rules.ts';
import { authOf, credentialOf } from './sign-in.ts';

export interface ContextOptions {
  readonly config: Configuration;
  readonly ledgerUrl: DatabaseUrl;
  readonly clock: Clock;
  readonly log: Logger;
  readonly failpoint: Failpoints;
}

/** How much longer than the platform's quota a request is waited for: its answer may come just before it is cut off. */
const beyondQuotaMs = 15_000;
/** Azure's longest request (a page of assessments may take two minutes, azure.md §4) and some more. */
const longestAzureRequestMs = 3 * 60_000;
/** One per concurrent transaction of a worker: lanes and scopes of a few activities at a time. */
const ledgerConnections = 20;
const defaultSource = 'Microsoft Defender for Cloud';

/** Opens the ledger and prepares the connections of a worker. Services are connected to when the first run needs them. */
export async function createContext(options: ContextOptions): Promise<{ readonly context: ActivityContext; close(): Promise<void> }> {
  const { config, clock } = options;
  const ledger = await openLedger({ url: options.ledgerUrl, connections: ledgerConnections, tables: tableSpecs.map((spec) => spec.name) });
  const connections = createConnections(config, clock);
  const models = createRunCache<InstanceModel>();
  const clients = createRunCache<DeploymentClients>();
  const clientsOf = (run: RunHandle): Promise<DeploymentClients> => clients.of(run, () => openClients(config, ledger, connections, run));
  const instanceModelOf = (run: RunHandle): Promise<InstanceModel> =>
    models.of(run, async () => {
      const { serviceNow } = await openClients(config, ledger, connections, run);
      const known = await readInstanceModel(serviceNow, config.serviceNow.source);
      const model = { ...known, takesTags: await placeholdersTakeTags(serviceNow) };
      const without = await reasonWithoutHostTags(serviceNow, model.tables, config.serviceNow.hostTags);
      return withoutUnusable(without === undefined ? model : withoutTables(model, hostTagTables, without));
    });
  const context: ActivityContext = {
    config,
    ledger,
    clock,
    log: options.log,
    failpoint: options.failpoint,
    deployment: (name) => deploymentConfig(config, name),
    clientsOf: async (run) => {
      const opened = await clientsOf(run);
      const model = await instanceModelOf(run);
      return { ...opened, serviceNow: opened.serviceNow.withDictionary(model.dictionary) };
    },
    bareClientsOf: clientsOf,
    batchPaces: createBatchPaces(batchLimits(config.serviceNow.batchTransactionQuotaMs)),
    readBacksNoted: new Set(),
    createsTaken: new Set(),
    instanceModelOf,
  };
  return {
    context,
    close: async () => {
      connections.close();
      await ledger.database.close();
    },
  };
}

/** Reads what the instance has. The lookup rules may name classes of their own, whose columns have to be known as well. */
export async function readInstanceModel(client: ServiceNowClient, source = defaultSource, signal?: AbortSignal): Promise<InstanceModel> {
  const known = [...new Set([...tableSpecs.map((spec) => spec.name), ...ciClasses, ...ciRuleTables])];
  const dictionary = await client.probeDictionary(known, signal);
  const rules = await readCiRules(client.withDictionary(dictionary), dictionary, [source, integrationName]);
  const further = rules.lookup.targetTables.filter((table) => !known.includes(table));
  if (further.length === 0) return createInstanceModel(dictionary, tableSpecs, source, rules);
  const { tables } = await client.probeDictionary(further, signal);
  return createInstanceModel({ ...dictionary, tables: { ...dictionary.tables, ...tables } }, tableSpecs, source, rules);
}

interface Connections {
  azure(settings: DeploymentSettings): AzureConnection;
  serviceNow(): ServiceNowConnection;
  close(): void;
}

/** Keeps connections (and their tokens) for the worker's life, and makes new ones when a secret was rotated. */
function createConnections(config: Configuration, clock: Clock): Connections {
  const azure = new Map<string, { readonly credential: string; readonly connection: AzureConnection }>();
  let serviceNow: { readonly auth: string; readonly connection: ServiceNowConnection } | undefined;
  return {
    azure(settings) {
      const choice = credentialOf(settings.azure);
      const credential = JSON.stringify(choice);
      const known = azure.get(settings.name);
      if (known?.credential === credential) return known.connection;
      known?.connection.close();
      const connection = openAzure(settings.azure, choice, clock);
      azure.set(settings.name, { credential, connection });
      return connection;
    },
    serviceNow() {
      const choice = authOf(config.serviceNow);
      const auth = JSON.stringify(choice);
      if (serviceNow?.auth === auth) return serviceNow.connection;
      serviceNow?.connection.close();
      const { url, caFile } = config.serviceNow;
      const timeouts = timeoutsOf(config.serviceNow);
      serviceNow = { auth, connection: createServiceNowConnection({ url, auth: choice, caFile, timeouts, nowMs: () => clock.nowMs() }) };
      return serviceNow.connection;
    },
    close() {
      for (const { connection } of azure.values()) connection.close();
      serviceNow?.connection.close();
    },
  };
}

/**
 * Longer than the platform's quotas: a request that we give up on earlier would still be at work there (design §2). An intent without an
 * outcome is looked up after the quota and `settleMs`: half of that is for leaving, half for the way.
 */
function timeoutsOf({ transactionQuotaMs, batchTransactionQuotaMs, settleMs }: ServiceNowSettings): Timeouts {
  return { requestMs: transactionQuotaMs + beyondQuotaMs, batchMs: batchTransactionQuotaMs + beyondQuotaMs, leaveMs: settleMs / 2 };
}

/** A slot is held longer than any request may take, so that it is never taken twice by the living. */
export function slotHoldMs(settings: ServiceNowSettings): number {
  const { requestMs, batchMs } = timeoutsOf(settings);
  return Math.max(longestAzureRequestMs, requestMs, batchMs) + beyondQuotaMs;
}

export function openAzure(settings: AzureSettings, credential: CredentialChoice, clock: Clock): AzureConnection {
  return createAzureConnection({
    cloud:
      settings.cloud === 'custom'
        ? { authorityHost: settings.authorityHost, armEndpoint: settings.resourceManager, graphEndpoint: settings.graph }
        : settings.cloud,
    tenantId: settings.tenantId,
    clientId: settings.clientId ?? '',
    credential,
    caFile: settings.caFile,
    nowMs: () => clock.nowMs(),
  });
}

async function openClients(config: Configuration, ledger: Ledger, connections: Connections, run: RunHandle): Promise<DeploymentClients> {
  const settings = deploymentConfig(config, run.deployment);
  const holdMs = slotHoldMs(config.serviceNow);
  const gateTo = (slotKey: string, slots: number): Promise<Gate> => createGate(ledger.database, run, { slotKey, slots, holdMs });
  const azure = connections.azure(settings);
  const serviceNow = connections.serviceNow();
  const [azureGate, serviceNowGate] = await Promise.all([
    gateTo(`azure:${settings.azure.tenantId}`, settings.concurrentRequests),
    gateTo(`servicenow:${config.serviceNow.url}`, config.serviceNow.concurrentRequests),
  ]);
  return { azure: azure.through(azureGate), tokens: azure.tokens, azureGate, serviceNow: serviceNow.through(serviceNowGate) };
}

interface RunCache<Value> {
  of(run: RunHandle, make: () => Promise<Value>): Promise<Value>;
}

/** Remembers a value per check of a run, for the newest few; a failed attempt is not remembered. */
function createRunCache<Value>(): RunCache<Value> {
  const keep = 16;
  const values = new Map<string, Promise<Value>>();
  return {
    of(run, make) {
      const key = `${run.runId}/${run.fence}/${run.checks}`;
      const known = values.get(key);
      if (known) return known;
      const made = make();
      values.set(key, made);
      made.catch(() => values.delete(key));
      for (const old of [...values.keys()].slice(0, Math.max(0, values.size - keep))) values.delete(old);
      return made;
    },
  };
}
