/** Runs that wait for a person: what they wait for, and asking them to look again. */
import {
  isGrpcDeadlineError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
  type WorkflowHandle,
} from '@temporalio/client';
import {
  parkMessages,
  phaseParked,
  searchAttributes,
  syncWorkflowId,
  type CheckFinding,
  type ParkedState,
  type RecheckResult,
} from '../../../workflows/contract.ts';

/** A worker that lives answers within milliseconds; nobody shall wait for one that does not (design §4). */
const answerWithinMs = 10_000;

/** Why a run waits: from the run itself, or, where no worker answers for it, the names of the checks alone. */
export async function whatBlocks(handle: WorkflowHandle): Promise<readonly CheckFinding[]> {
  const { client } = handle;
  try {
    const state = await client.withDeadline(Date.now() + answerWithinMs, () => handle.query<ParkedState | null>(parkMessages.parked));
    if (state !== null) return state.blocking;
  } catch {
    // Without a worker there is no answer; what stands below is on the server.
  }
  const { typedSearchAttributes } = await handle.describe();
  const checks = typedSearchAttributes.get(searchAttributes.blockedBy) ?? [];
  return checks.map((check) => ({
    check,
    verdict: 'blocking',
    evidence: 'No worker answers for the run, so only its name is known.',
    remedy: null,
  }));
}

/** What asking a deployment's run to look again came to. */
export type Recheck =
  | { readonly outcome: 'no-run' | 'not-parked' | 'no-worker' }
  /** The check takes longer than a person wants to wait for; its end shows in `status`. */
  | { readonly outcome: 'checking' }
  | RecheckResult;

/** Asks the parked run of a deployment to look again now, and waits ten seconds for what it finds. */
export async function recheckRun(client: Client, deployment: string): Promise<Recheck> {
  const handle = client.workflow.getHandle(syncWorkflowId(deployment));
  const description = await handle.describe().catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  });
  if (description?.status.name !== 'RUNNING') return { outcome: 'no-run' };
  if (description.typedSearchAttributes.get(searchAttributes.phase) !== phaseParked) return { outcome: 'not-parked' };
  const deadline = Date.now() + answerWithinMs;
  try {
    const update = await unlessLate(
      client.withDeadline(deadline, () => handle.startUpdate<RecheckResult, []>(parkMessages.recheck, { waitForStage: 'ACCEPTED' })),
    );
    if (update === undefined) return { outcome: 'no-worker' };
    return (await unlessLate(client.withDeadline(deadline, () => update.result()))) ?? { outcome: 'checking' };
  } catch (error) {
    // It ended its wait before the question came.
    if (error instanceof WorkflowUpdateFailedError) return { outcome: 'not-parked' };
    throw error;
  }
}

/** Undefined when there is no answer in time. */
async function unlessLate<Value>(answer: Promise<Value>): Promise<Value | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isNoAnswerInTime(error)) return undefined;
    throw error;
  }
}

/** The client wraps the deadline of a call in errors of its own. */
function isNoAnswerInTime(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isGrpcDeadlineError(error)) return true;
  const { cause } = error as { readonly cause?: unknown };
  return cause !== undefined && isNoAnswerInTime(cause);
}
