/** The history of writes and matches: in the transaction of the outcome, nothing for what stays the same, pruned by age in steps. */
import { describe, expect, test } from '@jest/globals';
import {
  claimCis,
  claimRecords,
  commitDerivedGroups,
  commitEngineRecords,
  dueGroups,
  endRun,
  pruneHistory,
  settleCis,
  settleRecords,
  unparkCis,
  unparkRecords,
  type CiOutcome,
  type RecordOutcome,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { CiKey, CiMatch, Report, SysId } from '../../../src/model.ts';
import { ciRequest, commit, leaseMs, minuteMs, moreToCome, observed, openScan, policy, withLedger } from './open.ts';

const ledger = withLedger();
const table = 'sn_vulc_policy';
const dayMs = 24 * 60 * minuteMs;
const guid = (digit: string): SysId => digit.repeat(32) as SysId;

/** Wants these policies, settles each as given, and returns how many were due. */
async function publish(run: RunHandle, outcomes: readonly RecordOutcome[], traffic: 'data' | 'bookkeeping' = 'data'): Promise<number> {
  const { database, words } = ledger;
  const claim = await claimRecords(database, words, run, table, 100, leaseMs, minuteMs);
  const due = outcomes.filter(({ key }) => claim.records.some((record) => record.key === key));
  await settleRecords(database, words, run, 'policies', claim, due, traffic);
  return claim.records.length;
}

async function want(run: RunHandle, ...records: Parameters<typeof policy>[]): Promise<void> {
  await commitEngineRecords(
    ledger.database,
    ledger.words,
    run,
    'test',
    records.map((record) => policy(...record)),
  );
}

interface Told {
  readonly what: string;
  readonly sys_id: string | null;
  readonly sys_name: string | null;
  readonly reason: string | null;
  readonly run_id: string;
}

const told = (): Promise<Told[]> =>
  ledger.database.query<Told & Record<string, unknown>>(
    `SELECT w.word AS what, replace(e.sys_id::text, '-', '') AS sys_id, e.sys_name, e.reason, r.run_id
     FROM write_event e JOIN word w ON w.word_id = e.what JOIN run r USING (run_no) ORDER BY e.at, e.key`,
  );
const words = async (): Promise<string[]> => (await told()).map(({ what }) => what);

describe('writes', () => {
  test('each is there with its run, its sys_id and its reason; what is named and no number is kept as a name', async () => {
    const run = await ledger.begin();
    await want(run, ['a'], ['b'], ['c'], ['d'], ['e']);
    await publish(run, [
      { key: 'a', outcome: 'created', sysId: guid('a') },
      { key: 'b', outcome: 'updated', sysId: 'a name' as SysId },
      { key: 'c', outcome: 'parked', because: 'acl: no' },
      { key: 'd', outcome: 'unchanged', sysId: guid('d') },
      { key: 'e', outcome: 'released', afterMs: 0 },
    ]);
    const events = await told();
    expect(events.map(({ what, sys_id, sys_name, reason }) => [what, sys_id ?? sys_name, reason]).sort()).toEqual([
      ['created', guid('a'), null],
      ['found', guid('d'), null],
      ['parked', null, 'acl: no'],
      ['updated', 'a name', null],
    ]);
    expect(new Set(events.map(({ run_id }) => run_id))).toEqual(new Set([run.runId]));
  });

  test('an outcome of a lost claim leaves no history either', async () => {
    const run = await ledger.begin();
    await want(run, ['a']);
    const { database } = ledger;
    const old = await claimRecords(database, ledger.words, run, table, 100, leaseMs, minuteMs);
    const next = await ledger.begin();
    await want(next, ['a']);
    await publish(next, [{ key: 'a', outcome: 'created', sysId: guid('a') }]);
    await expect(
      settleRecords(database, ledger.words, run, 'policies', old, [{ key: 'a', outcome: 'created', sysId: guid('b') }], 'data'),
    ).rejects.toMatchObject({ kind: 'fenced-out' });
    expect((await told()).map(({ sys_id }) => sys_id)).toEqual([guid('a')]);
  });

  test('parked again for the same reason, in every run, is told once; another reason is told', async () => {
    for (const because of ['acl: no', 'acl: no', 'acl: no', 'rule: never', 'rule: never']) {
      const run = await ledger.begin();
      await unparkRecords(ledger.database, ledger.words, run, [table]);
      await want(run, ['a']);
      // What it refers to may be on its way first: given back, and taken again.
      expect(await publish(run, [{ key: 'a', outcome: 'released', afterMs: 0 }])).toBe(1);
      expect(await publish(run, [{ key: 'a', outcome: 'parked', because }])).toBe(1);
    }
    expect((await told()).map(({ reason }) => reason)).toEqual(['acl: no', 'rule: never']);
  });

  test('a record that is there already is found once, and then only what is done to it is told', async () => {
    const found: RecordOutcome = { key: 'a', outcome: 'unchanged', sysId: guid('a') };
    for (const name of ['one', 'two', 'three']) {
      const run = await ledger.begin();
      await want(run, ['a', { name }]);
      await publish(run, [found]);
    }
    expect(await words()).toEqual(['found']);
    const run = await ledger.begin();
    await want(run, ['a', { name: 'four' }]);
    await publish(run, [{ key: 'a', outcome: 'lost' }]);
    await publish(run, [found]);
    expect(await words()).toEqual(['found', 'lost', 'found']);
  });

  test('the run records, which every run writes, add nothing', async () => {
    const run = await ledger.begin();
    await want(run, ['a']);
    expect(await publish(run, [{ key: 'a', outcome: 'created', sysId: guid('a') }], 'bookkeeping')).toBe(1);
    expect(await told()).toEqual([]);
  });
});

/** Wants a CI once; settles it as given in a run of its own. */
async function resolve(run: RunHandle, outcome: CiOutcome): Promise<void> {
  const { database, words: known } = ledger;
  const scan = await openScan(ledger, run, 'assessments', `assessments-${Math.random()}`);
  const outcomes = [observed('assessment', 'x', { n: Math.random() }, { group: 'x' })];
  await commit(ledger, run, scan, 1, { outcomes, nextCursor: moreToCome });
  const due = await dueGroups(database, known, run, 'assessments', 10);
  const deriver = { integration: 'assessments', ciOfGroup: undefined, tablesOfMany: [] } as const;
  const groups = due.map((group) => ({ group, derived: { records: [], cis: [ciRequest('x')], excluded: [] } }));
  await commitDerivedGroups(database, known, run, deriver, groups);
  await unparkCis(database, run);
  await database.query(`UPDATE ci SET state = 'wanted' WHERE state = 'resolved'`);
  const claim = await claimCis(database, run, 10, leaseMs, minuteMs);
  await settleCis(database, run, 'assessments', claim, [outcome], { created: 0, updated: 0, records: 0 });
}

const key = 'image:x' as CiKey;
const matched = (
  sysId: SysId,
  className = 'cmdb_ci_cmp_resource',
  match: CiMatch = 'lookup-rule',
  evidence = 'Resource Id',
): CiOutcome => ({
  key,
  outcome: 'resolved',
  sysId,
  className,
  match,
  evidence,
});

test('how a CI was matched is told once for each change of what it is, with the evidence', async () => {
  const story: readonly [CiOutcome, boolean][] = [
    [{ key, outcome: 'parked', because: 'MISSING_DEPENDENCY' }, true],
    [{ key, outcome: 'retry', because: 'LOCK_TIMEOUT', afterMs: 0 }, false],
    [{ key, outcome: 'parked', because: 'MISSING_DEPENDENCY' }, false],
    [matched(guid('a'), 'cmdb_ci_cmp_resource', 'created-by-ire', 'INSERT'), true],
    [matched(guid('a'), 'cmdb_ci_cmp_resource', 'discovered-item', 'looked at again'), false],
    [matched(guid('a'), 'cmdb_ci_vm_instance'), true],
    [matched(guid('b'), 'cmdb_ci_vm_instance'), true],
  ];
  const expected: unknown[] = [];
  for (const [outcome, isNews] of story) {
    const run = await ledger.begin();
    await resolve(run, outcome);
    if (isNews && outcome.outcome === 'parked') expected.push(['parked', null, outcome.because, run.runId]);
    if (isNews && outcome.outcome === 'resolved') expected.push(['matched', outcome.sysId, outcome.evidence, run.runId]);
  }
  const events = await ledger.database.query<{ what: string; sys_id: string | null; evidence: string | null; run_id: string }>(
    'SELECT e.what, e.sys_id, e.evidence, r.run_id FROM ci_event e JOIN run r USING (run_no) ORDER BY ci_event_id',
  );
  expect(events.map(({ what, sys_id, evidence, run_id }) => [what, sys_id, evidence, run_id])).toEqual(expected);
});

describe('retention', () => {
  const end = (run: RunHandle): Promise<void> => endRun(ledger.database, run, 'succeeded', {} as Report);

  test('what is older goes, what is younger stays, and how a CI is matched now stays whatever its age', async () => {
    const old = await ledger.begin();
    await want(old, ['a']);
    await publish(old, [{ key: 'a', outcome: 'created', sysId: guid('a') }]);
    await resolve(old, matched(guid('a')));
    await resolve(old, matched(guid('b')));
    await end(old);
    await ledger.advance(30 * dayMs);
    const young = await ledger.begin();
    await want(young, ['a', { name: 'other' }]);
    await publish(young, [{ key: 'a', outcome: 'updated', sysId: guid('a') }]);
    expect(await pruneHistory(ledger.database, young, 31, 10)).toBe(0);
    expect(await pruneHistory(ledger.database, young, 29, 10)).toBe(2);
    expect(await words()).toEqual(['updated']);
    expect(await ledger.database.query('SELECT sys_id FROM ci_event')).toEqual([{ sys_id: guid('b') }]);
  });

  test('in bounded steps: one run takes only so many rows away, the next ones the rest', async () => {
    const old = await ledger.begin();
    await end(old);
    await ledger.database.query(
      `INSERT INTO write_event (key, at, run_no, table_id, what)
       SELECT decode(md5(n::text), 'hex'), ledger_now(), r.run_no, 1, 1 FROM generate_series(1, 50000) AS n, run r WHERE r.run_id = $1`,
      [old.runId],
    );
    await ledger.advance(2 * dayMs);
    const run = await ledger.begin();
    expect(await pruneHistory(ledger.database, run, 1, 2)).toBe(40_000);
    expect(await pruneHistory(ledger.database, run, 1, 2)).toBe(10_000);
    expect(await pruneHistory(ledger.database, run, 1, 2)).toBe(0);
  });
});
