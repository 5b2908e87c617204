/**
 * Nobody writes beside a newer run or a newer attempt, however little he hears of it (design §2, fences): judged by who wrote
 * what and when, as the lab's ServiceNow has it.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { differences } from './end-state.ts';
import type { Lab, Row, WorkerProcess } from './harness.ts';
import { openPassage } from './partition.ts';
import { openScenario, startRun, undisturbedRun, untilSucceeded, untilWritten, type Scenario, type UndisturbedRun } from './scenario.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };
/** Hundreds of records that both deployments share, late enough in a run that much is there, early enough that much is missing. */
const tableInTheMiddle = 'sn_vulc_citation';
const slowInstance = ['--per-write', '3'];
/** Requests one after the other: a run takes its time, and its lanes wait for the slot with claims in hand. */
const oneAtATime = { concurrentRequests: 1 };

let undisturbed: UndisturbedRun;
let terminated: Terminated;
let frozen: Scenario;
/** Closed at the end, however far their story got. */
const scenarios: Scenario[] = [];

beforeAll(async () => {
  await Promise.all([
    // Half a minute of this passes before the frozen worker is missed.
    freezeWorker(),
    (async () => {
      undisturbed = await undisturbedRun(servers);
      terminated = await terminateAndStartAgain();
    })(),
  ]);
}, 580_000);

afterAll(async () => {
  for (const scenario of scenarios) await scenario.close();
});

async function open(labArguments: readonly string[]): Promise<Scenario> {
  const scenario = await openScenario(servers, labArguments);
  scenarios.push(scenario);
  return scenario;
}

interface Terminated {
  readonly scenario: Scenario;
  readonly oldWorker: WorkerProcess;
  /** When the new run took its fence, and how much of the table in the middle the old one had written shortly before. */
  readonly fenceAtMs: number;
  readonly writtenBefore: number;
  readonly runs: readonly { readonly outcome: string; readonly ended: boolean }[];
}

/**
 * The old run's worker signs in as another user, on a task queue of its own, and loses Temporal in the moment of the
 * termination: nothing but the ledger can tell it to stop.
 */
async function terminateAndStartAgain(): Promise<Terminated> {
  const scenario = await open(slowInstance);
  const { temporal } = servers;
  const { taskQueue, ledgerUrl } = scenario.settings;
  const passage = await openPassage(temporal.address);
  const lonely = await scenario.anotherEngine({ temporalAddress: passage.address, taskQueue: `${taskQueue}-old` }, oneAtATime);
  const other = await scenario.anotherEngine({}, { auth: await adminAuth(scenario.lab) });
  const oldWorker = await scenario.startWorker({ engine: lonely });
  await scenario.startWorker({ engine: other });
  const [first = '', ...rest] = scenario.engine.deployments;
  const old = await startRun(temporal.client, `${taskQueue}-old`, first);
  await untilWritten(scenario.lab, tableInTheMiddle);
  await passage.cut();
  await old.terminate('a test of fences');
  const again = await scenario.startRuns([first, ...rest]);
  const fenceAtMs = await untilNewRun(ledgerUrl, first);
  const writtenBefore = (await scenario.lab.rows(tableInTheMiddle)).length;
  await untilSucceeded(again);
  return { scenario, oldWorker, fenceAtMs, writtenBefore, runs: await runsOf(ledgerUrl, first) };
}

/**
 * A worker is stopped like a machine that is paused, with a request on its lips, another one goes on after half a minute, and when
 * all is done the first wakes up: with claims in hand, and without Temporal to tell it how late it is.
 */
async function freezeWorker(): Promise<void> {
  frozen = await open(slowInstance);
  const passage = await openPassage(servers.temporal.address);
  const slow = await frozen.anotherEngine({ temporalAddress: passage.address }, oneAtATime);
  const sleeper = await frozen.startWorker({ engine: slow, failpoint: 'publish.after-intent#20:pause' });
  const runs = await frozen.startRuns();
  await untilPaused(sleeper);
  await passage.cut();
  await frozen.startWorker();
  await untilSucceeded(runs);
  const before = await writes(frozen.lab);
  sleeper.child.kill('SIGCONT');
  await untilQuiet(frozen.lab, before);
}

describe('a run that is terminated in the middle of publishing, and started again at once', () => {
  test('was in the middle, and is closed as cancelled; the new one succeeded', () => {
    const total = undisturbed.endState.records.keys().filter((key) => key.startsWith(`${tableInTheMiddle}(`));
    expect(terminated.writtenBefore).toBeGreaterThan(0);
    expect(terminated.writtenBefore).toBeLessThan([...total].length - 2 * recordsInFlight);
    expect(terminated.runs).toEqual([
      { outcome: 'cancelled', ended: true },
      { outcome: 'succeeded', ended: true },
    ]);
  });

  test('the old worker lives, and has written nothing since, but for what was in flight', async () => {
    const { exitCode, signalCode } = terminated.oldWorker.child;
    expect(exitCode ?? signalCode ?? 'alive').toBe('alive');
    const byOld = (await writtenRows(terminated.scenario.lab)).filter((row) => row['sys_updated_by'] === 'defender.sync');
    const since = (ms: number): Row[] => byOld.filter((row) => Date.parse(`${(row['sys_updated_on'] ?? '').replace(' ', 'T')}Z`) > ms);
    expect(byOld.length).toBeGreaterThan(0);
    // The quota of a Batch request, and the second that the platform's instants are rounded to.
    expect(since(terminated.fenceAtMs + 2_000)).toEqual([]);
    expect(since(terminated.fenceAtMs).length).toBeLessThanOrEqual(recordsInFlight);
  });

  test('the end is that of undisturbed runs', async () => {
    expect(differences(await terminated.scenario.endState(), undisturbed.endState)).toEqual([]);
  });
});

describe('a worker that freezes in the middle of publishing, and wakes up when another has done its work', () => {
  test('the end is that of undisturbed runs', async () => {
    const endState = await frozen.endState();
    expect(differences(endState, undisturbed.endState)).toEqual([]);
    expect(endState.runRecords).toHaveLength(5 * frozen.engine.deployments.length);
  });
});

/** One Batch request of a worker that sends one at a time. */
const recordsInFlight = 100;

/** An account other than the integration user's: whoever wrote a record stands in it. */
async function adminAuth(lab: Lab): Promise<object> {
  const admin = lab.file.serviceNow.users.find(({ userName }) => userName === 'admin');
  if (!admin) throw new Error('The lab has no admin.');
  const file = join(lab.dir, 'admin-password');
  await writeFile(file, admin.password, { mode: 0o600 });
  return { type: 'basic', userName: admin.userName, password: { file } };
}

async function queryLedger<Result extends pg.QueryResultRow>(ledgerUrl: string, sql: string, values: readonly string[]): Promise<Result[]> {
  const client = new pg.Client({ connectionString: ledgerUrl });
  await client.connect();
  try {
    return (await client.query<Result>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}

/** Waits for the second run of a deployment; returns when it took its fence. */
async function untilNewRun(ledgerUrl: string, deployment: string): Promise<number> {
  for (;;) {
    const [row] = await queryLedger<{ started_at: Date }>(
      ledgerUrl,
      'SELECT started_at FROM run JOIN deployment USING (deployment_id) WHERE name = $1 AND run.fence = 2',
      [deployment],
    );
    if (row) return row.started_at.getTime();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function runsOf(ledgerUrl: string, deployment: string): Promise<Terminated['runs']> {
  return queryLedger(
    ledgerUrl,
    'SELECT outcome, ended_at IS NOT NULL AS ended FROM run JOIN deployment USING (deployment_id) WHERE name = $1 ORDER BY run.fence',
    [deployment],
  );
}

/** Resolves once the process stands still; fails when it ends before. */
async function untilPaused({ child, log }: WorkerProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`The worker was never paused.\n${log()}`);
    const [, state] = /\) (\w) /.exec(await readFile(`/proc/${child.pid}/stat`, 'utf8')) ?? [];
    if (state === 'T') return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function writes(lab: Lab): Promise<number> {
  return Object.values(await lab.summary()).reduce((sum, table) => sum + table.writes, 0);
}

/** Waits until nothing has been written for a while: what a thawed worker wants to do, it does within its first seconds. */
async function untilQuiet(lab: Lab, before: number): Promise<void> {
  let last = before;
  for (let quietRounds = 0; quietRounds < 8; quietRounds += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const now = await writes(lab);
    if (now !== last) quietRounds = 0;
    last = now;
  }
}

async function writtenRows(lab: Lab): Promise<Row[]> {
  const tables = Object.entries(await lab.summary()).filter(([, { writes: n }]) => n > 0);
  return (await Promise.all(tables.map(([table]) => lab.rows(table)))).flat();
}
