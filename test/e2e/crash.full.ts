/** A worker killed at every failpoint there is, at its first hit and deeper into the run; each on an estate and a ledger of its own. */
import { beforeAll, expect, test } from '@jest/globals';
import { failpointNames } from '../../src/observability/failpoints.ts';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { differences } from './end-state.ts';
import { dieAt, pagesReadTooOften } from './kill.ts';
import { openScenario, undisturbedRun, untilSucceeded, type Run, type UndisturbedRun } from './scenario.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };
const timeoutMs = 600_000;

let undisturbed: UndisturbedRun;

beforeAll(async () => {
  undisturbed = await undisturbedRun(servers);
}, timeoutMs);

/** Both runs settle their CIs in few payloads: there is no third hit to wait for. */
const hitsOf = (failpoint: string): string[] => (failpoint.startsWith('resolve.') ? ['', '#2'] : ['', '#3', '#9']);

/** What a reconcile reaches is no part of a run: reconcile.test.ts kills it there. */
const inRuns = failpointNames.filter((failpoint) => !failpoint.startsWith('reconcile.'));

test.each(inRuns.flatMap((failpoint) => hitsOf(failpoint).map((hit) => `${failpoint}${hit}`)))(
  'killed at %s: the end is that of undisturbed runs',
  async (failpoint) => {
    const scenario = await openScenario(servers);
    try {
      let runs: readonly Run[] = [];
      const death = await dieAt(scenario, failpoint, async () => (runs = await scenario.startRuns()));
      await scenario.startWorker();
      await untilSucceeded(runs);
      const endState = await scenario.endState();
      expect(differences(endState, undisturbed.endState)).toEqual([]);
      expect(endState.runRecords).toHaveLength(5 * scenario.engine.deployments.length);
      expect(await pagesReadTooOften(scenario.lab, undisturbed.requests, [death])).toEqual([]);
    } finally {
      await scenario.close();
    }
  },
  timeoutMs,
);
