/** What became of the schedules, for people. */
import type { ScheduleChanges } from '../../temporal/schedule-diff.ts';

/** One line per schedule, or one sentence when there is none. */
export function renderChanges(changes: ScheduleChanges, dryRun: boolean): string {
  const words: readonly (readonly [readonly string[], string, string])[] = [
    [changes.created, 'created', 'would be created'],
    [changes.updated, 'updated', 'would be updated'],
    [changes.removed, 'removed', 'would be removed'],
    [changes.unchanged, 'unchanged', 'unchanged'],
  ];
  const lines = words.flatMap(([ids, done, planned]) => ids.map((id) => `${id}  ${dryRun ? planned : done}`));
  return lines.length === 0
    ? 'No deployment has a schedule. Add one to its section: schedule: { cron: "30 2 * * *", timeZone: UTC }'
    : lines.join('\n');
}
