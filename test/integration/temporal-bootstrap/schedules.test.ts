import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Client, ScheduleDescription } from '@temporalio/client';
import type { WantedSchedule } from '../../../src/temporal/schedule-diff.ts';
import { applySchedules } from '../../../src/temporal/schedules.ts';
import { withTemporal } from '../servers.ts';
import { untilDescribed } from '../until-described.ts';

const temporal = withTemporal();

/** The namespace is shared, so each test works under a prefix of its own. */
let prefix: string;
beforeEach(() => {
  prefix = `test-${randomBytes(4).toString('hex')}/`;
});

function wanted(name: string, changes: Partial<WantedSchedule> = {}): WantedSchedule {
  return {
    scheduleId: `${prefix}${name}`,
    times: { cron: ['30 2 * * 1-5'] },
    timezone: 'Europe/Berlin',
    jitterMs: 60_000,
    catchupWindowMs: undefined,
    paused: false,
    workflowType: 'dispatch',
    args: [{ deployment: name }],
    taskQueue: 'nobody',
    workflowIdPrefix: `dispatch/${name}`,
    summary: `Start ${name}`,
    memo: { note: 'kept' },
    ...changes,
  };
}

function apply(...schedules: WantedSchedule[]): ReturnType<typeof applySchedules> {
  return applySchedules(temporal.client, schedules, { prefix });
}

function describeSchedule(name: string): Promise<ScheduleDescription> {
  return temporal.client.schedule.getHandle(`${prefix}${name}`).describe();
}

/** The same server, whose list shows a schedule only some time after it was first asked for: visibility is eventually consistent. */
function withLateList(client: Client, lateMs: number): Client {
  const firstSeen = new Map<string, number>();
  async function* list(): AsyncGenerator {
    for await (const summary of client.schedule.list()) {
      const since = firstSeen.get(summary.scheduleId) ?? Date.now();
      firstSeen.set(summary.scheduleId, since);
      if (Date.now() - since >= lateMs) yield summary;
    }
  }
  const schedule = new Proxy(client.schedule, {
    get: (target, key) => (key === 'list' ? list : (Reflect.get(target, key) as unknown)),
  });
  return new Proxy(client, { get: (target, key) => (key === 'schedule' ? schedule : (Reflect.get(target, key) as unknown)) });
}

const ids = (...names: string[]): string[] => names.map((name) => `${prefix}${name}`);

describe('applying schedules', () => {
  test('creates them as configured, and finds nothing to do the second time', async () => {
    expect(await apply(wanted('a'), wanted('b'))).toEqual({ created: ids('a', 'b'), updated: [], removed: [], unchanged: [] });
    expect(await apply(wanted('a'), wanted('b'))).toEqual({ created: [], updated: [], removed: [], unchanged: ids('a', 'b') });
    const { spec, action, policies, state, info } = await describeSchedule('a');
    expect(spec).toMatchObject({ timezone: 'Europe/Berlin', jitter: 60_000 });
    expect(spec.calendars?.[0]).toMatchObject({
      hour: [{ start: 2 }],
      minute: [{ start: 30 }],
      dayOfWeek: [{ start: 'MONDAY', end: 'FRIDAY' }],
    });
    expect(action).toMatchObject({
      workflowType: 'dispatch',
      workflowId: 'dispatch/a',
      taskQueue: 'nobody',
      args: [{ deployment: 'a' }],
      staticSummary: 'Start a',
      memo: { note: 'kept' },
    });
    // One interval of the schedule, found out from its own times, which carry no jitter then.
    expect(policies).toEqual({ overlap: 'SKIP', catchupWindow: 24 * 3_600_000, pauseOnFailure: false });
    expect(state.paused).toBe(false);
    expect(info.numActionsTaken).toBe(0);
    expect(info.runningActions).toEqual([]);
    await apply();
  });

  test('updates what differs, removes what is no longer wanted, leaves others’ schedules alone', async () => {
    const strangerId = `stranger-${randomBytes(4).toString('hex')}`;
    const { action, spec } = {
      action: { type: 'startWorkflow' as const, workflowType: 'x', taskQueue: 'nobody', args: [] },
      spec: { intervals: [{ every: 3_600_000 }] },
    };
    const stranger = await temporal.client.schedule.create({ scheduleId: strangerId, action, spec, state: { paused: true } });
    await apply(wanted('a'), wanted('b'), wanted('c'));
    const changes = await apply(wanted('a', { times: { everyMs: 7_200_000 }, jitterMs: 0 }), wanted('b'), wanted('d'));
    expect(changes).toEqual({ created: ids('d'), updated: ids('a'), removed: ids('c'), unchanged: ids('b') });
    const { spec: updatedSpec, policies } = await describeSchedule('a');
    expect(updatedSpec.calendars).toEqual([]);
    expect(updatedSpec.intervals).toMatchObject([{ every: 7_200_000 }]);
    expect(policies.catchupWindow).toBe(7_200_000);
    await expect(describeSchedule('c')).rejects.toThrow();
    expect((await stranger.describe()).scheduleId).toBe(strangerId);
    await stranger.delete();
    expect(await apply()).toMatchObject({ removed: ids('a', 'b', 'd') });
  });

  test('a dry run says the same and does nothing', async () => {
    await apply(wanted('a'));
    const changes = await applySchedules(temporal.client, [wanted('b')], { prefix, dryRun: true });
    expect(changes).toEqual({ created: ids('b'), updated: [], removed: ids('a'), unchanged: [] });
    expect((await describeSchedule('a')).scheduleId).toBe(`${prefix}a`);
    await expect(describeSchedule('b')).rejects.toThrow();
    await apply();
  });

  test('a schedule that is listed late is still removed by the very next apply', async () => {
    const late = withLateList(temporal.client, 2_000);
    await applySchedules(late, [wanted('a')], { prefix });
    expect(await applySchedules(late, [], { prefix })).toMatchObject({ removed: ids('a') });
  });

  test('leaves an operator’s pause and note when other things change, and pauses when the configuration says so', async () => {
    await apply(wanted('a'));
    const handle = temporal.client.schedule.getHandle(`${prefix}a`);
    await handle.pause('change freeze');
    await untilDescribed(handle, ({ state }) => state.paused);
    expect(await apply(wanted('a'))).toMatchObject({ unchanged: ids('a') });
    expect(await apply(wanted('a', { timezone: 'UTC' }))).toMatchObject({ updated: ids('a') });
    expect((await describeSchedule('a')).state).toMatchObject({ paused: true, note: 'change freeze' });

    await handle.unpause();
    await untilDescribed(handle, ({ state }) => !state.paused);
    expect(await apply(wanted('a', { timezone: 'UTC', paused: true }))).toMatchObject({ updated: ids('a') });
    expect((await describeSchedule('a')).state.paused).toBe(true);
    await handle.unpause('needed today');
    await untilDescribed(handle, ({ state }) => !state.paused);
    expect(await apply(wanted('a', { timezone: 'UTC', paused: true }))).toMatchObject({ unchanged: ids('a') });
    expect((await describeSchedule('a')).state.paused).toBe(false);
    await apply();
  });

  test('puts back what somebody changed by hand', async () => {
    await apply(wanted('a'));
    const handle = temporal.client.schedule.getHandle(`${prefix}a`);
    // As the Web UI's edit form does: everything stays, our mark too, only the times change.
    await handle.update(({ spec, action, policies, state }) => ({ spec: { ...spec, jitter: 1_000 }, action, policies, state }));
    await untilDescribed(handle, ({ spec }) => spec.jitter === 1_000);
    expect(await apply(wanted('a'))).toMatchObject({ updated: ids('a') });
    expect((await describeSchedule('a')).spec.jitter).toBe(60_000);
    expect(await apply(wanted('a'))).toMatchObject({ unchanged: ids('a') });
    await apply();
  });

  test('names the schedule that the server refuses', async () => {
    await expect(apply(wanted('a', { times: { cron: ['61 * * * *'] } }))).rejects.toMatchObject({
      kind: 'rejected',
      message: expect.stringMatching(new RegExp(`${prefix}a: .*range`)),
    });
    expect(await apply()).toEqual({ created: [], updated: [], removed: [], unchanged: [] });
  });
});
