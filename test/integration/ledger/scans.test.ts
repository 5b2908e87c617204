/** Reading: pages and their manifests, cursors, and what a finished reading is worth (design §2, observe; §7). */
import { describe, expect, test } from '@jest/globals';
import {
  claimScan,
  countAbsentKeys,
  endScan,
  forgetOldScans,
  forbiddenEverywhere,
  nextUsedKeys,
  openScans,
  postponeScan,
  releaseScan,
  reopenFailedScans,
  restartScan,
  scanProgress,
  takeOverScans,
  type ClaimedScan,
  type RunHandle,
  type ScanPlan,
} from '../../../src/ledger/index.ts';
import type { ObservedKind } from '../../../src/model.ts';
import { commit, failureOf, leaseMs, minuteMs, moreToCome, observed, openScan, withLedger } from './open.ts';

const ledger = withLedger();
const list = (readName: string, id = 'tenant', stage: 1 | 2 = 1): ScanPlan => ({ readName, stage, scope: { kind: 'tenant', id } });
const one = (id: string, body = {}): ReturnType<typeof observed> => observed('policy-definition', id, body);

async function observedIds(): Promise<string[]> {
  return (await ledger.database.query<{ id: string }>('SELECT id FROM observed ORDER BY id COLLATE "C"')).map((row) => row.id);
}

async function pages(): Promise<number> {
  const [row] = await ledger.database.query<{ n: number }>('SELECT count(*)::integer AS n FROM scan_page');
  return row?.n ?? 0;
}

/** Reads one list to its end in one page. */
async function readWhole(run: RunHandle, rows: number, readName = 'policy-definitions'): Promise<string> {
  const scan = await openScan(ledger, run, 'policies', readName);
  await commit(ledger, run, scan, 1, { outcomes: Array.from({ length: rows }, (_, index) => one(`/p/${index}`)) });
  return endScan(ledger.database, run, scan, 'complete', undefined);
}

describe('opening', () => {
  test('is idempotent: scans that exist stay as they are', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    await commit(ledger, run, scan, 1, { outcomes: [one('/p/1')], nextCursor: moreToCome });
    expect(await openScans(ledger.database, run, 'policies', [list('policy-definitions'), list('policy-sets')])).toBe(2);
    await releaseScan(ledger.database, scan);
    expect(await claimScan(ledger.database, run, 'policies', leaseMs)).toMatchObject({
      readName: 'policy-definitions',
      pageCount: 1,
      cursor: moreToCome,
    });
  });

  test('the second stage waits for the whole first one', async () => {
    const run = await ledger.begin();
    await openScans(ledger.database, run, 'policies', [list('keys', 'tenant', 2), list('first', 'a'), list('first', 'b')]);
    const claims = [await claimScan(ledger.database, run, 'policies', leaseMs), await claimScan(ledger.database, run, 'policies', leaseMs)];
    expect(claims.map((claim) => claim?.readName)).toEqual(['first', 'first']);
    expect(await claimScan(ledger.database, run, 'policies', leaseMs)).toBeUndefined();
    for (const claim of claims) await endScan(ledger.database, run, claim as ClaimedScan, 'failed', 'x');
    expect(await claimScan(ledger.database, run, 'policies', leaseMs)).toMatchObject({ readName: 'keys' });
  });

  test('scans of another integration, or of another deployment, are left alone', async () => {
    const [first, second] = [await ledger.begin('a'), await ledger.begin('b', 1)];
    await openScans(ledger.database, first, 'policies', [list('policy-definitions')]);
    expect(await claimScan(ledger.database, first, 'metadata', leaseMs)).toBeUndefined();
    expect(await claimScan(ledger.database, second, 'policies', leaseMs)).toBeUndefined();
  });
});

describe('claiming', () => {
  test('never gives one scan to two, however many ask', async () => {
    const run = await ledger.begin();
    await openScans(
      ledger.database,
      run,
      'policies',
      Array.from({ length: 6 }, (_, index) => list('policy-definitions', `s${index}`)),
    );
    const claims = await Promise.all(Array.from({ length: 12 }, () => claimScan(ledger.database, run, 'policies', leaseMs)));
    const scopes = claims.flatMap((claim) => (claim ? [claim.scope.id] : []));
    expect(new Set(scopes).size).toBe(scopes.length);
    // Two that ask in the same moment may reach for the same scan; the one that comes off second asks again.
    while (await claimScan(ledger.database, run, 'policies', leaseMs)) scopes.push('later');
    expect(scopes).toHaveLength(6);
  });

  test('a lease that has run out, and a new attempt that takes over, make the old claim worthless', async () => {
    const run = await ledger.begin();
    const old = await openScan(ledger, run);
    await ledger.advance(leaseMs + 1);
    const second = await claimScan(ledger.database, run, 'policies', leaseMs);
    expect(second?.scanId).toBe(old.scanId);
    expect(await failureOf(commit(ledger, run, old, 1, { outcomes: [one('/p/1')] }))).toBe('overtaken');
    await takeOverScans(ledger.database, run, 'policies');
    expect(await failureOf(commit(ledger, run, second as ClaimedScan, 1, { outcomes: [one('/p/1')] }))).toBe('overtaken');
    expect(await failureOf(endScan(ledger.database, run, second as ClaimedScan, 'complete', undefined))).toBe('overtaken');
    expect(await observedIds()).toEqual([]);
    expect(await claimScan(ledger.database, run, 'policies', leaseMs)).toMatchObject({ scanId: old.scanId });
  });

  test('one that failed waits, and is taken after those that did not fail', async () => {
    const run = await ledger.begin();
    await openScans(ledger.database, run, 'policies', [list('policy-definitions', 'a'), list('policy-definitions', 'b')]);
    const first = (await claimScan(ledger.database, run, 'policies', leaseMs)) as ClaimedScan;
    await postponeScan(ledger.database, run, first, minuteMs, 'the service is away', true);
    expect(await scanProgress(ledger.database, run, 'policies')).toMatchObject({ open: 2, ended: 0 });
    const second = (await claimScan(ledger.database, run, 'policies', leaseMs)) as ClaimedScan;
    expect([first.scope.id, second.scope.id]).toEqual(['a', 'b']);
    await endScan(ledger.database, run, second, 'complete', undefined);
    expect(await claimScan(ledger.database, run, 'policies', leaseMs)).toBeUndefined();
    const { open, ended, readyInMs } = await scanProgress(ledger.database, run, 'policies');
    expect({ open, ended }).toEqual({ open: 1, ended: 1 });
    expect(readyInMs).toBeGreaterThan(minuteMs - 10_000);
    expect(readyInMs).toBeLessThanOrEqual(minuteMs);
    await ledger.advance(minuteMs);
    expect(await claimScan(ledger.database, run, 'policies', leaseMs)).toMatchObject({ scope: { id: 'a' }, tries: 1 });
  });
});

describe('a page', () => {
  test('that is committed twice is refused, and leaves the first one as it is', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    await commit(ledger, run, scan, 1, { outcomes: [one('/p/1')], nextCursor: moreToCome });
    expect(await failureOf(commit(ledger, run, scan, 1, { outcomes: [one('/p/2')] }))).toBe('overtaken');
    expect(await failureOf(commit(ledger, run, scan, 3, { outcomes: [one('/p/3')] }))).toBe('overtaken');
    expect(await observedIds()).toEqual(['/p/1']);
    expect(await pages()).toBe(1);
  });

  test('of two attempts that commit it at once, one wins', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    const outcomes = [one('/p/1')];
    const results = await Promise.all(Array.from({ length: 5 }, () => failureOf(commit(ledger, run, scan, 1, { outcomes }))));
    expect(results.sort()).toEqual(['nothing', 'overtaken', 'overtaken', 'overtaken', 'overtaken']);
  });

  test('writes only what differs, and says how much that was', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    const quarantined = { outcome: 'quarantined', because: 'no id' } as const;
    const excluded = { outcome: 'excluded', because: 'not ours' } as const;
    expect(await commit(ledger, run, scan, 1, { outcomes: [one('/p/1', { v: 1 }), one('/p/2', { v: 1 }), quarantined, excluded] })).toEqual(
      {
        changed: 2,
        observed: 2,
        quarantined: 1,
        excluded: 1,
      },
    );
    const [before] = await ledger.database.query(`SELECT xmin::text FROM observed WHERE id = '/p/1'`);
    const next = await ledger.begin();
    const nextScan = await openScan(ledger, next);
    expect(await commit(ledger, next, nextScan, 1, { outcomes: [one('/p/1', { v: 1 }), one('/p/2', { v: 2 })] })).toMatchObject({
      changed: 1,
      observed: 2,
    });
    expect(await ledger.database.query(`SELECT xmin::text FROM observed WHERE id = '/p/1'`)).toEqual([before]);
  });

  test('the order of a body’s members is no difference; its group and its links are', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    await commit(ledger, run, scan, 1, { outcomes: [one('/p/1', { a: 1, b: [{ c: 1, d: 2 }] })], nextCursor: moreToCome });
    const changedBy = async (pageNo: number, row: ReturnType<typeof observed>): Promise<number> =>
      (await commit(ledger, run, scan, pageNo, { outcomes: [row], nextCursor: moreToCome })).changed;
    expect(await changedBy(2, one('/p/1', { b: [{ d: 2, c: 1 }], a: 1 }))).toBe(0);
    const body = { a: 1, b: [{ c: 1, d: 2 }] };
    expect(await changedBy(3, observed('policy-definition', '/p/1', body, { group: 'other' }))).toBe(1);
    expect(await changedBy(4, observed('policy-definition', '/p/1', body, { group: 'other', links: [['metadata', 'm']] }))).toBe(1);
  });

  test('a key that is there twice counts once; the last one wins, on one page and over two', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    expect(
      await commit(ledger, run, scan, 1, { outcomes: [one('/p/1', { v: 1 }), one('/p/1', { v: 2 })], nextCursor: moreToCome }),
    ).toMatchObject({
      observed: 1,
      changed: 1,
    });
    await commit(ledger, run, scan, 2, { outcomes: [one('/p/1', { v: 3 })] });
    expect(await ledger.database.query('SELECT body FROM observed')).toEqual([{ body: { v: 3 } }]);
  });

  test('texts that PostgreSQL or JSON find difficult come back as they were', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    const body = { quotes: `'"\\ $1 {}`, lines: 'a\nb\tc', wide: '😀 ü', long: 'x'.repeat(1_000_000) };
    await commit(ledger, run, scan, 1, { outcomes: [one(`/p/'";--`, body)] });
    expect(await ledger.database.query('SELECT id, body FROM observed')).toEqual([{ id: `/p/'";--`, body }]);
  });

  test('keeps the first two hundred quarantined rows, and counts them all', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    const outcomes = Array.from({ length: 250 }, (_, index) => ({ outcome: 'quarantined', because: 'no id', id: `${index}` }) as const);
    expect(await commit(ledger, run, scan, 1, { outcomes })).toMatchObject({ quarantined: 250 });
    const [kept] = await ledger.database.query('SELECT count(*)::integer AS n, max(row_no) AS last FROM quarantine');
    expect(kept).toEqual({ n: 200, last: 199 });
  });
});

describe('a cursor', () => {
  test('younger than an hour is followed', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    await commit(ledger, run, scan, 1, { outcomes: [one('/p/1')], nextCursor: moreToCome });
    await ledger.advance(59 * minuteMs);
    expect(await claimScan(ledger.database, run, 'policies', leaseMs)).toMatchObject({ attempt: 1, pageCount: 1, cursor: moreToCome });
  });

  test('older than an hour restarts its list under a new attempt; the old pages are dropped', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    const quarantined = { outcome: 'quarantined', because: 'no id' } as const;
    await commit(ledger, run, scan, 1, { outcomes: [one('/p/1'), quarantined], nextCursor: moreToCome, totalRecords: 7 });
    await ledger.advance(61 * minuteMs);
    const again = (await claimScan(ledger.database, run, 'policies', leaseMs)) as ClaimedScan;
    expect(again).toMatchObject({ scanId: scan.scanId, attempt: 2, pageCount: 0, cursor: undefined });
    expect(await pages()).toBe(0);
    expect(await ledger.database.query('SELECT * FROM quarantine')).toEqual([]);
    // The other total is that of another reading.
    await commit(ledger, run, again, 1, { outcomes: [one('/p/2')], totalRecords: 1 });
    expect(await endScan(ledger.database, run, again, 'complete', undefined)).toBe('complete');
  });

  test('that the service refused restarts it too', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    await commit(ledger, run, scan, 1, { outcomes: [one('/p/1')], nextCursor: moreToCome });
    const again = await restartScan(ledger.database, run, scan);
    expect(again).toMatchObject({ attempt: 2, pageCount: 0, cursor: undefined });
    expect(await failureOf(commit(ledger, run, scan, 2, { outcomes: [one('/p/2')] }))).toBe('overtaken');
    await commit(ledger, run, again, 1, { outcomes: [one('/p/3')] });
    expect(await pages()).toBe(1);
  });
});

describe('the end of a scan', () => {
  test('is complete when all was read; an empty list may say what that means', async () => {
    const run = await ledger.begin();
    expect(await readWhole(run, 3)).toBe('complete');
    const empty = await openScan(ledger, run, 'policies', 'policy-sets');
    await commit(ledger, run, empty, 1, {});
    expect(await endScan(ledger.database, run, empty, 'complete', undefined, { emptyMeans: 'no initiative is assigned' })).toBe('complete');
    expect(await ledger.database.query(`SELECT because FROM scan WHERE read_name = 'policy-sets'`)).toEqual([
      { because: 'no initiative is assigned' },
    ]);
  });

  test('is partial when the total moved while it was read', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    await commit(ledger, run, scan, 1, { outcomes: [one('/p/1')], nextCursor: moreToCome, totalRecords: 3 });
    await commit(ledger, run, scan, 2, { outcomes: [one('/p/2')], nextCursor: moreToCome });
    await commit(ledger, run, scan, 3, { outcomes: [one('/p/3')], totalRecords: 4 });
    expect(await endScan(ledger.database, run, scan, 'complete', undefined)).toBe('partial');
  });

  test('is partial with no rows where the last complete scan had some', async () => {
    expect(await readWhole(await ledger.begin(), 3)).toBe('complete');
    expect(await readWhole(await ledger.begin(), 0)).toBe('partial');
    // Still doubtful the night after: what it is compared with is the last complete one.
    expect(await readWhole(await ledger.begin(), 0)).toBe('partial');
    expect(await readWhole(await ledger.begin(), 1)).toBe('complete');
  });

  test('however long the outage: what it is compared with is not forgotten with the runs', async () => {
    expect(await readWhole(await ledger.begin(), 3)).toBe('complete');
    for (let night = 0; night < 5; night += 1) {
      const run = await ledger.begin();
      expect(await readWhole(run, 0)).toBe('partial');
      await forgetOldScans(ledger.database, run, 2);
      await ledger.advance(1_000);
    }
    const back = await ledger.begin();
    expect(await readWhole(back, 1)).toBe('complete');
    await forgetOldScans(ledger.database, back, 1);
    expect(await ledger.database.query(`SELECT rows_read FROM scan WHERE state = 'complete'`)).toEqual([{ rows_read: '1' }]);
  });

  test('is complete with no rows where there never were any, or in another scope or deployment', async () => {
    expect(await readWhole(await ledger.begin('a'), 3)).toBe('complete');
    expect(await readWhole(await ledger.begin('b', 1), 0)).toBe('complete');
    expect(await readWhole(await ledger.begin('a'), 0, 'policy-sets')).toBe('complete');
  });

  test('keeps what the caller knows to be wrong', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    expect(await endScan(ledger.database, run, scan, 'not-applicable', 'the plan is off')).toBe('not-applicable');
    expect(await failureOf(commit(ledger, run, scan, 1, { outcomes: [one('/p/1')] }))).toBe('overtaken');
  });
});

describe('keys that observed records use', () => {
  const selection = (which: 'all' | 'missing'): { readonly kind: ObservedKind; readonly which: 'all' | 'missing' } => ({
    kind: 'metadata',
    which,
  });
  const uses = (...keys: string[]): ReturnType<typeof observed>[] =>
    keys.map((key) => observed('policy-definition', `/p/${key}`, {}, { links: [['metadata', key]] }));
  const next = (run: RunHandle, which: 'all' | 'missing', afterId = '', limit = 10): Promise<string[]> =>
    nextUsedKeys(ledger.database, ledger.words, run, selection(which), ['metadata', 'metadata-keys'], afterId, limit);

  test('come in order, page by page, each once', async () => {
    const run = await ledger.begin();
    await commit(ledger, run, await openScan(ledger, run), 1, { outcomes: uses('c', 'a', 'b', 'a', 'B', 'é', 'z') });
    expect(await next(run, 'all', '', 3)).toEqual(['B', 'a', 'b']);
    expect(await next(run, 'all', 'b', 3)).toEqual(['c', 'z', 'é']);
    expect(await next(run, 'all', 'é')).toEqual([]);
  });

  test('are missing until a list of this run has brought them; what an earlier run knew does not count', async () => {
    const old = await ledger.begin();
    const oldMetadata = await openScan(ledger, old, 'metadata', 'metadata');
    await commit(ledger, old, oldMetadata, 1, { outcomes: [observed('metadata', 'a')] });
    const run = await ledger.begin();
    await commit(ledger, run, await openScan(ledger, run), 1, { outcomes: uses('a', 'b', 'c') });
    expect(await next(run, 'missing')).toEqual(['a', 'b', 'c']);
    await commit(ledger, run, await openScan(ledger, run, 'metadata', 'metadata'), 1, { outcomes: [observed('metadata', 'a')] });
    expect(await next(run, 'missing')).toEqual(['b', 'c']);
    expect(await next(run, 'all')).toEqual(['a', 'b', 'c']);
  });

  test('are not asked for again in a run that found them absent, but in the next', async () => {
    const run = await ledger.begin();
    const scan = await openScan(ledger, run);
    await commit(ledger, run, scan, 1, { outcomes: uses('a', 'b'), nextCursor: moreToCome });
    await commit(ledger, run, scan, 2, { absentKeys: { kind: 'metadata', ids: ['a'] } });
    expect(await next(run, 'missing')).toEqual(['b']);
    expect(await countAbsentKeys(ledger.database, ledger.words, run, 'metadata')).toBe(1);
    const again = await ledger.begin();
    expect(await next(again, 'missing')).toEqual(['a', 'b']);
    expect(await countAbsentKeys(ledger.database, ledger.words, again, 'metadata')).toBe(0);
  });

  test('belong to their deployment', async () => {
    const first = await ledger.begin('a');
    await commit(ledger, first, await openScan(ledger, first), 1, { outcomes: uses('a') });
    expect(await next(await ledger.begin('b', 1), 'all')).toEqual([]);
  });
});

describe('a run that waits for a person', () => {
  const claimNext = async (run: RunHandle): Promise<ClaimedScan> => (await claimScan(ledger.database, run, 'metadata', leaseMs))!;

  test('reads what failed again from where it stopped, and what is complete not', async () => {
    const run = await ledger.begin();
    await openScans(ledger.database, run, 'metadata', [list('metadata', 'x'), list('metadata', 'y')]);
    const [first, second] = [await claimNext(run), await claimNext(run)];
    await endScan(ledger.database, run, first, 'complete', undefined);
    await endScan(ledger.database, run, second, 'failed', 'AuthorizationFailed', { failure: 'forbidden' });
    await reopenFailedScans(ledger.database, run, 'metadata');
    const again = await claimNext(run);
    expect(again.scope).toEqual(second.scope);
    expect(again.tries).toBe(0);
    expect(await claimScan(ledger.database, run, 'metadata', leaseMs)).toBeUndefined();
  });

  test('only a list that is forbidden in every scope is worth waiting for', async () => {
    const run = await ledger.begin();
    await openScans(ledger.database, run, 'metadata', [list('metadata', 'x'), list('metadata', 'y')]);
    await endScan(ledger.database, run, await claimNext(run), 'failed', 'AuthorizationFailed', { failure: 'forbidden' });
    expect(await forbiddenEverywhere(ledger.database, run, 'metadata')).toBeUndefined();
    await endScan(ledger.database, run, await claimNext(run), 'failed', 'AuthorizationFailed', { failure: 'forbidden' });
    expect(await forbiddenEverywhere(ledger.database, run, 'metadata')).toEqual({
      readName: 'metadata',
      because: 'AuthorizationFailed',
      scopes: 2,
    });
    await reopenFailedScans(ledger.database, run, 'metadata');
    await endScan(ledger.database, run, await claimNext(run), 'failed', 'a time-out', { failure: 'transient' });
    await endScan(ledger.database, run, await claimNext(run), 'failed', 'AuthorizationFailed', { failure: 'forbidden' });
    expect(await forbiddenEverywhere(ledger.database, run, 'metadata')).toBeUndefined();
  });
});
