/** `defender-sync up` */
import { wantedScheduleOf } from '../../temporal/schedules.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { openLedgerOf } from '../ledger-server.ts';
import { openTemporal } from '../servers.ts';
import { createOwnWorker } from '../runs/worker.ts';

/** Runs a worker, and the servers that come along where none are configured, until Ctrl-C. */
export async function upCommand(context: CliContext): Promise<ExitCode> {
  const configuration = configurationOf(context, 'secrets');
  const { output, interrupts } = context;
  return withReleases(async (releases) => {
    const { url: ledgerUrl } = await openLedgerOf(configuration, releases);
    const temporal = await openTemporal(context, configuration, releases);
    const worker = createOwnWorker(context, configuration, { temporal, ledgerUrl }, releases);
    await worker.start();
    const scheduled = configuration.deployments.filter((one) => wantedScheduleOf(one, configuration.temporal.taskQueue) !== undefined);
    output.note(`Ready. Works on ${configuration.deployments.map(({ name }) => name).join(', ')} until Ctrl-C.`);
    output.note(
      `  Temporal    ${temporal.address.address}, namespace ${temporal.address.namespace}${temporal.local ? ' (came along)' : ''}`,
    );
    if (temporal.uiUrl !== undefined) output.note(`  Web UI      ${temporal.uiUrl}`);
    output.note(
      `  Ledger      ${configuration.ledger.url === undefined ? `embedded, in ${configuration.stateDir}` : 'PostgreSQL, as configured'}`,
    );
    output.note('  Start a run: defender-sync sync');
    if (scheduled.length > 0) output.note('  Schedules are made or changed with: defender-sync schedules apply');
    await Promise.race([interrupts.wait(), worker.failed]);
    return exitCodes.inSync;
  });
}
