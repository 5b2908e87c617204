import { describe, expect, test } from '@jest/globals';
import type { DeploymentSettings } from '../../../src/config/index.ts';
import { diffSchedules, digestOfWanted, type ExistingSchedule, type WantedSchedule } from '../../../src/temporal/schedule-diff.ts';
import { wantedScheduleOf } from '../../../src/temporal/schedules.ts';

const schedule = { cron: ['30 2 * * *'], timeZone: 'Europe/Berlin', jitterMs: 60_000, catchUpMs: undefined, paused: false };

function wanted(name: string, changes: Partial<WantedSchedule> = {}): WantedSchedule {
  const made = wantedScheduleOf({ name, schedule } as unknown as DeploymentSettings, 'defender-sync');
  return { ...made!, ...changes };
}

function existing(definition: WantedSchedule, changes: Partial<ExistingSchedule> = {}): ExistingSchedule {
  const mark = { wanted: digestOfWanted(definition), described: 'as made', paused: definition.paused };
  return { scheduleId: definition.scheduleId, mark, described: 'as made', ...changes };
}

describe('the schedule of a deployment', () => {
  test('starts its dispatcher under the ids that all clients know', () => {
    expect(wanted('emea')).toEqual({
      scheduleId: 'defender-sync/emea',
      times: { cron: ['30 2 * * *'] },
      timezone: 'Europe/Berlin',
      jitterMs: 60_000,
      catchupWindowMs: undefined,
      paused: false,
      workflowType: 'dispatch',
      args: [{ deployment: 'emea' }],
      taskQueue: 'defender-sync',
      workflowIdPrefix: 'dispatch/emea',
      summary: 'Start the scheduled sync of emea',
      memo: {},
    });
  });

  test('is none where the configuration gives none', () => {
    expect(wantedScheduleOf({ name: 'emea', schedule: undefined } as unknown as DeploymentSettings, 'defender-sync')).toBeUndefined();
  });
});

describe('the difference', () => {
  test('is what to create, update and remove, each in order', () => {
    const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => wanted(name)) as [
      WantedSchedule,
      WantedSchedule,
      WantedSchedule,
      WantedSchedule,
      WantedSchedule,
    ];
    expect(diffSchedules([existing(e), existing(c), existing(a), existing(d)], [d, b, { ...a, jitterMs: 0 }])).toEqual({
      created: ['defender-sync/b'],
      updated: ['defender-sync/a'],
      removed: ['defender-sync/c', 'defender-sync/e'],
      unchanged: ['defender-sync/d'],
    });
  });

  test.each([
    ['somebody else made it', { mark: undefined }],
    ['the server describes it otherwise than we left it', { described: 'edited by hand' }],
    ['its last update was cut short', { mark: { wanted: digestOfWanted(wanted('a')), described: '', paused: false } }],
  ])('updates a schedule when %s', (_, changes) => {
    expect(diffSchedules([existing(wanted('a'), changes)], [wanted('a')]).updated).toEqual(['defender-sync/a']);
  });

  test('sees every part of a definition, and no part in the order of its keys', () => {
    const changes: Partial<WantedSchedule>[] = [
      { times: { everyMs: 3_600_000 } },
      { timezone: 'UTC' },
      { jitterMs: 1 },
      { catchupWindowMs: 60_000 },
      { paused: true },
      { workflowType: 'other' },
      { args: [{ deployment: 'b' }] },
      { taskQueue: 'other' },
      { workflowIdPrefix: 'other' },
      { summary: 'other' },
      { memo: { other: true } },
    ];
    const digests = changes.map((change) => digestOfWanted(wanted('a', change)));
    expect(new Set([...digests, digestOfWanted(wanted('a'))]).size).toBe(changes.length + 1);
    const reversed = Object.fromEntries(Object.entries(wanted('a')).reverse()) as unknown as WantedSchedule;
    expect(digestOfWanted(reversed)).toBe(digestOfWanted(wanted('a')));
  });
});
