/** The engine's publishing, whole: real activities over a real ledger, and a local ServiceNow over TLS. */
import { randomUUID } from 'node:crypto';
import { createContext } from '../../../activities/create-context.ts';
import type { ActivityContext } from '../../../activities/context.ts';
import type { InstanceModel } from '../../../activities/instance-model.ts';
import { publishTables } from '../../../activities/publish.ts';
import { readBackLeft } from '../../../activities/read-back.ts';
import type { Publisher } from '../../../activities/publisher.ts';
import type { Configuration, ServiceNowSettings } from '../../../src/config/index.ts';
import { Secret } from '../../../src/config/secret.ts';
import { readRefusals, type Refusals } from '../../../activities/refusals.ts';
import { beginRun, commitEngineRecords, countCalls, type RunHandle } from '../../../src/ledger/index.ts';
import { integrationNames, type DeploymentName, type DesiredRecord, type IntegrationName } from '../../../src/model.ts';
import { systemClock } from '../../../src/observability/clock.ts';
import { createFailpoints, type Failpoints } from '../../../src/observability/failpoints.ts';
import { createLogger } from '../../../src/observability/logger.ts';
import type { StartedLab } from '../lab-servicenow/start.ts';

/** What the ledger says of one record. */
export interface LedgerRecord {
  readonly key: string;
  readonly sysId: string | null;
  readonly isPublished: boolean;
  readonly parked: boolean;
  readonly reason: string | null;
  readonly remedy: string | null;
  readonly without: string | null;
}

export interface Engine {
  readonly context: ActivityContext;
  /** A new run of a deployment. */
  begin(deployment?: string): Promise<RunHandle>;
  /** Wants these records, as the engine wants its own. Each call replaces what the deployment wanted under that name. */
  want(run: RunHandle, records: readonly DesiredRecord[], name?: string): Promise<void>;
  /** Publishes tables until nothing is left, as the workflow does; at most so many rounds. Returns what is left. */
  publish(
    run: RunHandle,
    tables: readonly string[],
    options?: { readonly rounds?: number; readonly waitForReadBacks?: boolean },
  ): Promise<number>;
  record(table: string, key: string): Promise<LedgerRecord | undefined>;
  behaviours(table: string): Promise<readonly { readonly column: string; readonly behaviour: string; readonly evidence: string }[]>;
  /** Moves the ledger's clock forward. */
  advance(byMs: number): Promise<void>;
  writes(run: RunHandle): Promise<number>;
  /** What the report would say of refusals. */
  refusals(run: RunHandle): Promise<Refusals>;
  /** Empties the ledger, and what this process remembers beside it. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export interface EngineOptions {
  readonly ledgerUrl: string;
  readonly lab: StartedLab;
  readonly userName?: string;
  readonly failpoint?: Failpoints;
  readonly serviceNow?: Partial<ServiceNowSettings>;
}

/** One worker process's worth of the engine. */
export async function openEngine({ ledgerUrl, lab, userName = 'defender.sync', failpoint, serviceNow }: EngineOptions): Promise<Engine> {
  const opened = await createContext({
    config: configurationOf(lab, userName, serviceNow ?? {}),
    ledgerUrl,
    clock: systemClock,
    log: createLogger({ level: 'silent' }),
    failpoint: failpoint ?? createFailpoints(),
  });
  const { context } = opened;
  const { database, words } = context.ledger;
  // The definitions of one lab do not change: they are read once, not by every run.
  let model: Promise<InstanceModel> | undefined;
  const instanceModelOf = (run: RunHandle): Promise<InstanceModel> => (model ??= context.instanceModelOf(run));
  const quick: ActivityContext = {
    ...context,
    instanceModelOf,
    clientsOf: async (run) => {
      const clients = await context.bareClientsOf(run);
      return { ...clients, serviceNow: clients.serviceNow.withDictionary((await instanceModelOf(run)).dictionary) };
    },
  };
  const publisherOf = async (run: RunHandle): Promise<Publisher> => ({
    context: quick,
    run,
    integration: 'policies',
    client: (await quick.clientsOf(run)).serviceNow,
    step: { at: () => undefined, signal: new AbortController().signal, timeIsUp: () => false },
  });
  return {
    context: quick,
    begin: (deployment = 'a') =>
      beginRun(database, { name: deployment as DeploymentName, instanceUrl: lab.lab.url, position: 0 }, randomUUID(), 'sync'),
    want: (run, records, name = 'test') => commitEngineRecords(database, words, run, name, records),
    publish: async (run, tables, { rounds = 20, waitForReadBacks = false } = {}) => {
      const publisher = await publisherOf(run);
      for (let round = 1; ; round += 1) {
        let { left, readyInMs } = await publishTables(publisher, tables);
        if (left === 0 && waitForReadBacks) ({ left, readyInMs } = await readBackLeft(publisher, tables));
        if (left === 0 || round === rounds) return left;
        await new Promise((resolve) => setTimeout(resolve, Math.min(readyInMs, 5_000) + 20));
      }
    },
    record: async (table, key) => {
      const [row] = await database.query<LedgerRecord & Record<string, unknown>>(
        `SELECT r.key_text AS key, r.sys_id AS "sysId", r.desired IS NOT DISTINCT FROM r.published AS "isPublished", r.parked, r.reason, r.remedy, r.without
         FROM record r JOIN word w ON w.word_id = r.table_id WHERE w.word = $1 AND r.key_text = $2`,
        [table, key],
      );
      return row;
    },
    behaviours: (table) =>
      database.query(
        `SELECT column_name AS column, behaviour, evidence FROM column_behaviour JOIN word ON word_id = table_id WHERE word = $1 ORDER BY column_name`,
        [table],
      ),
    advance: async (byMs) => {
      await database.query(`UPDATE ledger SET clock_shift = clock_shift + $1 * interval '1 millisecond'`, [byMs]);
    },
    writes: async (run) => (await countCalls(database, run)).serviceNowWrites,
    refusals: (run) => readRefusals(database, run),
    reset: async () => {
      await database.query('TRUNCATE instance, deployment, run, slot, throttle, record, ci, derived_with CASCADE');
      await database.query(`UPDATE ledger SET clock_shift = '0'`);
      quick.readBacksNoted.clear();
    },
    close: () => opened.close(),
  };
}

/** Quota and margin are short, so that an unknown outcome is looked up within the second. */
function configurationOf(lab: StartedLab, userName: string, serviceNow: Partial<ServiceNowSettings>): Configuration {
  const password = lab.lab.users.find((user) => user.userName === userName)?.password ?? '';
  const unused = new Secret('a test', () => 'unused');
  const names = ['a', 'b', 'c', ...integrationNames.map((name: IntegrationName) => `d-${name}`)];
  return {
    file: 'test',
    stateDir: lab.dir,
    temporal: { address: undefined, namespace: 'default', taskQueue: 'test', tls: undefined, apiKey: undefined, uiUrl: undefined },
    ledger: { url: undefined, historyDays: 30 },
    park: { recheckEveryMs: 1_000, giveUpAfterMs: 1_000 },
    serviceNow: {
      url: lab.lab.url,
      auth: { type: 'basic', userName, password: new Secret('a test', () => password) },
      caFile: `${lab.dir}/ca.pem`,
      source: undefined,
      dataSource: 'Microsoft Defender for Cloud',
      runAs: { mode: 'enforce', user: 'VR.System' },
      concurrentRequests: 4,
      batchTransactionQuotaMs: 400,
      transactionQuotaMs: 400,
      settleMs: 500,
      notApplicableResult: undefined,
      hostTags: true,
      ...serviceNow,
    },
    deployments: names.map((name, precedence) => ({
      name: name as DeploymentName,
      precedence,
      azure: {
        cloud: 'custom',
        authorityHost: 'https://127.0.0.1:1',
        resourceManager: 'https://127.0.0.1:1',
        graph: 'https://127.0.0.1:1',
        caFile: undefined,
        tenantId: '00000000-0000-4000-8000-000000000000',
        clientId: '00000000-0000-4000-8000-000000000001',
        credential: { type: 'client-secret', clientSecret: unused },
      },
      scope: { type: 'subscriptions', subscriptions: ['00000000-0000-4000-8000-000000000002'] },
      incidents: false,
      subAssessments: false,
      concurrentRequests: 4,
      schedule: undefined,
    })),
  };
}
