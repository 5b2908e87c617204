/** `defender-sync status` */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { phaseParked, searchAttributes, syncWorkflowId } from '../../../workflows/contract.ts';
import type { Configuration } from '../../config/index.ts';
import { isSyncError } from '../../errors.ts';
import { readStatus, type RunStatus } from '../../ledger/index.ts';
import { configurationOf } from '../configuration.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { withReleases, type Releases } from '../releases.ts';
import { renderStatus, type DeploymentStatus } from '../render/status.ts';
import { openLedgerOf } from '../ledger-server.ts';
import { openTemporal, readTemporalRecord } from '../servers.ts';
import { answersAt } from '../tcp.ts';

/** Prints the newest run of each deployment, and where the open ones are. */
export async function statusCommand(context: CliContext, { json }: { readonly json: boolean }): Promise<ExitCode> {
  const configuration = configurationOf(context, 'nothing-secret');
  const statuses = await withReleases(async (releases) => {
    const { ledger } = await openLedgerOf(configuration, releases);
    const runs = await readStatus(ledger.database);
    const phases = await openPhases(context, configuration, releases, runs);
    return configuration.deployments.map(({ name }) =>
      statusOf(
        name,
        runs.find((run) => run.deployment === name),
        phases.get(name),
      ),
    );
  });
  const { output, clock } = context;
  if (json) output.print(JSON.stringify(statuses, null, 2));
  else if (statuses.every(({ run, phase }) => run === null && phase === null)) output.print('No run yet. Start one: defender-sync sync');
  else output.print(renderStatus(statuses, output.style, clock.nowMs()));
  return exitCodes.inSync;
}

function statusOf(deployment: string, run: RunStatus | undefined, phase: string | undefined): DeploymentStatus {
  return {
    deployment,
    run: run?.run ?? null,
    outcome: phase === undefined ? (run?.outcome ?? null) : phase.startsWith(phaseParked) ? 'parked' : 'running',
    phase: phase ?? null,
    startedAt: run?.startedAt ?? null,
    endedAt: phase === undefined ? (run?.endedAt ?? null) : null,
  };
}

/**
 * Phases of the runs that are open, by deployment. While the server that comes along is not up, nothing moves: what the ledger has as
 * open goes on with the next worker.
 */
async function openPhases(
  context: CliContext,
  configuration: Configuration,
  releases: Releases,
  runs: readonly RunStatus[],
): Promise<ReadonlyMap<string, string>> {
  const phases = new Map<string, string>();
  if (configuration.temporal.address === undefined) {
    const record = readTemporalRecord(configuration.stateDir);
    if (record === undefined || !(await answersAt(record.address))) {
      return new Map(runs.filter(({ endedAt }) => endedAt === null).map(({ deployment }) => [deployment, 'waiting for a worker']));
    }
  }
  try {
    const { client } = await openTemporal(context, configuration, releases);
    for (const { name } of configuration.deployments) {
      const phase = await openPhase(client, name);
      if (phase !== undefined) phases.set(name, phase);
    }
  } catch (error) {
    // The ledger alone says a lot; what is missing is said.
    if (!isSyncError(error)) throw error;
    context.output.note(`${error.message} What is running now is therefore not known.`);
  }
  return phases;
}

async function openPhase(client: Client, deployment: string): Promise<string | undefined> {
  try {
    const { status, typedSearchAttributes } = await client.workflow.getHandle(syncWorkflowId(deployment)).describe();
    if (status.name !== 'RUNNING') return undefined;
    const phase = typedSearchAttributes.get(searchAttributes.phase) ?? 'waiting for a worker';
    const blockedBy = typedSearchAttributes.get(searchAttributes.blockedBy) ?? [];
    return phase === phaseParked ? `${phaseParked}: waits for ${blockedBy.join(', ')}` : phase;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
