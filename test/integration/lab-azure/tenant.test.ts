import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, arm, armList, call, bearer, change, startTestLab, type Answer, type TestLab, type Wire } from './helpers.ts';

const GROUPS = '/providers/Microsoft.Management/managementGroups';
const VERSION = 'api-version=2023-04-01';
const SUBSCRIPTIONS = '/subscriptions?api-version=2022-12-01';

let lab: TestLab;
let shared = '';
let own = '';
beforeAll(async () => {
  lab = await startTestLab({ estate: 'company', options: { throttling: 'headers' } });
  [shared = '', own = ''] = lab.tenant('A').subscriptions;
  await change(lab, { assignRole: { clientId: lab.tenant('B').clientId, role: 'Reader', scope: `${GROUPS}/contoso` } });
});
afterAll(() => lab.close());

const subscription = async (id: string): Promise<Wire> => (await arm(lab, `/subscriptions/${id}?api-version=2022-12-01`)).body;
const getEntities = async (): Promise<Wire[]> => {
  const answer: Answer = await call(lab, `${lab.lab.urls.arm}/providers/Microsoft.Management/getEntities?${VERSION}`, {
    method: 'POST',
    headers: await bearer(lab, 'B'),
  });
  return answer.body.value as Wire[];
};

describe('tenants and subscriptions (azure.md §1.10)', () => {
  test('the tenant names its domain and that it is home', async () => {
    const [tenant] = await armList(lab, '/tenants?api-version=2022-12-01');
    expect(tenant).toMatchObject({ id: `/tenants/${lab.tenant('A').tenantId}`, tenantCategory: 'Home', tenantType: 'AAD' });
    expect(tenant.domains).toContain(tenant.defaultDomain);
  });

  test.each(['Warned', 'PastDue', 'Disabled', 'Deleted', 'Enabled'])(
    'a subscription that is %s says so, in the list too',
    async (state) => {
      await change(lab, { subscription: { subscription: own, state } });
      expect((await subscription(own)).state).toBe(state);
      const listed = (await armList(lab, SUBSCRIPTIONS)).find((row) => row.subscriptionId === own);
      expect(listed?.state).toBe(state);
    },
  );

  test('authorizationSource and managing tenants are what the administrator set; RoleBased and none before', async () => {
    expect(await subscription(own)).toMatchObject({ authorizationSource: 'RoleBased', managedByTenants: [] });
    const managing = '8f70baf1-1f6e-46a2-a1ff-238dac1ebfb7';
    await change(lab, { subscription: { subscription: own, authorizationSource: 'Legacy', managedByTenants: [managing] } });
    expect(await subscription(own)).toMatchObject({ authorizationSource: 'Legacy', managedByTenants: [{ tenantId: managing }] });
  });

  test('the list comes in pages', async () => {
    await change(lab, { options: { pageSizes: { subscriptions: 1 } } });
    const first = await arm(lab, SUBSCRIPTIONS);
    const all = await armList(lab, SUBSCRIPTIONS);
    await change(lab, { options: { pageSizes: { subscriptions: 100 } } });
    expect(first.body.value).toHaveLength(1);
    expect(all.map((row) => row.subscriptionId as string).toSorted()).toEqual(lab.tenant('A').subscriptions.toSorted());
  });

  test.each([
    [{ state: 'Asleep' }, 400],
    [{ managementGroup: 'nowhere' }, 404],
    [{ authorizationSource: 7 }, 400],
  ])('a change to %j is refused', async (value, status) => {
    const answer = await admin(lab, 'POST', '/azure/change', { subscription: { subscription: own, ...value } });
    expect(answer.status).toBe(status);
  });
});

describe('management groups (azure.md §1.10)', () => {
  test('the list alone pages with @nextLink, absolute', async () => {
    await change(lab, { options: { pageSizes: { managementGroups: 2 } } });
    const first = await arm(lab, `${GROUPS}?${VERSION}`, 'B');
    const all = await armList(lab, `${GROUPS}?${VERSION}`, 'B');
    const descendants = await arm(lab, `${GROUPS}/contoso/descendants?${VERSION}`, 'B');
    await change(lab, { options: { pageSizes: { managementGroups: 100 } } });
    expect(first.body).not.toHaveProperty('nextLink');
    expect(new URL(first.body['@nextLink']).origin).toBe(lab.lab.urls.arm);
    expect(all).toHaveLength(6);
    expect(descendants.body).not.toHaveProperty('@nextLink');
    expect(descendants.body.nextLink).toMatch(/skiptoken/i);
  });

  test('descendants are groups and subscriptions of every depth, each with its parent; $top is the page', async () => {
    const rows = await armList(lab, `${GROUPS}/contoso/descendants?${VERSION}`, 'B');
    expect(rows).toHaveLength(5 + 6);
    const sandbox = rows.find((row) => row.name === 'contoso-sandbox');
    expect(sandbox).toMatchObject({
      type: 'Microsoft.Management/managementGroups',
      properties: { parent: { id: `${GROUPS}/contoso-online` } },
    });
    const page = await arm(lab, `${GROUPS}/contoso/descendants?${VERSION}&$top=3`, 'B');
    expect(page.body.value).toHaveLength(3);
  });

  test('a group with $expand=children, and everything below it with $recurse (examples GetManagementGroupWithExpandAndRecurse)', async () => {
    const plain = await arm(lab, `${GROUPS}/contoso-landingzones?${VERSION}`, 'B');
    const children = await arm(lab, `${GROUPS}/contoso-landingzones?${VERSION}&$expand=children`, 'B');
    const all = await arm(lab, `${GROUPS}/contoso-landingzones?${VERSION}&$expand=children&$recurse=true`, 'B');
    expect(plain.body.properties).not.toHaveProperty('children');
    expect(plain.body.properties.details.parent).toMatchObject({ name: 'contoso' });
    expect((children.body.properties.children as Wire[]).map((child) => child.name as string)).toEqual(['contoso-corp', 'contoso-online']);
    expect(children.body.properties.children[0]).not.toHaveProperty('children');
    const online = (all.body.properties.children as Wire[]).find((child) => child.name === 'contoso-online');
    expect((online.children as Wire[]).map((child) => child.type as string)).toEqual([
      'Microsoft.Management/managementGroups',
      '/subscriptions',
      '/subscriptions',
    ]);
  });

  test('one subscription of a group; 404 for one that is elsewhere', async () => {
    const answer = await arm(lab, `${GROUPS}/contoso-platform/subscriptions/${shared}?${VERSION}`);
    expect(answer.body).toMatchObject({ name: shared, properties: { state: 'Active', parent: { id: `${GROUPS}/contoso-platform` } } });
    expect((await arm(lab, `${GROUPS}/contoso-platform/subscriptions/${own}?${VERSION}`)).status).toBe(404);
  });

  test('getEntities gives groups and subscriptions with the chain above them and what is below', async () => {
    const entities = await getEntities();
    const online = entities.find((row) => row.name === 'contoso-online');
    expect(online?.properties).toMatchObject({
      parentNameChain: ['contoso', 'contoso-landingzones'],
      numberOfDescendants: 4,
      numberOfChildren: 3,
      numberOfChildGroups: 1,
    });
    expect(entities.find((row) => row.name === shared)).toMatchObject({ type: '/subscriptions' });
  });

  test('a group that the principal may not read: 403', async () => {
    expect((await arm(lab, `${GROUPS}/contoso?${VERSION}`)).status).toBe(403);
  });

  test('a subscription that moves takes the roles of its new group, and leaves those of the old one', async () => {
    const home = (await getEntities()).find((row) => row.name === own)?.properties.parent.id as string;
    await change(lab, { subscription: { subscription: own, managementGroup: 'contoso-online' } });
    const seen = (await armList(lab, SUBSCRIPTIONS)).map((row) => row.subscriptionId as string);
    const children = await armList(lab, `${GROUPS}/contoso-online/subscriptions?${VERSION}`, 'B');
    const truth = (await admin(lab, 'GET', '/azure/estate')).body.deployments.A;
    const policies = await armList(
      lab,
      `/subscriptions/${own}/providers/Microsoft.Authorization/policyAssignments?api-version=2024-04-01&$filter=${encodeURIComponent('atScope()')}`,
      'B',
    );
    await change(lab, { subscription: { subscription: own, managementGroup: home.split('/').at(-1) } });
    expect(seen).not.toContain(own);
    expect(children.map((row) => row.name as string)).toContain(own);
    expect(truth.subscriptions).not.toContain(own);
    expect(policies.length).toBeGreaterThan(0);
    expect((await armList(lab, SUBSCRIPTIONS)).map((row) => row.subscriptionId as string)).toContain(own);
  });
});

describe('resources (azure.md §1.10)', () => {
  const path = (more = ''): string => `/subscriptions/${shared}/resources?api-version=2024-03-01${more}`;
  const filtered = (filter: string): Promise<Wire[]> => armList(lab, path(`&$filter=${encodeURIComponent(filter)}`));

  test('times and state only where they are expanded', async () => {
    const [plain] = await armList(lab, path('&$top=1000'));
    const [expanded] = await armList(lab, path('&$expand=createdTime,changedTime,provisioningState'));
    expect(Object.keys(plain as object)).not.toEqual(expect.arrayContaining(['createdTime']));
    expect(expanded.id).toBe(plain.id);
    expect(Date.parse(expanded.changedTime as string)).toBeGreaterThan(Date.parse(expanded.createdTime as string));
    expect(expanded.provisioningState).toBe('Succeeded');
    expect((await arm(lab, path('&$expand=everything'))).status).toBe(400);
  });

  test('$filter by type, name, group, location and tag; $top is the page', async () => {
    const all = await armList(lab, path());
    const [first] = all;
    const group = (first.id as string).split('/')[4] ?? '';
    const sameGroup = (row: Wire): boolean => (row.id as string).split('/')[4]?.toLowerCase() === group.toLowerCase();
    expect(await filtered(`name eq '${first.name as string}' and resourceGroup eq '${group}'`)).toEqual([first]);
    expect(await filtered(`resourceGroup eq '${group.toUpperCase()}'`)).toEqual(all.filter(sameGroup));
    expect(await filtered(`resourceGroup ne '${group}'`)).toEqual(all.filter((row) => !sameGroup(row)));
    const [tag = '', value = ''] = Object.entries(first.tags as Record<string, string>)[0] ?? [];
    const tagged = all.filter((row) => (row.tags as Record<string, string> | undefined)?.[tag] === value);
    expect(await filtered(`tagName eq '${tag}' and tagValue eq '${value}'`)).toEqual(tagged);
    const types = [...new Set(all.map((row) => row.type as string))].slice(0, 2);
    const either = await filtered(types.map((type) => `resourceType eq '${type}'`).join(' or '));
    expect(either).toEqual(all.filter((row) => types.includes(row.type as string)));
    expect((await arm(lab, path('&$top=2'))).body.value).toHaveLength(2);
    expect((await arm(lab, path(`&$filter=${encodeURIComponent('size gt 4')}`))).status).toBe(400);
  });
});
