/** What a run is said to have done, as the ledger counts it. */
import { expect, test } from '@jest/globals';
import {
  claimRecords,
  commitDerivedGroups,
  countBookkeeping,
  countCalls,
  countIntegration,
  dueGroups,
  endScan,
  intendRecords,
  readProgress,
  secondsSinceStart,
  settleRecords,
  type RecordOutcome,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { SysId } from '../../../src/model.ts';
import { commit, leaseMs, minuteMs, moreToCome, observed, openScan, policy, withLedger } from './open.ts';

const ledger = withLedger();
const row = (id: string, body = {}): ReturnType<typeof observed> => observed('policy-definition', id, body);
const counts = (run: RunHandle): ReturnType<typeof countIntegration> =>
  countIntegration(ledger.database, ledger.words, run, 'policies', ['sn_vulc_policy']);

/** Derives one policy per key and publishes them with these outcomes. */
async function publish(run: RunHandle, keys: readonly string[], outcomeOf: (key: string) => RecordOutcome): Promise<void> {
  const { database, words } = ledger;
  const due = await dueGroups(database, words, run, 'policies', 10);
  const derived = { records: keys.map((key) => policy(key)), cis: [], excluded: [] };
  const deriver = { integration: 'policies', ciOfGroup: undefined, tablesOfMany: [] } as const;
  await commitDerivedGroups(
    database,
    words,
    run,
    deriver,
    due.map((group) => ({ group, derived })),
  );
  const claim = await claimRecords(database, words, run, 'sn_vulc_policy', 100, leaseMs, minuteMs);
  await intendRecords(
    database,
    words,
    run,
    claim,
    claim.records.map((record) => record.key),
  );
  await settleRecords(
    database,
    words,
    run,
    'policies',
    claim,
    claim.records.map((record) => outcomeOf(record.key)),
    'data',
  );
}
const created = (key: string): RecordOutcome => ({ key, outcome: 'created', sysId: `sys-${key}` as SysId });

test('scopes by their state, with reasons; rows by what became of them, a key that is read twice once', async () => {
  const run = await ledger.begin();
  const first = await openScan(ledger, run, 'policies', 'policy-definitions');
  const quarantined = { outcome: 'quarantined', because: 'no id' } as const;
  const excluded = { outcome: 'excluded', because: 'not ours' } as const;
  await commit(ledger, run, first, 1, { outcomes: [row('/p/1'), row('/p/2'), row('/p/2'), quarantined], nextCursor: moreToCome });
  await commit(ledger, run, first, 2, { outcomes: [row('/p/2'), excluded] });
  await endScan(ledger.database, run, first, 'complete', undefined);
  const second = await openScan(ledger, run, 'policies', 'custom-definitions');
  await commit(ledger, run, second, 1, { outcomes: [row('/p/1'), row('/p/3')] });
  await endScan(ledger.database, run, second, 'partial', 'the service ended early');
  const third = await openScan(ledger, run, 'policies', 'policy-sets');
  await endScan(ledger.database, run, third, 'failed', 'forbidden');
  const fourth = await openScan(ledger, run, 'policies', 'plans');
  await endScan(ledger.database, run, fourth, 'not-applicable', 'the plan is off');
  expect(await counts(run)).toMatchObject({
    scopes: { complete: 1, partial: 1, failed: 1, notApplicable: 1 },
    read: 3,
    quarantined: 1,
    excluded: 1,
    unreadLists: ['policy-sets'],
  });
  expect((await counts(run)).reasons).toEqual(
    expect.arrayContaining([
      { state: 'partial', because: 'the service ended early', scopes: 1 },
      { state: 'failed', because: 'forbidden', scopes: 1 },
      { state: 'not-applicable', because: 'the plan is off', scopes: 1 },
    ]),
  );
});

test('records by what became of them; what nobody had to touch is unchanged, also in the next run', async () => {
  const run = await ledger.begin();
  await commit(ledger, run, await openScan(ledger, run), 1, { outcomes: [row('/p/1')] });
  await publish(run, ['a', 'b', 'c', 'd'], (key) => {
    if (key === 'b') return { key, outcome: 'updated', sysId: 'b' as SysId };
    if (key === 'c') return { key, outcome: 'unchanged', sysId: 'c' as SysId };
    return key === 'd' ? { key, outcome: 'parked', because: 'refused' } : created(key);
  });
  expect(await counts(run)).toMatchObject({ created: 1, updated: 1, unchanged: 1, parked: 1, closed: 0 });
  expect(await countCalls(ledger.database, run)).toMatchObject({ serviceNowWrites: 2 });
  const next = await ledger.begin();
  await commit(ledger, next, await openScan(ledger, next), 1, { outcomes: [row('/p/1')] });
  expect(await counts(next)).toMatchObject({ read: 1, created: 0, updated: 0, unchanged: 3, parked: 1 });
  expect(await countCalls(ledger.database, next)).toMatchObject({ serviceNowWrites: 0 });
});

test('tallies of many at once add up', async () => {
  const run = await ledger.begin();
  await Promise.all(Array.from({ length: 30 }, (_, index) => countBookkeeping(ledger.database, run, index + 1)));
  expect(await countCalls(ledger.database, run)).toMatchObject({ serviceNowBookkeeping: 465 });
});

test('one deployment’s counts are not another’s', async () => {
  const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
  await commit(ledger, a, await openScan(ledger, a), 1, { outcomes: [row('/p/1')] });
  await publish(a, ['x'], created);
  expect(await counts(b)).toMatchObject({ read: 0, created: 0, unchanged: 0 });
  expect(await countCalls(ledger.database, b)).toMatchObject({ serviceNowWrites: 0 });
});

test('progress of a run under way, and of one that has not begun', async () => {
  const run = await ledger.begin('a', 0, 'execution');
  expect(await readProgress(ledger.database, 'unheard of')).toEqual({});
  await commit(ledger, run, await openScan(ledger, run), 1, { outcomes: [row('/p/1'), row('/p/2')] });
  await publish(run, ['x'], created);
  expect(await readProgress(ledger.database, 'execution')).toEqual({ read: 2, created: 1, updated: 0 });
  await ledger.advance(90_000);
  expect(await secondsSinceStart(ledger.database, run)).toBeGreaterThanOrEqual(90);
});
