/** Runs several deployments side by side, and collects what became of them. */
import type { Client } from '@temporalio/client';
import { defaultTaskQueue, type RunMode } from '../../../workflows/contract.ts';
import type { Configuration } from '../../config/index.ts';
import { readProgress, readReport, type Ledger } from '../../ledger/index.ts';
import type { CliContext } from '../context.ts';
import type { FinishedRun } from '../render/run.ts';
import { createProgressView } from '../progress.ts';
import { runPage, type OpenTemporal } from '../servers.ts';
import { formatSeconds } from '../table.ts';
import { followRun, type ParkedEnding, type RunEnding } from './follow-run.ts';
import { whatBlocks } from './parked-run.ts';
import { startOrJoinRun, type StartedRun } from './start-run.ts';

/** Where runs are started, and where their reports are. */
export interface RunPlaces {
  readonly temporal: OpenTemporal;
  readonly ledger: Ledger;
}

export interface RunRequest {
  readonly deployments: readonly string[];
  readonly mode: RunMode;
  /** Recorded with the run: `cli`, `script`. */
  readonly startedBy: string;
  /** Follow runs that wait for a person to their end, instead of leaving them parked. */
  readonly waitWhileParked: boolean;
  /** Called when no worker has taken a run for some seconds; returns what to tell the person. */
  readonly onNoWorker: () => string;
}

/**
 * Starts (or joins) a run of each deployment and follows them to their end.
 * Returns undefined when the person stopped following; the runs go on. Errors: as {@link startOrJoinRun} and {@link followRun}.
 */
export async function runDeployments(
  context: CliContext,
  configuration: Configuration,
  { temporal, ledger }: RunPlaces,
  request: RunRequest,
): Promise<readonly FinishedRun[] | undefined> {
  // Ctrl-C may have come while servers were starting.
  if (context.interrupts.signal.aborted) return undefined;
  const started = await startAll(temporal.client, configuration, request);
  for (const run of started.filter(({ attached }) => attached)) context.output.note(joinedSentence(context, run));
  const view = createProgressView(context.output, context.clock);
  const endings = await Promise.all(
    started.map((run) =>
      followRun(run, {
        view,
        countsOf: (id) => readProgress(ledger.database, id),
        signal: context.interrupts.signal,
        onNoWorker: request.onNoWorker,
        ...(request.waitWhileParked ? {} : { leaveParked: () => whatBlocks(run.handle) }),
      }),
    ),
  );
  if (endings.some(({ ended }) => ended === 'not-yet')) return undefined;
  return Promise.all(started.map((run, index) => finishedRun(run, endings[index], { temporal, ledger })));
}

/** All are asked for before any is followed; one that cannot be started takes none of the others along. */
async function startAll(client: Client, configuration: Configuration, request: RunRequest): Promise<StartedRun[]> {
  const started: StartedRun[] = [];
  for (const deployment of request.deployments) {
    const input = { deployment, mode: request.mode, planId: null, startedBy: request.startedBy };
    started.push(await startOrJoinRun(client, configuration.temporal.taskQueue || defaultTaskQueue, input));
  }
  return started;
}

function joinedSentence({ clock }: CliContext, run: StartedRun): string {
  const forSeconds = Math.max(0, Math.round((clock.nowMs() - run.startedAt.getTime()) / 1000));
  return `A run of ${run.deployment} is already under way (for ${formatSeconds(forSeconds)}); this follows it instead of starting another.`;
}

async function finishedRun(
  run: StartedRun,
  ending: RunEnding | ParkedEnding | undefined,
  { temporal, ledger }: RunPlaces,
): Promise<FinishedRun> {
  const page = runPage(temporal, run.workflowId, run.workflowRunId);
  if (ending?.ended === 'with-result') {
    const { outcome, because } = ending.result;
    return { deployment: run.deployment, outcome, because, report: await readReport(ledger.database, { run: ending.result.run }), page };
  }
  if (ending?.ended === 'parked') {
    const because = `it waits for a person to put right ${ending.waitsFor.map(({ check }) => check).join(', ')}, and goes on by itself then`;
    return { deployment: run.deployment, outcome: 'parked', because, report: undefined, page, waitsFor: ending.waitsFor };
  }
  const [outcome, because] =
    ending?.ended === 'without-result' ? [ending.outcome, ending.because] : (['failed', 'it is not over'] as const);
  return { deployment: run.deployment, outcome, because, report: undefined, page };
}
