import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import {
  reconcileMemo,
  reconcileSummary,
  searchAttributes,
  syncWorkflowId,
  type ReconcileCounts,
  type ReconcileInput,
  type ReconcileRef,
  type ReconcileRequest,
  type ReconcileResult,
} from './contract.ts';
import { reconcileOverview } from './details.ts';
import { cancellationOf, cancelledOnRequest, causeOf, wasCancelled } from './failures.ts';
import { holdDeployment, releaseSignal } from './hold-deployment.ts';
import { untilNothingIsLeft } from './run-integration.ts';
import { bookkeeping, work } from './steps.ts';

interface Lock {
  readonly deployment: string;
  readonly handle: ChildWorkflowHandle<typeof holdDeployment>;
}

const nothing: ReconcileCounts = { moved: 0, unchanged: 0, refused: 0, parked: 0, items: 0, results: 0, leftToPlatform: 0 };

/**
 * Re-points discovered items (and results) of pairs that a person has looked at, or takes that back. Under the locks of all deployments
 * whose records are in it, taken without waiting: if one is held, nothing begins, and the holder is named.
 */
export async function reconcileCis({ request, startedBy }: ReconcileInput): Promise<ReconcileResult> {
  phase('starting');
  setCurrentDetails(`${reconcileSummary(request)} (asked by ${startedBy})`);
  const { deployments, pairs, setId } = await bookkeeping.reconcileScope.executeWithOptions({ summary: 'whose records are in it' }, [
    request,
  ]);
  if (pairs === 0) return ended({ ...nothing, reconcile: null, outcome: 'succeeded', because: null, deployments, heldBy: null });
  if (deployments.length === 0) return ended(refused([], 'no deployment sees these resources any more', null));
  const locks: Lock[] = [];
  try {
    const heldBy = await takeLocks(locks, deployments, request);
    if (heldBy !== undefined) return ended(refused(deployments, `${heldBy} is held by a run, or by another reconcile`, heldBy));
    phase('reconciling');
    return ended(await reconcile(request, setId, locks));
  } finally {
    await CancellationScope.nonCancellable(() => release(locks));
  }
}

/** Takes all locks in order, or says which one is held; those that were taken until then are in `locks`. */
async function takeLocks(locks: Lock[], deployments: readonly string[], request: ReconcileRequest): Promise<string | undefined> {
  for (const deployment of deployments) {
    const workflowId = syncWorkflowId(deployment);
    try {
      // Our own cancellation must not take the locks away before the work under them has ended.
      const handle = await CancellationScope.nonCancellable(() =>
        startChild(holdDeployment, {
          workflowId,
          args: [{ deployment, request }],
          // A lock without anybody who works under it would stay for ever.
          parentClosePolicy: ParentClosePolicy.TERMINATE,
          memo: { ...reconcileMemo(request) },
          staticSummary: `${deployment} is held: ${reconcileSummary(request)}`,
          typedSearchAttributes: [{ key: searchAttributes.deployment, value: deployment }],
        }),
      );
      locks.push({ deployment, handle });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return workflowId;
      throw error;
    }
  }
  return undefined;
}

async function release(locks: readonly Lock[]): Promise<void> {
  for (const { handle } of locks) {
    // One that was cancelled or terminated from outside is gone already.
    await handle.signal(releaseSignal).catch(() => undefined);
    await handle.result().catch(() => undefined);
  }
}

async function reconcile(request: ReconcileRequest, setId: string, locks: readonly Lock[]): Promise<ReconcileResult> {
  const deployments = locks.map(({ deployment }) => deployment);
  const ref = await bookkeeping.beginReconcile.executeWithOptions({ summary: 'take the fences, remember what is due' }, [
    {
      request,
      setId,
      workflowRunId: workflowInfo().firstExecutionRunId,
      locks: locks.map(({ deployment, handle }) => ({ deployment, workflowRunId: handle.firstExecutionRunId })),
    },
  ]);
  setCurrentDetails(`${reconcileSummary(request)} · reconcile \`${ref.reconcile}\` · re-pointing`);
  const lost: string[] = [];
  try {
    await underLocks(locks, lost, () =>
      untilNothingIsLeft(() => work.reconcilePairs.executeWithOptions({ summary: 'compare with what was shown, re-point' }, [ref])),
    );
    return await finish(ref, deployments, 'succeeded', null);
  } catch (error) {
    if (!wasCancelled(error)) return finish(ref, deployments, 'failed', causeOf(error).message);
    const [lock] = lost;
    if (lock !== undefined) return finish(ref, deployments, 'cancelled', `${syncWorkflowId(lock)}, which it held, was ended by somebody`);
    const result = await CancellationScope.nonCancellable(() => finish(ref, deployments, 'cancelled', cancelledOnRequest));
    setCurrentDetails(reconcileOverview(result));
    throw cancellationOf(error);
  }
}

/** The work ends with any of its locks: `sync/<deployment>` can be cancelled by whoever finds it in the way. */
async function underLocks(locks: readonly Lock[], lost: string[], body: () => Promise<void>): Promise<void> {
  const scope = new CancellationScope();
  for (const { deployment, handle } of locks) {
    const give = (): void => {
      lost.push(deployment);
      scope.cancel();
    };
    void handle.result().then(give, give);
  }
  await scope.run(body);
}

async function finish(
  ref: ReconcileRef,
  deployments: readonly string[],
  ending: 'succeeded' | 'failed' | 'cancelled',
  because: string | null,
): Promise<ReconcileResult> {
  const { outcome, ...counts } = await bookkeeping.finishReconcile.executeWithOptions({ summary: `count and record: ${ending}` }, [
    { ...ref, outcome: ending },
  ]);
  const left = counts.refused + counts.parked;
  return {
    ...counts,
    reconcile: ref.reconcile,
    outcome,
    because: because ?? (left > 0 ? `${left} of ${left + counts.moved + counts.unchanged} pairs were not re-pointed` : null),
    deployments,
    heldBy: null,
  };
}

function refused(deployments: readonly string[], because: string, heldBy: string | null): ReconcileResult {
  return { ...nothing, reconcile: null, outcome: 'refused', because, deployments, heldBy };
}

function ended(result: ReconcileResult): ReconcileResult {
  phase('finished');
  upsertSearchAttributes([{ key: searchAttributes.outcome, value: result.outcome }]);
  setCurrentDetails(reconcileOverview(result));
  return result;
}

function phase(name: string): void {
  upsertSearchAttributes([{ key: searchAttributes.phase, value: name }]);
}
