import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, arm, armList, change, graphRows, startTestLab, type TestLab, type Wire } from './helpers.ts';

const GROUP = '/providers/Microsoft.Management/managementGroups/';
const READ = 'Microsoft.Security/assessments/read';
const ASSESSMENTS = "securityresources | where type == 'microsoft.security/assessments' | project id, subscriptionId | order by id asc";
const CVES = "securityresources | where type =~ 'microsoft.security/cvedetails' | project id | order by id asc";

let lab: TestLab;
let clientId = '';
let shared = '';
let own = '';
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:21:900', options: { throttling: 'headers' } });
  ({ clientId } = lab.tenant('A'));
  [shared = '', own = ''] = lab.tenant('A').subscriptions;
});
afterAll(() => lab.close());

/** Takes every role from A, then gives what a test wants. */
async function holdOnly(...roles: { role: string; scope: string }[]): Promise<void> {
  await admin(lab, 'POST', '/azure/change', { removeRole: { clientId } });
  if (roles.length > 0) await change(lab, { assignRole: roles.map((role) => ({ clientId, ...role })) });
}
afterEach(async () => {
  await admin(lab, 'POST', '/azure/change', { liftDeny: { clientId } });
  await holdOnly(
    ...['fabrikam-shared', 'fabrikam-a'].flatMap((name) => ['Reader', 'Security Reader'].map((role) => ({ role, scope: GROUP + name }))),
  );
});

const subscriptions = async (): Promise<string[]> =>
  (await armList(lab, '/subscriptions?api-version=2022-12-01')).map((row) => row.subscriptionId as string);
const assessments = (scope: string): string => `${scope}/providers/Microsoft.Security/assessments?api-version=2021-06-01`;
const permissions = (scope: string): string => `${scope}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`;
const resourceIn = async (subscription: string): Promise<string> =>
  (await graphRows(lab, { query: 'resources | project id | order by id asc', subscriptions: [subscription] }))[0].id as string;

describe('role assignments by scope (azure.md §1.12)', () => {
  test('none: no subscriptions, no groups, no rows, no permissions; a read is 403', async () => {
    await holdOnly();
    expect(await subscriptions()).toEqual([]);
    expect((await arm(lab, '/providers/Microsoft.Management/managementGroups?api-version=2023-04-01')).body.value).toEqual([]);
    expect(await graphRows(lab, { query: ASSESSMENTS })).toEqual([]);
    expect(await armList(lab, permissions(`/subscriptions/${shared}`))).toEqual([]);
    expect((await arm(lab, assessments(`/subscriptions/${shared}`))).status).toBe(403);
  });

  test('at one subscription: that one and no management group', async () => {
    await holdOnly({ role: 'Security Reader', scope: `/subscriptions/${own}` });
    expect(await subscriptions()).toEqual([own]);
    expect((await arm(lab, assessments(`/subscriptions/${own}`))).status).toBe(200);
    const answer = await arm(lab, assessments(`/subscriptions/${shared}`));
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'AuthorizationFailed' } } });
    expect(answer.body.error.message).toContain(READ);
    expect((await arm(lab, assessments(`${GROUP}fabrikam-a`))).status).toBe(403);
    expect(new Set((await graphRows(lab, { query: ASSESSMENTS })).map((row) => row.subscriptionId as string))).toEqual(new Set([own]));
  });

  test('at the root group, and at the tenant: everything below', async () => {
    for (const scope of [`${GROUP}fabrikam`, '/']) {
      await holdOnly({ role: 'Reader', scope });
      expect((await subscriptions()).length).toBeGreaterThan(lab.tenant('A').subscriptions.length);
      expect((await arm(lab, assessments(`/subscriptions/${lab.tenant('B').subscriptions[1] ?? ''}`))).status).toBe(200);
    }
  });

  test('at a resource group: the subscription is seen, its lists are refused, Resource Graph shows the group’s rows', async () => {
    const resource = await resourceIn(own);
    const group = resource.split('/').slice(0, 5).join('/');
    await holdOnly({ role: 'Reader', scope: group });
    expect(await subscriptions()).toEqual([own]);
    expect((await arm(lab, assessments(`/subscriptions/${own}`))).status).toBe(403);
    const rows = await graphRows(lab, { query: 'resources | project id | order by id asc' });
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every((row) => (row.id as string).toLowerCase().startsWith(`${group.toLowerCase()}/`))).toBe(true);
    expect((await arm(lab, `${resource}/providers/Microsoft.Resources/tags/default?api-version=2024-03-01`)).status).toBe(200);
  });
});

describe('what Reader and Security Reader differ in (azure.md §1.12)', () => {
  test('Security Reader alone: recommendations, but no resources and no tags, in ARM and in Resource Graph', async () => {
    const resource = await resourceIn(own);
    await holdOnly({ role: 'Security Reader', scope: `${GROUP}fabrikam-a` });
    expect((await arm(lab, assessments(`/subscriptions/${own}`))).status).toBe(200);
    expect((await arm(lab, `${resource}/providers/Microsoft.Resources/tags/default?api-version=2024-03-01`)).status).toBe(403);
    expect((await arm(lab, `/subscriptions/${own}/resources?api-version=2024-03-01`)).status).toBe(403);
    const resources = await graphRows(lab, { query: 'resources | project id, type | order by id asc' });
    expect(resources.filter((row) => !(row.type as string).startsWith('microsoft.security/'))).toEqual([]);
    expect((await graphRows(lab, { query: ASSESSMENTS })).length).toBeGreaterThan(0);
    const containers = await graphRows(lab, { query: 'resourcecontainers | project id, type | order by id asc' });
    // Its role reads resource groups, and any role shows the subscription.
    expect(containers.filter((row) => row.type === 'microsoft.resources/subscriptions').map((row) => row.id as string)).toEqual([
      `/subscriptions/${own}`,
    ]);
    expect(containers.length).toBeGreaterThan(1);
  });

  test('Reader alone: both', async () => {
    await holdOnly({ role: 'Reader', scope: `${GROUP}fabrikam-a` });
    expect((await graphRows(lab, { query: ASSESSMENTS })).length).toBeGreaterThan(0);
    expect((await graphRows(lab, { query: 'resources | project id | order by id asc' })).length).toBeGreaterThan(0);
  });

  test('cvedetails: at the group with a role there; empty, not 403, with roles on subscriptions only (§1.7)', async () => {
    await holdOnly({ role: 'Security Reader', scope: `${GROUP}fabrikam-a` });
    expect((await graphRows(lab, { query: CVES, managementGroups: ['fabrikam-a'] })).length).toBeGreaterThan(0);
    expect(await graphRows(lab, { query: CVES, managementGroups: ['fabrikam'] })).toEqual([]);
    expect(await graphRows(lab, { query: CVES, subscriptions: [own] })).toEqual([]);
    expect(await graphRows(lab, { query: CVES })).toEqual([]);
    await holdOnly({ role: 'Security Reader', scope: `/subscriptions/${own}` });
    expect(await graphRows(lab, { query: CVES, managementGroups: ['fabrikam-a'] })).toEqual([]);
    await holdOnly({ role: 'Security Reader', scope: `${GROUP}fabrikam` });
    expect((await graphRows(lab, { query: CVES })).length).toBeGreaterThan(0);
  });
});

describe('roles of the customer’s own (azure.md §1.12)', () => {
  const scope = (): string => `/subscriptions/${own}`;

  test('notActions take back what the wildcard of the same entry gives', async () => {
    await change(lab, { defineRole: { name: 'Almost Reader', actions: ['*/read'], notActions: [READ] } });
    await holdOnly({ role: 'Almost Reader', scope: scope() });
    expect((await arm(lab, assessments(scope()))).status).toBe(403);
    expect((await arm(lab, `${scope()}/providers/Microsoft.Security/pricings?api-version=2024-01-01`)).status).toBe(200);
    expect(await graphRows(lab, { query: ASSESSMENTS })).toEqual([]);
    expect((await graphRows(lab, { query: 'resources | project id | order by id asc' })).length).toBeGreaterThan(0);
    expect(await armList(lab, permissions(scope()))).toEqual([
      { actions: ['*/read'], notActions: [READ], dataActions: [], notDataActions: [] },
    ]);
  });

  test('notActions of one entry do not touch another entry, nor another role', async () => {
    await change(lab, {
      defineRole: {
        name: 'Two Entries',
        permissions: [{ actions: ['Microsoft.Security/*'], notActions: [READ] }, { actions: ['microsoft.security/ASSESSMENTS/*'] }],
      },
    });
    await holdOnly({ role: 'Two Entries', scope: scope() });
    expect((await arm(lab, assessments(scope()))).status).toBe(200);
    expect(await armList(lab, permissions(scope()))).toHaveLength(2);
  });

  test('permissions of several entries come in pages', async () => {
    await holdOnly(
      { role: 'Reader', scope: scope() },
      { role: 'Security Reader', scope: scope() },
      { role: 'Two Entries', scope: scope() },
    );
    await change(lab, { options: { pageSizes: { authorization: 3 } } });
    const first = await arm(lab, permissions(scope()));
    const all = await armList(lab, permissions(scope()));
    await change(lab, { options: { pageSizes: { authorization: 100 } } });
    expect(first.body.value).toHaveLength(3);
    expect(first.body.nextLink).toContain('skiptoken');
    expect(all).toHaveLength(4);
  });

  test('a role that knows only virtual machines shows only those in Resource Graph', async () => {
    await change(lab, { defineRole: { name: 'Machines', actions: ['Microsoft.Compute/virtualMachines/read'] } });
    await holdOnly({ role: 'Machines', scope: `${GROUP}fabrikam-a` });
    const rows = await graphRows(lab, { query: 'resources | project id, type | order by id asc' });
    expect(new Set(rows.map((row) => row.type as string))).toEqual(new Set(['microsoft.compute/virtualmachines']));
  });
});

describe('deny assignments', () => {
  test('win over roles from above, at the scope and below; permissions do not show them', async () => {
    const scope = `/subscriptions/${own}`;
    await change(lab, { deny: { clientId, scope, actions: ['Microsoft.Security/*'], notActions: ['Microsoft.Security/pricings/read'] } });
    expect((await arm(lab, assessments(scope))).status).toBe(403);
    expect((await arm(lab, `${scope}/providers/Microsoft.Security/pricings?api-version=2024-01-01`)).status).toBe(200);
    expect((await armList(lab, permissions(scope))).flatMap((entry) => entry.actions as string[])).toContain('*/read');
    const rows = await graphRows(lab, { query: ASSESSMENTS });
    expect(new Set(rows.map((row) => row.subscriptionId as string))).toEqual(new Set([shared]));
    const [denial] = await armList(lab, `${scope}/providers/Microsoft.Authorization/denyAssignments?api-version=2022-04-01`);
    expect(denial.properties).toMatchObject({ scope, permissions: [{ actions: ['Microsoft.Security/*'] }] });
    await change(lab, { liftDeny: { clientId, scope } });
    expect((await arm(lab, assessments(scope))).status).toBe(200);
  });

  test('on a resource group: the list stays, Resource Graph leaves the group’s rows out', async () => {
    const group = (await resourceIn(own)).split('/').slice(0, 5).join('/').toLowerCase();
    const query = { query: 'resources | project id | order by id asc', subscriptions: [own] };
    const before = await graphRows(lab, query);
    await change(lab, { deny: { clientId, scope: group } });
    const after = await graphRows(lab, query);
    const inGroup = (row: Wire): boolean => (row.id as string).toLowerCase().startsWith(`${group}/`);
    expect(after).toEqual(before.filter((row) => !inGroup(row)));
    expect(after.length).toBeLessThan(before.length);
  });

  test('of everything: the subscription is no longer seen', async () => {
    await change(lab, { deny: { clientId, scope: `/subscriptions/${own}` } });
    expect(await subscriptions()).toEqual([shared]);
    const truth = (await admin(lab, 'GET', '/azure/estate')).body.deployments.A;
    expect(truth.subscriptions).toEqual([shared]);
  });
});

describe('the assignments themselves (examples/azure/authorization)', () => {
  const list = (type: string, filter = ''): string =>
    `/subscriptions/${own}/providers/Microsoft.Authorization/${type}?api-version=2022-04-01${filter === '' ? '' : `&$filter=${encodeURIComponent(filter)}`}`;

  test('name principal, scope and role definition; atScope() leaves out what is below', async () => {
    const group = (await resourceIn(own)).split('/').slice(0, 5).join('/');
    await change(lab, { assignRole: { clientId, role: 'Reader', scope: group } });
    const around = await armList(lab, list('roleAssignments'));
    const above = await armList(lab, list('roleAssignments', 'atScope()'));
    expect(around.map((row) => row.properties.scope as string)).toEqual(expect.arrayContaining([`${GROUP}fabrikam-a`, group]));
    expect(above.map((row) => row.properties.scope as string)).not.toContain(group);
    expect(around[0]).toMatchObject({ type: 'Microsoft.Authorization/roleAssignments', properties: { principalType: 'ServicePrincipal' } });
    const [{ properties }] = around;
    const mine = await armList(lab, list('roleAssignments', `principalId eq '${properties.principalId as string}'`));
    expect(mine.length).toBeGreaterThan(0);
    const definition = await arm(lab, `${properties.roleDefinitionId as string}?api-version=2022-04-01`);
    expect(definition.body.properties).toMatchObject({ type: 'BuiltInRole', permissions: [{ actions: expect.any(Array) }] });
  });

  test('the ids of Reader and Security Reader are Azure’s', async () => {
    const rows = await armList(lab, list('roleDefinitions', "type eq 'BuiltInRole'"));
    expect(Object.fromEntries(rows.map((row) => [row.properties.roleName as string, row.name as string]))).toEqual({
      Reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7',
      'Security Reader': '39bc4728-0917-49c7-9d2c-d95423bc2eb4',
    });
    expect((await arm(lab, list('roleDefinitions', "name eq 'x'"))).status).toBe(400);
  });
});

describe('changes that make no sense are refused', () => {
  test.each([
    [{ assignRole: { clientId: 'nobody', role: 'Reader', scope: '/' } }, 404],
    [{ assignRole: { role: 'Owner of the moon', scope: '/' } }, 404],
    [{ assignRole: { role: 'Reader', scope: 'fabrikam' } }, 400],
    [{ assignRole: { role: 'Reader', scope: `${GROUP}elsewhere` } }, 404],
    [{ removeRole: { role: 'Reader', scope: '/' } }, 404],
    [{ liftDeny: {} }, 404],
    [{ deny: { scope: '/', actions: 'all' } }, 400],
    [{ defineRole: { name: 'Reader', actions: [] } }, 400],
    [{ defineRole: { name: 'x', actions: 'all' } }, 400],
    [{ assignRole: ['Reader'] }, 400],
  ])('%j', async (body, status) => {
    const [[name, value]] = Object.entries(body) as [[string, Wire]];
    const answer = await admin(lab, 'POST', '/azure/change', { [name]: Array.isArray(value) ? value : { clientId, ...value } });
    expect(answer.status).toBe(status);
    expect(typeof answer.body.error).toBe('string');
  });
});
