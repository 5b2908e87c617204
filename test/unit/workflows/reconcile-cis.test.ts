/** The reconcile workflow: all locks or none, held while there is work under them and given back whatever happens. */
import { describe, expect, test } from '@jest/globals';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { Activities } from '../../../activities/index.ts';
import {
  reconcileWorkflowId,
  searchAttributes,
  syncWorkflowId,
  workflowTypes,
  type ReconcileInput,
  type ReconcileRequest,
  type ReconcileResult,
} from '../../../workflows/contract.ts';
import { withStubEngine, type Deployment } from './stub-engine.ts';

type ReconcileWorkflow = (input: ReconcileInput) => Promise<ReconcileResult>;

const engine = withStubEngine();
const allDone = { left: 0, readyInMs: 0, advanced: false };

interface Reconcile {
  readonly first: Deployment;
  readonly second: Deployment;
  readonly request: ReconcileRequest;
  readonly start: () => Promise<WorkflowHandle<ReconcileWorkflow>>;
}

/** A reconcile of records of two deployments; its activities are those of the first. */
function reconcileOfTwo(activities: Partial<Activities> = {}): Reconcile {
  const second = engine.deployment();
  const first: Deployment = engine.deployment({
    reconcileScope: async ({ ...request }) => ({
      deployments: [first.name, second.name],
      pairs: 3,
      setId: request.type === 'apply' ? request.setId : '',
    }),
    ...activities,
  });
  const request = { type: 'apply', setId: first.name, only: null } as const;
  return {
    first,
    second,
    request,
    start: () =>
      engine.temporal.client.workflow.start<ReconcileWorkflow>(workflowTypes.reconcileCis, {
        workflowId: reconcileWorkflowId(request),
        taskQueue: engine.taskQueue,
        args: [{ request, startedBy: 'test' }],
      }),
  };
}

async function stateOfLock({ name }: Deployment): Promise<{ status: string; memo: unknown }> {
  const { status, memo } = await engine.temporal.client.workflow.getHandle(syncWorkflowId(name)).describe();
  return { status: status.name, memo };
}

/** An activity that goes on until it is cancelled, and says when it has begun. */
function endless(): { readonly begun: Promise<true>; readonly run: () => Promise<never> } {
  const begun = Promise.withResolvers<true>();
  return {
    begun: begun.promise,
    run: async () => {
      begun.resolve(true);
      const beat = setInterval(() => Context.current().heartbeat(), 100);
      try {
        return await Context.current().cancelled;
      } finally {
        clearInterval(beat);
      }
    },
  };
}

test('the locks of all deployments are held while it works, by their memo recognisable, and free afterwards', async () => {
  const seen: unknown[] = [];
  const { first, second, request, start }: Reconcile = reconcileOfTwo({
    reconcilePairs: async () => {
      seen.push(await stateOfLock(first), await stateOfLock(second));
      return allDone;
    },
  });
  const handle = await start();
  expect(await handle.result()).toMatchObject({ reconcile: 'reconcile', outcome: 'succeeded', moved: 1, heldBy: null });
  const held = { status: 'RUNNING', memo: { mode: 'reconcile', planId: request.type === 'apply' ? request.setId : '' } };
  expect(seen).toEqual([held, held]);
  for (const deployment of [first, second]) expect(await stateOfLock(deployment)).toMatchObject({ status: 'COMPLETED' });
  expect(first.calls).toEqual(['reconcileScope', 'beginReconcile', 'reconcilePairs', 'finishReconcile succeeded']);
  const { typedSearchAttributes } = await handle.describe();
  expect(typedSearchAttributes.get(searchAttributes.phase)).toBe('finished');
  expect(typedSearchAttributes.get(searchAttributes.outcome)).toBe('succeeded');
});

test('a lock that somebody holds is named; nothing is begun, and those taken before are given back', async () => {
  const waiting = endless();
  const busy = engine.deployment({ preflight: waiting.run });
  const run = await busy.start();
  await waiting.begun;
  const { first, start }: Reconcile = reconcileOfTwo({
    reconcileScope: async () => ({ deployments: [first.name, busy.name], pairs: 1, setId: '' }),
  });
  const result = await (await start()).result();
  expect(result).toMatchObject({ outcome: 'refused', reconcile: null, heldBy: syncWorkflowId(busy.name), moved: 0 });
  expect(first.calls).toEqual(['reconcileScope']);
  expect(await stateOfLock(first)).toMatchObject({ status: 'COMPLETED' });
  expect(await stateOfLock(busy)).toMatchObject({ status: 'RUNNING' });
  await run.cancel();
  await run.result().catch(() => undefined);
});

test.each([
  ['pairs of which nothing is left to do', { deployments: ['x'], pairs: 0, setId: '' }, 'succeeded'],
  ['pairs that no deployment sees any more', { deployments: [], pairs: 2, setId: '' }, 'refused'],
])('%s need no lock', async (_, scope, outcome) => {
  const { first, start } = reconcileOfTwo({ reconcileScope: async () => scope });
  expect(await (await start()).result()).toMatchObject({ outcome, reconcile: null });
  expect(first.calls).toEqual(['reconcileScope']);
});

describe('whatever happens, the end is recorded and the locks are free', () => {
  test('when the work fails', async () => {
    const { first, second, start } = reconcileOfTwo({
      reconcilePairs: async () => {
        throw ApplicationFailure.nonRetryable('the property was false and is true', 'rejected');
      },
    });
    expect(await (await start()).result()).toMatchObject({ outcome: 'failed', because: 'the property was false and is true' });
    expect(first.calls.at(-1)).toBe('finishReconcile failed');
    for (const deployment of [first, second]) expect(await stateOfLock(deployment)).toMatchObject({ status: 'COMPLETED' });
  });

  test('when it is cancelled: the locks are held until the work has ended', async () => {
    const work = endless();
    const atTheEnd: unknown[] = [];
    const { first, second, start }: Reconcile = reconcileOfTwo({
      reconcilePairs: work.run,
      finishReconcile: async ({ outcome }) => {
        atTheEnd.push((await stateOfLock(first)).status, (await stateOfLock(second)).status);
        return { outcome, moved: 0, unchanged: 0, refused: 0, parked: 0, items: 0, results: 0, leftToPlatform: 0 };
      },
    });
    const handle = await start();
    await work.begun;
    await handle.cancel();
    const failure = await handle.result().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    expect((failure as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    expect(atTheEnd).toEqual(['RUNNING', 'RUNNING']);
    expect(first.calls.at(-1)).toBe('finishReconcile cancelled');
    for (const deployment of [first, second]) expect(await stateOfLock(deployment)).toMatchObject({ status: 'COMPLETED' });
  });

  test.each(['cancel', 'terminate'] as const)('when somebody ends one of the locks: %s', async (how) => {
    const work = endless();
    const { first, second, start } = reconcileOfTwo({ reconcilePairs: work.run });
    const handle = await start();
    await work.begun;
    await engine.temporal.client.workflow.getHandle(syncWorkflowId(second.name))[how]();
    expect(await handle.result()).toMatchObject({
      outcome: 'cancelled',
      because: `${syncWorkflowId(second.name)}, which it held, was ended by somebody`,
    });
    expect(first.calls.at(-1)).toBe('finishReconcile cancelled');
    expect(await stateOfLock(first)).toMatchObject({ status: 'COMPLETED' });
  });

  test('when it is terminated, its locks go with it', async () => {
    const work = endless();
    const { first, second, start } = reconcileOfTwo({ reconcilePairs: work.run });
    const handle = await start();
    await work.begun;
    await handle.terminate('gone');
    for (const deployment of [first, second]) {
      await engine.temporal.client.workflow
        .getHandle(syncWorkflowId(deployment.name))
        .result()
        .catch(() => undefined);
      expect(await stateOfLock(deployment)).toMatchObject({ status: 'TERMINATED' });
    }
  });
});
