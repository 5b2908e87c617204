/**
 * Schedules from the configuration: what is wanted is compared with what the server has, and only the difference is applied.
 * Afterwards they are ordinary Schedules, to be listed, paused, triggered and backfilled with the temporal CLI (temporal.md §3.1).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleDescription,
  type ScheduleOptions,
  type ScheduleUpdateOptions,
} from '@temporalio/client';
import { dispatchWorkflowId, scheduleId, scheduleIdPrefix, workflowTypes, type DispatchInput } from '../../workflows/contract.ts';
import type { DeploymentSettings } from '../config/index.ts';
import { SyncError } from '../errors.ts';
import {
  diffSchedules,
  digestOfDescription,
  digestOfWanted,
  markKey,
  markOf,
  type ExistingSchedule,
  type ScheduleChanges,
  type ScheduleMark,
  type WantedSchedule,
} from './schedule-diff.ts';

const notYetDescribed = '';
/** How long the server may take until what it accepted shows. */
const writtenTimeoutMs = 15_000;
/** The server's own minimum (temporal.md, limits). */
const minimumCatchupMs = 10_000;

/** The schedule of a deployment, or undefined when the configuration gives it none. */
export function wantedScheduleOf(deployment: DeploymentSettings, taskQueue: string): WantedSchedule | undefined {
  const { schedule, name } = deployment;
  if (schedule === undefined) return undefined;
  const input: DispatchInput = { deployment: name };
  return {
    scheduleId: scheduleId(name),
    times: { cron: schedule.cron },
    timezone: schedule.timeZone,
    jitterMs: schedule.jitterMs,
    catchupWindowMs: schedule.catchUpMs,
    paused: schedule.paused,
    workflowType: workflowTypes.dispatch,
    args: [input],
    taskQueue,
    workflowIdPrefix: dispatchWorkflowId(name),
    summary: `Start the scheduled sync of ${name}`,
    memo: {},
  };
}

/**
 * Makes the schedules under the prefix equal to the wanted ones: creates, updates what differs, removes what is no longer wanted.
 * Never starts a run, and leaves a pause that somebody set by hand. One caller at a time: updates of the server have no conflict check.
 * With `dryRun` it only says what it would do.
 * Errors: {@link SyncError} `rejected` when the server refuses a schedule (it names which), `transient` when it does not answer.
 */
export async function applySchedules(
  client: Client,
  wanted: readonly WantedSchedule[],
  options: { readonly prefix?: string; readonly dryRun?: boolean } = {},
): Promise<ScheduleChanges> {
  const prefix = options.prefix ?? scheduleIdPrefix;
  const stranger = wanted.find((schedule) => !schedule.scheduleId.startsWith(prefix));
  if (stranger !== undefined) {
    throw new SyncError({
      kind: 'bug',
      service: 'temporal',
      message: `The schedule ${stranger.scheduleId} is not under the prefix ${prefix}.`,
    });
  }
  const changes = diffSchedules(await readExisting(client, prefix, wanted), wanted);
  if (options.dryRun === true) return changes;
  for (const schedule of wanted) {
    if (changes.unchanged.includes(schedule.scheduleId)) continue;
    await applyOne(client, schedule);
  }
  for (const unwanted of changes.removed) await removeOne(client, unwanted);
  await untilListed(client, prefix, changes.created);
  return changes;
}

export interface ScheduleState {
  readonly scheduleId: string;
  /** `as-wanted` says nothing about a pause. */
  readonly state: 'missing' | 'different' | 'extra' | 'as-wanted';
  /** Paused on the server, though the configuration does not say so. */
  readonly pausedByHand: boolean;
  /** What the one who paused it left, where they left something. */
  readonly note: string | undefined;
}

/** How the schedules under the prefix compare with the wanted ones; changes nothing. Errors: as {@link applySchedules}. */
export async function compareSchedules(
  client: Client,
  wanted: readonly WantedSchedule[],
  prefix = scheduleIdPrefix,
): Promise<readonly ScheduleState[]> {
  const existing = await readExisting(client, prefix, wanted);
  const changes = diffSchedules(existing, wanted);
  const stateOf = (id: string): ScheduleState['state'] => {
    if (changes.created.includes(id)) return 'missing';
    if (changes.removed.includes(id)) return 'extra';
    return changes.updated.includes(id) ? 'different' : 'as-wanted';
  };
  const ids = [...new Set([...wanted, ...existing].map((schedule) => schedule.scheduleId))].sort();
  return ids.map((id) => {
    const found = existing.find((schedule) => schedule.scheduleId === id);
    const meant = wanted.find((schedule) => schedule.scheduleId === id);
    const pausedByHand = found?.paused === true && meant !== undefined && !meant.paused;
    return { scheduleId: id, state: stateOf(id), pausedByHand, note: pausedByHand ? found.note : undefined };
  });
}

/** The list is eventually consistent, so the wanted ones are asked for by id, and the list only tells what else there is. */
async function readExisting(client: Client, prefix: string, wanted: readonly WantedSchedule[]): Promise<ExistingSchedule[]> {
  const ids = new Set([...wanted.map((schedule) => schedule.scheduleId), ...(await listIds(client, prefix))]);
  const existing: ExistingSchedule[] = [];
  for (const id of ids) {
    const description = await describe(client, id);
    if (description === undefined) continue;
    const { paused, note } = description.state;
    existing.push({ scheduleId: id, mark: markOf(description), described: digestOfDescription(description), paused, note });
  }
  return existing;
}

async function listIds(client: Client, prefix: string): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  try {
    for await (const summary of client.schedule.list()) {
      if (summary.scheduleId.startsWith(prefix)) ids.add(summary.scheduleId);
    }
  } catch (error) {
    throw castError(error, 'listing schedules');
  }
  return ids;
}

async function describe(client: Client, id: string): Promise<ScheduleDescription | undefined> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw castError(error, `the schedule ${id}`);
  }
}

async function applyOne(client: Client, wanted: WantedSchedule): Promise<void> {
  const written: ScheduleMark = { wanted: digestOfWanted(wanted), described: notYetDescribed, paused: wanted.paused };
  // Without jitter at first, so that the times the server names are exactly one interval apart.
  const options = optionsOf({ ...wanted, jitterMs: 0 }, wanted.catchupWindowMs, written);
  try {
    const handle = client.schedule.getHandle(wanted.scheduleId);
    try {
      await client.schedule.create({ ...options, scheduleId: wanted.scheduleId, state: { paused: wanted.paused } });
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      await handle.update((current) => ({ ...options, state: stateFor(wanted, current) }));
    }
    // Only now does the server say when the schedule fires and how it describes it; both go into the second write.
    const description = await untilWritten(client, wanted.scheduleId, written);
    const catchupWindowMs = wanted.catchupWindowMs ?? shortestIntervalMs(description.info.nextActionTimes);
    const described: ScheduleMark = {
      ...written,
      described: digestOfDescription(withFinal(description, wanted.jitterMs, catchupWindowMs)),
    };
    await handle.update((current) => ({ ...optionsOf(wanted, catchupWindowMs, described), state: current.state }));
    await untilWritten(client, wanted.scheduleId, described);
  } catch (error) {
    throw castError(error, `the schedule ${wanted.scheduleId}`);
  }
}

/** How the server will describe the schedule after the second write. */
function withFinal(description: ScheduleDescription, jitterMs: number, catchupWindowMs: number | undefined): ScheduleDescription {
  return {
    ...description,
    spec: { ...description.spec, ...(jitterMs > 0 ? { jitter: jitterMs } : {}) },
    policies: {
      ...description.policies,
      ...(catchupWindowMs === undefined ? {} : { catchupWindow: Math.max(catchupWindowMs, minimumCatchupMs) }),
    },
  };
}

/** Updates are taken by the server before they are carried out; a description may be older than the last write. */
async function untilWritten(client: Client, id: string, written: ScheduleMark): Promise<ScheduleDescription> {
  const deadline = Date.now() + writtenTimeoutMs;
  for (;;) {
    const description = await client.schedule.getHandle(id).describe();
    const mark = markOf(description);
    if (mark?.wanted === written.wanted && mark.described === written.described) return description;
    if (Date.now() > deadline) throw new Error('its update was accepted, but not carried out');
    await sleep(50);
  }
}

/**
 * A schedule that is not listed yet would be missed by an `apply` that no longer wants it, and would go on firing. It is in force either way,
 * so a list that stays behind is no error.
 */
async function untilListed(client: Client, prefix: string, ids: readonly string[]): Promise<void> {
  const deadline = Date.now() + writtenTimeoutMs;
  while (ids.length > 0 && Date.now() < deadline) {
    const listed = await listIds(client, prefix);
    if (ids.every((id) => listed.has(id))) return;
    await sleep(50);
  }
}

async function removeOne(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(id).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw castError(error, `the schedule ${id}`);
  }
}

/** The operator's pause and note stay, unless the configuration itself now says something else than when it was last applied. */
function stateFor(wanted: WantedSchedule, current: ScheduleDescription): ScheduleUpdateOptions['state'] {
  const lastApplied = markOf(current)?.paused;
  return lastApplied === wanted.paused || lastApplied === undefined ? current.state : { ...current.state, paused: wanted.paused };
}

function optionsOf(
  wanted: WantedSchedule,
  catchupWindowMs: number | undefined,
  mark: ScheduleMark,
): Omit<ScheduleOptions, 'scheduleId' | 'state' | 'memo'> {
  return {
    spec: {
      ...('cron' in wanted.times ? { cronExpressions: [...wanted.times.cron] } : { intervals: [{ every: wanted.times.everyMs }] }),
      timezone: wanted.timezone,
      ...(wanted.jitterMs > 0 ? { jitter: wanted.jitterMs } : {}),
    },
    action: {
      type: 'startWorkflow',
      workflowType: wanted.workflowType,
      workflowId: wanted.workflowIdPrefix,
      taskQueue: wanted.taskQueue,
      args: [...wanted.args],
      staticSummary: wanted.summary,
      memo: { ...wanted.memo, [markKey]: mark },
    },
    policies: {
      overlap: ScheduleOverlapPolicy.SKIP,
      ...(catchupWindowMs === undefined ? {} : { catchupWindow: Math.max(catchupWindowMs, minimumCatchupMs) }),
      pauseOnFailure: false,
    },
  };
}

/** Undefined when it fires less than twice more. */
function shortestIntervalMs(times: readonly Date[]): number | undefined {
  const gaps = times.slice(1).map((time, index) => time.getTime() - (times[index]?.getTime() ?? 0));
  return gaps.length === 0 ? undefined : Math.min(...gaps);
}

function castError(error: unknown, what: string): SyncError {
  if (error instanceof SyncError) return error;
  const message = Error.isError(error) ? error.message : String(error);
  const refused = Error.isError(error) && error.name === 'TypeError';
  return new SyncError({
    kind: refused ? 'rejected' : 'transient',
    service: 'temporal',
    message: refused ? `The Temporal server refuses ${what}: ${message}.` : `The Temporal server did not answer for ${what} (${message}).`,
    remedy: refused ? 'Correct its times in the configuration.' : 'Check that the Temporal server runs and can be reached, then try again.',
    cause: error,
  });
}
