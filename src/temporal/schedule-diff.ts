/**
 * Whether a schedule is as wanted. The server returns cron expressions as calendars, so wanted and existing cannot be compared directly. Each
 * schedule therefore carries two digests in the memo of its action (the only memo an update can change): of what was wanted when it was last
 * applied, and of how the server described the result. If either differs, somebody changed the configuration or the schedule. Pure.
 */
import { createHash } from 'node:crypto';
import type { ScheduleDescription } from '@temporalio/client';
import { z } from 'zod';

export interface WantedSchedule {
  readonly scheduleId: string;
  readonly times: { readonly cron: readonly string[] } | { readonly everyMs: number };
  /** IANA name, for cron expressions. */
  readonly timezone: string;
  readonly jitterMs: number;
  /** How late a missed start is still made up for; undefined: the shortest interval of the schedule, since each run is a full reading. */
  readonly catchupWindowMs: number | undefined;
  /** Applied when it is made, and when this value changes; otherwise whoever paused or unpaused it last is right. */
  readonly paused: boolean;
  readonly workflowType: string;
  readonly args: readonly [object];
  readonly taskQueue: string;
  /** The server appends the scheduled time to it. */
  readonly workflowIdPrefix: string;
  /** One line for the Web UI, on each workflow it starts. */
  readonly summary: string;
  /** Memo of the workflows it starts. */
  readonly memo: Readonly<Record<string, unknown>>;
}

export interface ScheduleChanges {
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly removed: readonly string[];
  readonly unchanged: readonly string[];
}

/** What the last `applySchedules` left in a schedule. Absent or of another shape: somebody else made or rewrote the schedule. */
const markShape = z.object({ wanted: z.string(), described: z.string(), paused: z.boolean() });
export type ScheduleMark = z.infer<typeof markShape>;

/** An existing schedule, reduced to what the comparison needs. */
export interface ExistingSchedule {
  readonly scheduleId: string;
  readonly mark: ScheduleMark | undefined;
  /** Digest of how the server describes it now. */
  readonly described: string;
  readonly paused?: boolean;
  readonly note?: string | undefined;
}

/** Where the mark is kept in the memo of the action. */
export const markKey = 'defenderSyncSchedule';

/** What would have to be done. Ids in each list are sorted. */
export function diffSchedules(existing: readonly ExistingSchedule[], wanted: readonly WantedSchedule[]): ScheduleChanges {
  const existingById = new Map(existing.map((schedule) => [schedule.scheduleId, schedule]));
  const created: string[] = [];
  const updated: string[] = [];
  const unchanged: string[] = [];
  for (const schedule of wanted) {
    const found = existingById.get(schedule.scheduleId);
    existingById.delete(schedule.scheduleId);
    if (found === undefined) created.push(schedule.scheduleId);
    else if (found.mark?.wanted === digestOfWanted(schedule) && found.mark.described === found.described)
      unchanged.push(schedule.scheduleId);
    else updated.push(schedule.scheduleId);
  }
  return { created: created.sort(), updated: updated.sort(), removed: [...existingById.keys()].sort(), unchanged: unchanged.sort() };
}

/** What a schedule's mark remembers of the definition it was last made from. */
export function digestOfWanted(wanted: WantedSchedule): string {
  return digestOf(wanted);
}

/** All that an update sets, as the server describes it; without our mark, and without what changes by itself or by an operator's pause. */
export function digestOfDescription({ spec, action, policies }: Pick<ScheduleDescription, 'spec' | 'action' | 'policies'>): string {
  const memo = Object.entries(action.memo ?? {}).filter(([key]) => key !== markKey);
  return digestOf({ spec, action: { ...action, memo: Object.fromEntries(memo) }, policies });
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(stableJson(value)).digest('hex').slice(0, 16);
}

/** JSON with sorted keys; what has no value is left out. */
function stableJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

export function markOf(description: ScheduleDescription): ScheduleMark | undefined {
  return markShape.safeParse(description.action.memo?.[markKey]).data;
}
