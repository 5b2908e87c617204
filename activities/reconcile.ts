import type { ReconcileCounts, ReconcileRef, ReconcileRequest } from '../workflows/contract.ts';
import { isCertainlyNotDone, isSuperseded, isSyncError, SyncError } from '../src/errors.ts';
import {
  beginReconcile as beginReconcileInLedger,
  beginRun,
  claimPairs,
  endReconcile,
  integrationInstances,
  intendPairs,
  parkUnsettledPairs,
  openRun,
  readReconcileFacts,
  reconcileProgress,
  reconcileScope as scopeInLedger,
  recordsOnCis,
  releasePairs,
  settlePairs,
  takeOverPairs,
  type ClaimedPair,
  type KeyedStep,
  type PairClaim,
  type ReconcileRequest as LedgerRequest,
  type RunHandle,
  type SettledPair,
} from '../src/ledger/index.ts';
import type { CiKey } from '../src/model.ts';
import { classifyWrite, cutBatches, type BatchItem, type BatchOutcome, type WriteResult } from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';
import { deploymentsOf } from './find-pairs.ts';
import type { Left } from './observe.ts';
import { planPairs, rekeyedResults, type PairPlan, type Planner } from './plan-reconcile.ts';
import { settleTimeMs } from './publisher.ts';
import { platformMovesResults } from './read-pairs.ts';
import type { StepScope } from './run-step.ts';

/** Pairs at a time; their items and results fit into a Batch or two. */
const pairsAtATime = 20;
const recordsPerBatch = 100;
const leaseMs = 10 * 60_000;

/** Whose locks are needed. Only reads the ledger. */
export async function reconcileScope(
  context: ActivityContext,
  request: ReconcileRequest,
): Promise<{ readonly deployments: readonly string[]; readonly pairs: number; readonly setId: string }> {
  return scopeInLedger(context.ledger.database, request as LedgerRequest);
}

/** Begins a reconcile and a run of each deployment under it: their fences stop whatever an earlier run left behind. Idempotent. */
export async function beginReconcile(
  context: ActivityContext,
  input: {
    readonly request: ReconcileRequest;
    readonly setId: string;
    readonly workflowRunId: string;
    readonly locks: readonly { readonly deployment: string; readonly workflowRunId: string }[];
  },
): Promise<ReconcileRef> {
  const { database } = context.ledger;
  const runs = [];
  for (const lock of input.locks) {
    const { name, precedence } = context.deployment(lock.deployment);
    const facts = { name, instanceUrl: context.config.serviceNow.url, position: precedence };
    const { runId, fence } = await beginRun(database, facts, lock.workflowRunId, 'reconcile');
    runs.push({ deployment: name, run: runId, fence });
  }
  const { reconcileId } = await beginReconcileInLedger(database, input.request as LedgerRequest, input.setId, input.workflowRunId);
  return { reconcile: reconcileId, runs, undo: input.request.type === 'undo' };
}

interface Reconciler {
  readonly planner: Planner;
  readonly claim: PairClaim;
  readonly step: StepScope;
}

/** Re-points what is due, pair by pair, and returns what is left. */
export async function reconcilePairs(context: ActivityContext, ref: ReconcileRef, step: StepScope): Promise<Left> {
  const { database } = context.ledger;
  const runs = await openRuns(context, ref);
  const planner = await plannerOf(context, ref, runs, step.signal);
  await takeOverPairs(database, runs, ref.reconcile);
  let done = 0;
  while (!step.timeIsUp() && !step.signal.aborted) {
    const claim = await claimPairs(database, runs, ref.reconcile, pairsAtATime, leaseMs, settleTimeMs(context));
    if (claim.pairs.length === 0) break;
    await context.failpoint('reconcile.after-claim');
    await reconcileClaim({ planner, claim, step });
    done += claim.pairs.length;
    step.at({ pairs: done });
  }
  const { open, readyInMs } = await reconcileProgress(database, ref.reconcile, settleTimeMs(context));
  return { left: open, readyInMs, advanced: false };
}

function openRuns(context: ActivityContext, ref: ReconcileRef): Promise<RunHandle[]> {
  return Promise.all(ref.runs.map(({ run, fence }) => openRun(context.ledger.database, run, fence)));
}

async function plannerOf(context: ActivityContext, ref: ReconcileRef, runs: readonly RunHandle[], signal: AbortSignal): Promise<Planner> {
  const [first] = runs;
  if (first === undefined) throw new SyncError({ kind: 'bug', service: 'ledger', message: 'A reconcile without a deployment was begun.' });
  const { serviceNow: client } = await context.clientsOf(first);
  const model = await context.instanceModelOf(first);
  const deploymentOf = deploymentsOf(await integrationInstances(context.ledger.database, context.config.serviceNow.url));
  const moves = await platformMovesResults(client, signal);
  const shown = await readReconcileFacts(context.ledger.database, ref.reconcile);
  if (!ref.undo && shown.platformMovesResults !== moves) {
    throw new SyncError({
      kind: 'rejected',
      service: 'servicenow',
      message: `Changed since it was shown: whether the platform moves results by itself (sn_sec_cmn.update_on_ci_change) was ${String(shown.platformMovesResults ?? 'unreadable')} and is ${String(moves ?? 'unreadable')}.`,
      remedy: 'List the pairs again: defender-sync cis pairs',
    });
  }
  return { context, runs, reader: { client, model, deploymentOf }, moves, isUndo: ref.undo };
}

async function reconcileClaim(reconciler: Reconciler): Promise<void> {
  const { planner, claim, step } = reconciler;
  let plans: readonly PairPlan[];
  try {
    plans = await planPairs(planner, claim.pairs, step.signal);
  } catch (error) {
    await giveBack(reconciler, claim.pairs, true);
    throw error;
  }
  await settle(
    reconciler,
    plans.flatMap((plan): SettledPair[] => {
      if (plan.plan === 'move') return [];
      if (plan.plan === 'unchanged') return [{ pair: plan.pair, outcome: 'unchanged', because: null, written: [], rekeyed: [] }];
      // What was sent before has happened, so it has to remain possible to take it back.
      const outcome = plan.pair.wasSent ? 'parked' : 'refused';
      return [{ pair: plan.pair, outcome, because: plan.because, written: [], rekeyed: [] }];
    }),
  );
  const moving = plans.filter((plan) => plan.plan === 'move');
  if (moving.length > 0) await send(reconciler, moving);
}

type Move = Extract<PairPlan, { plan: 'move' }>;

/**
 * Intent → send → outcome per record, as for records (publish.ts). The items go before the results, so that a platform that moves
 * results by itself finds nothing left to do, and neither do we.
 */
async function send(reconciler: Reconciler, moves: readonly Move[]): Promise<void> {
  const { planner, claim, step } = reconciler;
  const { context, runs, reader } = planner;
  const { database } = context.ledger;
  const sends = moves.flatMap((move) => move.toSend.map((one) => ({ move, one })));
  const items = sends.map(({ one }, index) => updateItem(planner, String(index), one));
  const results = new Map<KeyedStep, WriteResult>();
  const intend = async (): Promise<void> => {
    await intendPairs(
      database,
      runs,
      claim,
      moves.map(({ pair: { ciKey }, steps }) => ({ ciKey, steps })),
    );
    await context.failpoint('reconcile.after-intent');
  };
  // Nothing to send is still an intent: what is settled below is what was planned.
  if (items.length === 0) await intend();
  for (const batch of cutBatches(items, recordsPerBatch).batches) {
    let answers: readonly BatchOutcome[];
    try {
      answers = await reader.client.batch.sendBatch(batch, {
        kind: 'serviceNowWrites',
        effect: 'write',
        beforeSend: intend,
        signal: step.signal,
      });
    } catch (error) {
      if (!isSuperseded(error)) {
        const notSent = isCertainlyNotDone(error) && results.size === 0;
        await giveBack(
          reconciler,
          moves.map(({ pair }) => pair),
          notSent,
        );
      }
      if (isSyncError(error, 'outcome-unknown')) return;
      throw error;
    }
    for (const [index, item] of batch.entries()) {
      const sent = sends[Number(item.id)];
      if (sent) results.set(sent.one, classifyWrite(answers[index] ?? { outcome: 'unserviced' }));
    }
  }
  await context.failpoint('reconcile.after-send');
  const onCis = await recordsOnCis(
    database,
    runs,
    moves.map(({ pair }) => pair.from.sysId),
  );
  const settled = moves.flatMap((move) => settledMove(move, results, onCis));
  await settle(reconciler, settled);
  // What has no outcome keeps its intent, and is looked at again once the platform has settled.
  const unknown = moves.filter((move) => !settled.some(({ pair }) => pair === move.pair));
  await giveBack(
    reconciler,
    unknown.map(({ pair }) => pair),
    false,
  );
  await context.failpoint('reconcile.after-outcome');
}

function updateItem({ reader: { client, model } }: Planner, id: string, { table, sysId, to }: KeyedStep): BatchItem {
  const column = model.tables.get(table)?.column('cmdb_ci') ?? 'cmdb_ci';
  return client.table.updateItem(id, table, sysId, { [column]: to });
}

/** @param notSent nothing of them was sent now; what an earlier attempt sent stays an intent all the same */
async function giveBack({ planner, claim }: Reconciler, pairs: readonly ClaimedPair[], notSent: boolean): Promise<void> {
  const { database } = planner.context.ledger;
  const keysWhere = (wasSent: boolean): CiKey[] => pairs.filter((pair) => pair.wasSent === wasSent).map(({ ciKey }) => ciKey);
  await releasePairs(database, claim, keysWhere(false), notSent);
  await releasePairs(database, claim, keysWhere(true), false);
}

/** A pair is moved when all of it is; a refusal parks it with what was re-pointed, so that it can be put back. Unknown: nothing yet. */
function settledMove(
  { pair, steps, toSend }: Move,
  results: ReadonlyMap<KeyedStep, WriteResult>,
  onCis: Parameters<typeof rekeyedResults>[2],
): SettledPair[] {
  const told = toSend.map((step) => ({ step, result: results.get(step) }));
  if (told.some(({ result }) => result === undefined || result.result === 'unknown' || result.result === 'throttled')) return [];
  const written = told.filter(({ result }) => result?.result === 'written').map(({ step }) => step);
  const refusals = told.flatMap(({ step, result }) => {
    if (result?.result === 'refused') return [`${step.table} ${step.sysId}: ${result.kind}: ${result.reason} ${result.remedy}`];
    return result?.result === 'gone' ? [`${step.table} ${step.sysId} is gone`] : [];
  });
  if (refusals.length === 0) return [{ pair, outcome: 'moved', because: null, written, rekeyed: rekeyedResults(pair, steps, onCis) }];
  const because = `${written.length} of ${toSend.length} records were re-pointed; ${refusals.slice(0, 3).join('; ')}`;
  return [{ pair, outcome: 'parked', because, written, rekeyed: [] }];
}

async function settle({ planner, claim }: Reconciler, settled: readonly SettledPair[]): Promise<void> {
  const { database, words } = planner.context.ledger;
  await settlePairs(database, words, planner.runs, claim, settled, planner.isUndo);
}

/** Ends the reconcile and its runs, and counts what it did. */
export async function finishReconcile(
  context: ActivityContext,
  input: ReconcileRef & { readonly outcome: 'succeeded' | 'failed' | 'cancelled' },
): Promise<ReconcileCounts & { readonly outcome: 'succeeded' | 'degraded' | 'failed' | 'cancelled' }> {
  const { database } = context.ledger;
  await parkUnsettledPairs(database, input.reconcile);
  const { counts, items, results, leftToPlatform } = await reconcileProgress(database, input.reconcile, 0);
  const incomplete = counts.refused + counts.parked > 0;
  const outcome = input.outcome === 'succeeded' && incomplete ? 'degraded' : input.outcome;
  await endReconcile(
    database,
    input.runs.map(({ run }) => run),
    input.reconcile,
    outcome,
  );
  return { ...counts, items, results, leftToPlatform, outcome };
}
