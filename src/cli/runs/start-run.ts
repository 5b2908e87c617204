/** Starting a run, or joining the one that is under way: the workflow id is the lock (design §4). */
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client';
import {
  searchAttributes,
  syncDetails,
  syncSummary,
  syncWorkflowId,
  workflowTypes,
  type SyncInput,
  type SyncMemo,
  type SyncResult,
} from '../../../workflows/contract.ts';
import { SyncError } from '../../errors.ts';

/** The type under which the Temporal client knows the sync workflow; only its signature matters here. */
export type SyncWorkflow = (input: SyncInput) => Promise<SyncResult>;

export interface StartedRun {
  readonly deployment: string;
  readonly handle: WorkflowHandle<SyncWorkflow>;
  readonly workflowId: string;
  /** Temporal's id of this execution. */
  readonly workflowRunId: string;
  /** A run that asks for the same was under way already, and is followed instead. */
  readonly attached: boolean;
  /** When a joined run was started, and by whom it looks. */
  readonly startedAt: Date;
}

/**
 * Starts a run of a deployment. If one is under way that asks for the same (mode and plan), that one is joined.
 * Errors: {@link SyncError} `usage` when one is under way that asks for something else; it is named.
 */
export async function startOrJoinRun(client: Client, taskQueue: string, input: SyncInput): Promise<StartedRun> {
  const workflowId = syncWorkflowId(input.deployment);
  // A run that is found open may end before it is looked at; then the id is free again.
  for (let attempt = 1; ; attempt += 1) {
    try {
      const handle = await client.workflow.start<SyncWorkflow>(workflowTypes.syncDeployment, startOptions(taskQueue, input));
      const workflowRunId = handle.firstExecutionRunId;
      return { deployment: input.deployment, handle, workflowId, workflowRunId, attached: false, startedAt: new Date() };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      const joined = await joinRun(client, input);
      if (joined !== undefined) return joined;
      if (attempt === 3) throw error;
    }
  }
}

function startOptions(taskQueue: string, input: SyncInput): Parameters<Client['workflow']['start']>[1] & { args: [SyncInput] } {
  const memo: SyncMemo = { mode: input.mode, planId: input.planId };
  return {
    workflowId: syncWorkflowId(input.deployment),
    taskQueue,
    args: [input],
    // USE_EXISTING would silently hand back a run that does something else (temporal.md §5).
    workflowIdConflictPolicy: 'FAIL',
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    memo: { ...memo },
    staticSummary: syncSummary(input),
    staticDetails: syncDetails(input.deployment),
    typedSearchAttributes: [{ key: searchAttributes.deployment, value: input.deployment }],
  };
}

/** The run that is under way, if it asks for the same; undefined when it has ended meanwhile. */
async function joinRun(client: Client, input: SyncInput): Promise<StartedRun | undefined> {
  const workflowId = syncWorkflowId(input.deployment);
  const handle = client.workflow.getHandle<SyncWorkflow>(workflowId);
  const description = await handle.describe().catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  });
  if (description?.status.name !== 'RUNNING') return undefined;
  const { mode, planId } = (description.memo ?? {}) as Partial<SyncMemo>;
  if (mode !== input.mode || (planId ?? null) !== input.planId) {
    throw new SyncError({
      kind: 'usage',
      service: 'temporal',
      message: `A run of ${input.deployment} is under way that does something else: ${describeRequest(mode, planId)}, since ${description.startTime.toISOString()} (workflow ${workflowId}, run ${description.runId}).`,
      remedy: 'Wait for it (defender-sync status), or cancel it: defender-sync temporal workflow cancel --workflow-id ' + workflowId,
    });
  }
  return {
    deployment: input.deployment,
    handle: client.workflow.getHandle<SyncWorkflow>(workflowId, description.runId),
    workflowId,
    workflowRunId: description.runId,
    attached: true,
    startedAt: description.startTime,
  };
}

/** What a workflow's memo says that it does. */
export function describeRequest(mode: string | undefined, planId: string | null | undefined): string {
  if (mode === undefined) return 'it was not started by defender-sync';
  if (mode === 'reconcile') return `a reconcile of ${planId ?? 'pairs'}`;
  return planId === null || planId === undefined ? `a ${mode}` : `a ${mode} of plan ${planId}`;
}
