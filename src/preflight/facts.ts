/** What several checks look at, read once per preflight, when it is first asked for. */
import { decodeClaims, type AccessToken, type PermissionEntry, type Pricing, type TokenClaims } from '../azure/index.ts';
import type { SyncError } from '../errors.ts';
import {
  integrationTables,
  readDataSources,
  readIntegrations,
  type DataSources,
  type InstanceDictionary,
  type Integration,
  type IreOutcome,
  type ServiceNowClient,
  type UserRoles,
} from '../servicenow/index.ts';
import { countAssessments } from './azure-resource-graph.ts';
import { isReadable, resolveScopes, type ResolvedScopes } from './azure-scopes.ts';
import { readAppRegistration, type AppRegistration } from './graph-directory.ts';
import { inParallel } from './in-parallel.ts';
import { isAnswer, mayPass } from './results.ts';
import { columnsSent, dryRun } from './servicenow-dry-run.ts';
import { rolesOfApplications } from './servicenow-roles.ts';
import { tryWrites, type WriteTrial } from './servicenow-writes.ts';
import type { PreflightInput } from './types.ts';

export interface Facts {
  /** Token for Azure Resource Manager. */
  armToken(): Promise<AccessToken>;
  /** Claims of that token; undefined when it is opaque. */
  armClaims(): Promise<TokenClaims | undefined>;
  /** The app registration; undefined where the application may not read it, or there is none. */
  appRegistration(): Promise<AppRegistration | undefined>;
  scopes(): Promise<ResolvedScopes>;
  /** True once somebody asked for the scopes. */
  scopesWereRead(): boolean;
  /** Plans of each enabled, visible subscription, or why they could not be read. */
  plans(): Promise<ReadonlyMap<string, PlanReading>>;
  /** What the roles allow in each enabled, visible subscription; those where even that is refused are missing. */
  permissions(): Promise<ReadonlyMap<string, readonly PermissionEntry[]>>;
  /** Assessments by subscription, as far as Resource Graph shows them; undefined where it refuses. */
  assessmentCounts(): Promise<ReadonlyMap<string, number> | undefined>;
  ownRoles(): Promise<UserRoles>;
  /** Which roles of applications the instance has; undefined where roles are not readable. */
  existingRoles(): Promise<ReadonlySet<string> | undefined>;
  dictionary(): Promise<InstanceDictionary>;
  /**
   * How many records of a table a read ACL hides, where it hides them all: the table then reads as empty. 0 where a record is seen (nobody
   * hides them all then), and where there is none.
   */
  hiddenRecords(table: string): Promise<number>;
  /** The client that may use the columns of that dictionary. */
  serviceNow(): Promise<ServiceNowClient>;
  /** Integration records of the plugin for Defender for Cloud, and the engine's. */
  integrations(): Promise<readonly Integration[]>;
  /** Data sources of the plugin's integrations, or what hides them. */
  dataSources(): Promise<DataSources>;
  /** Which tables take updates, by table; those that the instance lacks, or all where nobody can say, are missing. */
  writeTrials(): Promise<ReadonlyMap<string, WriteTrial>>;
  /** What the identification engine would do with one cloud resource and its hosts, by item. */
  dryRun(): Promise<readonly IreOutcome[]>;
}

export type PlanReading = { readonly plans: readonly Pricing[] } | { readonly error: SyncError };

/** Tables besides those that the engine writes: what preflight itself asks about. */
const askedAbout = ['cmdb_ci', ...columnsSent().keys(), ...integrationTables];
const subscriptionsAtATime = 8;

export function createFacts(input: PreflightInput): Facts {
  const { deployment, clients, tokens, gate, signal } = input;
  const armToken = once(() => tokens.getToken(`${deployment.azure.resourceManager}/.default`, { signal, gate }));
  const dictionary = once(() =>
    clients.serviceNow.probeDictionary([...new Set([...input.tableSpecs.map(({ name }) => name), ...askedAbout])], signal),
  );
  let scopesWereRead = false;
  const scopes = once(() => {
    scopesWereRead = true;
    return resolveScopes(deployment.scope, clients.azure.discovery, signal);
  });
  const serviceNow = once(async () => clients.serviceNow.withDictionary(await dictionary()));
  const hidden = new Map<string, Promise<number>>();
  const countHidden = async (table: string): Promise<number> => {
    const columns = Object.values((await dictionary()).tables[table]?.columns ?? {});
    if (columns.some(({ readable }) => readable !== undefined)) return 0;
    const { shown, counted } = await clients.serviceNow.reach.readHidden(table, signal);
    return shown === 0 ? counted : 0;
  };
  const integrations = once(async () => readIntegrations(await serviceNow(), await dictionary(), signal));
  return {
    armToken,
    armClaims: once(async () => decodeClaims((await armToken()).token)),
    appRegistration: once(async () => {
      const { directory } = input;
      const clientId = deployment.azure.clientId ?? decodeClaims((await armToken()).token)?.applicationId;
      if (directory === undefined || clientId === undefined) return undefined;
      // It explains, and warns in time; that it cannot be asked shall never stop a run.
      return unless(
        (error) => isAnswer(error) || mayPass(error),
        () => readAppRegistration(directory, clientId, signal),
      );
    }),
    scopes,
    scopesWereRead: () => scopesWereRead,
    plans: once(async () => {
      const readable = (await scopes()).subscriptions.filter(isReadable);
      const readings = await inParallel(readable, subscriptionsAtATime, async ({ id }): Promise<[string, PlanReading]> => {
        try {
          return [id, { plans: await clients.azure.discovery.readPricings(id, signal) }];
        } catch (error) {
          if (!isAnswer(error)) throw error;
          return [id, { error }];
        }
      });
      return new Map(readings);
    }),
    permissions: once(async () => {
      const readable = (await scopes()).subscriptions.filter(isReadable);
      const readings = await inParallel(readable, subscriptionsAtATime, ({ id }) =>
        unlessRefused(async (): Promise<[string, readonly PermissionEntry[]]> => [
          id,
          await clients.azure.discovery.readPermissions(id, signal),
        ]),
      );
      return new Map(readings.filter((reading) => reading !== undefined));
    }),
    assessmentCounts: once(() =>
      unlessRefused(async () => {
        const readable = (await scopes()).subscriptions.filter(isReadable).map(({ id }) => id);
        return countAssessments(clients.azure.resourceGraph, readable, signal);
      }),
    ),
    ownRoles: once(() => clients.serviceNow.roles.readOwnRoles(signal)),
    existingRoles: once(async () => {
      try {
        return await clients.serviceNow.roles.readExistingRoles(rolesOfApplications, signal);
      } catch (error) {
        if (!isAnswer(error)) throw error;
        return undefined;
      }
    }),
    dictionary,
    hiddenRecords: (table) => {
      const known = hidden.get(table) ?? countHidden(table);
      hidden.set(table, known);
      return known;
    },
    serviceNow,
    integrations,
    dataSources: once(async () => {
      const ofPlugin = (await integrations()).filter(({ owner }) => owner === 'plugin');
      return readDataSources(await serviceNow(), await dictionary(), ofPlugin, signal);
    }),
    writeTrials: once(async () => {
      const { tables } = await dictionary();
      const there = input.tableSpecs.map(({ name }) => name).filter((name) => tables[name]?.state !== 'absent');
      return tryWrites(await serviceNow(), there, signal);
    }),
    dryRun: once(() => dryRun(clients.serviceNow, input.serviceNow.dataSource, signal)),
  };
}

/** Undefined where the service refuses to say. */
function unlessRefused<Value>(ask: () => Promise<Value>): Promise<Value | undefined> {
  return unless(isAnswer, ask);
}

async function unless<Value>(isTolerated: (error: unknown) => boolean, ask: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!isTolerated(error)) throw error;
    return undefined;
  }
}

/** Asks at the first call; every later one gets the same answer, or the same failure. */
function once<Value>(ask: () => Promise<Value>): () => Promise<Value> {
  let answer: Promise<Value> | undefined;
  return () => (answer ??= ask());
}
