/** What is due to be derived, and what a derivation leaves (design §2, reconcile). */
import { describe, expect, test } from '@jest/globals';
import {
  claimCis,
  commitDerivedCis,
  commitDerivedGroups,
  dueCis,
  dueGroups,
  intendCis,
  lastChangeMs,
  loadGroups,
  loadKind,
  loadRecords,
  makeWholeGroupDue,
  noticeMappingVersion,
  settleCis,
  wholeGroupDerivedAtMs,
  type DerivedGroup,
  type Deriver,
  type DueGroup,
  type RunHandle,
} from '../../../src/ledger/index.ts';
import type { CiKey, Derived, IntegrationName, ObservedId, SysId } from '../../../src/model.ts';
import { ciRequest, commit, familyOf, leaseMs, moreToCome, observed, openScan, policy, withLedger } from './open.ts';

const ledger = withLedger();
const deriver = (integration: IntegrationName): Deriver => ({ integration, ciOfGroup: undefined, tablesOfMany: [] });
const nothing: Derived = { records: [], cis: [], excluded: [] };

function due(run: RunHandle, integration: IntegrationName = 'assessments'): Promise<DueGroup[]> {
  return dueGroups(ledger.database, ledger.words, run, integration, 100);
}

async function dueIds(run: RunHandle, integration: IntegrationName = 'assessments'): Promise<string[]> {
  return (await due(run, integration)).map((group) => group.groupId).sort();
}

async function derive(
  run: RunHandle,
  make: (group: string) => Derived = () => nothing,
  integration: IntegrationName = 'assessments',
): Promise<void> {
  const groups: DerivedGroup[] = (await due(run, integration)).map((group) => ({ group, derived: make(group.groupId) }));
  await commitDerivedGroups(ledger.database, ledger.words, run, deriver(integration), groups);
}

/** Commits one page of the list that brings rows of these kinds. */
async function observe(run: RunHandle, ...rows: ReturnType<typeof observed>[]): Promise<void> {
  const [first] = rows;
  const integration = first?.outcome === 'observed' ? familyOf(first.record.kind) : 'policies';
  const scan = await openScan(ledger, run, integration, `${integration}-${Math.random()}`);
  await commit(ledger, run, scan, 1, { outcomes: rows, nextCursor: moreToCome });
}

const assessment = (id: string, group: string, body = {}): ReturnType<typeof observed> => observed('assessment', id, body, { group });

describe('groups are due', () => {
  test('when one of their records is new or changed, and not when it is read again as it was', async () => {
    const run = await ledger.begin();
    await observe(run, assessment('1', 'vm'), assessment('2', 'vm'), assessment('3', 'sql'));
    expect(await dueIds(run)).toEqual(['sql', 'vm']);
    await derive(run);
    expect(await dueIds(run)).toEqual([]);
    await observe(run, assessment('1', 'vm'), assessment('3', 'sql', { changed: true }));
    expect(await dueIds(run)).toEqual(['sql']);
  });

  test('again when something changes while they are derived', async () => {
    const run = await ledger.begin();
    await observe(run, assessment('1', 'vm'));
    const groups = (await due(run)).map((group) => ({ group, derived: nothing }));
    await observe(run, assessment('1', 'vm', { changed: true }));
    await commitDerivedGroups(ledger.database, ledger.words, run, deriver('assessments'), groups);
    expect(await dueIds(run)).toEqual(['vm']);
  });

  test('both when a record moves from one to another', async () => {
    const run = await ledger.begin();
    await observe(run, assessment('1', 'vm'), assessment('2', 'vm'));
    await derive(run);
    await observe(run, assessment('1', 'sql'));
    expect(await dueIds(run)).toEqual(['sql', 'vm']);
  });

  test('when a record of another kind that they link to changes, if that kind wakes groups', async () => {
    const run = await ledger.begin();
    const image = (id: string, ...cves: string[]): ReturnType<typeof observed> =>
      observed('image-assessment', id, {}, { group: id, links: cves.map((cve) => ['cve', cve]) });
    await observe(run, image('one', 'cve-1'), image('both', 'cve-1', 'cve-2'), image('none'));
    await derive(run, undefined, 'container-images');
    await observe(run, observed('cve', 'cve-2', { score: 5 }, { group: 'cve-2' }));
    expect(await dueIds(run, 'container-images')).toEqual(['both', 'cve-2']);
    await derive(run, undefined, 'container-images');
    await observe(run, observed('cve', 'cve-1', { score: 5 }, { group: 'cve-1' }));
    expect(await dueIds(run, 'container-images')).toEqual(['both', 'cve-1', 'one']);
  });

  test('when the mapping has another version; the first one is no other', async () => {
    const run = await ledger.begin();
    const notice = (version: string): Promise<void> => noticeMappingVersion(ledger.database, ledger.words, run, 'assessments', version);
    await observe(run, assessment('1', 'vm'));
    await notice('1');
    await derive(run);
    await notice('1');
    expect(await dueIds(run)).toEqual([]);
    await notice('2');
    expect(await dueIds(run)).toEqual(['vm']);
    await derive(run);
    await notice('2');
    expect(await dueIds(run)).toEqual([]);
  });

  test('when they are derived as a whole and a kind that they look at has changed', async () => {
    const run = await ledger.begin();
    const changedMs = (): Promise<number> => lastChangeMs(ledger.database, ledger.words, run, ['metadata']);
    const derivedMs = (): Promise<number> => wholeGroupDerivedAtMs(ledger.database, ledger.words, run, 'policies');
    expect([await changedMs(), await derivedMs()]).toEqual([0, 0]);
    await observe(run, observed('metadata', 'm'));
    await ledger.advance(1_000);
    await observe(run, observed('policy-definition', '/p/1'));
    await derive(run, undefined, 'policies');
    expect(await derivedMs()).toBeGreaterThan(await changedMs());
    await ledger.advance(1_000);
    await observe(run, observed('metadata', 'm', { changed: true }));
    expect(await changedMs()).toBeGreaterThan(await derivedMs());
    await makeWholeGroupDue(ledger.database, ledger.words, run, 'policies');
    await makeWholeGroupDue(ledger.database, ledger.words, run, 'policies');
    expect(await dueIds(run, 'policies')).toEqual(['']);
    await derive(run, undefined, 'policies');
    expect(await dueIds(run, 'policies')).toEqual([]);
  });

  test('for their own deployment only', async () => {
    await observe(await ledger.begin('a'), assessment('1', 'vm'));
    expect(await dueIds(await ledger.begin('b', 1))).toEqual([]);
  });

  test('in later runs too, until they are derived', async () => {
    await observe(await ledger.begin(), assessment('1', 'vm'));
    expect(await dueIds(await ledger.begin())).toEqual(['vm']);
  });
});

describe('what a derivation looks at', () => {
  test('is every record of the group, in the order of their ids, whichever run saw it', async () => {
    await observe(await ledger.begin(), assessment('b', 'vm', { n: 1 }), assessment('a', 'vm'), assessment('x', 'sql'));
    const run = await ledger.begin();
    await observe(run, assessment('b', 'vm', { n: 2 }), observed('assessment', 'C', {}, { group: 'vm', links: [['metadata', 'm']] }));
    const groups = (await due(run)).filter((group) => group.groupId === 'vm');
    expect(await loadGroups(ledger.database, ledger.words, run, groups, ['assessment'])).toEqual([
      {
        group: 'vm',
        records: [
          { kind: 'assessment', id: 'C', body: {}, group: 'vm', links: [{ kind: 'metadata', id: 'm' }] },
          { kind: 'assessment', id: 'a', body: {}, group: 'vm' },
          { kind: 'assessment', id: 'b', body: { n: 2 }, group: 'vm' },
        ],
      },
    ]);
    expect(await loadGroups(ledger.database, ledger.words, run, groups, ['metadata'])).toEqual([{ group: 'vm', records: [] }]);
  });

  test('may be a whole kind, or some records of it', async () => {
    const run = await ledger.begin();
    await observe(run, observed('metadata', 'a', { n: 1 }), observed('metadata', 'b', { n: 2 }));
    expect([...(await loadKind(ledger.database, ledger.words, run, 'metadata'))]).toEqual([
      ['a', { n: 1 }],
      ['b', { n: 2 }],
    ]);
    expect([...(await loadRecords(ledger.database, ledger.words, run, 'metadata', ['b', 'c']))]).toEqual([['b', { n: 2 }]]);
    const other = await ledger.begin('b', 1);
    expect((await loadKind(ledger.database, ledger.words, other, 'metadata')).size).toBe(0);
  });
});

describe('an exclusion', () => {
  const excludes = (...ids: string[]): Derived => ({
    ...nothing,
    excluded: ids.map((id) => ({ kind: 'assessment', id: id as ObservedId, because: 'out of scope' })),
  });
  const excluded = async (): Promise<unknown[]> =>
    ledger.database.query('SELECT id, excluded FROM observed WHERE excluded IS NOT NULL ORDER BY id');

  test('is kept with its record until a derivation says otherwise, or the record changes', async () => {
    const run = await ledger.begin();
    await observe(run, assessment('1', 'vm'), assessment('2', 'vm'), assessment('3', 'sql'));
    await derive(run, (group) => (group === 'vm' ? excludes('1', '2') : excludes('3')));
    expect(await excluded()).toHaveLength(3);
    await observe(run, assessment('1', 'vm', { changed: true }));
    expect(await excluded()).toEqual([
      { id: '2', excluded: 'out of scope' },
      { id: '3', excluded: 'out of scope' },
    ]);
    await derive(run, () => excludes('1'));
    expect(await excluded()).toEqual([
      { id: '1', excluded: 'out of scope' },
      { id: '3', excluded: 'out of scope' },
    ]);
  });
});

describe('records of known CIs', () => {
  async function know(run: RunHandle, sysId: string): Promise<void> {
    const claim = await claimCis(ledger.database, run, 10, leaseMs, 0);
    await intendCis(
      ledger.database,
      run,
      claim,
      claim.cis.map((ci) => ci.key),
    );
    const outcomes = claim.cis.map(
      (ci) => ({ key: ci.key, outcome: 'resolved', sysId: sysId as SysId, className: 'c', match: 'lookup-rule' }) as const,
    );
    await settleCis(ledger.database, run, 'assessments', claim, outcomes, { created: 0, updated: 0, records: 0 });
  }
  const dueNow = async (run: RunHandle): Promise<{ sysId: string; groups: string[] }[]> =>
    (await dueCis(ledger.database, ledger.words, run, 'assessments', 10)).map(({ ci, groups }) => ({
      sysId: ci.sysId,
      groups: groups.map((group) => group.groupId),
    }));
  async function deriveCis(run: RunHandle): Promise<void> {
    const cis = await dueCis(ledger.database, ledger.words, run, 'assessments', 10);
    const derived = cis.map((one) => ({ due: one, derived: { ...nothing, records: [policy(`of ${one.ci.sysId}`)] }, renames: [] }));
    await commitDerivedCis(
      ledger.database,
      ledger.words,
      run,
      { integration: 'assessments', tablesOfMany: [], removedTables: [] },
      derived,
    );
  }
  const wants = (group: string): Derived => ({ ...nothing, cis: [ciRequest(group)] });

  test('are due once the CI is known, and again when one of its groups changed: with all its groups', async () => {
    const run = await ledger.begin();
    await observe(run, assessment('1', 'vm'), assessment('2', 'VM'));
    await derive(run, wants);
    expect(await dueNow(run)).toEqual([]);
    // Two ids of one machine: both became the same CI.
    await know(run, 'ci');
    expect(await dueNow(run)).toEqual([{ sysId: 'ci', groups: ['VM', 'vm'] }]);
    await deriveCis(run);
    expect(await dueNow(run)).toEqual([]);
    await observe(run, assessment('1', 'vm', { changed: true }));
    await derive(run, wants);
    expect(await dueNow(run)).toEqual([{ sysId: 'ci', groups: ['VM', 'vm'] }]);
  });

  test('are due when a CI has become another one', async () => {
    const run = await ledger.begin();
    await observe(run, assessment('1', 'vm'));
    await derive(run, wants);
    await know(run, 'old');
    await deriveCis(run);
    await ledger.database.query(`UPDATE ci SET sys_id = 'new'`);
    expect(await dueNow(run)).toEqual([{ sysId: 'new', groups: ['vm'] }]);
    await deriveCis(run);
    expect(await dueNow(run)).toEqual([]);
  });

  test('a group that asks for no CI any more keeps the one that its records hang on', async () => {
    const run = await ledger.begin();
    const withCi: Deriver = { ...deriver('assessments'), ciOfGroup: (group) => `image:${group}` as CiKey };
    await observe(run, assessment('1', 'vm'));
    await derive(run, wants);
    await know(run, 'ci');
    await deriveCis(run);
    await observe(run, assessment('1', 'vm', { notApplicable: true }));
    const groups = (await due(run)).map((group) => ({ group, derived: nothing }));
    await commitDerivedGroups(ledger.database, ledger.words, run, withCi, groups);
    expect(await dueNow(run)).toEqual([{ sysId: 'ci', groups: ['vm'] }]);
  });
});
