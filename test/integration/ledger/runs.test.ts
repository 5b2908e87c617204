/** Fences: one run at a time may write for a deployment (design §2). */
import { describe, expect, test } from '@jest/globals';
import {
  applyCiFindings,
  beginRun,
  claimCis,
  claimRecords,
  claimScan,
  commitDerivedCis,
  commitDerivedGroups,
  commitEngineRecords,
  countBookkeeping,
  createGate,
  endRun,
  endScan,
  forgetOldScans,
  intendCis,
  intendRecords,
  loadScopes,
  makeWholeGroupDue,
  markCisChecked,
  noticeMappingVersion,
  openLedger,
  openRun,
  openScans,
  postponeScan,
  readFindings,
  readReport,
  readStatus,
  rememberCiChangesRead,
  restartScan,
  saveFindings,
  saveScopes,
  settleCis,
  settleRecords,
  takeCiSlice,
  takeOverClaims,
  takeOverScans,
  unparkCis,
  unparkRecords,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { CiKey, DeploymentName, Report, SysId } from '../../../src/model.ts';
import { commit, failureOf, leaseMs, observed, openScan, policy, withLedger } from './open.ts';

const ledger = withLedger();
const report = (run: RunHandle, outcome: Report['outcome']): Report => ({
  deployment: run.deployment,
  run: run.runId,
  mode: 'sync',
  outcome,
  integrations: [],
  calls: { azure: 0, serviceNowReads: 0, serviceNowWrites: 0, serviceNowBookkeeping: 0 },
  seconds: 1,
});

describe('beginning a run', () => {
  test('is idempotent per workflow execution', async () => {
    const first = await ledger.begin('a', 0, 'execution');
    expect(await ledger.begin('a', 0, 'execution')).toEqual(first);
    expect(first).toMatchObject({ deployment: 'a', fence: 1, sequence: 1, closedDangling: 0 });
  });

  test('takes a fence that rises per deployment, and a sequence that rises per instance', async () => {
    const runs = [await ledger.begin('a'), await ledger.begin('b'), await ledger.begin('a')];
    expect(runs.map(({ fence }) => fence)).toEqual([1, 1, 2]);
    expect(runs.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  test('gives two that begin at once different fences', async () => {
    await ledger.begin('a');
    const runs = await Promise.all(Array.from({ length: 8 }, () => ledger.begin('a')));
    expect(runs.map(({ fence }) => fence).sort((left, right) => left - right)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('closes what an earlier run left open, as cancelled, with its open scans', async () => {
    const old = await ledger.begin();
    await openScan(ledger, old);
    const { closedDangling, runId } = await ledger.begin();
    expect(closedDangling).toBe(1);
    expect(await readStatus(ledger.database)).toMatchObject([{ run: runId, outcome: null }]);
    const scans = await ledger.database.query('SELECT state, because FROM scan');
    expect(scans).toEqual([{ state: 'failed', because: 'superseded by a newer run' }]);
    const ended = await ledger.database.query('SELECT outcome, ended_at IS NOT NULL AS ended FROM run WHERE run_id = $1', [old.runId]);
    expect(ended).toEqual([{ outcome: 'cancelled', ended: true }]);
  });

  test('refuses a deployment that is to be synced to another instance all at once', async () => {
    await ledger.begin('a');
    const elsewhere = { name: 'a' as DeploymentName, instanceUrl: 'https://other.example', position: 0 };
    expect(await failureOf(beginRun(ledger.database, elsewhere, 'execution', 'sync'))).toBe('misconfigured');
  });

  test('waits for a transaction of the old run that is under way', async () => {
    const old = await ledger.begin();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let entered = (): void => undefined;
    const inside = new Promise<void>((resolve) => (entered = resolve));
    const writing = ledger.database.transaction(async (tx) => {
      await tx.query('SELECT assert_fence($1, $2)', [old.deploymentId, old.fence]);
      entered();
      await held;
    });
    await inside;
    let begun = false;
    const beginning = ledger.begin().then(() => (begun = true));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(begun).toBe(false);
    release();
    await Promise.all([writing, beginning]);
    expect(begun).toBe(true);
  });
});

describe('a run that is no longer the newest', () => {
  const none = { created: 0, updated: 0, records: 0 };
  const ciClaim = { token: '00000000-0000-0000-0000-000000000000', cis: [] };
  const recordClaim = { table: 'sn_vulc_policy', token: ciClaim.token, records: [] };
  const ciOutcome = { key: 'image:x' as CiKey, outcome: 'released' } as const;
  const ciFinding = { key: ciOutcome.key, from: 'x' as SysId, finding: 'deleted' } as const;
  const recordOutcome = { key: 'x', outcome: 'unknown' } as const;
  const deriver = { integration: 'policies', ciOfGroup: undefined, tablesOfMany: [] } as const;

  /** Every call of the ledger's boundary that writes for a run. */
  const calls: [string, (old: RunHandle, scan: Awaited<ReturnType<typeof openScan>>) => Promise<unknown>][] = [
    ['openRun', (old) => openRun(ledger.database, old.runId, old.fence)],
    ['takeOverClaims', (old) => takeOverClaims(ledger.database, old)],
    ['takeOverScans', (old) => takeOverScans(ledger.database, old, 'policies')],
    ['saveScopes', (old) => saveScopes(ledger.database, old, [])],
    ['saveFindings', (old) => saveFindings(ledger.database, old, [])],
    ['endRun', (old) => endRun(ledger.database, old, 'succeeded', report(old, 'succeeded'))],
    ['openScans', (old) => openScans(ledger.database, old, 'policies', [])],
    ['claimScan', (old) => claimScan(ledger.database, old, 'policies', leaseMs)],
    ['restartScan', (old, scan) => restartScan(ledger.database, old, scan)],
    ['postponeScan', (old, scan) => postponeScan(ledger.database, old, scan, 1, 'x', true)],
    ['endScan', (old, scan) => endScan(ledger.database, old, scan, 'complete', undefined)],
    ['commitPage', (old, scan) => commit(ledger, old, scan, 1, { outcomes: [observed('policy-definition', '/p/1')] })],
    ['noticeMappingVersion', (old) => noticeMappingVersion(ledger.database, ledger.words, old, 'policies', '2')],
    ['commitDerivedGroups', (old) => commitDerivedGroups(ledger.database, ledger.words, old, deriver, [])],
    [
      'commitDerivedCis',
      (old) => commitDerivedCis(ledger.database, ledger.words, old, { integration: 'policies', tablesOfMany: [], removedTables: [] }, []),
    ],
    ['commitEngineRecords', (old) => commitEngineRecords(ledger.database, ledger.words, old, 'engine', [policy('x')])],
    ['claimCis', (old) => claimCis(ledger.database, old, 1, leaseMs, 0)],
    ['makeWholeGroupDue', (old) => makeWholeGroupDue(ledger.database, ledger.words, old, 'policies')],
    ['unparkCis', (old) => unparkCis(ledger.database, old)],
    ['unparkRecords', (old) => unparkRecords(ledger.database, ledger.words, old, ['sn_vulc_policy'])],
    ['countBookkeeping', (old) => countBookkeeping(ledger.database, old, 1)],
    ['forgetOldScans', (old) => forgetOldScans(ledger.database, old, 1)],
    ['intendCis', (old) => intendCis(ledger.database, old, ciClaim, [])],
    ['settleCis', (old) => settleCis(ledger.database, old, 'policies', ciClaim, [ciOutcome], none)],
    ['rememberCiChangesRead', (old) => rememberCiChangesRead(ledger.database, old, 1)],
    ['takeCiSlice', (old) => takeCiSlice(ledger.database, old, 7, 1)],
    ['markCisChecked', (old) => markCisChecked(ledger.database, old, [ciFinding.key])],
    ['applyCiFindings', (old) => applyCiFindings(ledger.database, old, [ciFinding])],
    ['claimRecords', (old) => claimRecords(ledger.database, ledger.words, old, 'sn_vulc_policy', 1, leaseMs, 0)],
    ['intendRecords', (old) => intendRecords(ledger.database, ledger.words, old, recordClaim, [])],
    ['settleRecords', (old) => settleRecords(ledger.database, ledger.words, old, 'policies', recordClaim, [recordOutcome], 'data')],
    [
      'a request',
      async (old) =>
        (await createGate(ledger.database, old, { slotKey: 'k', slots: 1, holdMs: 1_000 })).pass('azure', () => Promise.resolve()),
    ],
  ];

  test.each(calls)('is refused: %s', async (_, call) => {
    const old = await ledger.begin();
    const scan = await openScan(ledger, old);
    await ledger.begin();
    expect(await failureOf(call(old, scan))).toBe('fenced-out');
  });

  test('has left nothing behind after all of them', async () => {
    const old = await ledger.begin();
    const scan = await openScan(ledger, old);
    await ledger.begin();
    for (const [, call] of calls) await failureOf(call(old, scan));
    for (const table of ['observed', 'record', 'record_owner', 'ci', 'scan_page', 'run_finding', 'run_scope', 'derived_with']) {
      expect(await ledger.database.query(`SELECT count(*)::integer AS n FROM ${table}`)).toEqual([{ n: 0 }]);
    }
    expect(await ledger.database.query('SELECT count(*)::integer AS n FROM slot WHERE holder IS NOT NULL')).toEqual([{ n: 0 }]);
  });
});

describe('what a run keeps', () => {
  test('its scopes and findings, replaced by a second try of the same step', async () => {
    const run = await ledger.begin();
    const scope = { kind: 'subscription', id: 's', name: 'One', state: 'Enabled' } as const;
    await saveScopes(ledger.database, run, [{ ...scope, id: 'old' }]);
    await saveScopes(ledger.database, run, [scope]);
    await saveFindings(ledger.database, run, [{ check: 'old' }]);
    await saveFindings(ledger.database, run, [{ check: 'one' }, { check: 'two' }]);
    expect(await loadScopes(ledger.database, run)).toEqual([scope]);
    expect(await readFindings(ledger.database, run)).toEqual([{ check: 'one' }, { check: 'two' }]);
  });

  test('its report, found by deployment and by run; the newest finished one wins', async () => {
    const first = await ledger.begin('a');
    await endRun(ledger.database, first, 'succeeded', report(first, 'succeeded'));
    await ledger.advance(1_000);
    const second = await ledger.begin('a');
    await endRun(ledger.database, second, 'degraded', report(second, 'degraded'));
    await ledger.advance(1_000);
    await ledger.begin('a');
    expect(await readReport(ledger.database, { deployment: 'a' })).toMatchObject({ run: second.runId, outcome: 'degraded' });
    expect(await readReport(ledger.database, { run: first.runId })).toMatchObject({ outcome: 'succeeded' });
    expect(await readReport(ledger.database, { deployment: 'b' })).toBeUndefined();
  });

  test('scans of the newest runs only; reports of all', async () => {
    for (let night = 0; night < 4; night += 1) {
      const run = await ledger.begin();
      const scan = await openScan(ledger, run);
      await commit(ledger, run, scan, 1, { outcomes: [observed('policy-definition', '/p/1')] });
      await endScan(ledger.database, run, scan, 'complete', undefined);
      await endRun(ledger.database, run, 'succeeded', report(run, 'succeeded'));
      await forgetOldScans(ledger.database, run, 2);
      await ledger.advance(1_000);
    }
    const [counts] = await ledger.database.query(
      'SELECT (SELECT count(*)::integer FROM scan) AS scans, (SELECT count(*)::integer FROM scan_page) AS pages, (SELECT count(*)::integer FROM run WHERE report IS NOT NULL) AS reports',
    );
    expect(counts).toEqual({ scans: 2, pages: 2, reports: 4 });
  });
});

test('a run that the ledger does not know is a defect, not a lost fence', async () => {
  expect(await failureOf(openRun(ledger.database, '00000000-0000-0000-0000-000000000000', 1))).toBe('bug');
});

test('four processes that open an empty ledger at once make its tables once', async () => {
  const options = { url: await ledger.emptyDatabase(), connections: 2, tables: ['sn_vulc_policy'] };
  const opened = await Promise.all(Array.from({ length: 4 }, () => openLedger(options)));
  const numbers = await Promise.all(opened.map(({ words }) => words.idOf('sn_vulc_policy')));
  expect(new Set(numbers).size).toBe(1);
  await Promise.all(opened.map(({ database }) => database.close()));
});

test('a ledger that a newer version has migrated is refused', async () => {
  await ledger.database.query(`INSERT INTO migration (name) VALUES ('9999_later.sql')`);
  const opening = await failureOf(openLedger({ url: ledger.url, connections: 1, tables: [] }));
  await ledger.database.query(`DELETE FROM migration WHERE name = '9999_later.sql'`);
  expect(opening).toBe('misconfigured');
});
