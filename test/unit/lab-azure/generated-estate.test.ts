import { describe, expect, test } from '@jest/globals';
import { textAt, type JsonObject } from '../../../lab/azure/json.ts';
import { COMPANY_PROFILE } from '../../../lab/azure/estate/company.ts';
import { createGeneratedEstate } from '../../../lab/azure/estate/generated/index.ts';
import { BENCH_PROFILE } from '../../../lab/azure/estate/generated/profile.ts';
import { createAccess } from '../../../lab/azure/access.ts';
import { createEstateChanges, type Estate, type Rows } from '../../../lab/azure/estate/model.ts';
import { openEstate } from '../../../lab/azure/estate/open.ts';

function open(seed: string, assessments: number, profile = BENCH_PROFILE): Estate {
  return createGeneratedEstate({ name: 'test', profile, seed, assessments, changes: createEstateChanges() });
}

function read(rows: Rows): JsonObject[] {
  return Array.from({ length: rows.size }, (_unused, index) => rows.at(index));
}

const idOf = (row: JsonObject): string => textAt(row, 'id').toLowerCase();
const allRows = (estate: Estate): JsonObject[] =>
  estate.subscriptions.flatMap(({ subscriptionId }) => read(estate.assessments(subscriptionId)));
const truthOf = (estate: Estate): ReturnType<Estate['truth']> =>
  estate.truth({
    subscriptionIds: estate.subscriptions.map(({ subscriptionId }) => subscriptionId),
    managementGroups: [],
    metadataCap: 1000,
  });

describe('a generated estate', () => {
  test('is a pure function of its seed', () => {
    expect(allRows(open('7', 500))).toEqual(allRows(open('7', 500)));
    expect(idOf(allRows(open('8', 500))[0] ?? {})).not.toBe(idOf(allRows(open('7', 500))[0] ?? {}));
  });

  test.each([0, 1, 25, 26, 27, 200, 1234, 9999])('of %d holds exactly so many classic assessments, each once', (assessments) => {
    const estate = open('7', assessments);
    const { listed, inScope, outOfScope } = truthOf(estate).assessments;
    expect(inScope.total).toBe(assessments);
    const ids = allRows(estate).map(idOf);
    expect(ids).toHaveLength(listed);
    expect(listed).toBe(assessments + outOfScope);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('counts what its rows say', () => {
    const estate = open('7', 6000);
    const rows = allRows(estate);
    const resources = new Set(rows.map((row) => idOf(row).split('/providers/microsoft.security/assessments/')[0]));
    expect(truthOf(estate).resources.listed).toBe(resources.size);
  });

  test.each([['bench', BENCH_PROFILE] as const, ['company', COMPANY_PROFILE] as const])(
    '%s: Resource Graph partitions are in order by lower-case id',
    (_name, profile) => {
      const estate = open('3', 4000, profile);
      const partitions = [
        ...estate.graphPartitions(estate.subscriptions.map(({ subscriptionId }) => subscriptionId)),
        ...estate.tenantGraphPartitions(),
      ];
      for (const { rows } of partitions) {
        const ids = read(rows).map(idOf);
        expect(ids).toEqual(ids.toSorted((left, right) => (left < right ? -1 : left > right ? 1 : 0)));
      }
    },
  );

  test('every constant column of a partition is what its rows hold', () => {
    const estate = open('3', 1200);
    for (const { rows, constants } of estate.graphPartitions(estate.subscriptions.map(({ subscriptionId }) => subscriptionId))) {
      for (const row of read(rows)) {
        for (const [path, value] of constants) {
          const held = path.split('.').reduce<unknown>((part, step) => (part as Record<string, unknown> | undefined)?.[step], row);
          expect(held ?? null).toBe(value);
        }
      }
    }
  });

  test('finds every assessment again by its resource and key', () => {
    const estate = open('7', 1500);
    for (const row of allRows(estate)) {
      const [resource = '', key = ''] = textAt(row, 'id').split(/\/providers\/microsoft\.security\/assessments\//i);
      const found = estate.findAssessment(resource, key);
      if (textAt(row, 'properties', 'additionalData', 'SoftwareName') === '') expect(found).toEqual(row);
    }
    expect(estate.findAssessment('/subscriptions/none', 'none')).toBeUndefined();
  });

  test('a page in the middle of a million costs a page', () => {
    const estate = open('7', 1_000_000);
    const rows = estate.assessments(estate.subscriptions[0]?.subscriptionId ?? '');
    const startedMs = performance.now();
    const ids = Array.from({ length: 1000 }, (_unused, index) => idOf(rows.at(300_000 + index)));
    expect(new Set(ids).size).toBe(1000);
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });
});

describe('an estate of overlapping deployments', () => {
  test.each([
    [2, undefined, 60],
    [20, undefined, 60],
    [20, 30, 30],
  ])('of %d: each shares about that much of what it sees', async (deployments, percent, expected) => {
    const changes = createEstateChanges();
    const estate = await openEstate(`overlap:7:6000:${deployments}${percent === undefined ? '' : `:${percent}`}`, changes);
    const access = createAccess(estate);
    const seenBy = new Map<string, string[]>();
    for (const application of estate.applications) {
      for (const { subscriptionId } of access.visibleSubscriptions(application))
        seenBy.set(subscriptionId, [...(seenBy.get(subscriptionId) ?? []), application.deployment]);
    }
    expect(estate.applications).toHaveLength(deployments);
    expect(new Set(estate.applications.map(({ clientId }) => clientId)).size).toBe(deployments);
    expect(seenBy.size).toBe(estate.subscriptions.length);
    const rowsOf = (subscriptions: readonly string[]): number =>
      subscriptions.reduce(
        (sum, id) => sum + estate.truth({ subscriptionIds: [id], managementGroups: [], metadataCap: 1000 }).assessments.inScope.total,
        0,
      );
    for (const { deployment } of estate.applications) {
      const seen = [...seenBy].filter(([, readers]) => readers.includes(deployment));
      const shared = seen.filter(([, readers]) => readers.length > 1);
      const share = (100 * rowsOf(shared.map(([id]) => id))) / rowsOf(seen.map(([id]) => id));
      expect(Math.abs(share - expected)).toBeLessThan(5);
    }
  });

  test('spells ids anew on command, and says the same otherwise', async () => {
    const changes = createEstateChanges();
    const estate = await openEstate('overlap:7:600:2', changes);
    const before = allRows(estate);
    changes.spelling = 1;
    const after = allRows(estate);
    expect(after.map(idOf)).toEqual(before.map(idOf));
    expect(after.filter((row, index) => textAt(row, 'id') !== textAt(before[index] ?? {}, 'id')).length).toBeGreaterThan(50);
  });

  test.each(['overlap:7:600:1', 'overlap:7:600:5:0', 'overlap:7:600'])('refuses %s', async (spec) => {
    await expect(openEstate(spec, createEstateChanges())).rejects.toThrow(/overlap|Unknown estate/i);
  });
});
