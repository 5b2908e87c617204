/** Two workers on one ledger and one task queue: the storm has it with everything else at once, here it is alone. */
import { afterAll, expect, test } from '@jest/globals';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { differences } from './end-state.ts';
import { openScenario, undisturbedRun, untilSucceeded, type Scenario } from './scenario.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };
let shared: Scenario | undefined;

afterAll(() => shared?.close());

test('both deployments at once: the end is that of undisturbed runs', async () => {
  const undisturbed = await undisturbedRun(servers);
  shared = await openScenario(servers);
  await Promise.all([shared.startWorker(), shared.startWorker({ engine: await shared.anotherEngine({}) })]);
  await untilSucceeded(await shared.startRuns());
  const endState = await shared.endState();
  expect(differences(endState, undisturbed.endState)).toEqual([]);
  expect(endState.runRecords).toHaveLength(5 * shared.engine.deployments.length);
}, 300_000);
