import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/common';
import { SyncError } from '../src/errors.ts';
import { phaseParked, searchAttributes, syncWorkflowId } from '../workflows/contract.ts';

/**
 * One sentence on the run that holds a deployment's lock, for a scheduled start that comes too late: since when, where it is,
 * and what it waits for. Null when it has ended meanwhile. Asked over the worker's own connection.
 */
export async function describeHolder(deployment: string): Promise<string | null> {
  const handle = Context.current().client.workflow.getHandle(syncWorkflowId(deployment));
  try {
    const { status, startTime, typedSearchAttributes } = await handle.describe();
    if (status.name !== 'RUNNING') return null;
    const since = startTime.toISOString().slice(0, 19).replace('T', ' ');
    const phase = typedSearchAttributes.get(searchAttributes.phase) ?? 'waiting for a worker';
    const blockedBy = typedSearchAttributes.get(searchAttributes.blockedBy) ?? [];
    const held = `the run of ${since} UTC holds the lock of ${deployment}`;
    if (phase === phaseParked)
      return `${held}: it is parked and waits for a person to put right ${blockedBy.join(', ')}; see defender-sync status`;
    return `${held} and is still at work (${phase}); it is a full reading, so nothing is missed`;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw new SyncError({
      kind: 'transient',
      service: 'temporal',
      message: `The Temporal server does not say who holds the lock of ${deployment} (${Error.isError(error) ? error.message : String(error)}).`,
      cause: error,
    });
  }
}
