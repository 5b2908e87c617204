import type {
  CheckFinding,
  IntegrationInput,
  IntegrationResult,
  ParkSettings,
  ReconcileCounts,
  ReconcileRef,
  ReconcileRequest,
  RunMode,
  RunOutcome,
  RunRef,
} from '../workflows/contract.ts';
import type { ActivityContext } from './context.ts';
import { derive, deriveForCis } from './derive.ts';
import { describeHolder } from './holder.ts';
import { observe, openScans, type Left } from './observe.ts';
import { prepareInstance } from './publish-engine-records.ts';
import { publish } from './publish.ts';
import { beginReconcile, finishReconcile, reconcilePairs, reconcileScope } from './reconcile.ts';
import { resolveCis } from './resolve-cis.ts';
import { refreshStatistics } from '../src/ledger/index.ts';
import { beginRun, finishIntegration, finishRun, parkSettings, preflight } from './run-lifecycle.ts';
import { runStep, type StepScope } from './run-step.ts';

/** The activities as workflows see them: ids and counts in, counts out. */
export interface Activities {
  beginRun(input: { readonly deployment: string; readonly mode: RunMode; readonly workflowRunId: string }): Promise<RunRef>;
  preflight(run: RunRef): Promise<CheckFinding[]>;
  /** The engine's own records on the instance exist, and the five integration records run as VR.System. */
  prepareInstance(run: RunRef): Promise<CheckFinding[]>;
  /** `hasCis`: the integration's records hang on CIs, which have to be settled before they can be published. */
  openScans(input: IntegrationInput): Promise<{ readonly scans: number; readonly hasCis: boolean }>;
  observe(input: IntegrationInput): Promise<Left>;
  derive(input: IntegrationInput): Promise<Left>;
  resolveCis(input: IntegrationInput): Promise<Left>;
  deriveForCis(input: IntegrationInput): Promise<Left>;
  publish(input: IntegrationInput): Promise<Left>;
  /** How long a parked run waits for a person. */
  parkSettings(run: RunRef): Promise<ParkSettings>;
  /** One sentence on the run that holds a deployment's lock; null when none does any more. */
  describeHolder(input: { readonly deployment: string }): Promise<string | null>;
  finishIntegration(input: IntegrationInput & { readonly failedBecause: string | null }): Promise<IntegrationResult>;
  finishRun(input: { readonly run: RunRef; readonly outcome: RunOutcome; readonly integrations: readonly IntegrationResult[] }): Promise<{
    readonly seconds: number;
  }>;
  /** Whose locks a reconcile needs. */
  reconcileScope(request: ReconcileRequest): Promise<{
    readonly deployments: readonly string[];
    readonly pairs: number;
    readonly setId: string;
  }>;
  beginReconcile(input: {
    readonly request: ReconcileRequest;
    readonly setId: string;
    readonly workflowRunId: string;
    readonly locks: readonly { readonly deployment: string; readonly workflowRunId: string }[];
  }): Promise<ReconcileRef>;
  reconcilePairs(ref: ReconcileRef): Promise<Left>;
  finishReconcile(
    input: ReconcileRef & { readonly outcome: 'succeeded' | 'failed' | 'cancelled' },
  ): Promise<ReconcileCounts & { readonly outcome: 'succeeded' | 'degraded' | 'failed' | 'cancelled' }>;
}

/** Makes the activities over one context; every one of them runs inside `runStep`. */
export function createActivities(context: ActivityContext): Activities {
  /** For steps that join what earlier steps have just filled. */
  const runStepOnFreshStatistics = <Result>(work: (step: StepScope) => Promise<Result>): Promise<Result> =>
    runStep(async (step) => {
      await refreshStatistics(context.ledger.database);
      return work(step);
    });
  return {
    beginRun: (input) => runStep(() => beginRun(context, input)),
    preflight: (run) => runStep((step) => preflight(context, run, step)),
    prepareInstance: (run) => runStep((step) => prepareInstance(context, run, step)),
    openScans: (input) => runStep(() => openScans(context, input)),
    observe: (input) => runStep((step) => observe(context, input, step)),
    derive: (input) => runStepOnFreshStatistics((step) => derive(context, input, step)),
    resolveCis: (input) => runStepOnFreshStatistics((step) => resolveCis(context, input, step)),
    deriveForCis: (input) => runStepOnFreshStatistics((step) => deriveForCis(context, input, step)),
    publish: (input) => runStepOnFreshStatistics((step) => publish(context, input, step)),
    parkSettings: () => runStep(() => Promise.resolve(parkSettings(context))),
    describeHolder: (input) => runStep(() => describeHolder(input.deployment)),
    finishIntegration: (input) => runStepOnFreshStatistics((step) => finishIntegration(context, input, step)),
    finishRun: (input) => runStep(() => finishRun(context, input)),
    reconcileScope: (request) => runStep(() => reconcileScope(context, request)),
    beginReconcile: (input) => runStep(() => beginReconcile(context, input)),
    reconcilePairs: (ref) => runStepOnFreshStatistics((step) => reconcilePairs(context, ref, step)),
    finishReconcile: (input) => runStep(() => finishReconcile(context, input)),
  };
}
