import { describe, expect, test } from '@jest/globals';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import { SyncError } from '../../../src/errors.ts';
import { castToFailure } from '../../../activities/run-step.ts';
import {
  dispatchWorkflowId,
  integrationOrder,
  integrationWorkflowId,
  searchAttributes,
  syncWorkflowId,
  workflowTypes,
  type CheckFinding,
  type DispatchInput,
  type DispatchResult,
} from '../../../workflows/contract.ts';
import { resultOf, withStubEngine, type Deployment } from './stub-engine.ts';

const engine = withStubEngine();

const misconfigured = (): Error =>
  castToFailure(
    new SyncError({ kind: 'misconfigured', service: 'servicenow', message: 'The instance lacks a table.', remedy: 'Install the plugin.' }),
  );

function finding(check: string, verdict: CheckFinding['verdict'] = 'blocking'): CheckFinding {
  return { check, verdict, evidence: `${check} is wrong.`, remedy: `Put ${check} right.` };
}

async function attributesOf(handle: WorkflowHandle): Promise<{ phase: unknown; outcome: unknown; blockedBy: unknown }> {
  const { typedSearchAttributes } = await handle.describe();
  const { phase, outcome, blockedBy } = searchAttributes;
  return {
    phase: typedSearchAttributes.get(phase),
    outcome: typedSearchAttributes.get(outcome),
    blockedBy: typedSearchAttributes.get(blockedBy),
  };
}

/** Markdown that the Web UI shows. */
async function detailsOf(handle: WorkflowHandle): Promise<string> {
  const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  return metadata.currentDetails ?? '';
}

const begunIntegrations = ({ calls }: Deployment): string[] =>
  calls.filter((call) => call.startsWith('openScans')).map((call) => call.replace('openScans ', ''));

describe('a run that goes well', () => {
  test('preflight first, then the five integrations in their order, each step once, the report last', async () => {
    const deployment = engine.deployment();
    const handle = await deployment.start();
    const result = await handle.result();
    expect(result).toMatchObject({ deployment: deployment.name, outcome: 'succeeded', because: null });
    expect(result.integrations.map((one) => one.integration)).toEqual(integrationOrder);
    const steps = ['openScans', 'observe', 'derive', 'resolveCis', 'deriveForCis', 'publish', 'finishIntegration'];
    expect(deployment.calls).toEqual([
      'beginRun',
      'preflight',
      'prepareInstance',
      ...integrationOrder.flatMap((integration) => steps.map((step) => `${step} ${integration}`)),
      'finishRun succeeded',
    ]);
    expect(await attributesOf(handle)).toEqual({ phase: 'finished', outcome: 'succeeded', blockedBy: undefined });
    const details = await detailsOf(handle);
    for (const integration of integrationOrder) expect(details).toMatch(new RegExp(`^${integration} +succeeded +3 +2 +1$`, 'm'));
  });

  test('an integration without CIs is not asked about them', async () => {
    const deployment = engine.deployment({
      openScans: async ({ integration }) => ({ scans: 1, hasCis: integration === 'assessments' }),
    });
    await (await deployment.start()).result();
    expect(deployment.calls.filter((call) => /Cis /.test(call))).toEqual(['resolveCis assessments', 'deriveForCis assessments']);
  });

  test('a degraded integration lets the later ones run, and the run ends degraded', async () => {
    const deployment = engine.deployment({
      finishIntegration: async ({ integration }) =>
        resultOf(integration, integration === 'metadata' ? { outcome: 'degraded', because: '1 failed: no right to read it' } : {}),
    });
    const handle = await deployment.start();
    expect(await handle.result()).toMatchObject({ outcome: 'degraded', because: null });
    expect(begunIntegrations(deployment)).toEqual(integrationOrder);
    expect(await attributesOf(handle)).toMatchObject({ outcome: 'degraded' });
  });
});

describe('an integration that fails', () => {
  test('stops the later ones, which are reported as not run, with the reason', async () => {
    const deployment = engine.deployment({
      publish: async ({ integration }) => {
        if (integration === 'metadata') throw misconfigured();
        return { left: 0, readyInMs: 0, advanced: false };
      },
    });
    const handle = await deployment.start();
    const result = await handle.result();
    expect(begunIntegrations(deployment)).toEqual(['policies', 'metadata']);
    expect(result.outcome).toBe('failed');
    expect(result.because).toBe('metadata: The instance lacks a table. Install the plugin.');
    expect(result.integrations.map(({ outcome, because }) => [outcome, because])).toEqual([
      ['succeeded', null],
      ['failed', 'The instance lacks a table. Install the plugin.'],
      ['not-run', 'metadata failed'],
      ['not-run', 'metadata failed'],
      ['not-run', 'metadata failed'],
    ]);
    expect(deployment.reported()?.integrations).toEqual(result.integrations);
    // A failure that only a person can end is not tried again.
    expect(deployment.calls.filter((call) => call === 'publish metadata')).toHaveLength(1);
    expect(await attributesOf(handle)).toMatchObject({ phase: 'finished', outcome: 'failed' });
    expect(await detailsOf(handle)).toMatch(/^metadata +failed +3 .*\nstandards +not-run$/m);
  });

  test('and cannot even record that is failed itself, not merely not run', async () => {
    const deployment = engine.deployment({
      observe: async () => {
        throw misconfigured();
      },
      finishIntegration: async () => {
        throw castToFailure(new SyncError({ kind: 'unauthenticated', message: 'The instance refuses the sign-in.' }));
      },
    });
    const result = await (await deployment.start()).result();
    expect(result.outcome).toBe('failed');
    expect(result.integrations.map(({ outcome, because }) => [outcome, because])).toEqual([
      ['failed', 'The instance lacks a table. Install the plugin.'],
      ...Array.from({ length: 4 }, () => ['not-run', 'policies failed']),
    ]);
    expect(deployment.calls.at(-1)).toBe('finishRun failed');
  });
});

describe('preflight', () => {
  test('a warning does not stop the run and is shown with it', async () => {
    const deployment = engine.deployment({ preflight: async () => [finding('azure.read.sub-1', 'warning')] });
    const handle = await deployment.start();
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
    expect(await detailsOf(handle)).toContain('Put azure.read.sub-1 right.');
  });

  test.each([
    ['more than twenty', Array.from({ length: 60 }, (_, n) => `check.${n}`)],
    ['long ones', Array.from({ length: 30 }, (_, n) => `${n}.${'x'.repeat(400)}`)],
    ['long ones in letters of several bytes', Array.from({ length: 30 }, (_, n) => `${n}.${'ü€'.repeat(200)}`)],
    ['the same twice', ['same', 'same']],
  ])('%s: the list stays within what Temporal takes', async (_, checks) => {
    const deployment = engine.deployment({
      preflight: async () => checks.map((check) => finding(check)),
      parkSettings: async () => ({ recheckEveryMs: 60_000, giveUpAfterMs: 0 }),
    });
    const handle = await deployment.start();
    expect(await handle.result()).toMatchObject({ outcome: 'parked' });
    const blockedBy = (await attributesOf(handle)).blockedBy as string[];
    expect(blockedBy.length).toBeGreaterThan(0);
    expect(blockedBy.length).toBeLessThanOrEqual(20);
    expect(new Set(blockedBy).size).toBe(blockedBy.length);
    for (const value of blockedBy) expect(Buffer.byteLength(value)).toBeLessThanOrEqual(255);
    expect(Buffer.byteLength(JSON.stringify(blockedBy))).toBeLessThanOrEqual(2_048);
  });
});

describe('cancellation', () => {
  test('closes the run, counts what the open integration did, and is what the caller sees', async () => {
    const publishing = Promise.withResolvers<undefined>();
    let stopped = false;
    const deployment = engine.deployment({
      publish: async ({ integration }) => {
        if (integration !== 'metadata') return { left: 0, readyInMs: 0, advanced: false };
        const context = Context.current();
        const beat = setInterval(() => context.heartbeat(), 100);
        publishing.resolve(undefined);
        try {
          return await context.cancelled;
        } finally {
          clearInterval(beat);
          stopped = true;
        }
      },
      finishRun: async () => {
        // Nothing of the run may still be at work when its report is written.
        if (!stopped) throw castToFailure(new SyncError({ kind: 'bug', message: 'publish still runs' }));
        return { seconds: 1 };
      },
    });
    const handle = await deployment.start();
    await publishing.promise;
    await handle.cancel();
    const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(WorkflowFailedError);
    expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    expect(deployment.reported()?.outcome).toBe('cancelled');
    expect(deployment.reported()?.integrations.map(({ outcome, because }) => [outcome, because])).toEqual([
      ['succeeded', null],
      ['failed', 'cancelled on request'],
      ...Array.from({ length: 3 }, () => ['not-run', 'cancelled on request']),
    ]);
    expect(await attributesOf(handle)).toMatchObject({ phase: 'finished', outcome: 'cancelled' });
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    const child = engine.temporal.client.workflow.getHandle(integrationWorkflowId(deployment.name, 'metadata'));
    expect((await child.describe()).status.name).toBe('CANCELLED');
  }, 60_000);
});

test('a step that fails in the moment of the cancellation does not leave the run open', async () => {
  const [checking, cancelled] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  const deployment = engine.deployment({
    preflight: async () => {
      checking.resolve(undefined);
      await cancelled.promise;
      throw castToFailure(new SyncError({ kind: 'transient', message: 'The connection was lost.' }));
    },
  });
  const handle = await deployment.start();
  await checking.promise;
  await handle.cancel();
  cancelled.resolve(undefined);
  const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
  expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
  expect(deployment.reported()?.outcome).toBe('cancelled');
  expect(await attributesOf(handle)).toMatchObject({ phase: 'finished', outcome: 'cancelled' });
}, 60_000);

describe('dispatch', () => {
  async function dispatch(deployment: Deployment, minute: string): Promise<DispatchResult> {
    return engine.temporal.client.workflow.execute<(input: DispatchInput) => Promise<DispatchResult>>(workflowTypes.dispatch, {
      workflowId: `${dispatchWorkflowId(deployment.name)}-2026-11-22T02:${minute}:00Z`,
      taskQueue: engine.taskQueue,
      args: [{ deployment: deployment.name }],
    });
  }

  test('starts the run and ends without waiting for it; a second one says who holds the lock', async () => {
    const goOn = Promise.withResolvers<undefined>();
    const deployment = engine.deployment({
      preflight: async () => {
        await goOn.promise;
        return [];
      },
    });
    const workflowId = syncWorkflowId(deployment.name);
    expect(await dispatch(deployment, '00')).toEqual({ dispatched: 'started', workflowId });
    const handle = engine.temporal.client.workflow.getHandle(workflowId);
    const { status, memo, staticSummary } = await describeWithSummary(handle);
    expect(status).toBe('RUNNING');
    // The server keeps no empty value: a plan that is not there is a memo that is not there.
    expect(memo).toEqual({ mode: 'sync' });
    expect(staticSummary).toBe(`Sync ${deployment.name} (schedule)`);
    const second = await dispatch(deployment, '01');
    expect(second).toEqual({
      dispatched: 'already-running',
      workflowId,
      because: expect.stringContaining(`another run of ${deployment.name} is still open`),
    });
    goOn.resolve(undefined);
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
    expect(deployment.calls.filter((call) => call === 'beginRun')).toHaveLength(1);
    expect(await dispatch(deployment, '02')).toMatchObject({ dispatched: 'started' });
    await handle.result();
  });
});

async function describeWithSummary(handle: WorkflowHandle): Promise<{ status: string; memo: unknown; staticSummary: string | undefined }> {
  const { status, memo, staticSummary } = await handle.describe();
  return { status: status.name, memo, staticSummary: await staticSummary() };
}
