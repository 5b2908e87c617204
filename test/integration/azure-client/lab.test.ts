import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createAzureLab, type AzureLab, type LabTenant } from '../../../lab/azure/index.ts';
import { createAdminApi, type AdminApi } from '../../../lab/kit/admin-api.ts';
import { createClock } from '../../../lab/kit/clock.ts';
import { loadOrCreateAuthority } from '../../../lab/kit/tls.ts';
import {
  createAzureConnection,
  decodeClaims,
  guardPage,
  startOfPaging,
  type AzureClients,
  type AzureConnection,
  type PageRequest,
  type PagingState,
} from '../../../src/azure/index.ts';
import { createCountingGate, createTestAuthority, rejection, type CountingGate, type TestAuthority } from './test-server.ts';

let authority: TestAuthority;
let admin: AdminApi;
let adminUrl: string;
let lab: AzureLab;
let tenant: LabTenant;
let gate: CountingGate;
let connection: AzureConnection;
let azure: AzureClients;

beforeAll(async () => {
  authority = await createTestAuthority();
  admin = createAdminApi();
  lab = await createAzureLab({
    authority: await loadOrCreateAuthority(authority.dir),
    dir: authority.dir,
    estate: 'generated:11:600',
    clock: createClock(),
    admin,
    options: { pageSizes: { assessments: 50, metadata: 40 } },
  });
  ({ url: adminUrl } = await admin.listen({}));
  [tenant] = lab.tenants as [LabTenant];
  gate = createCountingGate();
  connection = connect();
  azure = connection.through(gate);
});
afterEach(async () => {
  await change({ options: { pageQuirk: 'none' } });
  await ask('DELETE', '/azure/faults');
});
afterAll(async () => {
  connection.close();
  await lab.close();
  await admin.close();
  await authority.remove();
});

function connect(change: Partial<LabTenant> = {}): AzureConnection {
  const { tenantId, clientId, clientSecret } = { ...tenant, ...change };
  return createAzureConnection({
    cloud: { authorityHost: lab.urls.authority, armEndpoint: lab.urls.arm, graphEndpoint: lab.urls.graph },
    tenantId,
    clientId,
    credential: { type: 'secret', value: clientSecret },
    caFile: authority.caFile,
  });
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
): Promise<any> /* eslint-disable-line @typescript-eslint/no-explicit-any -- many shapes */ {
  const answer = await fetch(`${adminUrl}${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  const text = await answer.text();
  return text === '' ? undefined : JSON.parse(text);
}

function change(body: unknown): Promise<unknown> {
  return ask('POST', '/azure/change', body);
}

/** Reads a list to its end or to where the guard stops it. */
async function readList(first: PageRequest): Promise<{ ids: string[]; pages: number; stop: string }> {
  const ids: string[] = [];
  let state: PagingState = startOfPaging;
  for (let request = first; ;) {
    const page = await azure.arm.getPage(request);
    for (const item of page.items) ids.push((item as { id: string }).id.toLowerCase());
    const step = guardPage(state, { itemCount: page.items.length, next: page.nextLink });
    if ('stop' in step) return { ids, pages: step.state.pages, stop: step.stop };
    state = step.state;
    request = { nextLink: step.next };
  }
}

const assessments = (subscription: string): PageRequest => ({
  path: `/subscriptions/${subscription}/providers/Microsoft.Security/assessments`,
  apiVersion: '2021-06-01',
});

describe('reading', () => {
  test('subscriptions are those that the lab says this application sees', async () => {
    const { subscriptions, unreadable } = await azure.discovery.listSubscriptions();
    expect(subscriptions.map(({ subscriptionId }) => subscriptionId).sort()).toEqual([...tenant.subscriptions].sort());
    expect(unreadable).toBe(0);
    const [group] = tenant.managementGroups;
    const below = await azure.discovery.listManagementGroupSubscriptions(group!);
    expect(tenant.subscriptions).toEqual(expect.arrayContaining(below.subscriptions.map(({ subscriptionId }) => subscriptionId)));
    expect(below.subscriptions.length).toBeGreaterThan(0);
  });

  test('every assessment once, over many pages', async () => {
    const [subscription] = tenant.subscriptions;
    const { ids, pages, stop } = await readList(assessments(subscription!));
    expect(stop).toBe('end');
    expect(pages).toBeGreaterThan(1);
    expect(ids.length).toBeGreaterThan(50);
  });

  test.each([
    // A few empty pages that lead on are no end, and no loss.
    ['empty-pages', 'end'],
    ['self-loop', 'partial'],
    ['empty-string-at-end', 'end'],
  ])('a list with the quirk %s ends %s', async (pageQuirk, stop) => {
    const [subscription] = tenant.subscriptions;
    const calm = await readList(assessments(subscription!));
    await change({ options: { pageQuirk } });
    const quirky = await readList(assessments(subscription!));
    expect(quirky.stop).toBe(stop);
    expect(calm.ids.length).toBeGreaterThan(50);
    expect(new Set(quirky.ids)).toEqual(new Set(calm.ids));
  });

  test('metadata that the list lacks is found one by one, or is not there', async () => {
    const { ids } = await readList({ path: '/providers/Microsoft.Security/assessmentMetadata', apiVersion: '2021-06-01' });
    expect(ids.length).toBeGreaterThan(0);
    expect(await azure.arm.getOne(ids[0]!, '2021-06-01')).toMatchObject({ properties: expect.anything() });
    const unknown = '/providers/Microsoft.Security/assessmentMetadata/00000000-0000-0000-0000-00000000dead';
    expect(await azure.arm.getOne(unknown, '2021-06-01')).toBeUndefined();
  });

  test('Resource Graph gives the same rows in small pages as in large ones', async () => {
    const query = 'securityresources | where type == "microsoft.security/assessments" | project id | order by id asc';
    const read = async (top: number): Promise<string[]> => {
      const ids: string[] = [];
      let skipToken: string | undefined;
      do {
        const page = await azure.resourceGraph.queryPage({ query, subscriptions: tenant.subscriptions.slice(0, 2), top, skipToken });
        for (const row of page.rows) ids.push((row as { id: string }).id);
        ({ skipToken } = page);
      } while (skipToken !== undefined);
      return ids;
    };
    const large = await read(1_000);
    expect(large.length).toBeGreaterThan(0);
    expect(await read(Math.max(1, Math.ceil(large.length / 3)))).toEqual(large);
  });

  test('plans', async () => {
    const plans = await azure.discovery.readPricings(tenant.subscriptions[0]!);
    expect(plans.map(({ name }) => name)).toContain('CloudPosture');
  });
});

describe('signing in', () => {
  test('a token of ARM says who asks', async () => {
    const { token } = await connection.tokens.getToken(connection.cloud.armScope);
    expect(decodeClaims(token)).toMatchObject({ applicationId: tenant.clientId, tenantId: tenant.tenantId });
  });

  test.each([
    [{ clientSecret: 'wrong~secret' }, 'AADSTS7000215'],
    [{ clientId: '99999999-0000-0000-0000-000000000001' }, 'AADSTS700016'],
  ])('%j is %s', async (wrong, code) => {
    const other = connect(wrong);
    expect(await rejection(other.through(createCountingGate()).discovery.listSubscriptions())).toMatchObject({
      kind: 'unauthenticated',
      code,
    });
    other.close();
  });

  test('an unknown tenant is not a passing failure', async () => {
    const other = connect({ tenantId: '99999999-9999-9999-9999-999999999999' });
    expect(await rejection(other.through(createCountingGate()).discovery.listSubscriptions())).toMatchObject({ kind: 'unauthenticated' });
    other.close();
  });

  test('consent that was given as Delegated shows as missing application roles', async () => {
    await change({ consent: { clientId: tenant.clientId, state: 'granted' } });
    const granted = connect();
    expect(await granted.through(createCountingGate()).graph.readIncidentsProbe()).toEqual({ verdict: 'ok' });
    await change({ consent: { clientId: tenant.clientId, state: 'delegated-only' } });
    const delegated = connect();
    expect(await delegated.through(createCountingGate()).graph.readIncidentsProbe()).toMatchObject({
      verdict: 'missing-roles',
      required: expect.arrayContaining(['SecurityIncident.Read.All']),
      held: [],
    });
    granted.close();
    delegated.close();
  });
});

describe('what goes wrong', () => {
  test('a subscription whose role was taken away is forbidden, by action and scope', async () => {
    const [subscription] = tenant.subscriptions;
    const who = { clientId: tenant.clientId, subscription };
    await change({ revoke: who });
    const error = await rejection(azure.arm.getPage(assessments(subscription!)));
    expect(error).toMatchObject({ kind: 'forbidden', code: 'AuthorizationFailed' });
    expect(error['remedy']).toContain('Security Reader');
    await change({ restore: who });
    expect((await azure.arm.getPage(assessments(subscription!))).items.length).toBeGreaterThan(0);
  });

  test('an api-version that does not exist is rejected', async () => {
    const request = { ...assessments(tenant.subscriptions[0]!), apiVersion: '1999-01-01' };
    expect(await rejection(azure.arm.getPage(request))).toMatchObject({ kind: 'rejected', status: 400 });
  });

  test('a throttled list holds everybody back', async () => {
    const action = {
      status: 429,
      headers: { 'retry-after': '4' },
      body: { error: { code: 'SubscriptionRequestsThrottled', message: 'x' } },
    };
    await ask('POST', '/azure/faults', { match: { pathIncludes: '/assessments' }, action, times: 1 });
    expect(await rejection(azure.arm.getPage(assessments(tenant.subscriptions[0]!)))).toMatchObject({
      kind: 'throttled',
      retryAfterMs: 4_000,
    });
    expect(gate.heldBackMs.at(-1)).toBe(4_000);
  });

  test('a page that is cut in the middle is transient, and comes whole the next time', async () => {
    await ask('POST', '/azure/faults', { match: { pathIncludes: '/assessments' }, action: { truncateBody: true }, times: 1 });
    expect(await rejection(azure.arm.getPage(assessments(tenant.subscriptions[0]!)))).toMatchObject({ kind: 'transient' });
    expect((await azure.arm.getPage(assessments(tenant.subscriptions[0]!))).items).toHaveLength(50);
  });
});
