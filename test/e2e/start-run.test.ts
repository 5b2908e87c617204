/** The lock: who starts, who joins, who is refused, and what a follower sees when no worker answers. */
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { createProgressView } from '../../src/cli/progress.ts';
import { followRun } from '../../src/cli/runs/follow-run.ts';
import { startOrJoinRun } from '../../src/cli/runs/start-run.ts';
import { hasWorker } from '../../src/cli/runs/worker.ts';
import { runPage } from '../../src/cli/servers.ts';
import { systemClock } from '../../src/observability/clock.ts';
import { syncWorkflowId, type SyncInput } from '../../workflows/contract.ts';
import { withTemporal } from '../integration/servers.ts';
import { createTestContext } from '../unit/cli/samples.ts';

const temporal = withTemporal();

function inputFor(deployment: string, changes: Partial<SyncInput> = {}): SyncInput {
  return { deployment, mode: 'sync', planId: null, startedBy: 'test', ...changes };
}

describe('starting a run', () => {
  test('one starts it, the second joins it, one with another request is refused', async () => {
    const deployment = `lock-${randomUUID()}`;
    const first = await startOrJoinRun(temporal.client, deployment, inputFor(deployment));
    expect(first).toMatchObject({ attached: false, workflowId: syncWorkflowId(deployment) });
    const second = await startOrJoinRun(temporal.client, deployment, inputFor(deployment, { startedBy: 'somebody else' }));
    expect(second).toMatchObject({ attached: true, workflowRunId: first.workflowRunId });
    const third = startOrJoinRun(temporal.client, deployment, inputFor(deployment, { mode: 'plan' }));
    await expect(third).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(
        new RegExp(`^A run of ${deployment} is under way that does something else: a sync, since .*${first.workflowRunId}`),
      ),
    });
    const fourth = startOrJoinRun(temporal.client, deployment, inputFor(deployment, { planId: 'p-1' }));
    await expect(fourth).rejects.toMatchObject({ kind: 'usage' });
    await first.handle.terminate('the test is over');
    const fifth = await startOrJoinRun(temporal.client, deployment, inputFor(deployment));
    expect(fifth.attached).toBe(false);
    expect(fifth.workflowRunId).not.toBe(first.workflowRunId);
    await fifth.handle.terminate('the test is over');
  });

  test('can be found in the Web UI', async () => {
    const deployment = `page-${randomUUID()}`;
    const run = await startOrJoinRun(temporal.client, deployment, inputFor(deployment));
    const page = runPage(
      { uiUrl: temporal.uiUrl, address: { address: temporal.address, namespace: temporal.namespace } },
      run.workflowId,
      run.workflowRunId,
    );
    expect(page).toBe(`${temporal.uiUrl}/namespaces/${temporal.namespace}/workflows/sync%2F${deployment}/${run.workflowRunId}/history`);
    await run.handle.terminate('the test is over');
  });
});

describe('following a run', () => {
  const optionsWith = (signal: AbortSignal): Parameters<typeof followRun>[1] & { readonly stderr: () => string } => {
    const { context, stderr } = createTestContext();
    return {
      view: createProgressView(context.output, systemClock),
      countsOf: () => Promise.resolve({}),
      signal,
      onNoWorker: () => 'no worker answers',
      stderr: stderr.text,
    };
  };

  test('says that no worker answers, and how it was ended', async () => {
    const deployment = `follow-${randomUUID()}`;
    const run = await startOrJoinRun(temporal.client, deployment, inputFor(deployment));
    expect(
      await hasWorker(
        { connection: temporal.connection, address: temporal, client: temporal.client, uiUrl: undefined, local: true },
        deployment,
        Date.now(),
      ),
    ).toBe(false);
    const options = optionsWith(new AbortController().signal);
    const ending = followRun(run, options);
    await new Promise((resolve) => setTimeout(resolve, 7_500));
    expect(options.stderr()).toContain(`${deployment}: waiting for a worker`);
    expect(options.stderr()).toMatch(/· no worker answers$/m);
    await run.handle.terminate('an operator said so');
    expect(await ending).toEqual({ ended: 'without-result', outcome: 'failed', because: 'it was terminated (an operator said so)' });
  });

  test('can be given up: the run goes on', async () => {
    const deployment = `leave-${randomUUID()}`;
    const run = await startOrJoinRun(temporal.client, deployment, inputFor(deployment));
    for (const afterMs of [0, 50, 4_000, 5_100]) {
      const giveUp = new AbortController();
      if (afterMs === 0) giveUp.abort();
      else setTimeout(() => giveUp.abort(), afterMs);
      const startedMs = performance.now();
      expect(await followRun(run, optionsWith(giveUp.signal))).toEqual({ ended: 'not-yet' });
      // At once, whenever it comes: before the first question, during one, between two.
      expect(performance.now() - startedMs).toBeLessThan(afterMs + 3_000);
    }
    expect((await run.handle.describe()).status.name).toBe('RUNNING');
    await run.handle.terminate('the test is over');
  });
});
