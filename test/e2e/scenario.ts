/** One estate, one lab, one ledger, and runs of all its deployments: what the proofs of crashes and fences have in common. */
import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { syncWorkflowId, workflowTypes, type SyncInput, type SyncResult } from '../../workflows/contract.ts';
import type { PostgresForTests, TemporalForTests } from '../integration/servers.ts';
import { readEndState, type EndState } from './end-state.ts';
import { createEngine, endProcess, startLab, type Engine, type EngineSettings, type Lab, type WorkerProcess } from './harness.ts';

/** Small, and with everything in it that the five integrations read. */
export const estate = 'generated:7:120';
/** Small pages, so that every list that matters has several. */
const pageSizes = { assessments: 10, metadata: 50, policies: 20, resources: 20, security: 10 };

export interface Run {
  readonly deployment: string;
  /** Its result; rejects when the workflow ends otherwise. */
  readonly result: Promise<SyncResult>;
  terminate(reason: string): Promise<void>;
}

export interface Scenario {
  readonly lab: Lab;
  readonly engine: Engine;
  readonly settings: EngineSettings;
  /** Starts a worker, of another engine where one is given; whatever becomes of it, it ends with the scenario. */
  startWorker(options?: { readonly failpoint?: string; readonly engine?: Engine }): Promise<WorkerProcess>;
  /** Starts a run of every deployment (or of one) and does not wait for it. */
  startRuns(deployments?: readonly string[]): Promise<Run[]>;
  /** What is on the instance now. */
  endState(): Promise<EndState>;
  /** Another engine (configuration and folder) on the same lab and ledger, with another section `serviceNow` where given. */
  anotherEngine(settings: Partial<EngineSettings>, serviceNow?: Readonly<Record<string, unknown>>): Promise<Engine>;
  close(): Promise<void>;
}

export interface Servers {
  readonly postgres: PostgresForTests;
  readonly temporal: TemporalForTests;
}

/** Quota and margin of a second each: an intent without an outcome is looked up after two. */
const shortTimes = { transactionQuotaSeconds: 1, settleSeconds: 1 };

export interface ScenarioOptions {
  /** Default: {@link estate}. */
  readonly estate?: string;
  /** Azure's page sizes; none: the lab's own. Default: small ones. */
  readonly pageSizes?: Readonly<Record<string, number>>;
  /** Laid over the section `serviceNow` of every engine. */
  readonly serviceNow?: Readonly<Record<string, unknown>>;
}

/** @param labArguments of lab/main.ts; the lab's Batch quota must not be above a second, the engine's */
export async function openScenario(
  servers: Servers,
  labArguments: readonly string[] = [],
  options: ScenarioOptions = {},
): Promise<Scenario> {
  const sinceMs = Date.now() - 1_000;
  const deploymentPrefix = `t${randomBytes(4).toString('hex')}-`;
  const settings: EngineSettings = {
    ledgerUrl: await servers.postgres.freshDatabase(),
    temporalAddress: servers.temporal.address,
    namespace: servers.temporal.namespace,
    taskQueue: `${deploymentPrefix}queue`,
  };
  const lab = await startLab(options.estate ?? estate, ['--batch-quota-ms', '1000', ...labArguments]);
  await lab.admin('POST', '/azure/change', { options: { pageSizes: options.pageSizes ?? pageSizes } });
  const engines: Engine[] = [];
  const anotherEngine: Scenario['anotherEngine'] = async (changed, serviceNow = {}) => {
    const engine = await createEngine(
      lab,
      { ...settings, ...changed },
      { ...shortTimes, deploymentPrefix, serviceNow: { ...options.serviceNow, ...serviceNow } },
    );
    engines.push(engine);
    return engine;
  };
  const engine = await anotherEngine({});
  const workers: WorkerProcess[] = [];
  return {
    lab,
    engine,
    settings,
    startWorker: async ({ engine: of = engine, ...options } = {}) => {
      const worker = await of.startWorker(options);
      workers.push(worker);
      return worker;
    },
    startRuns: (deployments = engine.deployments) =>
      Promise.all(deployments.map((deployment) => startRun(servers.temporal.client, settings.taskQueue, deployment))),
    endState: () => readEndState(lab, { sinceMs, ownName: deploymentPrefix }),
    anotherEngine,
    close: async () => {
      // Cut off, frozen or in the middle of something, not all of them would leave by themselves in time.
      await Promise.all(workers.map(({ child }) => endProcess(child, 'SIGKILL')));
      await Promise.all(engines.map((one) => one.remove()));
      await lab.stop();
    },
  };
}

export async function startRun(client: Client, taskQueue: string, deployment: string): Promise<Run> {
  const input: SyncInput = { deployment, mode: 'sync', planId: null, startedBy: 'script' };
  const handle = await client.workflow.start<(input: SyncInput) => Promise<SyncResult>>(workflowTypes.syncDeployment, {
    workflowId: syncWorkflowId(deployment),
    taskQueue,
    args: [input],
    memo: { mode: input.mode, planId: input.planId },
  });
  const result = handle.result();
  // Awaited later, or not at all when it is terminated on purpose.
  result.catch(() => undefined);
  return {
    deployment,
    result,
    terminate: async (reason) => {
      await handle.terminate(reason);
    },
  };
}

/** Waits for all runs; every one must have succeeded. */
export async function untilSucceeded(runs: readonly Run[]): Promise<void> {
  for (const run of runs) {
    const { outcome, because } = await run.result;
    if (outcome !== 'succeeded') throw new Error(`The run of ${run.deployment} ended as ${outcome}: ${because ?? 'without a reason'}`);
  }
}

/** Waits until the worker has killed itself at its failpoint. Fails when the runs end before that: then nobody reached the point. */
export async function untilKilled(worker: WorkerProcess, runs: readonly Run[], failpoint: string): Promise<void> {
  await Promise.race([worker.ended, Promise.allSettled(runs.map((run) => run.result))]);
  const { signalCode, exitCode } = worker.child;
  if (signalCode === 'SIGKILL') return;
  const how = signalCode ?? exitCode;
  if (how === null) await worker.stop();
  throw new Error(
    `${failpoint} was never hit: the worker ${how === null ? 'was still there when the runs ended' : `ended with ${how}`}.\n${worker.log()}`,
  );
}

/** What runs that nothing disturbs leave, and cost: every disturbed one is held against it. */
export interface UndisturbedRun {
  readonly endState: EndState;
  readonly requests: AzureRequests;
}

export async function undisturbedRun(servers: Servers): Promise<UndisturbedRun> {
  const scenario = await openScenario(servers);
  try {
    await scenario.startWorker();
    await untilSucceeded(await scenario.startRuns());
    return { endState: await scenario.endState(), requests: await azureRequests(scenario.lab) };
  } finally {
    await scenario.close();
  }
}

/** Resolves once so many records of that table have been written. */
export async function untilWritten(lab: Lab, table: string, records = 1): Promise<void> {
  while (((await lab.summary())[table]?.writes ?? 0) < records) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** How often each fault of the lab's ServiceNow was met, in the order in which they were set. */
export async function faultHits(lab: Lab): Promise<number[]> {
  const { faults } = (await lab.admin('GET', '/servicenow/faults')) as { faults: { hits: number }[] };
  return faults.map(({ hits }) => hits);
}

/** Items of Batch requests that the lab's ServiceNow did not get to within its quota. */
export async function unservicedItems(lab: Lab): Promise<number> {
  const { counters } = (await lab.admin('GET', '/servicenow/requests')) as { counters: { pattern: string; count: number }[] };
  return counters.find(({ pattern }) => pattern === 'batch:unserviced')?.count ?? 0;
}

/** Path of a list → its requests, oldest first, as the lab's Azure logged them. */
export type AzureRequests = ReadonlyMap<string, readonly { readonly url: string; readonly atMs: number }[]>;

export async function azureRequests(lab: Lab): Promise<AzureRequests> {
  const { recent } = (await lab.admin('GET', '/azure/requests')) as { recent: { method: string; url: string; at: string }[] };
  // The log keeps the newest thousand: with fewer, nothing is missing.
  if (recent.length >= 1_000) throw new Error('The log of the lab does not reach back to the start.');
  const lists = new Map<string, { url: string; atMs: number }[]>();
  for (const { method, url, at } of recent) {
    if (method !== 'GET') continue;
    const path = (url.split('?')[0] ?? '').toLowerCase();
    lists.set(path, [...(lists.get(path) ?? []), { url, atMs: Date.parse(at) }]);
  }
  return lists;
}
