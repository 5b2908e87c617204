/** Starting a reconcile, or joining the same one that is under way. */
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client';
import {
  reconcileMemo,
  reconcileSummary,
  reconcileWorkflowId,
  workflowTypes,
  type ReconcileInput,
  type ReconcileMemo,
  type ReconcileResult,
} from '../../../workflows/contract.ts';
import { SyncError } from '../../errors.ts';
import { describeRequest } from './start-run.ts';

type ReconcileWorkflow = (input: ReconcileInput) => Promise<ReconcileResult>;

export interface StartedReconcile {
  /** What it is shown as while it is followed. */
  readonly deployment: string;
  readonly handle: WorkflowHandle<ReconcileWorkflow>;
  readonly workflowId: string;
  readonly workflowRunId: string;
}

/** Errors: SyncError `usage` when the same pairs are being reconciled in another way. */
export async function startOrJoinReconcile(client: Client, taskQueue: string, input: ReconcileInput): Promise<StartedReconcile> {
  const workflowId = reconcileWorkflowId(input.request);
  const memo = reconcileMemo(input.request);
  try {
    const handle = await client.workflow.start<ReconcileWorkflow>(workflowTypes.reconcileCis, {
      workflowId,
      taskQueue,
      args: [input],
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      memo: { ...memo },
      staticSummary: reconcileSummary(input.request),
      staticDetails: 'Re-points discovered items, and results where the platform does not, as they were shown (`defender-sync cis pairs`).',
    });
    return { deployment: 'reconcile', handle, workflowId, workflowRunId: handle.firstExecutionRunId };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const handle = client.workflow.getHandle<ReconcileWorkflow>(workflowId);
    const { memo: running, runId, startTime } = await handle.describe();
    // The server keeps no nulls.
    const only = ((running ?? {}) as Partial<ReconcileMemo>).only ?? null;
    if (only === memo.only)
      return { deployment: 'reconcile', handle: client.workflow.getHandle(workflowId, runId), workflowId, workflowRunId: runId };
    throw new SyncError({
      kind: 'usage',
      service: 'temporal',
      message: `The pairs ${memo.planId} are being reconciled already, ${only === null ? 'all of them' : `only ${only}`}, since ${startTime.toISOString()} (workflow ${workflowId}).`,
      remedy: 'Wait for it, then start this one again.',
      cause: error,
    });
  }
}

/** Says who holds a lock, and since when: the workflow of that id, as far as it can still be asked. */
export async function lockHeld(client: Client, workflowId: string): Promise<SyncError> {
  const description = await client.workflow
    .getHandle(workflowId)
    .describe()
    .catch((error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    });
  const { mode, planId } = (description?.memo ?? {}) as { mode?: string; planId?: string | null };
  const who =
    description?.status.name === 'RUNNING'
      ? `${describeRequest(mode, planId)}, since ${description.startTime.toISOString()} (workflow ${workflowId}, run ${description.runId})`
      : `a run that has ended meanwhile (workflow ${workflowId})`;
  return new SyncError({
    kind: 'usage',
    service: 'temporal',
    message: `Nothing was re-pointed: ${workflowId} is held by ${who}.`,
    remedy: 'Wait until it is over (defender-sync status), then start this again.',
  });
}
