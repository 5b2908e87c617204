/**
 * The real workflows on a real Temporal server, with activities that do what a test says. Nothing is read or written anywhere, so
 * what these tests see is order, waiting and retry policy alone.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from '@jest/globals';
import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { DefaultLogger, Runtime, type Worker } from '@temporalio/worker';
import type { Activities } from '../../../activities/index.ts';
import { connectWorker, type WorkerConnection } from '../../../src/temporal/connect-worker.ts';
import { createWorker } from '../../../src/temporal/worker.ts';
import {
  integrationWorkflowId,
  syncWorkflowId,
  workflowTypes,
  type IntegrationInput,
  type IntegrationName,
  type IntegrationResult,
  type RunMode,
  type RunRef,
  type SyncInput,
  type SyncMemo,
  type SyncResult,
} from '../../../workflows/contract.ts';
import { withTemporal, type TemporalForTests } from '../../integration/servers.ts';

type SyncWorkflow = (input: SyncInput) => Promise<SyncResult>;
type IntegrationWorkflow = (input: IntegrationInput) => Promise<IntegrationResult>;

export interface StubEngine {
  readonly temporal: TemporalForTests;
  readonly taskQueue: string;
  /** A deployment of its own for one test, whose activities behave as given; the others succeed at once. */
  deployment(activities?: Partial<Activities>): Deployment;
}

export interface Deployment {
  readonly name: string;
  /** `activity` or `activity integration`, in the order in which they were begun. */
  readonly calls: readonly string[];
  /** What `finishRun` was told, at the end of the run. */
  readonly reported: () => Parameters<Activities['finishRun']>[0] | undefined;
  start(): Promise<WorkflowHandleWithFirstExecutionRunId<SyncWorkflow>>;
  /** One integration alone: its first. */
  startIntegration(): Promise<WorkflowHandle<IntegrationWorkflow>>;
}

interface Script {
  readonly activities: Activities;
  readonly calls: string[];
}

/** Call it at the top of a test file. */
export function withStubEngine(): StubEngine {
  const temporal = withTemporal();
  const taskQueue = `stubs-${randomBytes(4).toString('hex')}`;
  const scripts = new Map<string, Script>();
  let connection: WorkerConnection;
  let worker: Worker;
  let ended: Promise<void>;
  beforeAll(async () => {
    // Activities that fail as a test says so are no news.
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    connection = await connectWorker(temporal);
    worker = await createWorker({
      connection: connection.connection,
      namespace: temporal.namespace,
      taskQueue,
      activities: dispatching(scripts),
    });
    ended = worker.run();
  }, 120_000);
  afterAll(async () => {
    worker.shutdown();
    await ended;
    await connection.close();
  }, 90_000);
  return {
    temporal,
    taskQueue,
    deployment(activities = {}) {
      const name = `stub-${randomBytes(4).toString('hex')}`;
      const calls: string[] = [];
      let reported: Parameters<Activities['finishRun']>[0] | undefined;
      const finishRun: Activities['finishRun'] = async (input) => {
        reported = input;
        return (activities.finishRun ?? succeeding.finishRun)(input);
      };
      scripts.set(name, { activities: { ...succeeding, ...activities, finishRun }, calls });
      return {
        name,
        calls,
        reported: () => reported,
        start: () => {
          const memo: SyncMemo = { mode: 'sync', planId: null };
          return temporal.client.workflow.start<SyncWorkflow>(workflowTypes.syncDeployment, {
            workflowId: syncWorkflowId(name),
            taskQueue,
            args: [{ deployment: name, ...memo, startedBy: 'test' }],
            memo: { ...memo },
          });
        },
        startIntegration: () =>
          temporal.client.workflow.start<IntegrationWorkflow>(workflowTypes.runIntegration, {
            workflowId: integrationWorkflowId(name, 'policies'),
            taskQueue,
            args: [{ run: runOf(name, 'sync'), integration: 'policies' }],
          }),
      };
    },
  };
}

const done = { left: 0, readyInMs: 0, advanced: false };

/** Every activity of a run that finds nothing wrong and nothing to do. */
const succeeding: Activities = {
  beginRun: async ({ deployment, mode }) => runOf(deployment, mode),
  preflight: async () => [],
  prepareInstance: async () => [],
  openScans: async () => ({ scans: 1, hasCis: true }),
  observe: async () => done,
  derive: async () => done,
  resolveCis: async () => done,
  deriveForCis: async () => done,
  publish: async () => done,
  parkSettings: async () => ({ recheckEveryMs: 60_000, giveUpAfterMs: 3_600_000 }),
  describeHolder: async () => null,
  finishIntegration: async ({ integration, failedBecause }) =>
    resultOf(integration, failedBecause === null ? {} : { outcome: 'failed', because: failedBecause }),
  finishRun: async () => ({ seconds: 1 }),
  reconcileScope: async () => ({ deployments: [], pairs: 0, setId: '' }),
  beginReconcile: async ({ locks }) => ({
    reconcile: 'reconcile',
    runs: locks.map(({ deployment }) => ({ deployment, run: runOf(deployment, 'sync').run, fence: 1 })),
    undo: false,
  }),
  reconcilePairs: async () => done,
  finishReconcile: async ({ outcome }) => ({
    outcome,
    moved: 1,
    unchanged: 0,
    refused: 0,
    parked: 0,
    items: 1,
    results: 1,
    leftToPlatform: 0,
  }),
};

function runOf(deployment: string, mode: RunMode): RunRef {
  return { deployment, run: '00000000-0000-4000-8000-000000000001', fence: 1, mode };
}

export function resultOf(integration: IntegrationName, changes: Partial<IntegrationResult> = {}): IntegrationResult {
  return {
    integration,
    outcome: 'succeeded',
    because: null,
    scopes: { complete: 1, partial: 0, failed: 0, notApplicable: 0 },
    read: 3,
    created: 2,
    updated: 1,
    parked: 0,
    ...changes,
  };
}

/** One set of activities for the worker; each call goes to the script of the deployment that it is for. */
function dispatching(scripts: ReadonlyMap<string, Script>): Activities {
  const scriptOf = (name: string, activity: string): Activities => {
    const script = scripts.get(name);
    if (script === undefined) throw new Error(`No test has a deployment ${name}.`);
    script.calls.push(activity);
    return script.activities;
  };
  const ofRun = (run: RunRef, activity: string): Activities => scriptOf(run.deployment, activity);
  return {
    beginRun: async (input) => scriptOf(input.deployment, 'beginRun').beginRun(input),
    preflight: async (run) => ofRun(run, 'preflight').preflight(run),
    prepareInstance: async (run) => ofRun(run, 'prepareInstance').prepareInstance(run),
    openScans: async (input) => ofRun(input.run, `openScans ${input.integration}`).openScans(input),
    observe: async (input) => ofRun(input.run, `observe ${input.integration}`).observe(input),
    derive: async (input) => ofRun(input.run, `derive ${input.integration}`).derive(input),
    resolveCis: async (input) => ofRun(input.run, `resolveCis ${input.integration}`).resolveCis(input),
    deriveForCis: async (input) => ofRun(input.run, `deriveForCis ${input.integration}`).deriveForCis(input),
    publish: async (input) => ofRun(input.run, `publish ${input.integration}`).publish(input),
    parkSettings: async (run) => ofRun(run, 'parkSettings').parkSettings(run),
    describeHolder: async (input) => scriptOf(input.deployment, 'describeHolder').describeHolder(input),
    finishIntegration: async (input) => ofRun(input.run, `finishIntegration ${input.integration}`).finishIntegration(input),
    finishRun: async (input) => ofRun(input.run, `finishRun ${input.outcome}`).finishRun(input),
    // A reconcile is of several deployments: the script of the first is asked, by the name of its pairs before there is one.
    reconcileScope: async (request) =>
      scriptOf(request.type === 'apply' ? request.setId : request.reconcileId, 'reconcileScope').reconcileScope(request),
    beginReconcile: async (input) => scriptOf(input.locks[0]?.deployment ?? '', 'beginReconcile').beginReconcile(input),
    reconcilePairs: async (ref) => scriptOf(ref.runs[0]?.deployment ?? '', 'reconcilePairs').reconcilePairs(ref),
    finishReconcile: async (input) => scriptOf(input.runs[0]?.deployment ?? '', `finishReconcile ${input.outcome}`).finishReconcile(input),
  };
}
