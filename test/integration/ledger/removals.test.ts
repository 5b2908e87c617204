import { describe, expect, test } from '@jest/globals';
import {
  claimRecords,
  claimRemovals,
  commitDerivedCis,
  intendRecords,
  intendRemovals,
  parkRemovals,
  removalProgress,
  settleRecords,
  settleRemovals,
  unparkRemovals,
  type DueCi,
  type RecordOutcome,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { DesiredRecord, SysId } from '../../../src/model.ts';
import { failureOf, leaseMs, withLedger } from './open.ts';

const ledger = withLedger();
const settleMs = 60_000;
const [items, links] = ['sn_vulc_test', 'sn_vulc_result'];
const deriver = { integration: 'assessments', tablesOfMany: [], removedTables: [{ table: links, from: 'item' }] } as const;
const due: DueCi = { ci: { key: 'resource:vm' as never, sysId: 'ci' as SysId, match: 'lookup-rule' }, groups: [] };

const item = (key: string, more: Partial<DesiredRecord> = {}): DesiredRecord => ({ table: items, key, fields: { id: key }, ...more });
const link = (of: string, tag: string): DesiredRecord => ({
  table: links,
  key: `${of}|${tag}`,
  fields: { item: { record: { table: items, key: of } }, tag },
});

async function derive(run: RunHandle, ...records: DesiredRecord[]): Promise<void> {
  await commitDerivedCis(ledger.database, ledger.words, run, deriver, [{ due, derived: { records, cis: [], excluded: [] }, renames: [] }]);
}

/** Publishes the links that are due; each ends as the given outcome says. */
async function publish(run: RunHandle, outcomeOf: (key: string) => RecordOutcome): Promise<void> {
  const claim = await claimRecords(ledger.database, ledger.words, run, links, 10, leaseMs, settleMs);
  const keys = claim.records.map(({ key }) => key);
  await intendRecords(ledger.database, ledger.words, run, claim, keys);
  await settleRecords(ledger.database, ledger.words, run, 'assessments', claim, keys.map(outcomeOf), 'data');
}
const created = (key: string): RecordOutcome => ({ key, outcome: 'created', sysId: `s-${key}` as SysId });

const claim = (run: RunHandle) => claimRemovals(ledger.database, ledger.words, run, links, 10, leaseMs, settleMs);
const toRemove = async (run: RunHandle): Promise<(string | undefined)[][]> =>
  (await claim(run)).records.map(({ key, sysId }) => [key, sysId]);
const progress = async (run: RunHandle): Promise<{ due: number; parked: number }> => {
  const { due: left, parked } = await removalProgress(ledger.database, ledger.words, run, [links], settleMs);
  return { due: left, parked };
};

describe('what is to be removed', () => {
  test('a link that is gone from an item which is still seen', async () => {
    const run = await ledger.begin();
    await derive(run, item('a'), link('a', 'x'), link('a', 'y'));
    await publish(run, created);
    await derive(run, item('a'), link('a', 'y'));
    expect(await progress(run)).toEqual({ due: 1, parked: 0 });
    expect(await toRemove(run)).toEqual([['a|x', 's-a|x']]);
  });

  test.each<[string, DesiredRecord[]]>([
    ['nothing of the CI is seen any more', []],
    ['only another item of the CI is seen', [item('b')]],
    ['nothing applies to the item any more', [item('a', { onlyIfExists: true })]],
  ])('nothing when %s', async (_name, left) => {
    const run = await ledger.begin();
    await derive(run, item('a'), link('a', 'x'));
    await publish(run, created);
    await derive(run, ...left);
    expect(await progress(run)).toEqual({ due: 0, parked: 0 });
  });

  test.each<[string, (key: string) => RecordOutcome, boolean]>([
    ['was found, not created', (key) => ({ key, outcome: 'unchanged', sysId: 's' as SysId }), false],
    [
      'was found after the answer to its creation was lost',
      (key) => ({ key, outcome: 'unchanged', sysId: 's' as SysId, ours: true }),
      true,
    ],
    ['was refused', (key) => ({ key, outcome: 'parked', because: 'acl' }), false],
    ['may have been created', (key) => ({ key, outcome: 'unknown' }), true],
  ])('a link that %s', async (_name, outcomeOf, removed) => {
    const run = await ledger.begin();
    await derive(run, item('a'), link('a', 'x'));
    await publish(run, outcomeOf);
    await derive(run, item('a'));
    expect((await progress(run)).due).toBe(removed ? 1 : 0);
  });

  test('not before the platform has settled what may still be on its way', async () => {
    const run = await ledger.begin();
    await derive(run, item('a'), link('a', 'x'));
    await publish(run, (key) => ({ key, outcome: 'unknown' }));
    await derive(run, item('a'));
    expect(await toRemove(run)).toEqual([]);
    await ledger.advance(settleMs + 1_000);
    expect(await toRemove(run)).toEqual([['a|x', undefined]]);
  });

  test('nothing of another deployment', async () => {
    const run = await ledger.begin('a');
    await derive(run, item('a'), link('a', 'x'));
    await publish(run, created);
    await derive(run, item('a'));
    const other = await ledger.begin('b', 1);
    expect(await toRemove(other)).toEqual([]);
    expect(await progress(other)).toEqual({ due: 0, parked: 0 });
  });
});

describe('a removal', () => {
  async function begin(): Promise<RunHandle> {
    const run = await ledger.begin();
    await derive(run, item('a'), link('a', 'x'));
    await publish(run, created);
    await derive(run, item('a'));
    return run;
  }
  const due_ = async (run: RunHandle): Promise<string[]> =>
    (await claimRecords(ledger.database, ledger.words, run, links, 10, leaseMs, settleMs)).records.map(({ key }) => key);

  test('done: nothing is left; when the tag comes back, the link is new', async () => {
    const run = await begin();
    const held = await claim(run);
    await intendRemovals(ledger.database, ledger.words, run, held, ['a|x']);
    await settleRemovals(ledger.database, ledger.words, run, 'assessments', held, [{ key: 'a|x', outcome: 'removed', written: true }]);
    expect(await progress(run)).toEqual({ due: 0, parked: 0 });
    expect(await due_(run)).toEqual([]);
    await derive(run, item('a'), link('a', 'x'));
    const again = await claimRecords(ledger.database, ledger.words, run, links, 10, leaseMs, settleMs);
    expect(again.records).toMatchObject([{ key: 'a|x', sysId: undefined }]);
  });

  test('is not sent when the tag has come back meanwhile', async () => {
    const run = await begin();
    const held = await claim(run);
    await derive(run, item('a'), link('a', 'x'));
    expect(await failureOf(intendRemovals(ledger.database, ledger.words, run, held, ['a|x']))).toBe('overtaken');
    expect(await progress(run)).toEqual({ due: 0, parked: 0 });
  });

  test('that was under way when the tag came back makes the link due again', async () => {
    const run = await begin();
    const held = await claim(run);
    await intendRemovals(ledger.database, ledger.words, run, held, ['a|x']);
    await derive(run, item('a'), link('a', 'x'));
    await settleRemovals(ledger.database, ledger.words, run, 'assessments', held, [{ key: 'a|x', outcome: 'removed', written: true }]);
    expect(await due_(run)).toEqual(['a|x']);
  });

  test('that was sent, never answered, and is wanted again: it is looked for, not believed to be there', async () => {
    const run = await ledger.begin();
    await derive(run, item('a'), link('a', 'x'));
    await publish(run, created);
    await derive(run, item('a'));
    const removal = await claim(run);
    await intendRemovals(
      ledger.database,
      ledger.words,
      run,
      removal,
      removal.records.map(({ key }) => key),
    );
    await derive(run, item('a'), link('a', 'x'));
    await ledger.advance(leaseMs + settleMs);
    const again = await claimRecords(ledger.database, ledger.words, run, links, 10, leaseMs, settleMs);
    expect(again.records.map(({ key, sysId, wasSent }) => [key, sysId, wasSent])).toEqual([['a|x', undefined, true]]);
  });

  test('refused: waits for the next run', async () => {
    const run = await begin();
    const held = await claim(run);
    await settleRemovals(ledger.database, ledger.words, run, 'assessments', held, [{ key: 'a|x', outcome: 'refused', because: 'acl' }]);
    await unparkRemovals(ledger.database, ledger.words, run, links);
    expect(await progress(run)).toEqual({ due: 0, parked: 1 });
    const next = await ledger.begin();
    await unparkRemovals(ledger.database, ledger.words, next, links);
    expect(await progress(next)).toEqual({ due: 1, parked: 0 });
    await parkRemovals(ledger.database, ledger.words, next, links, 'acl');
    expect(await progress(next)).toEqual({ due: 0, parked: 1 });
  });

  test('of a run that was overtaken is refused', async () => {
    const run = await begin();
    const held = await claim(run);
    await ledger.begin();
    expect(await failureOf(intendRemovals(ledger.database, ledger.words, run, held, ['a|x']))).toBe('fenced-out');
  });
});
