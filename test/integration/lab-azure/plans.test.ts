import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, arm, armList, change, graphRows, startTestLab, type TestLab, type Wire } from './helpers.ts';

const SECURITY = 'providers/Microsoft.Security';
const IMAGES =
  "securityresources | where type == 'microsoft.security/assessments' | where properties.resourceDetails.ResourceType in ('.containerimage', 'K8s-container') | project id | order by id asc";
const ESTATES = ['generated:31:900', 'company'];

describe.each(ESTATES)('Defender plans of %s (azure.md §0.4, §1.8)', (estate) => {
  let lab: TestLab;
  let subscription = '';
  beforeAll(async () => {
    lab = await startTestLab({ estate, options: { throttling: 'headers' } });
    [subscription = ''] = lab.tenant('A').subscriptions;
  });
  afterAll(() => lab.close());
  afterEach(async () => {
    await change(lab, { plan: { subscription, tier: 'Standard' }, foundationalCspm: { subscription, enabled: true } });
  });

  const pricing = async (name: string): Promise<Wire> =>
    (await arm(lab, `/subscriptions/${subscription}/${SECURITY}/pricings/${name}?api-version=2024-01-01`)).body.properties;
  const standards = (): Promise<Wire> =>
    arm(lab, `/subscriptions/${subscription}/${SECURITY}/regulatoryComplianceStandards?api-version=2019-01-01-preview`);
  const images = async (): Promise<number> => (await graphRows(lab, { query: IMAGES, subscriptions: [subscription] })).length;
  const truth = async (): Promise<Wire> => (await admin(lab, 'GET', '/azure/estate')).body.deployments.A;

  test('a plan of its own: Free there, Standard elsewhere; booleans are texts', async () => {
    await change(lab, { plan: { subscription, name: 'keyvaults', tier: 'Free' } });
    expect(await pricing('KeyVaults')).toMatchObject({ pricingTier: 'Free', enforce: 'False' });
    expect(await pricing('VirtualMachines')).toMatchObject({ pricingTier: 'Standard', subPlan: 'P2' });
    expect((await standards()).status).toBe(200);
  });

  test('Containers and CloudPosture off: no recommendations for images, and the truth says so; either one scans them', async () => {
    const before = await images();
    await change(lab, { plan: { subscription, name: 'Containers', tier: 'Free' } });
    expect(await images()).toBe(before);
    await change(lab, { plan: { subscription, name: 'CloudPosture', tier: 'Free' } });
    const without = await truth();
    expect(before).toBeGreaterThan(0);
    expect(await images()).toBe(0);
    expect((await standards()).status).toBe(200);
    expect(without.containers.rowsServed).toBe((await graphRows(lab, { query: IMAGES })).length);
    await change(lab, { plan: { subscription, name: 'Containers', tier: 'Standard' } });
    expect(await images()).toBe(before);
  });

  test('the last paid plan off, one by one: only then regulatory compliance is refused', async () => {
    const path = `/subscriptions/${subscription}/${SECURITY}/pricings?api-version=2024-01-01`;
    const free = ['FoundationalCspm', 'Discovery'];
    const names = (await armList(lab, path)).map((row) => row.name as string).filter((name) => !free.includes(name));
    await change(lab, { plan: names.slice(1).map((name) => ({ subscription, name, tier: 'Free' })) });
    expect((await standards()).status).toBe(200);
    await change(lab, { plan: { subscription, name: names[0], tier: 'Free' } });
    expect(await standards()).toMatchObject({ status: 400, body: { error: { code: 'Subscription with no standard pricing bundle' } } });
    // Those that cost nothing are listed as Standard all the same.
    for (const name of free) expect(await pricing(name)).toMatchObject({ pricingTier: 'Standard' });
    await change(lab, { plan: { subscription, name: 'CloudPosture', tier: 'Standard' } });
    expect((await standards()).status).toBe(200);
  });

  test('a plan by $filter, and one of a resource', async () => {
    const filter = encodeURIComponent('name in (VirtualMachines,KeyVaults)');
    const listed = await arm(lab, `/subscriptions/${subscription}/${SECURITY}/pricings?api-version=2024-01-01&$filter=${filter}`);
    expect((listed.body.value as Wire[]).map((row) => row.name as string).toSorted()).toEqual(['KeyVaults', 'VirtualMachines']);
    expect((await arm(lab, `/subscriptions/${subscription}/${SECURITY}/pricings/Nonsense?api-version=2024-01-01`)).status).toBe(404);
  });

  test('Foundational CSPM off: nothing is assessed, with 200 everywhere; that is no fault (§0.4)', async () => {
    const list = `/subscriptions/${subscription}/${SECURITY}/assessments?api-version=2021-06-01`;
    const [row] = await armList(lab, list);
    const graph = "securityresources | where type == 'microsoft.security/assessments' | project id | order by id asc";
    await change(lab, { foundationalCspm: { subscription, enabled: false }, plan: { subscription, tier: 'Free' } });
    expect(await arm(lab, list)).toMatchObject({ status: 200, body: { value: [] } });
    expect((await arm(lab, `${row.id as string}?api-version=2021-06-01`)).status).toBe(404);
    expect(await pricing('FoundationalCspm')).toMatchObject({ pricingTier: 'Free' });
    expect(await graphRows(lab, { query: graph, subscriptions: [subscription] })).toEqual([]);
    const others = (await truth()).assessments.listed as number;
    const lists = await Promise.all(
      lab.tenant('A').subscriptions.map((id) => armList(lab, `/subscriptions/${id}/${SECURITY}/assessments?api-version=2021-06-01`)),
    );
    expect(others).toBe(lists.flat().length);
    await change(lab, { foundationalCspm: { subscription, enabled: true } });
    expect((await armList(lab, list)).length).toBeGreaterThan(0);
  });

  test.each([
    [{ plan: { tier: 'Gold' } }, 400],
    [{ plan: { tier: 'Free', name: 'Unheard' } }, 404],
    [{ foundationalCspm: {} }, 400],
    [{ resourceGraph: { knows: 'yes' } }, 400],
  ])('%j is refused', async (body, status) => {
    const [[name, value]] = Object.entries(body) as [[string, object]];
    expect((await admin(lab, 'POST', '/azure/change', { [name]: { subscription, ...value } })).status).toBe(status);
  });
});
