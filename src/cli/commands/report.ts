/** `defender-sync report [deployment] [--run ID]` */
import { deploymentConfig, deploymentNames } from '../../config/index.ts';
import { SyncError } from '../../errors.ts';
import { readReport } from '../../ledger/index.ts';
import type { Report } from '../../model.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodeOf, exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases } from '../releases.ts';
import { orderedReport, renderReport } from '../render/report.ts';
import { openLedgerOf } from '../ledger-server.ts';

export interface ReportOptions {
  /** Undefined: the newest of each. */
  readonly deployment: string | undefined;
  readonly run: string | undefined;
  readonly json: boolean;
}

/** Prints the newest report of each deployment, or one. The exit code is that of the runs it reports. */
export async function reportCommand(context: CliContext, { deployment, run, json }: ReportOptions): Promise<ExitCode> {
  const configuration = configurationOf(context, 'nothing-secret');
  if (run !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(run)) {
    throw new SyncError({
      kind: 'usage',
      message: `${JSON.stringify(run)} is not the id of a run.`,
      remedy: 'It stands in the first line of a report.',
    });
  }
  const one = deployment === undefined ? undefined : deploymentConfig(configuration, deployment).name;
  const selectors =
    run !== undefined
      ? [{ run, ...(one === undefined ? {} : { deployment: one }) }]
      : (one === undefined ? deploymentNames(configuration) : [one]).map((name) => ({ deployment: name }));
  const reports = await withReleases(async (releases) => {
    const { ledger } = await openLedgerOf(configuration, releases);
    const found: Report[] = [];
    for (const selector of selectors) {
      const report = await readReport(ledger.database, selector);
      if (report !== undefined) found.push(orderedReport(report));
    }
    return found;
  });
  if (reports.length === 0) return nothingToReport(context, { deployment, run, json });
  if (json) context.output.print(JSON.stringify(deployment === undefined && run === undefined ? reports : reports[0], null, 2));
  else context.output.print(reports.map((report) => renderReport(report, context.output.style)).join('\n\n'));
  return exitCodeOf(reports.map(({ outcome }) => outcome));
}

function nothingToReport({ output }: CliContext, { deployment, run, json }: ReportOptions): ExitCode {
  if (json) output.print(deployment === undefined && run === undefined ? '[]' : 'null');
  const whose = deployment === undefined ? '' : ` of ${deployment}`;
  output.note(
    run === undefined
      ? `No report${whose} yet. Start a run: defender-sync sync${deployment === undefined ? '' : ` ${deployment}`}`
      : `No report of run ${run}. The newest ones: defender-sync report`,
  );
  return run === undefined ? exitCodes.inSync : exitCodes.failed;
}
