/**
 * Whatever a worker was doing when it was killed, and whatever became of its requests: the instance ends as if nothing had
 * happened (design §2). Killed are real processes, and what counts is what the labs hold. The exhaustive tier kills at every
 * failpoint by itself: crash.full.ts.
 */
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { failpointNames } from '../../src/observability/failpoints.ts';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { differences } from './end-state.ts';
import { dieAt, pagesReadTooOften, type Death } from './kill.ts';
import {
  unservicedItems,
  openScenario,
  undisturbedRun,
  untilSucceeded,
  untilWritten,
  type Run,
  type Scenario,
  type UndisturbedRun,
} from './scenario.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };

/** In the order in which one run meets them: on the engine's own records, while reading, while making CIs, on data. */
const deadlyFailpoints = ['publish.after-intent', 'observe.between-pages', 'resolve.after-send', 'publish.after-send'];

/** A Batch request that creates records of a table: its items name their method and path in clear text. */
const creates = (table: string): object => ({
  method: 'POST',
  pathPrefix: '/api/now/v1/batch',
  bodyIncludes: `"method":"POST","url":"/api/now/table/${table}?`,
});
const faults = [
  // The work is done, then the connection is cut: an answer that nobody gets.
  { match: creates('sn_vulc_policy'), action: { dropConnection: 'after' }, times: 2 },
  // Cut before anything was done: the same to us, and nothing on the instance.
  { match: creates('sn_vulc_policy_test'), action: { dropConnection: 'before' }, times: 1 },
  { match: creates('sn_vulc_test'), action: { status: 202, body: '' }, times: 1 },
  {
    match: creates('sn_vulc_citation'),
    action: { status: 429, headers: { 'retry-after': '2' }, body: { error: { message: 'Rate limit exceeded' }, status: 'failure' } },
    times: 1,
  },
  { match: creates('sn_vulc_result'), action: { truncateBody: true }, times: 1 },
  {
    match: { method: 'POST', pathPrefix: '/api/now/v1/batch', bodyIncludes: '"url":"/api/now/identifyreconcile/' },
    action: { dropConnection: 'after' },
    times: 1,
  },
];
/** The account's lock is held by somebody else: it reports LOCK_TIMEOUT, and all that hangs on it ABANDONED. */
const lockFault = {
  match: { method: 'IRE', pathPrefix: 'ire:cmdb_ci_cloud_service_account' },
  action: { errorCode: 'LOCK_TIMEOUT' },
  times: 1,
};
/** A hundred writes, the first batch of a table, take longer than the quota: they leave a tail that is not served. */
const slowInstance = ['--batch-quota-ms', '500', '--per-write', '6'];

let undisturbed: UndisturbedRun;
let killed: Scenario;
const deaths: Death[] = [];
let disturbed: Scenario;
/** Closed at the end, however far their story got. */
const scenarios: Scenario[] = [];

beforeAll(async () => {
  // A death is found out by a heartbeat that is missing for half a minute: time enough for the other runs.
  await Promise.all([
    killAgainAndAgain(),
    (async () => {
      undisturbed = await undisturbedRun(servers);
      await disturbRequests();
    })(),
  ]);
}, 580_000);

afterAll(async () => {
  for (const scenario of scenarios) await scenario.close();
});

async function open(labArguments: readonly string[] = []): Promise<Scenario> {
  const scenario = await openScenario(servers, labArguments);
  scenarios.push(scenario);
  return scenario;
}

async function killAgainAndAgain(): Promise<void> {
  killed = await open();
  let runs: readonly Run[] | undefined;
  for (const failpoint of deadlyFailpoints) deaths.push(await dieAt(killed, failpoint, async () => (runs ??= await killed.startRuns())));
  await killed.startWorker();
  await untilSucceeded(runs ?? []);
}

async function disturbRequests(): Promise<void> {
  disturbed = await open(slowInstance);
  await disturbed.lab.admin('POST', '/servicenow/faults', faults);
  await disturbed.startWorker();
  const runs = await disturbed.startRuns();
  // Preflight tries the identification engine too; this fault is for the real thing.
  await untilWritten(disturbed.lab, 'sn_vulc_policy');
  await disturbed.lab.admin('POST', '/servicenow/faults', [lockFault]);
  await untilSucceeded(runs);
}

test('an undisturbed run doubles nothing', () => {
  expect(differences(undisturbed.endState, undisturbed.endState)).toEqual([]);
  expect(undisturbed.endState.records.size).toBeGreaterThan(1_000);
});

test('the list of failpoints is the list of those in the sources', async () => {
  const found = new Set<string>();
  for (const room of ['activities', 'workflows', 'src']) {
    const folder = new URL(`../../${room}/`, import.meta.url);
    for (const name of await readdir(folder, { recursive: true })) {
      if (!name.endsWith('.ts')) continue;
      const text = await readFile(new URL(name, folder), 'utf8');
      for (const [, failpoint = ''] of text.matchAll(/\bfailpoint\('([^']+)'\)/g)) found.add(failpoint);
    }
  }
  expect([...found].sort()).toEqual([...failpointNames].sort());
});

describe('runs whose worker is killed again and again', () => {
  test('leave what undisturbed runs leave, and nothing twice', async () => {
    expect(differences(await killed.endState(), undisturbed.endState)).toEqual([]);
  });

  test('have recorded each integration once', async () => {
    const { runRecords } = await killed.endState();
    expect(runRecords).toHaveLength(5 * killed.engine.deployments.length);
  });

  test('have read at most two pages again of every list that was open', async () => {
    expect(await pagesReadTooOften(killed.lab, undisturbed.requests, deaths)).toEqual([]);
  });
});

describe('requests whose outcome is unknown, that are refused for now, or served in part', () => {
  test('all of them happened', async () => {
    const { faults: met } = (await disturbed.lab.admin('GET', '/servicenow/faults')) as {
      faults: { times: number; hits: number; match: object }[];
    };
    expect(met).toHaveLength(faults.length + 1);
    expect(met.filter(({ times, hits }) => hits !== times)).toEqual([]);
    // Tails that were not served, looked up and sent again.
    expect(await unservicedItems(disturbed.lab)).toBeGreaterThan(0);
  });

  test('leave what an undisturbed run leaves, and nothing twice', async () => {
    expect(differences(await disturbed.endState(), undisturbed.endState)).toEqual([]);
  });
});
