/** `defender-sync demo`: everything on this machine, the main job done twice, and then left up to look at. */
import { join, relative, resolve } from 'node:path';
import { deploymentNames, type Configuration } from '../../config/index.ts';
import { SyncError } from '../../errors.ts';
import { acquireEmbeddedPostgres } from '../../ledger/server/index.ts';
import { acquireTemporalDevServer } from '../../temporal/dev-server.ts';
import { readStatus } from '../../ledger/index.ts';
import type { CliContext } from '../context.ts';
import { exitCodeOf, exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases, type Releases } from '../releases.ts';
import { runDeployments, type RunPlaces } from '../runs/run-deployments.ts';
import { orderedReport } from '../render/report.ts';
import { renderRun, type FinishedRun } from '../render/run.ts';
import { createOwnWorker } from '../runs/worker.ts';
import { openLedgerOf } from '../ledger-server.ts';
import { openTemporal } from '../servers.ts';
import { counted } from '../table.ts';
import { announceLab, announceTemporal, stateDir } from './announce.ts';
import { writeDemoConfiguration } from './demo-configuration.ts';
import { parseEstate } from './estate.ts';
import { startLab, type RunningLab } from './lab-process.ts';
import { takeFolder } from './one-at-a-time.ts';

export interface DemoOptions {
  readonly estate: string | undefined;
  /** Exit when the runs are over. */
  readonly once: boolean;
  /** Print the reports as one JSON array, and nothing else, on stdout. */
  readonly json: boolean;
  /** Undefined: a folder per estate in `.defender-sync/demo`. */
  readonly dir: string | undefined;
}

/** Runs the demo. The exit code is 0 when all runs succeeded and the second ones had nothing to write. */
export async function demoCommand(context: CliContext, options: DemoOptions): Promise<ExitCode> {
  const estate = parseEstate(options.estate);
  const dir = resolve(options.dir ?? join(stateDir, 'demo', estate.folder));
  return withReleases(async (releases) => {
    await takeFolder(dir, releases);
    const stage = await setStage(context, { dir, estate: estate.spec, announce: options.dir === undefined }, releases);
    const continued = (await readStatus(stage.ledger.database)).length > 0;
    const news = continued ? 'what an earlier demo wrote is still there' : 'everything is new to ServiceNow';
    const first = await runAll(context, stage, `First runs: ${news}.`);
    if (first === undefined) return exitCodes.interrupted;
    showRuns(context, first, options);
    const second = await runAll(context, stage, 'Second runs: nothing has changed, so nothing should be written.');
    if (second === undefined) return exitCodes.interrupted;
    showRuns(context, second, options);
    const exitCode = verdict(context, first, second);
    if (options.json) context.output.print(JSON.stringify(reportsOf([...first, ...second]), null, 2));
    if (options.once) return exitCode;
    sayWhereToLook(context, stage, second);
    await Promise.race([context.interrupts.wait(), stage.failed]);
    return exitCode;
  });
}

interface Stage extends RunPlaces {
  readonly dir: string;
  readonly configuration: Configuration;
  readonly lab: RunningLab;
  /** Rejects when the lab or the worker fails. */
  readonly failed: Promise<never>;
}

interface StageOptions {
  readonly dir: string;
  readonly estate: string;
  /** Leave word in `.defender-sync` where things are. */
  readonly announce: boolean;
}

/** Starts ledger, Temporal, lab and worker, in this order; they are stopped in the reverse one. */
async function setStage(context: CliContext, { dir, estate, announce }: StageOptions, releases: Releases): Promise<Stage> {
  const { output, environment, verbose } = context;
  const { dim } = output.noteStyle;
  output.note(`Starting the demo of the estate ${estate} in ${relative('', dir)} …`);
  // Held from here on, so that the order is the same whatever the configuration makes of it.
  const postgres = await acquireEmbeddedPostgres({ dir: join(dir, 'ledger') });
  releases.defer(postgres.release);
  output.note(dim('  Ledger    embedded PostgreSQL'));
  const server = await acquireTemporalDevServer({
    dir: join(dir, 'temporal'),
    environment: environment.variables,
    log: (sentence) => {
      if (verbose || sentence.startsWith('Fetching')) output.note(sentence);
    },
  });
  releases.defer(server.release);
  output.note(dim(`  Temporal  ${server.address}, Web UI ${server.uiUrl}`));
  const lab = await startLab(context, { dir: join(dir, 'lab'), estate }, releases);
  output.note(dim(`  Lab       Azure ${lab.description.azure.arm}, ServiceNow ${lab.description.serviceNow.url}`));
  const configuration = writeDemoConfiguration(dir, lab.description);
  if (announce) {
    announceTemporal(server, releases);
    announceLab(lab, releases);
  }
  const { ledger, url: ledgerUrl } = await openLedgerOf(configuration, releases);
  const temporal = await openTemporal(context, configuration, releases);
  const worker = createOwnWorker(context, configuration, { temporal, ledgerUrl }, releases);
  await Promise.race([worker.start(), lab.failed]);
  return { dir, configuration, lab, ledger, temporal, failed: Promise.race([worker.failed, lab.failed]) };
}

async function runAll(context: CliContext, stage: Stage, title: string): Promise<readonly FinishedRun[] | undefined> {
  context.output.note(`\n${context.output.noteStyle.bold(title)}`);
  const runs = runDeployments(context, stage.configuration, stage, {
    deployments: deploymentNames(stage.configuration),
    mode: 'sync',
    startedBy: 'demo',
    waitWhileParked: false,
    onNoWorker: () => 'the worker has not taken it yet',
  });
  return Promise.race([runs, stage.failed]);
}

function showRuns({ output }: CliContext, runs: readonly FinishedRun[], { json }: DemoOptions): void {
  for (const run of runs) {
    if (json) output.note(`${run.deployment}: ${run.outcome}${run.because === null ? '' : ` (${run.because})`}`);
    else output.print(`\n${renderRun(run, output.style)}`);
  }
}

function verdict({ output }: CliContext, first: readonly FinishedRun[], second: readonly FinishedRun[]): ExitCode {
  const { good, bad } = output.noteStyle;
  const code = exitCodeOf([...first, ...second].map(({ outcome }) => outcome));
  const rewritten = second.reduce((sum, { report }) => sum + (report?.calls.serviceNowWrites ?? 0), 0);
  if (code === exitCodes.inSync && rewritten === 0) {
    output.note(`\n${good('All runs succeeded, and the second ones had nothing to write.')}`);
    return code;
  }
  const notSucceeded = [...first, ...second].filter(({ outcome }) => outcome !== 'succeeded').length;
  const problems = [
    ...(notSucceeded === 0 ? [] : [`${counted(notSucceeded, 'run')} did not succeed`]),
    ...(rewritten === 0 ? [] : [`the second runs wrote ${counted(rewritten, 'record')}, although nothing had changed`]),
  ];
  output.note(`\n${bad(`Not as it should be: ${problems.join('; ')}.`)}`);
  return code === exitCodes.inSync ? exitCodes.failed : code;
}

function reportsOf(runs: readonly FinishedRun[]): unknown[] {
  return runs.map(({ report, deployment, outcome, because }) => {
    if (report !== undefined) return orderedReport(report);
    throw new SyncError({
      kind: 'bug',
      message: `The run of ${deployment} left no report (${outcome}${because === null ? '' : `: ${because}`}).`,
    });
  });
}

function sayWhereToLook({ output }: CliContext, { dir, lab, temporal }: Stage, runs: readonly FinishedRun[]): void {
  const { bold, dim } = output.noteStyle;
  const config = relative('', join(dir, 'defender-sync.yaml'));
  const serviceNow = lab.description.serviceNow.url;
  const lines = [
    bold('Look around; Ctrl-C stops everything, and the next demo goes on from here.'),
    `  Runs      ${temporal.uiUrl ?? ''}`,
    ...runs.flatMap(({ deployment, page }) => (page === undefined ? [] : [`            ${deployment}: ${page}`])),
    `  Tables    ${serviceNow}/lab/  ${dim('(signed by an authority of its own: the browser asks once)')}`,
    `            test results: ${serviceNow}/lab/table/sn_vulc_result`,
    `  Again     npm run defender-sync -- --config ${config} sync`,
    `            npm run defender-sync -- --config ${config} status`,
    '  Temporal  npm run temporal -- workflow list',
    '  Script    node bootstrap/run.mjs run examples/trigger.ts a',
  ];
  output.note(`\n${lines.join('\n')}`);
}
