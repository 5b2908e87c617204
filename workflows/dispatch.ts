import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, patched, setCurrentDetails, startChild } from '@temporalio/workflow';
import {
  searchAttributes,
  syncDetails,
  syncSummary,
  syncWorkflowId,
  type DispatchInput,
  type DispatchResult,
  type SyncInput,
  type SyncMemo,
} from './contract.ts';
import { bookkeeping } from './steps.ts';
import { syncDeployment } from './sync-deployment.ts';

/**
 * What a Schedule starts. A scheduled workflow id always carries a timestamp, so it cannot be the lock itself: this starts
 * `sync/<deployment>` as an abandoned child, or says who holds the lock.
 */
export async function dispatch(input: DispatchInput): Promise<DispatchResult> {
  const workflowId = syncWorkflowId(input.deployment);
  const memo: SyncMemo = { mode: 'sync', planId: null };
  const sync: SyncInput = { deployment: input.deployment, ...memo, startedBy: 'schedule' };
  try {
    await startChild(syncDeployment, {
      workflowId,
      args: [sync],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      memo: { ...memo },
      staticSummary: syncSummary(sync),
      staticDetails: syncDetails(input.deployment),
      typedSearchAttributes: [{ key: searchAttributes.deployment, value: input.deployment }],
    });
    setCurrentDetails(`started \`${workflowId}\``);
    return { dispatched: 'started', workflowId };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const because = await whyHeld(input.deployment);
    setCurrentDetails(`\`${workflowId}\`: ${because}`);
    return { dispatched: 'already-running', workflowId, because };
  }
}

/** Who holds the lock, and why it is not over: running, or waiting for a person. */
async function whyHeld(deployment: string): Promise<string> {
  const because = `another run of ${deployment} is still open and holds the lock; it is a full reading, so nothing is missed`;
  if (!patched('name-holder')) return because;
  const holder = await bookkeeping.describeHolder.executeWithOptions({ summary: 'who holds the lock' }, [{ deployment }]);
  return holder ?? because;
}
