/** CIs whose identity is being settled: shared by all deployments of an instance, sent once at a time (design §2, §5). */
import { describe, expect, test } from '@jest/globals';
import {
  applyCiFindings,
  ciProgress,
  claimCis,
  claimRecords,
  commitDerivedGroups,
  countCalls,
  countIntegration,
  dueGroups,
  intendCis,
  intendRecords,
  resolveReferences,
  settleCis,
  settleRecords,
  takeOverClaims,
  unparkCis,
  type CiClaim,
  type CiOutcome,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { CiKey, DesiredRecord, SysId } from '../../../src/model.ts';
import { ciRequest, commit, failureOf, leaseMs, minuteMs, moreToCome, observed, openScan, withLedger } from './open.ts';

const ledger = withLedger();
const settleMs = minuteMs;
const noWrites = { created: 0, updated: 0, records: 0 };

/** A group per name that wants the CI of that name. */
async function want(run: RunHandle, ...names: string[]): Promise<void> {
  const { database, words } = ledger;
  const scan = await openScan(ledger, run, 'assessments', `assessments-${Math.random()}`);
  await commit(ledger, run, scan, 1, {
    outcomes: names.map((name) => observed('assessment', name, { n: Math.random() }, { group: name })),
    nextCursor: moreToCome,
  });
  const due = await dueGroups(database, words, run, 'assessments', 1_000);
  const deriver = { integration: 'assessments', ciOfGroup: undefined, tablesOfMany: [] } as const;
  const groups = due.map((group) => ({ group, derived: { records: [], cis: [ciRequest(group.groupId)], excluded: [] } }));
  await commitDerivedGroups(database, words, run, deriver, groups);
}

/** The same group yields a record as well. */
async function wantRecord(run: RunHandle, name: string, record: DesiredRecord): Promise<void> {
  const { database, words } = ledger;
  const scan = await openScan(ledger, run, 'assessments', `assessments-${Math.random()}`);
  await commit(ledger, run, scan, 1, {
    outcomes: [observed('assessment', name, { n: Math.random() }, { group: name })],
    nextCursor: moreToCome,
  });
  const due = await dueGroups(database, words, run, 'assessments', 1_000);
  const deriver = { integration: 'assessments', ciOfGroup: undefined, tablesOfMany: [] } as const;
  const groups = due.map((group) => ({ group, derived: { records: [record], cis: [ciRequest(group.groupId)], excluded: [] } }));
  await commitDerivedGroups(database, words, run, deriver, groups);
}

const claim = (run: RunHandle, limit = 100): Promise<CiClaim> => claimCis(ledger.database, run, limit, leaseMs, settleMs);
const keysOf = (taken: CiClaim): string[] => taken.cis.map((ci) => ci.key.replace('image:', '')).sort();
const keys = (...names: string[]): CiKey[] => names.map((name) => `image:${name}` as CiKey);
const settle = (run: RunHandle, taken: CiClaim, outcomes: readonly CiOutcome[], written = noWrites): Promise<void> =>
  settleCis(ledger.database, run, 'assessments', taken, outcomes, written);

function resolved(name: string, sysId = `sys-${name}`): CiOutcome {
  return {
    key: `image:${name}` as CiKey,
    outcome: 'resolved',
    sysId: sysId as SysId,
    className: 'cmdb_ci_docker_image',
    match: 'created-by-ire',
  };
}
const outcome = (name: string, kind: 'unknown' | 'released'): CiOutcome => ({ key: `image:${name}` as CiKey, outcome: kind });
const refused = (name: string, kind: 'parked' | 'retry'): CiOutcome => ({
  key: `image:${name}` as CiKey,
  because: 'LOCK_TIMEOUT',
  ...(kind === 'parked' ? { outcome: kind } : { outcome: kind, afterMs: 5_000 }),
});

test('a CI that two deployments want is one CI, settled once for both', async () => {
  const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
  await want(a, 'x', 'only of a');
  await want(b, 'x');
  const taken = await claim(a);
  expect(keysOf(taken)).toEqual(['only of a', 'x']);
  expect(keysOf(await claim(b))).toEqual([]);
  expect(await ciProgress(ledger.database, b, settleMs)).toMatchObject({ wanted: 1 });
  await intendCis(ledger.database, a, taken, keys('x'));
  await settle(a, taken, [resolved('x')]);
  expect(await ciProgress(ledger.database, b, settleMs)).toEqual({ wanted: 0, parked: 0, readyInMs: 0 });
  const { cis } = await resolveReferences(ledger.database, ledger.words, b, { records: [], cis: keys('x', 'only of a', 'unheard of') });
  expect([...cis]).toEqual(
    expect.arrayContaining([
      [keys('x')[0], { state: 'known', sysId: 'sys-x' }],
      [keys('only of a')[0], { state: 'pending' }],
    ]),
  );
  expect(cis.size).toBe(2);
});

test('claims are disjoint, whoever asks and however many at once', async () => {
  const other = await ledger.another();
  const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
  const names = Array.from({ length: 60 }, (_, index) => `ci${index}`);
  await want(a, ...names);
  await want(b, ...names);
  const taken = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      claimCis(index % 2 === 0 ? ledger.database : other.database, index % 3 === 0 ? a : b, 5, leaseMs, settleMs),
    ),
  );
  const claimed = taken.flatMap(keysOf);
  for (let more = await claim(a); more.cis.length > 0; more = await claim(a)) claimed.push(...keysOf(more));
  expect(new Set(claimed).size).toBe(60);
  expect(claimed).toHaveLength(60);
});

test('a record that another deployment is just writing when its CI becomes another one is written once more', async () => {
  const { database, words } = ledger;
  const table = 'sn_vulc_result';
  const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
  await want(a, 'x');
  await want(b, 'x');
  const taken = await claim(a);
  await intendCis(database, a, taken, keys('x'));
  await settle(a, taken, [resolved('x')]);
  await wantRecord(b, 'x', { table, key: 'r', fields: { ci: { ci: keys('x')[0]! } } });
  const writing = await claimRecords(database, words, b, table, 10, leaseMs, settleMs);
  await intendRecords(database, words, b, writing, ['r']);
  await applyCiFindings(database, a, [
    {
      key: keys('x')[0]!,
      from: 'sys-x' as SysId,
      finding: 'moved',
      sysId: 'sys-y' as SysId,
      className: 'cmdb_ci_docker_image',
      evidence: 'merged',
      note: undefined,
    },
  ]);
  await settleRecords(database, words, b, 'assessments', writing, [{ key: 'r', outcome: 'created', sysId: 'one' as SysId }], 'data');
  await ledger.advance(leaseMs + settleMs);
  const again = await claimRecords(database, words, b, table, 10, leaseMs, settleMs);
  expect(again.records.map(({ key }) => key)).toEqual(['r']);
});

describe('an intent', () => {
  test('without an outcome is left alone until the platform has settled, then it says that it was sent', async () => {
    const run = await ledger.begin();
    await want(run, 'sent', 'not sent');
    await intendCis(ledger.database, run, await claim(run), keys('sent'));
    await takeOverClaims(ledger.database, run);
    const left = await claim(run);
    expect(left.cis).toMatchObject([{ key: 'image:not sent', wasSent: false, tries: 0 }]);
    await settle(run, left, [resolved('not sent')]);
    const { wanted, readyInMs } = await ciProgress(ledger.database, run, settleMs);
    expect(wanted).toBe(1);
    expect(readyInMs).toBeGreaterThan(settleMs - 20_000);
    await ledger.advance(settleMs);
    expect((await claim(run)).cis).toMatchObject([{ key: 'image:sent', wasSent: true, tries: 1 }]);
  });

  test('of a lost claim is refused, and its outcome ignored', async () => {
    const run = await ledger.begin();
    await want(run, 'x');
    const old = await claim(run);
    await takeOverClaims(ledger.database, run);
    const taken = await claim(run);
    expect(await failureOf(intendCis(ledger.database, run, old, keys('x')))).toBe('overtaken');
    await settle(run, old, [resolved('x', 'of the old one')]);
    expect(await ciProgress(ledger.database, run, settleMs)).toMatchObject({ wanted: 1 });
    await intendCis(ledger.database, run, taken, keys('x'));
    await settle(run, taken, [resolved('x')]);
    expect(await ledger.database.query('SELECT sys_id, state FROM ci')).toEqual([{ sys_id: 'sys-x', state: 'resolved' }]);
  });
});

test('every outcome leaves what it should', async () => {
  const run = await ledger.begin();
  const names = ['resolved', 'retry', 'parked', 'unknown', 'released'];
  await want(run, ...names);
  const taken = await claim(run);
  await intendCis(ledger.database, run, taken, keys(...names));
  const outcomes = [
    resolved('resolved'),
    refused('retry', 'retry'),
    refused('parked', 'parked'),
    outcome('unknown', 'unknown'),
    outcome('released', 'released'),
  ];
  await settle(run, taken, outcomes, { created: 3, updated: 1, records: 4 });
  expect(keysOf(await claim(run))).toEqual(['released']);
  await ledger.advance(6_000);
  expect((await claim(run)).cis).toMatchObject([{ key: 'image:retry', wasSent: false, tries: 1 }]);
  await ledger.advance(settleMs);
  expect((await claim(run)).cis).toMatchObject([{ key: 'image:unknown', wasSent: true, tries: 1 }]);
  expect(await ciProgress(ledger.database, run, settleMs)).toMatchObject({ wanted: 3, parked: 1 });
  expect(await countCalls(ledger.database, run)).toMatchObject({ serviceNowWrites: 4 });
  const counts = await countIntegration(ledger.database, ledger.words, run, 'assessments', []);
  expect(counts).toMatchObject({ created: 3, updated: 1, parked: 1 });
});

test('only a CI that this engine created is remembered as its own, and stays so', async () => {
  const run = await ledger.begin();
  await want(run, 'made', 'found');
  const taken = await claim(run);
  const found: CiOutcome = { key: 'image:found' as CiKey, outcome: 'resolved', sysId: 's' as SysId, className: 'c', match: 'lookup-rule' };
  await settle(run, taken, [resolved('made'), found]);
  const own = (): Promise<unknown[]> => ledger.database.query('SELECT key_text, created_by_engine AS own FROM ci ORDER BY key_text');
  const expected = [
    { key_text: 'image:found', own: false },
    { key_text: 'image:made', own: true },
  ];
  expect(await own()).toEqual(expected);
});

test('a parked CI is not tried again in its run, but once in the next', async () => {
  const run = await ledger.begin();
  await want(run, 'x');
  await settle(run, await claim(run), [refused('x', 'parked')]);
  await unparkCis(ledger.database, run);
  expect(keysOf(await claim(run))).toEqual([]);
  const next = await ledger.begin();
  await unparkCis(ledger.database, next);
  expect((await claim(next)).cis).toMatchObject([{ key: 'image:x', tries: 0 }]);
});
