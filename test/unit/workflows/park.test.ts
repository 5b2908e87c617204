/** Runs that wait for a person: what they show meanwhile, how they are asked to look again, and how they go on (design §4). */
import { describe, expect, test } from '@jest/globals';
import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client';
import { recheckRun } from '../../../src/cli/runs/parked-run.ts';
import {
  dispatchWorkflowId,
  integrationOrder,
  parkMessages,
  searchAttributes,
  workflowTypes,
  type CheckFinding,
  type DispatchInput,
  type DispatchResult,
  type ParkedState,
  type RecheckResult,
} from '../../../workflows/contract.ts';
import { refusal } from './refusal.ts';
import { resultOf, withStubEngine, type Deployment } from './stub-engine.ts';

const engine = withStubEngine();

function finding(check: string): CheckFinding {
  return { check, verdict: 'blocking', evidence: `${check} is wrong.`, remedy: `Put ${check} right.` };
}

const quickly = { recheckEveryMs: 200, giveUpAfterMs: 3_600_000 };
const onRequest = { recheckEveryMs: 3_600_000, giveUpAfterMs: 7 * 24 * 3_600_000 };

const recheck = (handle: WorkflowHandle): Promise<RecheckResult> => handle.executeUpdate<RecheckResult, []>(parkMessages.recheck);
const parkedState = (handle: WorkflowHandle): Promise<ParkedState | null> => handle.query<ParkedState | null>(parkMessages.parked);

async function untilParked(handle: WorkflowHandle): Promise<ParkedState> {
  for (;;) {
    const state = await parkedState(handle);
    if (state !== null) return state;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function shownOf(handle: WorkflowHandle): Promise<{ phase: unknown; outcome: unknown; blockedBy: unknown; details: string }> {
  const { typedSearchAttributes } = await handle.describe();
  const { phase, outcome, blockedBy } = searchAttributes;
  const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  return {
    phase: typedSearchAttributes.get(phase),
    outcome: typedSearchAttributes.get(outcome),
    blockedBy: typedSearchAttributes.get(blockedBy),
    details: metadata.currentDetails ?? '',
  };
}

const callsOf = ({ calls }: Deployment, ...wanted: string[]): string[] =>
  calls.filter((call) => wanted.some((one) => call.startsWith(one)));

describe('a preflight that blocks', () => {
  test('parks the run, which shows what it waits for and how to get on', async () => {
    const deployment = engine.deployment({
      preflight: async () => [finding('entra.sign-in'), { ...finding('azure.read'), verdict: 'warning' }, finding('servicenow.roles')],
      parkSettings: async () => onRequest,
    });
    const handle = await deployment.start();
    const state = await untilParked(handle);
    expect(state.blocking.map(({ check }) => check)).toEqual(['entra.sign-in', 'servicenow.roles']);
    expect(state.nextCheckAtMs - state.sinceMs).toBe(3_600_000);
    const { details, ...shown } = await shownOf(handle);
    expect(shown).toEqual({ phase: 'parked', outcome: undefined, blockedBy: ['entra.sign-in', 'servicenow.roles'] });
    expect(details).toContain('parked: a person has to act');
    expect(details).toContain('Put servicenow.roles right.');
    expect(details).toContain(`defender-sync recheck ${deployment.name}`);
    expect(deployment.calls).toEqual(['beginRun', 'preflight', 'parkSettings']);
    await handle.terminate();
  });

  test('while it looks again it is parked as before, and takes questions', async () => {
    let looks = 0;
    const held = Promise.withResolvers<undefined>();
    const deployment = engine.deployment({
      preflight: async () => {
        looks += 1;
        if (looks === 2) await held.promise;
        return looks < 3 ? [finding('entra.sign-in')] : [];
      },
      parkSettings: async () => quickly,
    });
    const handle = await deployment.start();
    while (looks < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await shownOf(handle)).toMatchObject({ phase: 'parked', blockedBy: ['entra.sign-in'] });
    const asked = recheckRun(engine.temporal.client, deployment.name);
    await new Promise((resolve) => setTimeout(resolve, 200));
    held.resolve(undefined);
    expect(await asked).toMatchObject({ outcome: 'goes-on' });
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
  });

  test('looks again by itself, and goes on with no other command', async () => {
    let refusals = 3;
    const deployment = engine.deployment({
      preflight: async () => (refusals-- > 0 ? [finding('entra.sign-in')] : []),
      parkSettings: async () => quickly,
    });
    const handle = await deployment.start();
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded', because: null });
    expect(callsOf(deployment, 'preflight')).toHaveLength(4);
    expect(callsOf(deployment, 'beginRun')).toHaveLength(1);
    const { details, ...shown } = await shownOf(handle);
    expect(shown).toEqual({ phase: 'finished', outcome: 'succeeded', blockedBy: undefined });
    expect(details).not.toContain('parked');
  });

  test('the engine’s own records can block too', async () => {
    let refused = true;
    const deployment = engine.deployment({
      prepareInstance: async () => (refused ? [finding('run-as.drift')] : []),
      parkSettings: async () => onRequest,
    });
    const handle = await deployment.start();
    expect((await untilParked(handle)).blocking).toEqual([finding('run-as.drift')]);
    refused = false;
    expect(await recheck(handle)).toEqual({ outcome: 'goes-on' });
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
  });

  test('gives up in the end: the run ends as parked, and nothing ran', async () => {
    const deployment = engine.deployment({
      preflight: async () => [finding('entra.sign-in')],
      parkSettings: async () => ({ recheckEveryMs: 100, giveUpAfterMs: 500 }),
    });
    const handle = await deployment.start();
    const result = await handle.result();
    expect(result.outcome).toBe('parked');
    expect(result.because).toContain('entra.sign-in is wrong. → Put entra.sign-in right.');
    expect(result.integrations.map(({ outcome, because }) => [outcome, because])).toEqual(
      integrationOrder.map(() => ['not-run', 'parked: entra.sign-in']),
    );
    expect(deployment.calls.at(-1)).toBe('finishRun parked');
    expect(callsOf(deployment, 'openScans')).toEqual([]);
  });

  test('can be cancelled like any other run', async () => {
    const deployment = engine.deployment({ preflight: async () => [finding('entra.sign-in')], parkSettings: async () => onRequest });
    const handle = await deployment.start();
    await untilParked(handle);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    expect(deployment.reported()?.outcome).toBe('cancelled');
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  });
});

describe('asked to look again', () => {
  test('says what still blocks, then that it goes on', async () => {
    const wrong = ['entra.sign-in', 'servicenow.roles'];
    const deployment = engine.deployment({ preflight: async () => wrong.map(finding), parkSettings: async () => onRequest });
    const handle = await deployment.start();
    await untilParked(handle);
    wrong.shift();
    expect(await recheck(handle)).toEqual({ outcome: 'still-parked', blocking: [finding('servicenow.roles')] });
    expect((await shownOf(handle)).blockedBy).toEqual(['servicenow.roles']);
    wrong.shift();
    expect(await recheckRun(engine.temporal.client, deployment.name)).toEqual({ outcome: 'goes-on' });
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
    expect(await recheckRun(engine.temporal.client, deployment.name)).toEqual({ outcome: 'no-run' });
  });

  test('while a check is under way, another one follows: it may have begun before what was put right', async () => {
    const started = Promise.withResolvers<undefined>();
    const goOn = Promise.withResolvers<undefined>();
    let checks = 0;
    const deployment = engine.deployment({
      preflight: async () => {
        checks += 1;
        if (checks === 2) {
          started.resolve(undefined);
          await goOn.promise;
        }
        return checks <= 2 ? [finding('entra.sign-in')] : [];
      },
      parkSettings: async () => onRequest,
    });
    const handle = await deployment.start();
    await untilParked(handle);
    const first = recheck(handle);
    await started.promise;
    const second = recheck(handle);
    // Both are with the workflow before the check that the first one began ends.
    await new Promise((resolve) => setTimeout(resolve, 300));
    goOn.resolve(undefined);
    expect(await first).toMatchObject({ outcome: 'still-parked' });
    expect(await second).toEqual({ outcome: 'goes-on' });
    await handle.result();
  });

  test('a run that is not parked refuses', async () => {
    const goOn = Promise.withResolvers<undefined>();
    const deployment = engine.deployment({
      derive: async () => {
        await goOn.promise;
        return { left: 0, readyInMs: 0, advanced: false };
      },
    });
    const handle = await deployment.start();
    await expect(recheck(handle)).rejects.toBeInstanceOf(WorkflowUpdateFailedError);
    expect(await recheckRun(engine.temporal.client, deployment.name)).toEqual({ outcome: 'not-parked' });
    expect(await parkedState(handle)).toBeNull();
    goOn.resolve(undefined);
    await handle.result();
  });
});

describe('an integration that is refused', () => {
  test.each(['forbidden', 'unauthenticated'] as const)('%s: the run waits, and starts it again where it stopped', async (kind) => {
    const attempts: (number | undefined)[] = [];
    let refused = true;
    const deployment = engine.deployment({
      openScans: async ({ integration, attempt }) => {
        if (integration === 'metadata') attempts.push(attempt);
        return { scans: 1, hasCis: false };
      },
      publish: async ({ integration }) => {
        if (integration === 'metadata' && refused) throw refusal(kind);
        return { left: 0, readyInMs: 0, advanced: false };
      },
      parkSettings: async () => onRequest,
    });
    const handle = await deployment.start();
    const { blocking } = await untilParked(handle);
    expect(blocking).toEqual([
      { check: 'integration.metadata', verdict: 'blocking', evidence: 'The instance refuses to write. Grant the role.', remedy: null },
    ]);
    expect((await shownOf(handle)).details).toMatch(/^policies +succeeded/m);
    expect(callsOf(deployment, 'finishIntegration')).toEqual(['finishIntegration policies']);
    refused = false;
    expect(await recheck(handle)).toEqual({ outcome: 'goes-on' });
    const result = await handle.result();
    expect(result.outcome).toBe('succeeded');
    expect(attempts).toEqual([undefined, 2]);
    expect(callsOf(deployment, 'openScans')).toEqual([
      'openScans policies',
      'openScans metadata',
      ...integrationOrder.slice(1).map((one) => `openScans ${one}`),
    ]);
    expect(callsOf(deployment, 'finishIntegration')).toEqual(integrationOrder.map((one) => `finishIntegration ${one}`));
  });

  test('shows the check that names why, where preflight finds it', async () => {
    let refused = false;
    const deployment = engine.deployment({
      preflight: async () => (refused ? [finding('servicenow.roles')] : []),
      observe: async ({ integration }) => {
        if (integration === 'standards' && !refused) {
          refused = true;
          throw refusal('forbidden');
        }
        return { left: 0, readyInMs: 0, advanced: false };
      },
      parkSettings: async () => onRequest,
    });
    const handle = await deployment.start();
    expect((await untilParked(handle)).blocking).toEqual([finding('servicenow.roles')]);
    await handle.terminate();
  });

  test('given up: it is recorded as failed, the later ones as not run, the run as parked', async () => {
    const deployment = engine.deployment({
      publish: async ({ integration }) => {
        if (integration === 'standards') throw refusal('forbidden');
        return { left: 0, readyInMs: 0, advanced: false };
      },
      finishIntegration: async ({ integration, failedBecause }) =>
        resultOf(integration, failedBecause === null ? {} : { outcome: 'failed', because: failedBecause }),
      parkSettings: async () => ({ recheckEveryMs: 100, giveUpAfterMs: 0 }),
    });
    const result = await (await deployment.start()).result();
    expect(result.outcome).toBe('parked');
    expect(result.integrations.map(({ outcome, because }) => [outcome, because])).toEqual([
      ['succeeded', null],
      ['succeeded', null],
      ['failed', 'The instance refuses to write. Grant the role.'],
      ['not-run', 'parked: integration.standards'],
      ['not-run', 'parked: integration.standards'],
    ]);
  });
});

test('a refusal that no check sees is given up as well, though the integration is tried again after each look', async () => {
  const attempts: (number | undefined)[] = [];
  const deployment = engine.deployment({
    openScans: async ({ integration, attempt }) => {
      if (integration === 'metadata') attempts.push(attempt);
      return { scans: 0, hasCis: false };
    },
    publish: async ({ integration }) => {
      if (integration === 'metadata') throw refusal('forbidden');
      return { left: 0, readyInMs: 0, advanced: false };
    },
    parkSettings: async () => ({ recheckEveryMs: 100, giveUpAfterMs: 1_500 }),
  });
  const result = await (await deployment.start()).result();
  expect(result).toMatchObject({ outcome: 'parked', because: expect.stringContaining('integration.metadata') });
  expect(attempts.length).toBeGreaterThan(1);
}, 60_000);

test('a scheduled start that comes meanwhile says who holds the lock, and why', async () => {
  const deployment = engine.deployment({
    preflight: async () => [finding('graph.incident-permissions')],
    parkSettings: async () => onRequest,
    describeHolder: async (input) => (await import('../../../activities/holder.ts')).describeHolder(input.deployment),
  });
  const handle = await deployment.start();
  await untilParked(handle);
  const result = await engine.temporal.client.workflow.execute<(input: DispatchInput) => Promise<DispatchResult>>(workflowTypes.dispatch, {
    workflowId: `${dispatchWorkflowId(deployment.name)}-2026-11-22T02:00:00Z`,
    taskQueue: engine.taskQueue,
    args: [{ deployment: deployment.name }],
  });
  expect(result).toEqual({
    dispatched: 'already-running',
    workflowId: handle.workflowId,
    because: expect.stringMatching(
      /^the run of [\d: -]+ UTC holds the lock of \S+: it is parked and waits for a person to put right graph\.incident-permissions/,
    ),
  });
  await handle.terminate();
});
