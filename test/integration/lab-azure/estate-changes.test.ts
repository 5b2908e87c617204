/** What changes in an estate over time, as REST, Resource Graph and the truth show it (azure.md §1.4, §1.6, §1.10, §4). */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { admin, armList, change, graphRows, startTestLab, type TestLab, type Wire } from './helpers.ts';

const CLASSIC = "securityresources | where type == 'microsoft.security/assessments' | project id, name | order by id asc";

describe('changes to a generated estate', () => {
  let lab: TestLab;
  let subscription = '';
  beforeEach(async () => {
    lab = await startTestLab({ estate: 'generated:31:300', options: { throttling: 'headers' } });
    [subscription = ''] = lab.tenant('A').subscriptions;
  });
  afterEach(() => lab.close());

  const path = (): string => `/subscriptions/${subscription}/providers/Microsoft.Security/assessments?api-version=2021-06-01`;
  const listed = (): Promise<Wire[]> => armList(lab, path());
  const ids = async (): Promise<string[]> => (await listed()).map((row) => String(row.id).toLowerCase()).sort();
  const inGraph = async (): Promise<string[]> =>
    (await graphRows(lab, { query: CLASSIC, subscriptions: [subscription] })).map((row) => String(row.id).toLowerCase());

  test('a named assessment disappears, over REST and in Resource Graph, and comes back (§4)', async () => {
    const before = await ids();
    const [gone = ''] = before;
    await change(lab, { delete: { id: gone } });
    expect(await ids()).toEqual(before.slice(1));
    expect(await inGraph()).not.toContain(gone);
    await change(lab, { reappear: { id: gone } });
    expect(await ids()).toEqual(before);
  });

  test('a share of assessments disappears: the same share for the same seed, elsewhere nothing (§4)', async () => {
    const before = await ids();
    await change(lab, { delete: { percent: 30, seed: 5, subscription } });
    const after = await ids();
    expect(after.length).toBeGreaterThan(before.length * 0.5);
    expect(after.length).toBeLessThan(before.length * 0.9);
    expect(after.every((id) => before.includes(id))).toBe(true);
    await change(lab, { reappear: { percent: 30, seed: 5, subscription } });
    expect(await ids()).toEqual(before);
  });

  test('new assessments appear beside the old ones (§1.4)', async () => {
    const before = await ids();
    await change(lab, { add: { assessments: 25, subscription } });
    const after = await ids();
    // A new machine brings its software updates along.
    expect(after.length).toBeGreaterThanOrEqual(before.length + 25);
    expect(after.length).toBeLessThan(before.length + 35);
    expect(before.every((id) => after.includes(id))).toBe(true);
    expect(new Set(after).size).toBe(after.length);
  });

  test('a recommendation gets a new key: its assessments and its metadata carry it, the old one is gone (§1.6)', async () => {
    const [row] = await listed();
    const key = String(row.name).toLowerCase();
    const to = '11111111-2222-4333-8444-555555555555';
    await change(lab, { rekey: { key, to } });
    const names = (await listed()).map(({ name }) => String(name).toLowerCase());
    expect(names).toContain(to);
    expect(names).not.toContain(key);
    const metadata = await armList(lab, '/providers/Microsoft.Security/assessmentMetadata?api-version=2021-06-01');
    const keys = metadata.map(({ name }) => String(name).toLowerCase());
    expect(keys).toContain(to);
    expect(keys).not.toContain(key);
  });

  test('a subscription moves to another management group, whose role then decides (§1.10, §1.12)', async () => {
    const shared = lab.tenant('A').managementGroups;
    await change(lab, { move: { subscription, managementGroup: 'fabrikam-b' } });
    const seen = (await armList(lab, '/subscriptions?api-version=2022-12-01')).map(({ subscriptionId }) => String(subscriptionId));
    expect(shared).not.toContain('fabrikam-b');
    expect(seen).not.toContain(subscription);
  });

  test('what makes no sense is refused, and nothing changes', async () => {
    const before = await ids();
    for (const body of [
      { delete: { percent: 300 } },
      { delete: { id: '/subscriptions/none' } },
      { add: { assessments: -1 } },
      { rekey: { key: 'x' } },
    ]) {
      const { status } = await admin(lab, 'POST', '/azure/change', body);
      expect([400, 404]).toContain(status);
    }
    expect(await ids()).toEqual(before);
  });
});
