/** `defender-sync schedules apply` */
import { applySchedules, wantedScheduleOf, type ScheduleChanges } from '../../temporal/schedules.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { openTemporal } from '../servers.ts';

export interface SchedulesApplyOptions {
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Makes the Schedules on the Temporal server equal to those of the configuration. */
export async function schedulesApplyCommand(context: CliContext, { dryRun, json }: SchedulesApplyOptions): Promise<ExitCode> {
  const configuration = configurationOf(context, 'nothing-secret');
  const wanted = configuration.deployments.flatMap((deployment) => wantedScheduleOf(deployment, configuration.temporal.taskQueue) ?? []);
  const changes = await withReleases(async (releases) => {
    const { client } = await openTemporal(context, configuration, releases);
    return applySchedules(client, wanted, { dryRun });
  });
  if (json) context.output.print(JSON.stringify(changes, null, 2));
  else context.output.print(renderChanges(changes, dryRun));
  return exitCodes.inSync;
}

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
