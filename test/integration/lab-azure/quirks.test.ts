import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, arm, armList, change, graphPage, graphRows, startTestLab, type TestLab, type Wire } from './helpers.ts';

let lab: TestLab;
let shared = '';
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:8:1500', options: { throttling: 'headers' } });
  [shared = ''] = lab.tenant('A').subscriptions;
});
afterAll(() => lab.close());
afterEach(async () => {
  await change(lab, { options: { rowQuirks: [], pageQuirk: 'none', graphTotals: 'steady', graphOrder: 'kept' } });
});

const ASSESSMENTS = "securityresources | where type == 'microsoft.security/assessments'";
const list = (version = '2025-05-04'): string => `/subscriptions/${shared}/providers/Microsoft.Security/assessments?api-version=${version}`;
const lower = (row: Wire): string => (row.id as string).toLowerCase();

describe('rows of real traffic (azure.md §1.4, §4)', () => {
  test('resource-id-variant: some rows say {Source, ResourceId} and nothing else', async () => {
    const before = await armList(lab, list());
    await change(lab, { options: { rowQuirks: ['resource-id-variant'] } });
    const after = await armList(lab, list());
    const variants = after.filter((row) => 'ResourceId' in row.properties.resourceDetails);
    expect(variants.length).toBeGreaterThan(10);
    expect(variants.length).toBeLessThan(after.length / 2);
    expect(variants.every((row) => Object.keys(row.properties.resourceDetails as object).join() === 'Source,ResourceId')).toBe(true);
    expect(after.map(lower)).toEqual(before.map(lower));
    const single = await arm(lab, `${variants[0].id as string}?api-version=2025-05-04`);
    expect(single.body.properties.resourceDetails).toEqual(variants[0].properties.resourceDetails);
  });

  test('no-optional-fields: only what the specification requires is left; the same in Resource Graph', async () => {
    await change(lab, { options: { rowQuirks: ['no-optional-fields'], rowQuirkEvery: 1 } });
    for (const row of await armList(lab, list())) {
      expect(Object.keys(row.properties.status as object)).toEqual(['code']);
      expect(row.properties).not.toHaveProperty('displayName');
      expect(row.properties).not.toHaveProperty('additionalData');
    }
    const [row] = (await graphPage(lab, { query: `${ASSESSMENTS} | order by id asc`, options: { $top: 1 } })).body.data as Wire[];
    expect(Object.keys(row.properties.status as object)).toEqual(['code']);
    await change(lab, { options: { rowQuirkEvery: 5 } });
  });

  test('no-required-fields: some rows have no status, as bad rows do; the others are as they were', async () => {
    const before = new Map((await armList(lab, list())).map((row) => [lower(row), row]));
    await change(lab, { options: { rowQuirks: ['no-required-fields'], rowQuirkEvery: 7 } });
    const after = await armList(lab, list());
    const bad = after.filter((row) => row.properties.status === undefined);
    expect(bad.length).toBeGreaterThan(0);
    expect(
      after
        .filter((row) => row.properties.status !== undefined)
        .every((row) => JSON.stringify(row) === JSON.stringify(before.get(lower(row)))),
    ).toBe(true);
  });

  test('upper-case-ids: the same resources in other letters', async () => {
    const before = await armList(lab, list());
    await change(lab, { options: { rowQuirks: ['upper-case-ids'] } });
    const after = await armList(lab, list());
    expect(after.map(lower)).toEqual(before.map(lower));
    expect(after.filter((row) => (row.id as string).startsWith('/SUBSCRIPTIONS/')).length).toBeGreaterThan(0);
  });

  test('api-version is all that a list takes: $expand, $filter and $top change nothing (§1.4)', async () => {
    const plain = await arm(lab, list());
    const asked = await arm(lab, `${list()}&$expand=metadata&$top=1&$filter=${encodeURIComponent("name eq 'x'")}`);
    expect(asked.body.value).toEqual(plain.body.value);
  });

  test('sub-assessments keyed by the retired registry recommendation: 200 and no row (§0.1, §1.5)', async () => {
    const path = `/subscriptions/${shared}/providers/Microsoft.Security/assessments/c0b7cfc6-3172-465a-b378-53c7ff2cc0d5/subAssessments`;
    expect(await arm(lab, `${path}?api-version=2019-01-01-preview`)).toMatchObject({ status: 200, body: { value: [] } });
  });
});

describe('ends of lists (azure.md §1, §4)', () => {
  test.each([
    ['null-at-end', null],
    ['empty-string-at-end', ''],
  ])('%s', async (pageQuirk, end) => {
    await change(lab, { options: { pageQuirk } });
    const answer = await arm(lab, '/providers/Microsoft.Security/assessmentMetadata?api-version=2021-06-01');
    expect(answer.body.nextLink).toBe(end);
  });
});

describe('Resource Graph (azure.md §1.9, §4)', () => {
  test('moving: totalRecords is another number on a later page', async () => {
    const query = { query: `${ASSESSMENTS} | project id | order by id asc` };
    await change(lab, { options: { graphTotals: 'moving' } });
    const first = await graphPage(lab, { ...query, options: { $top: 100 } });
    const second = await graphPage(lab, { ...query, options: { $top: 100, $skipToken: first.body.$skipToken } });
    expect(second.body.totalRecords).not.toBe(first.body.totalRecords);
    expect(second.body.data).toHaveLength(100);
  });

  test('unreliable: without "order by id" pages lose rows and nothing says so; with it they are complete', async () => {
    await change(lab, { options: { graphOrder: 'unreliable' } });
    const ordered = await graphRows(lab, { query: `${ASSESSMENTS} | project id | order by id asc`, options: { $top: 200 } });
    const unordered = await graphRows(lab, { query: `${ASSESSMENTS} | project id`, options: { $top: 200 } });
    expect(unordered.length).toBeLessThan(ordered.length);
    const page = await graphPage(lab, { query: `${ASSESSMENTS} | project id`, options: { $top: 200 } });
    expect(page.body).toMatchObject({ totalRecords: ordered.length, resultTruncated: 'false' });
  });

  test('it may lag behind ARM: a subscription is missing without an error, and comes later (§1.9)', async () => {
    const query = { query: "resourcecontainers | where type == 'microsoft.resources/subscriptions' | project id | order by id asc" };
    await change(lab, { resourceGraph: { subscription: shared, knows: false } });
    const during = (await graphRows(lab, query)).map((row) => row.id as string);
    const named = await graphPage(lab, { query: ASSESSMENTS, subscriptions: [shared] });
    const inArm = (await armList(lab, '/subscriptions?api-version=2022-12-01')).map((row) => row.subscriptionId as string);
    await change(lab, { resourceGraph: { subscription: shared, knows: true } });
    expect(during).not.toContain(`/subscriptions/${shared}`);
    expect(named).toMatchObject({ status: 200, body: { totalRecords: 0, data: [] } });
    expect(inArm).toContain(shared);
    expect((await graphRows(lab, query)).map((row) => row.id as string)).toContain(`/subscriptions/${shared}`);
  });
});

describe('options that make no sense are refused', () => {
  test.each([
    [{ rowQuirks: ['odd'] }],
    [{ rowQuirks: 'odd' }],
    [{ graphTotals: 'up' }],
    [{ graphOrder: 1 }],
    [{ pageSizes: { nothing: 3 } }],
  ])('%j', async (options) => {
    expect((await admin(lab, 'POST', '/azure/change', { options })).status).toBe(400);
  });
});
