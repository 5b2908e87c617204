/** `defender-sync sync [deployment]` */
import { deploymentConfig, deploymentNames } from '../../config/index.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodeOf, exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { renderRun, reportOrStub, type FinishedRun } from '../render/run.ts';
import { runDeployments } from '../runs/run-deployments.ts';
import { answerNoWorker, createOwnWorker, startWorkerIfAlone } from '../runs/worker.ts';
import { openLedgerOf } from '../ledger-server.ts';
import { openTemporal } from '../servers.ts';

export interface SyncOptions {
  /** Undefined: all, in configured order. */
  readonly deployment: string | undefined;
  /** Follow a run that waits for a person to its end, instead of leaving it parked. */
  readonly wait: boolean;
  readonly json: boolean;
}

/** Starts a run of one or all deployments, or joins those under way, and prints their reports. */
export async function syncCommand(context: CliContext, { deployment, wait, json }: SyncOptions): Promise<ExitCode> {
  const configuration = configurationOf(context, 'secrets');
  const deployments = deployment === undefined ? deploymentNames(configuration) : [deploymentConfig(configuration, deployment).name];
  await context.engine.requireMayChange({ configuration, command: 'defender-sync sync', signal: context.interrupts.signal });
  const finished = await withReleases(async (releases) => {
    const { ledger, url: ledgerUrl } = await openLedgerOf(configuration, releases);
    const temporal = await openTemporal(context, configuration, releases);
    const worker = createOwnWorker(context, configuration, { temporal, ledgerUrl }, releases);
    await startWorkerIfAlone(context, configuration, temporal, worker);
    const runs = runDeployments(
      context,
      configuration,
      { temporal, ledger },
      {
        deployments,
        mode: 'sync',
        startedBy: 'cli',
        waitWhileParked: wait,
        onNoWorker: () => answerNoWorker(context, temporal, worker),
      },
    );
    return Promise.race([runs, worker.failed]);
  });
  if (finished === undefined) {
    context.output.note(
      'No longer following. What is not over goes on as soon as a worker runs (defender-sync up); follow it again with: defender-sync sync',
    );
    return exitCodes.interrupted;
  }
  printRuns(context, finished, { json, single: deployment !== undefined });
  return exitCodeOf(finished.map(({ outcome }) => outcome));
}

/** Reports to stdout: as JSON (one object for one deployment, else a list), or as tables. */
export function printRuns(
  { output }: CliContext,
  runs: readonly FinishedRun[],
  { json, single }: { readonly json: boolean; readonly single: boolean },
): void {
  if (json) {
    const reports = runs.map(reportOrStub);
    output.print(JSON.stringify(single ? reports[0] : reports, null, 2));
    return;
  }
  for (const run of runs) {
    output.print(renderRun(run, output.style, output.hasColours));
    output.print('');
  }
}
