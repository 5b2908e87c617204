import { naturalKey } from '../src/integrations/natural-key.ts';
import {
  recordsOnCis,
  stepsOf,
  type CiOfClass,
  type CiPair,
  type ClaimedPair,
  type KeyedStep,
  type RecordOnCi,
  type ReconcileStep,
  type RunHandle,
} from '../src/ledger/index.ts';
import type { CiKey, SysId } from '../src/model.ts';
import { readStates } from './ci-states.ts';
import type { ActivityContext } from './context.ts';
import { integrationInstanceKey } from './engine-records.ts';
import { differenceSentence, differencesOf } from './pair-differences.ts';
import { readCmdbCis, readPairs, type PairReader } from './read-pairs.ts';

/** What is to be done about a claimed pair. */
export type PairPlan =
  | { readonly pair: ClaimedPair; readonly plan: 'refused'; readonly because: string }
  /** It was done before, by this reconcile or another. */
  | { readonly pair: ClaimedPair; readonly plan: 'unchanged' }
  | {
      readonly pair: ClaimedPair;
      readonly plan: 'move';
      readonly steps: readonly KeyedStep[];
      /** Of those, the ones that the instance does not have yet. */
      readonly toSend: readonly KeyedStep[];
    };

export interface Planner {
  readonly context: ActivityContext;
  readonly runs: readonly RunHandle[];
  readonly reader: PairReader;
  /** What the platform does with results, as the instance says now. */
  readonly moves: boolean | null;
  readonly isUndo: boolean;
}

const itemTable = 'sn_sec_cmn_src_ci';
const resultTable = 'sn_vulc_result';

/**
 * Holds pairs against the instance and says what to send. A pair is done as it was shown or not at all; one whose intent was committed
 * before is carried on from wherever it is, as long as everything in it points at one of the two.
 */
export async function planPairs(planner: Planner, pairs: readonly ClaimedPair[], signal: AbortSignal): Promise<readonly PairPlan[]> {
  const open: ClaimedPair[] = [];
  const plans: PairPlan[] = [];
  for (const pair of pairs) {
    const settled = settledBefore(planner, pair);
    if (settled === undefined) open.push(pair);
    else plans.push(settled);
  }
  const intended = open.filter((pair) => pair.steps !== undefined);
  const fresh = open.filter((pair) => pair.steps === undefined);
  const onCis = await recordsOnCis(
    planner.context.ledger.database,
    planner.runs,
    fresh.map(({ from }) => from.sysId),
  );
  const shown = planner.isUndo ? [] : await planShown(planner, fresh, onCis, signal);
  const inverse = planner.isUndo ? fresh.map((pair) => ({ pair, steps: keyed(pair, inverseSteps(planner, pair, onCis), onCis) })) : [];
  const carriedOn = [...inverse, ...intended.map((pair) => ({ pair, steps: pair.steps ?? [] }))];
  return [...plans, ...shown, ...(await carryOn(planner, carriedOn, signal))];
}

/** What the ledger alone can say. */
function settledBefore({ isUndo }: Planner, pair: ClaimedPair): PairPlan | undefined {
  const { now, from, to } = pair;
  // Part of a reconcile may have been refused: then the ledger stayed where it was, and the rest can be taken back all the same.
  if (now.sysId === to.sysId) return isUndo ? undefined : { pair, plan: 'unchanged' };
  if (now.sysId === from.sysId) return undefined;
  return {
    pair,
    plan: 'refused',
    because: `changed since: the ledger has matched the resource to ${now.sysId ?? 'no CI'} (${now.match ?? 'unmatched'})`,
  };
}

async function planShown(
  { reader, moves }: Planner,
  pairs: readonly ClaimedPair[],
  onCis: ReadonlyMap<string, readonly RecordOnCi[]>,
  signal: AbortSignal,
): Promise<readonly PairPlan[]> {
  const cis = pairs.map(({ ciKey, identity, from, now }): CiOfClass => ({
    ciKey,
    identity,
    sysId: from.sysId,
    createdByEngine: from.createdByEngine,
    others: now.others,
  }));
  const current = new Map<CiKey, CiPair>((await readPairs(reader, cis, signal)).map((pair) => [pair.ciKey, pair]));
  return pairs.map((pair): PairPlan => {
    const now = current.get(pair.ciKey);
    const differences = pair.shown === undefined ? ['it was never shown'] : differencesOf(pair.shown, now);
    if (differences.length > 0 || now === undefined) return { pair, plan: 'refused', because: differenceSentence(differences) };
    if (now.obstacle !== null) return { pair, plan: 'refused', because: now.obstacle };
    const steps = keyed(pair, stepsOf(now, moves).steps, onCis);
    return { pair, plan: 'move', steps, toSend: steps.filter(({ by }) => by === 'engine') };
  });
}

/** The steps of a reconcile, backwards; and results that runs have made on the specific CI since, which go where their item goes. */
function inverseSteps({ moves }: Planner, pair: ClaimedPair, onCis: ReadonlyMap<string, readonly RecordOnCi[]>): readonly ReconcileStep[] {
  const by = (table: string): ReconcileStep['by'] => (table === resultTable && moves === true ? 'platform' : 'engine');
  const undone = pair.undone.map(({ deployment, table, sysId, from, to }): ReconcileStep => ({
    deployment,
    table,
    sysId,
    from: to,
    to: from,
    by: by(table),
  }));
  const known = new Set(undone.map(({ sysId }) => sysId));
  // Where other resources are the same CI, nothing says whose a result is.
  const since = pair.now.others > 0 ? [] : (onCis.get(pair.from.sysId) ?? []);
  const made = since.flatMap(({ deployment, table, sysId }): ReconcileStep[] =>
    sysId === null || known.has(sysId) || (table !== resultTable && table !== itemTable)
      ? []
      : [{ deployment, table, sysId, from: pair.from.sysId, to: pair.to.sysId, by: by(table) }],
  );
  return [...undone, ...made];
}

/** Steps with the keys that their records have in the ledger, before and after. */
function keyed(
  pair: ClaimedPair,
  steps: readonly ReconcileStep[],
  onCis: ReadonlyMap<string, readonly RecordOnCi[]>,
): readonly KeyedStep[] {
  const bySysId = new Map((onCis.get(pair.from.sysId) ?? []).map((record) => [record.sysId, record]));
  return steps.map((step) => {
    const record = bySysId.get(step.sysId);
    const newKey = record?.table === resultTable ? resultKey(record, pair.to.sysId) : (record?.key ?? null);
    return { ...step, key: record?.key ?? null, newKey: newKey ?? null };
  });
}

/** The key that a result has on another CI (src/integrations/results.ts). */
function resultKey({ deployment, fields }: RecordOnCi, ci: SysId): string | undefined {
  const control = fields['control'];
  if (control === null || typeof control !== 'object' || !('record' in control)) return undefined;
  return naturalKey(integrationInstanceKey(deployment as Parameters<typeof integrationInstanceKey>[0]), ci, control.record.key);
}

/** What of these steps the instance does not have yet. A record that points anywhere else was changed by somebody. */
async function carryOn(
  { reader }: Planner,
  pairs: readonly { readonly pair: ClaimedPair; readonly steps: readonly KeyedStep[] }[],
  signal: AbortSignal,
): Promise<readonly PairPlan[]> {
  const pointing = new Map<string, string>();
  for (const table of [itemTable, resultTable]) {
    const sysIds = pairs.flatMap(({ steps }) => steps.filter((step) => step.table === table).map(({ sysId }) => sysId));
    for (const [sysId, cmdbCi] of await readCmdbCis(reader, table, sysIds, signal)) pointing.set(sysId, cmdbCi);
  }
  const targets = await readStates({ ...reader, signal }, [...new Set(pairs.map(({ pair }) => pair.to.sysId))]);
  return pairs.map(({ pair, steps }): PairPlan => {
    if (!targets.has(pair.to.sysId)) return { pair, plan: 'refused', because: `changed since: CI ${pair.to.sysId} is gone` };
    const elsewhere = steps.filter(({ sysId, from, to }) => ![from, to].some((ci) => ci === pointing.get(sysId)));
    if (elsewhere.length > 0)
      return { pair, plan: 'refused', because: differenceSentence(elsewhere.map((step) => whereNow(step, pointing))) };
    const toSend = steps.filter(({ sysId, from, by }) => by === 'engine' && pointing.get(sysId) === from);
    if (toSend.length === 0 && !pair.wasSent && pair.now.sysId === pair.to.sysId) return { pair, plan: 'unchanged' };
    return { pair, plan: 'move', steps, toSend };
  });
}

function whereNow({ table, sysId, from }: KeyedStep, pointing: ReadonlyMap<string, string>): string {
  const now = pointing.get(sysId);
  if (now === undefined) return `${table} ${sysId} is gone`;
  return `${table} ${sysId} pointed at ${from} and points at ${now === '' ? 'nothing' : now}`;
}

/**
 * Results of the ledger on the old CI, with the keys that they get on the new one; null for those that stay behind, which are then no
 * longer seen. Where other resources are the old CI too, only what is re-pointed is theirs to go.
 */
export function rekeyedResults(
  { from, to, now }: ClaimedPair,
  steps: readonly KeyedStep[],
  onCis: ReadonlyMap<string, readonly RecordOnCi[]>,
): { readonly key: string; readonly newKey: string | null }[] {
  const going = new Set(steps.map(({ sysId }) => sysId));
  const shared = now.sysId === from.sysId && now.others > 0;
  return (onCis.get(from.sysId) ?? []).flatMap((record) => {
    if (record.table !== resultTable) return [];
    const goes = record.sysId === null ? !shared : going.has(record.sysId);
    if (!goes && shared) return [];
    return [{ key: record.key, newKey: goes ? (resultKey(record, to.sysId) ?? null) : null }];
  });
}
