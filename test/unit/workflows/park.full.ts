/** A run that waits for long enough goes on under a new history, with what it had done and what it waits for. */
import { expect, test } from '@jest/globals';
import { parkMessages, searchAttributes, type ParkedState } from '../../../workflows/contract.ts';
import { refusal } from './refusal.ts';
import { withStubEngine } from './stub-engine.ts';

const engine = withStubEngine();

test('continues as new while it is parked, and ends like any other', async () => {
  let refused = true;
  const attempts: (number | undefined)[] = [];
  const deployment = engine.deployment({
    preflight: async () =>
      refused && attempts.length > 0
        ? [{ check: 'servicenow.roles', verdict: 'blocking', evidence: 'A role is missing.', remedy: null }]
        : [],
    openScans: async ({ integration, attempt }) => {
      if (integration === 'metadata') attempts.push(attempt);
      return { scans: 1, hasCis: false };
    },
    publish: async ({ integration }) => {
      if (integration === 'metadata' && refused) throw refusal('forbidden');
      return { left: 0, readyInMs: 0, advanced: false };
    },
    parkSettings: async () => ({ recheckEveryMs: 1, giveUpAfterMs: 3_600_000 }),
  });
  const handle = await deployment.start();
  const latest = engine.temporal.client.workflow.getHandle(handle.workflowId);
  const parked = (): Promise<ParkedState | null> => latest.query<ParkedState | null>(parkMessages.parked);
  while ((await latest.describe()).runId === handle.firstExecutionRunId) await new Promise((resolve) => setTimeout(resolve, 500));
  const description = await latest.describe();
  expect(description.memo).toMatchObject({ mode: 'sync' });
  expect(description.typedSearchAttributes.get(searchAttributes.blockedBy)).toEqual(['servicenow.roles']);
  while (((await parked())?.blocking.length ?? 0) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  refused = false;
  expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
  expect(attempts).toEqual([undefined, 2]);
  expect(deployment.calls.filter((call) => call === 'beginRun')).toHaveLength(1);
  expect(deployment.calls.filter((call) => call.startsWith('finishIntegration'))).toHaveLength(5);
}, 600_000);
