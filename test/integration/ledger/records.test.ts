/** Shared records and their owners; claim → intent → outcome (design §2, publish, fences, shared records). */
import { describe, expect, test } from '@jest/globals';
import {
  claimRecords,
  commitDerivedGroups,
  commitEngineRecords,
  countCalls,
  dueGroups,
  intendRecords,
  ownedSysIds,
  publishProgress,
  resolveReferences,
  settleRecords,
  takeOverClaims,
  unparkRecords,
  type ClaimedRecord,
  type RecordClaim,
  type RecordOutcome,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { CiKey, DesiredRecord, SysId } from '../../../src/model.ts';
import { commit, failureOf, leaseMs, minuteMs, moreToCome, observed, openScan, policy, withLedger } from './open.ts';

const ledger = withLedger();
const table = 'sn_vulc_policy';
const settleMs = minuteMs;

/** Makes a group due and derives these records from it. */
async function derive(
  run: RunHandle,
  group: string,
  records: readonly DesiredRecord[],
  tablesOfMany: readonly string[] = [],
): Promise<void> {
  const { database, words } = ledger;
  const scan = await openScan(ledger, run, 'assessments', `assessments-${Math.random()}`);
  await commit(ledger, run, scan, 1, {
    outcomes: [observed('assessment', group, { n: Math.random() }, { group })],
    nextCursor: moreToCome,
  });
  const due = (await dueGroups(database, words, run, 'assessments', 10)).filter((one) => one.groupId === group);
  const derived = { records, cis: [], excluded: [] };
  const deriver = { integration: 'assessments', ciOfGroup: undefined, tablesOfMany } as const;
  await commitDerivedGroups(
    database,
    words,
    run,
    deriver,
    due.map((one) => ({ group: one, derived })),
  );
}

const claim = (run: RunHandle, limit = 100): Promise<RecordClaim> =>
  claimRecords(ledger.database, ledger.words, run, table, limit, leaseMs, settleMs);
const intend = (run: RunHandle, taken: RecordClaim, keys = taken.records.map((record) => record.key)): Promise<void> =>
  intendRecords(ledger.database, ledger.words, run, taken, keys);
const settle = (
  run: RunHandle,
  taken: RecordClaim,
  outcomes: readonly RecordOutcome[],
  traffic: 'data' | 'bookkeeping' = 'data',
): Promise<void> => settleRecords(ledger.database, ledger.words, run, 'policies', taken, outcomes, traffic);
const created = (key: string, sysId = `sys-${key}`): RecordOutcome => ({ key, outcome: 'created', sysId: sysId as SysId });
const keysOf = (taken: RecordClaim): string[] => taken.records.map((record) => record.key).sort();
const fieldsOf = (taken: RecordClaim): unknown[] => taken.records.map((record) => record.fields);

/** Claims and publishes all that is due, as if the instance took everything. */
async function publishAll(run: RunHandle): Promise<ClaimedRecord[]> {
  const taken = await claim(run);
  if (taken.records.length === 0) return [];
  await intend(run, taken);
  await settle(
    run,
    taken,
    taken.records.map((record) => created(record.key)),
  );
  return [...taken.records];
}

describe('a record is due', () => {
  test('when it is new or its fields changed; not for volatile fields, nor when it is derived again as it was', async () => {
    const run = await ledger.begin();
    const at = (name: string, scannedAt: string): DesiredRecord => ({ table, key: 'p', fields: { name }, volatile: { scannedAt } });
    await derive(run, 'g', [at('one', 'Monday')]);
    expect(await publishAll(run)).toMatchObject([
      { key: 'p', fields: { name: 'one' }, volatile: { scannedAt: 'Monday' }, sysId: undefined },
    ]);
    await derive(run, 'g', [at('one', 'Tuesday')]);
    expect(await publishAll(run)).toEqual([]);
    await derive(run, 'g', [at('two', 'Wednesday')]);
    expect(await publishAll(run)).toMatchObject([{ fields: { name: 'two' }, volatile: { scannedAt: 'Wednesday' }, sysId: 'sys-p' }]);
  });

  test('when it changes while it is being published: under the new fields, at once', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p', { name: 'one' })]);
    const taken = await claim(run);
    await intend(run, taken);
    await derive(run, 'g', [policy('p', { name: 'two' })]);
    await settle(run, taken, [created('p')]);
    expect(fieldsOf(await claim(run))).toEqual([{ name: 'two' }]);
  });

  test('for the deployments that own it, not for others', async () => {
    const owner = await ledger.begin('a');
    await derive(owner, 'g', [policy('p')]);
    const stranger = await ledger.begin('b', 1);
    expect(keysOf(await claim(stranger))).toEqual([]);
    expect(await publishProgress(ledger.database, ledger.words, stranger, [table], settleMs)).toEqual({ due: 0, parked: 0, readyInMs: 0 });
  });
});

describe('a record that several deployments see', () => {
  const [fieldsOfA, fieldsOfB] = [{ name: 'as A says' }, { name: 'as B says' }];

  test.each([
    ['the first in configured order sees it first', ['a', 'b']],
    ['the second sees it first', ['b', 'a']],
  ])('has the fields of the first in configured order, when %s', async (_, order) => {
    const runs: Record<string, RunHandle> = { a: await ledger.begin('a', 0), b: await ledger.begin('b', 1) };
    for (const name of order) await derive(runs[name] as RunHandle, `g${name}`, [policy('p', name === 'a' ? fieldsOfA : fieldsOfB)]);
    // Whoever of them publishes it.
    expect(fieldsOf(await claim(runs['b'] as RunHandle))).toEqual([fieldsOfA]);
  });

  test('keeps them while that one sees it, whatever the other says', async () => {
    const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
    await derive(a, 'ga', [policy('p', fieldsOfA)]);
    await derive(b, 'gb', [policy('p', fieldsOfB)]);
    await publishAll(a);
    await derive(b, 'gb', [policy('p', { name: 'as B says now' })]);
    expect(await publishAll(b)).toEqual([]);
  });

  test('gets those of the next one when the first sees it no longer, and again when it comes back', async () => {
    const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
    await derive(a, 'ga', [policy('p', fieldsOfA)]);
    await derive(b, 'gb', [policy('p', fieldsOfB)]);
    await publishAll(a);
    await derive(a, 'ga', []);
    expect(await publishAll(a)).toEqual([]);
    expect(await publishAll(b)).toMatchObject([{ key: 'p', fields: fieldsOfB, sysId: 'sys-p' }]);
    await derive(a, 'ga', [policy('p', fieldsOfA)]);
    expect(await publishAll(b)).toMatchObject([{ fields: fieldsOfA }]);
    expect(await publishAll(a)).toEqual([]);
  });

  test('stays as it is when nobody sees it any more: nothing is closed because of that alone', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    await publishAll(run);
    await derive(run, 'g', []);
    expect(keysOf(await claim(run))).toEqual([]);
    const next = await ledger.begin();
    await derive(next, 'g', [policy('p')]);
    expect(await publishAll(next)).toEqual([]);
  });

  test('follows a configuration that puts the deployments into another order, as soon as it is due', async () => {
    await derive(await ledger.begin('a', 0), 'ga', [policy('p', fieldsOfA)]);
    await derive(await ledger.begin('b', 1), 'gb', [policy('p', fieldsOfB)]);
    const b = await ledger.begin('b', 0);
    await ledger.begin('a', 1);
    expect(await publishAll(b)).toMatchObject([{ fields: fieldsOfB }]);
    expect(await publishAll(b)).toEqual([]);
  });

  test('is not kept from anybody by a claim during which its last owner left', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    // The moment between the two statements of a claim.
    await ledger.database.query(`CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN UPDATE record_owner SET gone_at = ledger_now() WHERE key = NEW.key; RETURN NEW; END $$`);
    await ledger.database.query('CREATE TRIGGER leaving BEFORE UPDATE ON record FOR EACH ROW EXECUTE FUNCTION leave()');
    expect(keysOf(await claim(run))).toEqual([]);
    await ledger.database.query('DROP TRIGGER leaving ON record');
    await derive(run, 'g', [policy('p')]);
    expect(keysOf(await claim(run))).toEqual(['p']);
  });

  test('is found twice by nobody: however they race, one content wins and is what is published', async () => {
    const other = await ledger.another();
    const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
    const keys = Array.from({ length: 40 }, (_, index) => `p${index}`);
    const publishedName = new Map<string, unknown>();
    let deriving = true;
    const writers = [a, b].map(async (run) => {
      for (let round = 0; round < 12; round += 1) {
        const seen = keys.filter(() => Math.random() < 0.8);
        await derive(
          run,
          `g${run.deployment}`,
          seen.map((key) => policy(key, { name: `${run.deployment} ${round}` })),
        );
      }
    });
    const publishers = [a, b].map(async (run) => {
      for (;;) {
        const last = !deriving;
        const taken = await claimRecords(other.database, other.words, run, table, 7, leaseMs, settleMs);
        await intend(run, taken);
        // What the instance has from here on; nobody else may write these before they are settled.
        for (const record of taken.records) publishedName.set(record.key, record.fields['name']);
        await settle(
          run,
          taken,
          taken.records.map((record) => created(record.key)),
        );
        if (taken.records.length > 0 || !last) continue;
        // What the other one is still publishing, of old, is due again for this one once that has ended.
        if ((await publishProgress(other.database, other.words, run, [table], settleMs)).due === 0) return;
      }
    });
    await Promise.all(writers);
    deriving = false;
    await Promise.all(publishers);
    const wanted = await ledger.database.query<{ key_text: string; name: string }>(
      `SELECT DISTINCT ON (r.key) r.key_text, o.fields->>'name' AS name FROM record r JOIN record_owner o USING (instance_id, table_id, key)
       JOIN deployment d USING (deployment_id) WHERE o.gone_at IS NULL ORDER BY r.key, d.position`,
    );
    expect(wanted.length).toBeGreaterThan(30);
    for (const { key_text: key, name } of wanted) expect([key, publishedName.get(key)]).toEqual([key, name]);
  }, 120_000);
});

describe('a record that several groups of one deployment yield', () => {
  test('belongs to the group that yielded it last, and goes with it', async () => {
    const run = await ledger.begin();
    await derive(run, 'one', [policy('p')]);
    await derive(run, 'two', [policy('p')]);
    await derive(run, 'one', []);
    expect(keysOf(await claim(run))).toEqual(['p']);
  });

  test('stays when one of them yields it no longer, in tables whose records many groups yield', async () => {
    const run = await ledger.begin();
    await derive(run, 'one', [policy('p')], [table]);
    await derive(run, 'one', [], [table]);
    expect(keysOf(await claim(run))).toEqual(['p']);
  });
});

describe('claims', () => {
  test('are disjoint, whoever asks and however many at once', async () => {
    const other = await ledger.another();
    const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
    const records = Array.from({ length: 200 }, (_, index) => policy(`p${index}`));
    await derive(a, 'ga', records);
    await derive(b, 'gb', records);
    const taken = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        claimRecords(
          index % 2 === 0 ? ledger.database : other.database,
          ledger.words,
          index % 3 === 0 ? a : b,
          table,
          15,
          leaseMs,
          settleMs,
        ),
      ),
    );
    const keys = taken.flatMap(keysOf);
    expect(new Set(keys).size).toBe(keys.length);
    for (;;) {
      const more = keysOf(await claim(a));
      keys.push(...more);
      if (more.length === 0) break;
    }
    expect(new Set(keys).size).toBe(200);
    expect(keys).toHaveLength(200);
  });

  test('are taken in the order of their keys, as many as were asked for', async () => {
    const run = await ledger.begin();
    await derive(
      run,
      'g',
      ['c', 'a', 'b', 'd'].map((key) => policy(key)),
    );
    const [first, second] = [await claim(run, 3), await claim(run, 3)];
    expect([first.records.length, second.records.length]).toEqual([3, 1]);
  });

  test('end with their lease', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    const old = await claim(run);
    expect(keysOf(await claim(run))).toEqual([]);
    await ledger.advance(leaseMs + 1_000);
    expect(keysOf(await claim(run))).toEqual(['p']);
    expect(await failureOf(intend(run, old))).toBe('overtaken');
  });

  test('pass to a new attempt at once; the old one can neither intend nor settle', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p'), policy('q')]);
    const old = await claim(run);
    await takeOverClaims(ledger.database, run);
    const taken = await claim(run);
    expect(keysOf(taken)).toEqual(['p', 'q']);
    expect(await failureOf(intend(run, old))).toBe('overtaken');
    await settle(run, old, [created('p', 'of the old one'), { key: 'q', outcome: 'parked', because: 'of the old one' }]);
    expect(await countCalls(ledger.database, run)).toMatchObject({ serviceNowWrites: 0 });
    await intend(run, taken);
    await settle(run, taken, [created('p'), created('q')]);
    expect(await ownedSysIds(ledger.database, ledger.words, run, table, ['p', 'q'])).toEqual(
      new Map([
        ['p', 'sys-p'],
        ['q', 'sys-q'],
      ]),
    );
  });

  test('of another deployment are left alone by a new attempt and by a new run', async () => {
    const [a, b] = [await ledger.begin('a', 0), await ledger.begin('b', 1)];
    await derive(a, 'ga', [policy('p')]);
    await derive(b, 'gb', [policy('p')]);
    const taken = await claim(b);
    await takeOverClaims(ledger.database, a);
    expect(keysOf(await claim(await ledger.begin('a', 0)))).toEqual([]);
    await intend(b, taken);
    await settle(b, taken, [created('p')]);
  });

  test('that were lost in part are not sent at all', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p'), policy('q')]);
    const taken = await claim(run);
    await ledger.database.query('UPDATE record SET claim_token = gen_random_uuid() WHERE key_text = $1', ['q']);
    expect(await failureOf(intend(run, taken))).toBe('overtaken');
    expect(await ledger.database.query('SELECT count(sent_at)::integer AS n FROM record')).toEqual([{ n: 0 }]);
  });
});

describe('an intent without an outcome', () => {
  test('keeps the record untouched until the platform has settled, then it says that it was sent', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('sent'), policy('not sent')]);
    await intend(run, await claim(run), ['sent']);
    // The worker dies; a new attempt takes over.
    await takeOverClaims(ledger.database, run);
    expect((await claim(run)).records).toMatchObject([{ key: 'not sent', wasSent: false }]);
    const { due, readyInMs } = await publishProgress(ledger.database, ledger.words, run, [table], settleMs);
    expect(due).toBe(2);
    expect(readyInMs).toBeGreaterThan(0);
    expect(readyInMs).toBeLessThanOrEqual(settleMs);
    await ledger.advance(settleMs - 5_000);
    expect(keysOf(await claim(run))).toEqual([]);
    await ledger.advance(5_000);
    expect((await claim(run)).records).toMatchObject([{ key: 'sent', wasSent: true }]);
  });

  test('keeps a record due that is wanted again as it was before: the instance may have either', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p', { name: 'one' })]);
    await publishAll(run);
    await derive(run, 'g', [policy('p', { name: 'two' })]);
    await intend(run, await claim(run));
    await derive(run, 'g', [policy('p', { name: 'one' })]);
    await takeOverClaims(ledger.database, run);
    await ledger.advance(settleMs);
    expect((await claim(run)).records).toMatchObject([{ key: 'p', fields: { name: 'one' }, wasSent: true }]);
  });

  test('survives the run: the next one waits just as long', async () => {
    const old = await ledger.begin();
    await derive(old, 'g', [policy('p')]);
    await intend(old, await claim(old));
    const run = await ledger.begin();
    expect(keysOf(await claim(run))).toEqual([]);
    await ledger.advance(settleMs);
    expect((await claim(run)).records).toMatchObject([{ key: 'p', wasSent: true }]);
  });

  test('is what an unknown outcome leaves; every other outcome ends it', async () => {
    const run = await ledger.begin();
    const outcomes: RecordOutcome[] = [
      created('created'),
      { key: 'updated', outcome: 'updated', sysId: 'u' as SysId },
      { key: 'unchanged', outcome: 'unchanged', sysId: undefined },
      { key: 'parked', outcome: 'parked', because: 'refused' },
      { key: 'completed', outcome: 'completed', sysId: 'c' as SysId },
      { key: 'not done', outcome: 'released', afterMs: 0, notDone: true },
      { key: 'lost', outcome: 'lost' },
      { key: 'unknown', outcome: 'unknown' },
      { key: 'released', outcome: 'released', afterMs: 0 },
    ];
    await derive(
      run,
      'g',
      outcomes.map(({ key }) => policy(key)),
    );
    const taken = await claim(run);
    await intend(run, taken);
    await settle(run, taken, outcomes);
    expect(keysOf(await claim(run))).toEqual(['lost', 'not done']);
    await ledger.advance(settleMs);
    expect(keysOf(await claim(run))).toEqual(['released', 'unknown']);
    expect(await countCalls(ledger.database, run)).toMatchObject({ serviceNowWrites: 2, serviceNowBookkeeping: 0 });
  });
});

describe('a record that is created in two steps', () => {
  test('belongs to its claim in between, and is due with its sys_id when the second never comes', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    const taken = await claim(run);
    await intend(run, taken);
    await settle(run, taken, [{ key: 'p', outcome: 'created-in-part', sysId: 'sys-p' as SysId }]);
    expect(keysOf(await claim(run))).toEqual([]);
    await takeOverClaims(ledger.database, run);
    expect((await claim(run)).records).toMatchObject([{ sysId: 'sys-p', wasSent: false, incomplete: true }]);
  });

  test('is complete after the second, and counts as one', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    const taken = await claim(run);
    await intend(run, taken);
    await settle(run, taken, [{ key: 'p', outcome: 'created-in-part', sysId: 'sys-p' as SysId }]);
    await intend(run, taken);
    await settle(run, taken, [{ key: 'p', outcome: 'completed', sysId: 'sys-p' as SysId }]);
    expect(keysOf(await claim(run))).toEqual([]);
    expect(await countCalls(ledger.database, run)).toMatchObject({ serviceNowWrites: 1 });
    await derive(run, 'g', [policy('p', { name: 'other' })]);
    expect((await claim(run)).records).toMatchObject([{ sysId: 'sys-p', incomplete: false }]);
  });
});

describe('a record that the instance answers for without a clear outcome', () => {
  test.each(['unknown', 'lost'] as const)('%s: parks at the third time, until the next run', async (outcome) => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    for (let round = 1; round <= 3; round += 1) {
      const taken = await claim(run);
      expect(keysOf(taken)).toEqual(['p']);
      await intend(run, taken);
      await settle(run, taken, [{ key: 'p', outcome, because: 'the instance answered status 500' }]);
      await ledger.advance(settleMs + 1_000);
    }
    expect(await publishProgress(ledger.database, ledger.words, run, [table], settleMs)).toMatchObject({ due: 0, parked: 1 });
    const next = await ledger.begin();
    await unparkRecords(ledger.database, ledger.words, next, [table]);
    expect(keysOf(await claim(next))).toEqual(['p']);
  });

  test('a batch that nobody answered does not count', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    for (let round = 1; round <= 5; round += 1) {
      const taken = await claim(run);
      await intend(run, taken);
      await settle(run, taken, [{ key: 'p', outcome: 'unknown' }]);
      await ledger.advance(settleMs + 1_000);
    }
    expect(keysOf(await claim(run))).toEqual(['p']);
  });
});

describe('an outcome', () => {
  test('of bookkeeping is counted apart', async () => {
    const run = await ledger.begin();
    await commitEngineRecords(ledger.database, ledger.words, run, 'engine', [policy('p')]);
    const taken = await claim(run);
    await intend(run, taken);
    await settle(run, taken, [created('p')], 'bookkeeping');
    expect(await countCalls(ledger.database, run)).toMatchObject({ serviceNowWrites: 0, serviceNowBookkeeping: 1 });
  });

  test('released keeps the record away for as long as it says', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    await settle(run, await claim(run), [{ key: 'p', outcome: 'released', afterMs: minuteMs }]);
    expect(keysOf(await claim(run))).toEqual([]);
    await ledger.advance(minuteMs + 1_000);
    expect(keysOf(await claim(run))).toEqual(['p']);
  });

  test('lost forgets a sys_id that leads nowhere', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    await publishAll(run);
    await derive(run, 'g', [policy('p', { name: 'other' })]);
    const taken = await claim(run);
    expect(taken.records).toMatchObject([{ sysId: 'sys-p' }]);
    await settle(run, taken, [{ key: 'p', outcome: 'lost' }]);
    expect((await claim(run)).records).toMatchObject([{ sysId: undefined }]);
  });
});

describe('a parked record', () => {
  const park = async (run: RunHandle): Promise<void> =>
    settle(run, await claim(run), [{ key: 'p', outcome: 'parked', because: 'a business rule' }]);
  const unpark = (run: RunHandle): Promise<void> => unparkRecords(ledger.database, ledger.words, run, [table]);

  test('is not tried again in its run, but once in the next', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    await park(run);
    await unpark(run);
    expect(keysOf(await claim(run))).toEqual([]);
    expect(await publishProgress(ledger.database, ledger.words, run, [table], settleMs)).toEqual({ due: 0, parked: 1, readyInMs: 0 });
    const next = await ledger.begin();
    await unpark(next);
    expect(keysOf(await claim(next))).toEqual(['p']);
  });

  test('gets a fresh chance when its fields change', async () => {
    const run = await ledger.begin();
    await derive(run, 'g', [policy('p')]);
    await park(run);
    await derive(run, 'g', [policy('p', { name: 'other' })]);
    expect(keysOf(await claim(run))).toEqual(['p']);
  });
});

test('references are known, pending, parked, absent, or unheard of', async () => {
  const run = await ledger.begin();
  const keys = ['known', 'pending', 'parked', 'absent'];
  await derive(
    run,
    'g',
    keys.map((key) => policy(key)),
  );
  const taken = await claim(run);
  await settle(run, taken, [
    created('known'),
    { key: 'pending', outcome: 'released', afterMs: 0 },
    { key: 'parked', outcome: 'parked', because: 'x' },
    { key: 'absent', outcome: 'unchanged', sysId: undefined },
  ]);
  const asked = [...keys, 'unheard of'].map((key) => ({ table, key }));
  const { records, cis } = await resolveReferences(ledger.database, ledger.words, run, { records: asked, cis: ['image:x' as CiKey] });
  expect(new Map([...records].map(([name, reference]) => [name.split('\n')[1], reference.state]))).toEqual(
    new Map(keys.map((key) => [key, key])),
  );
  expect(records.get(`${table}\nknown`)).toEqual({ state: 'known', sysId: 'sys-known' });
  expect(cis.size).toBe(0);
});
