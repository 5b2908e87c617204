/** Reconciles in the ledger: what was shown, the fences of all deployments, claims and intents, and the CI that changes with the outcome. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  addPairs,
  beginReconcile,
  claimCis,
  claimPairs,
  closePairSet,
  commitDerivedGroups,
  dueGroups,
  forgetPairSets,
  intendPairs,
  openPairSet,
  parkUnsettledPairs,
  readPairSet,
  readStory,
  reconcileProgress,
  reconcileScope,
  settleCis,
  settlePairs,
  takeOverPairs,
  type CiPair,
  type PairClaim,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { CiKey, CiRequest } from '../../../src/model.ts';
import { item, pairOf, placeholderId, specificId } from '../../unit/reconcile/pairs.ts';
import { commit, failureOf, instanceUrl, leaseMs, minuteMs, moreToCome, observed, openScan, withLedger } from './open.ts';

const ledger = withLedger();
const settleMs = minuteMs;
const pair: CiPair = pairOf();
const identity: CiRequest['identity'] = {
  type: 'resource',
  cloud: 'azure',
  resourceId: pair.resourceId as never,
  displayId: pair.resourceId,
  name: 'x',
  resourceType: 'microsoft.compute/virtualmachines',
  lookupClass: 'cmdb_ci_vm_instance',
};

let a: RunHandle;
let b: RunHandle;
let setId: string;

/** Both deployments see the resource, whose CI is the placeholder; one pair is shown. */
beforeEach(async () => {
  const { database, words } = ledger;
  [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
  for (const run of [a, b]) {
    const scan = await openScan(ledger, run, 'assessments', 'assessments');
    const outcomes = [observed('assessment', `${pair.resourceId}/1`, { test: 't1' }, { group: pair.resourceId })];
    await commit(ledger, run, scan, 1, { outcomes, nextCursor: moreToCome });
    const due = await dueGroups(database, words, run, 'assessments', 10);
    const derived = { records: [], cis: [{ key: pair.ciKey, identity }], excluded: [] };
    const deriver = { integration: 'assessments', ciOfGroup: undefined, tablesOfMany: [] } as const;
    await commitDerivedGroups(
      database,
      words,
      run,
      deriver,
      due.map((group) => ({ group, derived })),
    );
  }
  const claim = await claimCis(database, a, 10, leaseMs, settleMs);
  const created = {
    key: pair.ciKey,
    outcome: 'resolved',
    sysId: placeholderId,
    className: 'cmdb_ci_cmp_resource',
    match: 'created-by-ire',
  } as const;
  await settleCis(database, a, 'assessments', claim, [created], { created: 1, updated: 0, records: 1 });
  setId = await openPairSet(database, instanceUrl);
  await addPairs(database, setId, [pair]);
  await closePairSet(database, setId, false);
});

const request = (only: CiKey | null = null) => ({ type: 'apply', setId, only }) as const;
const begin = (workflowRunId = 'execution'): Promise<{ reconcileId: string }> =>
  beginReconcile(ledger.database, request(), setId, workflowRunId);
const claim = (id: string): Promise<PairClaim> => claimPairs(ledger.database, [a, b], id, 10, leaseMs, settleMs);
const step = {
  deployment: 'a',
  table: 'sn_sec_cmn_src_ci',
  sysId: item('a').sysId,
  from: placeholderId,
  to: specificId,
  by: 'engine',
  key: 'k',
  newKey: 'k',
} as const;
const intend = (taken: PairClaim): Promise<void> => intendPairs(ledger.database, [a, b], taken, [{ ciKey: pair.ciKey, steps: [step] }]);
const settle = (taken: PairClaim): Promise<void> =>
  settlePairs(
    ledger.database,
    ledger.words,
    [a, b],
    taken,
    taken.pairs.map((one) => ({ pair: one, outcome: 'moved', because: null, written: [step], rekeyed: [] })),
    false,
  );
const ciNow = async (): Promise<unknown> =>
  (await readStory(ledger.database, ledger.words, instanceUrl, { ciKey: pair.ciKey, ids: [pair.resourceId] }))?.ci;

describe('what was shown', () => {
  test('is known by its id and hash, and concerns every deployment that sees one of its resources', async () => {
    expect(await readPairSet(ledger.database, setId)).toMatchObject({ id: setId, pairs: 1, reconcilable: 1, platformMovesResults: false });
    expect(await reconcileScope(ledger.database, request())).toEqual({ deployments: ['a', 'b'], pairs: 1, setId });
    expect(await failureOf(reconcileScope(ledger.database, request('resource:/other' as CiKey)))).toBe('usage');
    expect(await failureOf(reconcileScope(ledger.database, { type: 'apply', setId: 'unheard of', only: null }))).toBe('usage');
    expect(await failureOf(reconcileScope(ledger.database, { type: 'undo', reconcileId: 'unheard of' }))).toBe('usage');
  });

  test('is refused when it is not what was shown any more', async () => {
    const { reconcileId } = await begin();
    await ledger.database.query(`UPDATE ci_pair SET pair = jsonb_set(pair, '{specific,0,sysId}', '"another"')`);
    expect(await failureOf(claim(reconcileId))).toBe('usage');
    await ledger.database.query(`UPDATE ci_pair SET digest = '\\x00'`);
    expect(await failureOf(reconcileScope(ledger.database, request()))).toBe('usage');
  });

  test('an empty list is not kept, and an old one only if something was done about it', async () => {
    const empty = await openPairSet(ledger.database, instanceUrl);
    expect(await closePairSet(ledger.database, empty, null)).toBeUndefined();
    await ledger.advance(3 * 24 * 60 * minuteMs);
    await begin();
    await forgetPairSets(ledger.database, 2);
    expect(await readPairSet(ledger.database, setId)).toBeDefined();
    await ledger.database.query('DELETE FROM reconcile');
    await forgetPairSets(ledger.database, 2);
    expect(await readPairSet(ledger.database, setId)).toBeUndefined();
  });
});

test('a second try of its first activity is the same reconcile; another execution is another one', async () => {
  const first = await begin();
  expect(await begin()).toEqual(first);
  expect(await begin('another')).not.toEqual(first);
});

test('a pair is settled once: its CI, its history and its state change together', async () => {
  const { reconcileId } = await begin();
  const taken = await claim(reconcileId);
  expect(taken.pairs).toMatchObject([{ ciKey: pair.ciKey, shown: pair, now: { sysId: placeholderId, others: 0 }, wasSent: false }]);
  expect((await claim(reconcileId)).pairs).toEqual([]);
  await intend(taken);
  await settle(taken);
  expect(await reconcileProgress(ledger.database, reconcileId, settleMs)).toMatchObject({
    open: 0,
    counts: { moved: 1 },
    items: 1,
    results: 0,
  });
  expect(await ciNow()).toMatchObject({
    sysId: specificId,
    match: 'reconciled',
    createdByEngine: false,
    history: [{ what: 'matched' }, { what: 'reconciled' }],
  });
  // Its claim is spent.
  await settle(taken);
  expect(await ciNow()).toMatchObject({ history: { length: 2 } });
});

test('one that was sent without an outcome is left alone until the platform has settled, then it says that it was sent', async () => {
  const { reconcileId } = await begin();
  await intend(await claim(reconcileId));
  await takeOverPairs(ledger.database, [a, b], reconcileId);
  expect((await claim(reconcileId)).pairs).toEqual([]);
  expect((await reconcileProgress(ledger.database, reconcileId, settleMs)).readyInMs).toBeGreaterThan(settleMs - 20_000);
  await ledger.advance(settleMs);
  expect((await claim(reconcileId)).pairs).toMatchObject([{ wasSent: true, steps: [step] }]);
});

test('one that is still without an outcome when the reconcile ends is parked, and can be taken back', async () => {
  const { reconcileId } = await begin();
  await intend(await claim(reconcileId));
  await parkUnsettledPairs(ledger.database, reconcileId);
  expect(await reconcileProgress(ledger.database, reconcileId, settleMs)).toMatchObject({ open: 0, counts: { moved: 0, parked: 1 } });
  expect(await reconcileScope(ledger.database, { type: 'undo', reconcileId })).toMatchObject({ pairs: 1 });
});

test('a claim that passed to another attempt can intend nothing', async () => {
  const { reconcileId } = await begin();
  const old = await claim(reconcileId);
  await takeOverPairs(ledger.database, [a, b], reconcileId);
  await claim(reconcileId);
  expect(await failureOf(intend(old))).toBe('overtaken');
});

test('a newer run of any of the deployments fences it off, whichever that is', async () => {
  for (const name of ['a', 'b']) {
    const { reconcileId } = await begin(name);
    const taken = await claim(reconcileId);
    const newer = await ledger.begin(name, name === 'a' ? 0 : 1);
    expect(await failureOf(claim(reconcileId))).toBe('fenced-out');
    expect(await failureOf(intend(taken))).toBe('fenced-out');
    expect(await failureOf(settle(taken))).toBe('fenced-out');
    expect(await failureOf(takeOverPairs(ledger.database, [a, b], reconcileId))).toBe('fenced-out');
    if (name === 'a') a = newer;
  }
  expect(await ciNow()).toMatchObject({ sysId: placeholderId, match: 'created-by-ire' });
});
