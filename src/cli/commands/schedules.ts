/** `defender-sync schedules apply` */
import { applySchedules, wantedScheduleOf } from '../../temporal/schedules.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { renderChanges } from '../render/schedules.ts';
import { openTemporal } from '../servers.ts';

export interface SchedulesApplyOptions {
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Makes the Schedules on the Temporal server equal to those of the configuration. */
export async function schedulesApplyCommand(context: CliContext, { dryRun, json }: SchedulesApplyOptions): Promise<ExitCode> {
  const configuration = configurationOf(context, dryRun ? 'nothing-secret' : 'secrets');
  if (!dryRun) {
    const { signal } = context.interrupts;
    await context.engine.requireMayChange({ configuration, command: 'defender-sync schedules apply', signal });
  }
  const wanted = configuration.deployments.flatMap((deployment) => wantedScheduleOf(deployment, configuration.temporal.taskQueue) ?? []);
  const changes = await withReleases(async (releases) => {
    const { client } = await openTemporal(context, configuration, releases);
    return applySchedules(client, wanted, { dryRun });
  });
  if (json) context.output.print(JSON.stringify(changes, null, 2));
  else context.output.print(renderChanges(changes, dryRun));
  return exitCodes.inSync;
}
