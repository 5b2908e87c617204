/**
 * One lock, however a run is started: the CLI, a script, the Schedule, and the temporal CLI that triggers or backfills it. The lab is
 * slow while the lock is looked at, so that a run lasts.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import {
  scheduleId,
  syncWorkflowId,
  workflowTypes,
  type DispatchResult,
  type SyncInput,
  type SyncMemo,
  type SyncResult,
} from '../../workflows/contract.ts';
import { withPostgres } from '../integration/servers.ts';
import { startCli, type CliProcess } from './cli-process.ts';
import { createEngine, startLab, type Engine, type Lab, type WorkerProcess } from './harness.ts';
import { withOwnNamespace } from './own-namespace.ts';

const postgres = withPostgres();
const temporal = withOwnNamespace('lock');
let lab: Lab;
let engine: Engine;
let worker: WorkerProcess | undefined;
/** Both deployments of the lab, by their names in the configuration. */
let first: string;
let second: string;

beforeAll(async () => {
  lab = await startLab('generated:7:60');
  engine = await createEngine(lab, {
    ledgerUrl: postgres.url,
    temporalAddress: temporal.address,
    namespace: temporal.namespace,
    taskQueue: 'defender-sync',
  });
  [first = '', second = ''] = engine.deployments;
  worker = await engine.startWorker();
}, 300_000);

afterAll(async () => {
  await worker?.stop();
  await engine.remove();
  await lab.stop();
}, 60_000);

interface Schedule {
  readonly cron: string;
  readonly timeZone: string;
}

/** Gives deployments a schedule, or takes it away, in the configuration file. */
async function configureSchedules(schedules: Readonly<Record<string, Schedule>>): Promise<void> {
  const configuration = parse(await readFile(engine.configFile, 'utf8')) as { deployments: { name: string; schedule?: Schedule }[] };
  for (const deployment of configuration.deployments) {
    const schedule = schedules[deployment.name];
    if (schedule === undefined) delete deployment.schedule;
    else deployment.schedule = schedule;
  }
  await writeFile(engine.configFile, stringify(configuration));
}

async function applySchedules(): Promise<Record<'created' | 'updated' | 'removed' | 'unchanged', string[]>> {
  const { code, stdout, stderr } = await engine.cli('schedules', 'apply', '--json');
  if (code !== 0) throw new Error(`schedules apply ended with ${code}:\n${stderr}`);
  return JSON.parse(stdout) as Awaited<ReturnType<typeof applySchedules>>;
}

/** `npm run temporal -- …`, as far as the configuration tells it where the server is. */
async function temporalCli(...commandArguments: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.cli('temporal', ...commandArguments);
  if (code !== 0) throw new Error(`temporal ${commandArguments.join(' ')} ended with ${code}:\n${stderr}\n${stdout}`);
  return stdout;
}

/** What of the CLI's `schedule describe -o json` these tests look at. */
interface DescribedSchedule {
  readonly schedule: {
    readonly spec: {
      readonly structuredCalendar: readonly { readonly hour: unknown; readonly minute: unknown }[];
      readonly timezoneName: string;
    };
    readonly state: { readonly paused?: boolean; readonly notes?: string };
    readonly policies: { readonly overlapPolicy: string };
  };
}

async function describeSchedule(deployment: string): Promise<DescribedSchedule['schedule']> {
  const text = await temporalCli('schedule', 'describe', '--schedule-id', scheduleId(deployment), '-o', 'json');
  return (JSON.parse(text) as DescribedSchedule).schedule;
}

/** Results of the dispatchers that ended after a moment, oldest first. */
async function dispatchesSince(since: Date, count: number): Promise<DispatchResult[]> {
  const query = `WorkflowType = '${workflowTypes.dispatch}' AND ExecutionStatus = 'Completed' AND StartTime > '${since.toISOString()}'`;
  const deadline = performance.now() + 60_000;
  for (;;) {
    const ended: { readonly id: string; readonly runId: string; readonly at: number }[] = [];
    for await (const { workflowId, runId, startTime } of temporal.client.workflow.list({ query }))
      ended.push({ id: workflowId, runId, at: startTime.getTime() });
    if (ended.length >= count) {
      ended.sort((a, b) => a.at - b.at);
      return Promise.all(ended.map(({ id, runId }) => temporal.client.workflow.getHandle(id, runId).result() as Promise<DispatchResult>));
    }
    if (performance.now() > deadline) throw new Error(`${ended.length} of ${count} dispatchers have ended.`);
    await sleep(250);
  }
}

async function slowDownTheInstance(delayMs: number): Promise<void> {
  await lab.admin('POST', '/servicenow/faults', { match: {}, action: { delayMs } });
}

async function letItGo(): Promise<void> {
  await lab.admin('DELETE', '/servicenow/faults');
}

async function isRunning(deployment: string): Promise<boolean> {
  const description = await temporal.client.workflow
    .getHandle(syncWorkflowId(deployment))
    .describe()
    .catch(() => undefined);
  return description?.status.name === 'RUNNING';
}

async function untilRunning(deployment: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isRunning(deployment))) {
    if (performance.now() > deadline) throw new Error(`${syncWorkflowId(deployment)} does not run.`);
    await sleep(100);
  }
}

/** `examples/trigger.ts`, as a process. */
function startScript(deployment: string): { readonly ended: Promise<{ code: unknown; output: string }>; readonly output: () => string } {
  const script = fileURLToPath(new URL('../../examples/trigger.ts', import.meta.url));
  const child = spawn(process.execPath, [script, deployment], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child, 'close').then(([code]: unknown[]) => ({ code, output }));
  return { ended, output: () => output };
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(what());
    await sleep(50);
  }
}

describe('the lock', () => {
  test('one run, whoever asks: a second sync and a script join it, the Schedule is told who holds it', async () => {
    await configureSchedules({ [first]: { cron: '30 2 * * *', timeZone: 'Europe/Berlin' } });
    await applySchedules();
    await slowDownTheInstance(1_500);
    const before = new Date();
    const starter = sync(first);
    await untilRunning(first);
    const { runId } = await temporal.client.workflow.getHandle(syncWorkflowId(first)).describe();

    const follower = sync(first);
    await follower.says(`A run of ${first} is already under way`);
    const script = startScript(first);
    await until(() => script.output().includes(`${syncWorkflowId(first)} is already running; waiting for it.`), script.output);
    await temporalCli('schedule', 'trigger', '--schedule-id', scheduleId(first));
    const [dispatched] = await dispatchesSince(before, 1);
    expect(dispatched).toEqual({
      dispatched: 'already-running',
      workflowId: syncWorkflowId(first),
      because: expect.stringMatching(new RegExp(`^the run of [0-9: -]+ UTC holds the lock of ${first} and is still at work`)),
    });
    expect(await isRunning(first)).toBe(true);
    await letItGo();

    const scripted = await script.ended;
    expect(scripted.output).toMatch(new RegExp(`^${first}: succeeded, run [0-9a-f-]{36}$`, 'm'));
    expect(scripted.output).toContain('container-images');
    expect(scripted.code).toBe(0);
    expect([await starter.ended, await follower.ended]).toEqual([0, 0]);
    const reports = [starter, follower].map(({ stdout }) => JSON.parse(stdout()) as { run: string; outcome: string });
    expect(reports[0]).toMatchObject({ outcome: 'succeeded' });
    expect(reports[1]).toEqual(reports[0]);
    expect(scripted.output).toContain(`run ${reports[0]!.run}`);
    // By the instance's own rows: each integration ran once.
    const runs = (await lab.rows('sn_vul_integration_run')).filter((row) => (row['notes'] ?? '').startsWith('defender-sync run'));
    expect(runs).toHaveLength(5);
    expect((await temporal.client.workflow.getHandle(syncWorkflowId(first)).describe()).runId).toBe(runId);
  }, 240_000);

  test('a run that does something else is not joined: the CLI and the script name the holder and refuse', async () => {
    const memo: SyncMemo = { mode: 'plan', planId: 'p-1' };
    const holder = await temporal.client.workflow.start<(input: SyncInput) => Promise<SyncResult>>(workflowTypes.syncDeployment, {
      workflowId: syncWorkflowId(second),
      // Nobody works there, so it holds the lock as long as the test wants.
      taskQueue: 'nobody',
      args: [{ deployment: second, ...memo, startedBy: 'test' }],
      memo: { ...memo },
    });
    try {
      const refused = sync(second);
      expect(await refused.ended).toBe(2);
      expect(refused.stdout()).toBe('');
      expect(refused.stderr()).toContain(`A run of ${second} is under way that does something else: a plan of plan p-1`);
      expect(refused.stderr()).toContain(`workflow ${syncWorkflowId(second)}, run ${holder.firstExecutionRunId}`);
      const script = await startScript(second).ended;
      expect(script.output).toContain(`${syncWorkflowId(second)} is running and does something else`);
      expect(script.code).not.toBe(0);
    } finally {
      await holder.terminate('the test is over');
    }
  }, 120_000);

  test('is free: the Schedule, triggered with the temporal CLI, starts a run that a sync joins', async () => {
    await slowDownTheInstance(1_000);
    const before = new Date();
    await temporalCli('schedule', 'trigger', '--schedule-id', scheduleId(first));
    expect(await dispatchesSince(before, 1)).toEqual([{ dispatched: 'started', workflowId: syncWorkflowId(first) }]);
    const handle = temporal.client.workflow.getHandle<(input: SyncInput) => Promise<SyncResult>>(syncWorkflowId(first));
    const follower = sync(first);
    await follower.says(`A run of ${first} is already under way`);
    await letItGo();
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded', deployment: first });
    expect(await follower.ended).toBe(0);
    const { raw, staticSummary } = await handle.describe();
    expect(await staticSummary()).toBe(`Sync ${first} (schedule)`);
    expect(raw.workflowExecutionInfo?.parentExecution?.workflowId).toMatch(new RegExp(`^dispatch/${first}-20`));
  }, 240_000);

  test('backfilled: of several missed times one starts a run, the others say that it is enough', async () => {
    await slowDownTheInstance(1_500);
    const before = new Date();
    const backfill = ['schedule', 'backfill', '--schedule-id', scheduleId(first), '--overlap-policy', 'AllowAll'];
    await temporalCli(...backfill, '--start-time', '2026-01-01T00:00:00Z', '--end-time', '2026-01-03T23:00:00Z');
    const dispatched = await dispatchesSince(before, 3);
    expect(dispatched.map((one) => one.dispatched).sort()).toEqual(['already-running', 'already-running', 'started']);
    await letItGo();
    expect(await temporal.client.workflow.getHandle(syncWorkflowId(first)).result()).toMatchObject({ outcome: 'succeeded' });
  }, 240_000);
});

/** `defender-sync sync <deployment> --json` as a process. */
function sync(deployment: string): CliProcess {
  return startCli(['--config', engine.configFile, 'sync', deployment, '--json']);
}

describe('schedules', () => {
  test('follow the configuration: made, changed, and removed with it; a pause by hand stays', async () => {
    const at = (hour: number): Schedule => ({ cron: `30 ${hour} * * *`, timeZone: 'Europe/Berlin' });
    const [one, two] = [scheduleId(first), scheduleId(second)];
    await configureSchedules({ [first]: at(2) });
    await applySchedules();
    await configureSchedules({ [first]: at(2), [second]: at(3) });
    expect(await applySchedules()).toEqual({ created: [two], updated: [], removed: [], unchanged: [one] });

    const listed = JSON.parse(await temporalCli('schedule', 'list', '-o', 'json')) as { scheduleId: string }[];
    expect(listed.map((schedule) => schedule.scheduleId).sort()).toEqual([one, two].sort());
    expect(await describeSchedule(second)).toMatchObject({
      spec: { structuredCalendar: [{ hour: [{ start: 3 }], minute: [{ start: 30 }] }], timezoneName: 'Europe/Berlin' },
      policies: { overlapPolicy: 'SCHEDULE_OVERLAP_POLICY_SKIP' },
    });

    await temporalCli('schedule', 'toggle', '--schedule-id', two, '--pause', '--reason', 'maintenance of the instance');
    await configureSchedules({ [first]: at(2), [second]: at(4) });
    expect(await applySchedules()).toEqual({ created: [], updated: [two], removed: [], unchanged: [one] });
    expect(await describeSchedule(second)).toMatchObject({
      spec: { structuredCalendar: [{ hour: [{ start: 4 }] }] },
      state: { paused: true, notes: 'maintenance of the instance' },
    });
    expect(await applySchedules()).toEqual({ created: [], updated: [], removed: [], unchanged: [one, two].sort() });

    await configureSchedules({ [first]: at(2) });
    expect(await applySchedules()).toEqual({ created: [], updated: [], removed: [two], unchanged: [one] });
    await expect(describeSchedule(second)).rejects.toThrow(/not found/i);
  }, 240_000);
});
