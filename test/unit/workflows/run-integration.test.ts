import { beforeAll, describe, expect, test } from '@jest/globals';
import { activityInfo } from '@temporalio/activity';
import { ActivityFailure, RetryState, TimeoutFailure, TimeoutType } from '@temporalio/common';
import type { Activities } from '../../../activities/index.ts';
import { castToFailure } from '../../../activities/run-step.ts';
import { SyncError, type FailureKind } from '../../../src/errors.ts';
import { integrationWorkflowId } from '../../../workflows/contract.ts';
import { causeOf } from '../../../workflows/failures.ts';
import { withStubEngine, type Deployment } from './stub-engine.ts';

const engine = withStubEngine();

const nothingLeft = { left: 0, readyInMs: 0, advanced: false };
const times = ({ calls }: Deployment, call: string): number => calls.filter((one) => one === call).length;

function failing(kind: FailureKind, retryAfterMs?: number): Error {
  return castToFailure(new SyncError({ kind, message: `It went wrong: ${kind}.`, retryAfterMs }));
}

/** Every round of one integration's `observe` is one entry; the last one ends it. */
function rounds(...answers: readonly Awaited<ReturnType<Activities['observe']>>[]): {
  readonly observe: Activities['observe'];
  readonly startedAtMs: readonly number[];
} {
  const startedAtMs: number[] = [];
  let round = 0;
  return {
    startedAtMs,
    observe: async () => {
      startedAtMs.push(performance.now());
      return answers[round++] ?? nothingLeft;
    },
  };
}

describe('a step that leaves work behind', () => {
  /** Takes a while until it is given up, so it runs beside the other tests. */
  let idle: { readonly deployment: Deployment; readonly handle: ReturnType<Deployment['startIntegration']> };
  beforeAll(() => {
    const deployment = engine.deployment({ observe: async () => ({ left: 2, readyInMs: 0, advanced: false }) });
    idle = { deployment, handle: deployment.startIntegration() };
  });

  test('is called again at once as long as it gets on', async () => {
    const script = rounds(...[9, 7, 4, 1].map((left) => ({ left, readyInMs: 0, advanced: false })));
    const deployment = engine.deployment({ observe: script.observe });
    const handle = await deployment.startIntegration();
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
    expect(times(deployment, 'observe policies')).toBe(5);
    expect(await timersOf(deployment)).toBe(0);
  });

  test('that is one long list gets on although the number of lists stays the same', async () => {
    const script = rounds(...Array.from({ length: 40 }, () => ({ left: 1, readyInMs: 0, advanced: true })));
    const deployment = engine.deployment({ observe: script.observe });
    expect(await (await deployment.startIntegration()).result()).toMatchObject({ outcome: 'succeeded' });
    expect(times(deployment, 'observe policies')).toBe(41);
    expect(await timersOf(deployment)).toBe(0);
  }, 60_000);

  test('waits as long as it says it must, not longer', async () => {
    const script = rounds({ left: 1, readyInMs: 1_500, advanced: true });
    const deployment = engine.deployment({ observe: script.observe });
    await (await deployment.startIntegration()).result();
    const [first = 0, second = 0] = script.startedAtMs;
    expect(second - first).toBeGreaterThanOrEqual(1_000);
    expect(await timersOf(deployment)).toBe(1);
  });

  test('is looked at less and less often while somebody else holds the rest', async () => {
    const script = rounds(...Array.from({ length: 4 }, () => ({ left: 3, readyInMs: 300, advanced: false })));
    const deployment = engine.deployment({ observe: script.observe });
    expect(await (await deployment.startIntegration()).result()).toMatchObject({ outcome: 'succeeded' });
    const gaps = script.startedAtMs.slice(1).map((at, index) => at - script.startedAtMs[index]!);
    expect(gaps.at(-1)).toBeGreaterThan(3_500);
  }, 60_000);

  test('that neither gets on nor waits is a defect, and ends instead of filling the history', async () => {
    const result = await (await idle.handle).result();
    expect(result.outcome).toBe('failed');
    expect(result.because).toMatch(/^2 items made no progress in \d+ rounds: a defect of the engine\.$/);
    expect(times(idle.deployment, 'observe policies')).toBeLessThanOrEqual(20);
  }, 60_000);
});

describe('an activity that fails', () => {
  test('that only a person or a change of the code can end: once and for good', async () => {
    const kinds = [
      'unauthenticated',
      'forbidden',
      'untrusted',
      'not-found',
      'rejected',
      'not-applicable',
      'misconfigured',
      'fenced-out',
      'usage',
      'bug',
    ] as const;
    await Promise.all(
      kinds.map(async (kind) => {
        const deployment = engine.deployment({
          derive: async () => {
            throw failing(kind);
          },
        });
        expect(await (await deployment.startIntegration()).result()).toMatchObject({
          // Those that end when somebody puts something right are waited for by the parent.
          outcome: ['forbidden', 'unauthenticated', 'untrusted'].includes(kind) ? 'blocked' : 'failed',
          because: `It went wrong: ${kind}.`,
        });
        expect({ kind, tries: times(deployment, 'derive policies') }).toEqual({ kind, tries: 1 });
      }),
    );
  }, 60_000);

  test('that may pass: tried again with back-off', async () => {
    await Promise.all(
      (['transient', 'outcome-unknown', 'malformed-answer', 'overtaken'] as const).map(async (kind) => {
        const deployment = engine.deployment({
          derive: async () => {
            if (activityInfo().attempt < 2) throw failing(kind);
            return nothingLeft;
          },
        });
        expect(await (await deployment.startIntegration()).result()).toMatchObject({ outcome: 'succeeded' });
        expect({ kind, tries: times(deployment, 'derive policies') }).toEqual({ kind, tries: 2 });
      }),
    );
  }, 60_000);

  test('throttled: is tried again when the service says, not by our own back-off', async () => {
    const startedAtMs: number[] = [];
    const deployment = engine.deployment({
      derive: async () => {
        startedAtMs.push(performance.now());
        // Our own second pause would be four seconds.
        if (activityInfo().attempt < 4) throw failing('throttled', 300);
        return nothingLeft;
      },
    });
    expect(await (await deployment.startIntegration()).result()).toMatchObject({ outcome: 'succeeded' });
    expect(startedAtMs).toHaveLength(4);
    const waitedMs = startedAtMs.at(-1)! - startedAtMs[0]!;
    expect(waitedMs).toBeGreaterThanOrEqual(900);
    expect(waitedMs).toBeLessThan(10_000);
  });
});

test.each(['throttled', 'transient'] as const)('%s, by a service that says "at once": is tried again all the same', async (kind) => {
  const deployment = engine.deployment({
    derive: async () => {
      if (activityInfo().attempt < 2) throw failing(kind, 0);
      return nothingLeft;
    },
  });
  expect(await (await deployment.startIntegration()).result()).toMatchObject({ outcome: 'succeeded' });
});

test('that ends because its time is over: what the last try met is the reason', () => {
  const timedOut = new TimeoutFailure('activity ScheduleToClose timeout', undefined, TimeoutType.SCHEDULE_TO_CLOSE);
  Object.assign(timedOut, { cause: failing('transient') });
  const failure = new ActivityFailure('Activity task failed', 'publish', '7', RetryState.TIMEOUT, 'a worker', timedOut);
  expect(causeOf(failure)).toEqual({ kind: 'transient', message: 'It went wrong: transient.' });
});

/** Timers in the history of the first integration. */
async function timersOf(deployment: Deployment): Promise<number> {
  const handle = engine.temporal.client.workflow.getHandle(integrationWorkflowId(deployment.name, 'policies'));
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.timerStartedEventAttributes).length;
}
