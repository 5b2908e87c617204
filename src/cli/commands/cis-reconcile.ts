/** `defender-sync cis reconcile <pairs>`, `defender-sync cis reconcile --undo <reconcile>` */
import { defaultTaskQueue, type ReconcileRequest, type ReconcileResult } from '../../../workflows/contract.ts';
import type { Configuration } from '../../config/index.ts';
import { SyncError } from '../../errors.ts';
import {
  eachPair,
  readPairSet,
  readReconciledPairs,
  readReconcileCounts,
  reconcileScope,
  type CiPair,
  type Ledger,
  type PairSet,
} from '../../ledger/index.ts';
import { askedFor } from '../asked-for.ts';
import { configurationOf } from '../configuration.ts';
import { agreed } from '../confirm.ts';
import type { CliContext } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { createProgressView } from '../progress.ts';
import { withReleases } from '../releases.ts';
import { effectSentence } from '../render/pairs.ts';
import { reconcileAsJson, renderReconcile } from '../render/reconcile.ts';
import { followRun } from '../runs/follow-run.ts';
import { lockHeld, startOrJoinReconcile } from '../runs/start-reconcile.ts';
import { answerNoWorker, createOwnWorker, startWorkerIfAlone } from '../runs/worker.ts';
import { openLedgerOf } from '../ledger-server.ts';
import { openTemporal, runPage } from '../servers.ts';
import { counted } from '../table.ts';

export interface CisReconcileOptions {
  readonly setId: string | undefined;
  readonly only: string | undefined;
  readonly undo: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
}

const codeOfOutcome: Readonly<Record<ReconcileResult['outcome'], ExitCode>> = {
  succeeded: exitCodes.inSync,
  degraded: exitCodes.degraded,
  failed: exitCodes.failed,
  cancelled: exitCodes.failed,
  refused: exitCodes.usage,
};

/** Re-points what a list of pairs shows, or takes a reconcile back, and prints what became of each pair. */
export async function cisReconcileCommand(context: CliContext, options: CisReconcileOptions): Promise<ExitCode> {
  const configuration = configurationOf(context, 'secrets');
  await context.engine.requireMayChange({
    configuration,
    command: 'defender-sync cis reconcile',
    signal: context.interrupts.signal,
  });
  return withReleases(async (releases) => {
    const { ledger, url: ledgerUrl } = await openLedgerOf(configuration, releases);
    const { request, sentence } = await requestOf(ledger, configuration, options);
    context.output.note(sentence);
    if (!options.yes && !(await agreed(context, 'Nothing was re-pointed'))) return exitCodes.usage;
    const temporal = await openTemporal(context, configuration, releases);
    const worker = createOwnWorker(context, configuration, { temporal, ledgerUrl }, releases);
    await startWorkerIfAlone(context, configuration, temporal, worker);
    const input = { request, startedBy: 'cli' };
    const started = await startOrJoinReconcile(temporal.client, configuration.temporal.taskQueue || defaultTaskQueue, input);
    const following = followRun<ReconcileResult>(started, {
      view: createProgressView(context.output, context.clock),
      countsOf: (workflowRunId) => readReconcileCounts(ledger.database, workflowRunId),
      signal: context.interrupts.signal,
      onNoWorker: () => answerNoWorker(context, temporal, worker),
    });
    const ending = await Promise.race([following, worker.failed]);
    const page = runPage(temporal, started.workflowId, started.workflowRunId);
    if (ending.ended === 'not-yet') {
      context.output.note(
        'No longer following. The reconcile goes on as soon as a worker runs; start it again with the same words to follow it.',
      );
      return exitCodes.interrupted;
    }
    if (ending.ended === 'without-result') {
      context.output.note(context.output.noteStyle.bad(`The reconcile ended as ${ending.outcome}: ${ending.because}`));
      return exitCodes.failed;
    }
    const { result } = ending;
    if (result.heldBy !== null) throw await lockHeld(temporal.client, result.heldBy);
    const pairs = result.reconcile === null ? [] : await readReconciledPairs(ledger.database, result.reconcile);
    if (options.json) context.output.print(JSON.stringify(reconcileAsJson(result, pairs), null, 2));
    else context.output.print(renderReconcile(result, pairs, request, page, context.output.style));
    return codeOfOutcome[result.outcome];
  });
}

interface Request {
  readonly request: ReconcileRequest;
  /** What it is about to do. */
  readonly sentence: string;
}

async function requestOf(ledger: Ledger, configuration: Configuration, { setId, only, undo }: CisReconcileOptions): Promise<Request> {
  if ((setId === undefined) === (undo === undefined)) {
    throw new SyncError({
      kind: 'usage',
      message: setId === undefined ? 'Nothing says what to reconcile.' : 'A list of pairs and --undo exclude each other.',
      remedy: 'Name a list of pairs (defender-sync cis pairs), or a reconcile to take back: --undo <reconcile>',
    });
  }
  if (undo !== undefined) {
    if (only !== undefined)
      throw new SyncError({
        kind: 'usage',
        message: '--only and --undo exclude each other.',
        remedy: 'A reconcile is taken back as a whole.',
      });
    const request = { type: 'undo', reconcileId: undo } as const;
    const { pairs } = await reconcileScope(ledger.database, request);
    return { request, sentence: `Takes reconcile ${undo} back: ${counted(pairs, 'pair')}.` };
  }
  const ciKey = only === undefined ? null : ciKeyOf(only);
  const request = { type: 'apply', setId: setId ?? '', only: ciKey } as const;
  await reconcileScope(ledger.database, request);
  const set = await readPairSet(ledger.database, setId ?? '');
  requireInstance(set, configuration);
  return { request, sentence: await effectSentence(eachPair(ledger.database, set.id, ciKey), set) };
}

function ciKeyOf(typed: string): CiPair['ciKey'] {
  const asked = askedFor(typed);
  if (asked.type === 'resource') return asked.name.ciKey;
  throw new SyncError({
    kind: 'usage',
    message: `${JSON.stringify(typed)} is not the id of a resource.`,
    remedy: 'Name one of the resources that the list shows.',
  });
}

function requireInstance(set: PairSet | undefined, { serviceNow }: Configuration): asserts set is PairSet {
  if (set?.instanceUrl === serviceNow.url) return;
  throw new SyncError({
    kind: 'usage',
    message: `The list of pairs is of ${set?.instanceUrl ?? 'another instance'}, and the configuration says ${serviceNow.url}.`,
    remedy: 'List the pairs of this instance: defender-sync cis pairs',
  });
}
