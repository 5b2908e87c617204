import { expect, test } from '@jest/globals';
import {
  addRunAsChange,
  attachmentCounts,
  forgetAttachmentLists,
  keepAttachmentList,
  rememberAttachmentCounts,
  runAsChanges,
  usableAttachmentList,
  useAttachmentList,
  type ListedDataSource,
} from '../../../src/ledger/index.ts';
import type { SysId } from '../../../src/model.ts';
import { failureOf, instanceUrl, minuteMs, withLedger } from './open.ts';

const ledger = withLedger();
const counts = (count: number): ReadonlyMap<string, number> => new Map([['source', count]]);

test('counts of earlier runs of the deployment, the oldest first; a run that counts again replaces its own', async () => {
  for (const count of [1, 2]) {
    const run = await ledger.begin();
    await rememberAttachmentCounts(ledger.database, run, counts(7));
    await rememberAttachmentCounts(ledger.database, run, counts(count));
    await ledger.advance(minuteMs);
  }
  const other = await ledger.begin('b', 1);
  await rememberAttachmentCounts(ledger.database, other, counts(99));
  const now = await ledger.begin();
  await rememberAttachmentCounts(ledger.database, now, counts(3));
  expect(await attachmentCounts(ledger.database, now, now.runId)).toEqual(new Map([['source', [1, 2]]]));
  expect(await attachmentCounts(ledger.database, now)).toEqual(new Map([['source', [1, 2, 3]]]));
});

test('counts too old to be compared are dropped', async () => {
  for (let n = 1; n <= 14; n += 1) {
    await rememberAttachmentCounts(ledger.database, await ledger.begin(), counts(n));
    await ledger.advance(minuteMs);
  }
  const [row] = await ledger.database.query<{ n: number }>('SELECT count(*)::int AS n FROM attachment_count');
  expect(row?.n).toBe(11);
  expect((await attachmentCounts(ledger.database, await ledger.begin())).get('source')?.at(-1)).toBe(14);
});

test('a run that was superseded neither counts nor notes', async () => {
  const stale = await ledger.begin();
  const run = await ledger.begin();
  expect(await failureOf(rememberAttachmentCounts(ledger.database, stale, counts(1)))).toBe('fenced-out');
  expect(await failureOf(addRunAsChange(ledger.database, stale, 'late'))).toBe('fenced-out');
  await addRunAsChange(ledger.database, run, 'first');
  await addRunAsChange(ledger.database, run, 'second');
  expect(await runAsChanges(ledger.database, run)).toEqual(['first', 'second']);
});

test('a list is kept as it was shown, for its instance, and used once', async () => {
  const id = (text: string): SysId => text as SysId;
  const source: ListedDataSource = {
    sysId: id('source'),
    name: 'Assessments',
    integration: { sysId: id('integration'), name: 'Assessments', runAs: 'helper' },
    obstacle: null,
    attachments: [{ sysId: id('a'), fileName: 'a.json', createdOn: '2026-11-20 08:00:00', sizeBytes: 3, surplus: true }],
  };
  const { database } = ledger;
  const list = await keepAttachmentList(database, instanceUrl, [source]);
  expect(await usableAttachmentList(database, instanceUrl, list.id)).toEqual(list);
  expect(await failureOf(usableAttachmentList(database, 'https://other.example', list.id))).toBe('usage');
  expect(await failureOf(usableAttachmentList(database, instanceUrl, 'none'))).toBe('usage');
  await useAttachmentList(database, list.id);
  expect(await failureOf(useAttachmentList(database, list.id))).toBe('usage');
  expect(await failureOf(usableAttachmentList(database, instanceUrl, list.id))).toBe('usage');
  await ledger.advance(2 * 24 * 60 * minuteMs);
  await forgetAttachmentLists(database, 1);
  const [row] = await database.query<{ n: number }>('SELECT count(*)::int AS n FROM attachment_list WHERE list_id = $1', [list.id]);
  expect(row?.n).toBe(0);
});
