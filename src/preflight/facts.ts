/** What several checks look at, read once per preflight, when it is first asked for. */
import { decodeClaims, type AccessToken, type Pricing, type TokenClaims } from '../azure/index.ts';
import type { SyncError } from '../errors.ts';
import type { InstanceDictionary, IreOutcome, ServiceNowClient, UserRoles } from '../servicenow/index.ts';
import { isReadable, resolveScopes, type ResolvedScopes } from './azure-scopes.ts';
import { inParallel } from './in-parallel.ts';
import { isAnswer } from './results.ts';
import { dryRun } from './servicenow-dry-run.ts';
import { tryWrites, type WriteTrial } from './servicenow-writes.ts';
import type { PreflightInput } from './types.ts';

export interface Facts {
  /** Token for Azure Resource Manager. */
  armToken(): Promise<AccessToken>;
  /** Claims of that token; undefined when it is opaque. */
  armClaims(): Promise<TokenClaims | undefined>;
  scopes(): Promise<ResolvedScopes>;
  /** True once somebody asked for the scopes. */
  scopesWereRead(): boolean;
  /** Plans of each enabled, visible subscription, or why they could not be read. */
  plans(): Promise<ReadonlyMap<string, PlanReading>>;
  ownRoles(): Promise<UserRoles>;
  dictionary(): Promise<InstanceDictionary>;
  /** The client that may use the columns of that dictionary. */
  serviceNow(): Promise<ServiceNowClient>;
  /** Which tables take updates, by table; those that the instance lacks, or all where nobody can say, are missing. */
  writeTrials(): Promise<ReadonlyMap<string, WriteTrial>>;
  /** What the identification engine would do with one cloud resource and its hosts, by item. */
  dryRun(): Promise<readonly IreOutcome[]>;
}

export type PlanReading = { readonly plans: readonly Pricing[] } | { readonly error: SyncError };

/** Tables besides those that the engine writes: what preflight itself asks about. */
const askedAbout = ['cmdb_ci', 'sn_sec_int_integration', 'sn_sec_int_impl', 'sn_vul_integration'];
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
  return {
    armToken,
    armClaims: once(async () => decodeClaims((await armToken()).token)),
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
    ownRoles: once(() => clients.serviceNow.roles.readOwnRoles(signal)),
    dictionary,
    serviceNow,
    writeTrials: once(async () => {
      const { tables } = await dictionary();
      const there = input.tableSpecs.map(({ name }) => name).filter((name) => tables[name]?.state !== 'absent');
      return tryWrites(await serviceNow(), there, signal);
    }),
    dryRun: once(() => dryRun(clients.serviceNow, input.serviceNow.dataSource, signal)),
  };
}

/** Asks at the first call; every later one gets the same answer, or the same failure. */
function once<Value>(ask: () => Promise<Value>): () => Promise<Value> {
  let answer: Promise<Value> | undefined;
  return () => (answer ??= ask());
}
