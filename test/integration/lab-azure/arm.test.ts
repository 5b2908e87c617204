import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { admin, arm, armList, bearer, call, startTestLab, type TestLab } from './helpers.ts';

const SUBSCRIPTIONS = '/subscriptions?api-version=2022-12-01';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:600', options: { throttling: 'headers' } });
});
afterAll(() => lab.close());

const subscriptionOf = (name: string, index: number): string => lab.tenant(name).subscriptions[index] ?? '';
const assessments = (subscriptionId: string, version = '2021-06-01'): string =>
  `/subscriptions/${subscriptionId}/providers/Microsoft.Security/assessments?api-version=${version}`;

describe('authentication (azure.md §1.11, server.md traps)', () => {
  test('no token: 401 with a challenge', async () => {
    const answer = await call(lab, `${lab.lab.urls.arm}${SUBSCRIPTIONS}`);
    expect(answer).toMatchObject({ status: 401, body: { error: { code: 'AuthenticationFailed' } } });
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer authorization_uri="https:\/\/localhost:\d+\//);
  });

  test('a token with a broken signature: 401', async () => {
    const { authorization = '' } = await bearer(lab);
    const broken = authorization.slice(0, -8) + 'AAAAAAAA';
    const answer = await call(lab, `${lab.lab.urls.arm}${SUBSCRIPTIONS}`, { headers: { authorization: broken } });
    expect(answer).toMatchObject({ status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } });
  });

  test('a Graph token: 401 for its audience', async () => {
    const headers = await bearer(lab, 'A', 'https://graph.microsoft.com/.default');
    const answer = await call(lab, `${lab.lab.urls.arm}${SUBSCRIPTIONS}`, { headers });
    expect(answer).toMatchObject({ status: 401, body: { error: { code: 'InvalidAuthenticationTokenAudience' } } });
  });

  test('an expired token, by lab time: 401 with a challenge', async () => {
    const headers = await bearer(lab);
    lab.clock.advance(3_600_000);
    const answer = await call(lab, `${lab.lab.urls.arm}${SUBSCRIPTIONS}`, { headers });
    lab.clock.advance(-3_600_000);
    expect(answer).toMatchObject({ status: 401, body: { error: { code: 'ExpiredAuthenticationToken' } } });
    expect(answer.headers['www-authenticate']).toContain('error="invalid_token"');
  });
});

describe('routes (azure.md §1)', () => {
  test.each([
    ['missing', '/subscriptions', 'MissingApiVersionParameter'],
    ['of another service', '/subscriptions?api-version=2021-06-01', 'NoRegisteredProviderFound'],
    ['unknown', '/providers/Microsoft.Security/assessmentMetadata?api-version=2019-01-01', 'NoRegisteredProviderFound'],
  ])('an api-version that is %s: 400', async (_name, path, code) => {
    expect(await arm(lab, path)).toMatchObject({ status: 400, body: { error: { code } } });
  });

  test('the plural assessmentsMetadata does not exist (§1.3): 404', async () => {
    const answer = await arm(lab, '/providers/Microsoft.Security/assessmentsMetadata?api-version=2021-06-01');
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'InvalidResourceType' } } });
  });

  test('regulatory compliance has one version, which is not the one of its own example (§1.8)', async () => {
    const path = `/subscriptions/${subscriptionOf('A', 0)}/providers/Microsoft.Security/regulatoryComplianceStandards?api-version=`;
    expect((await arm(lab, `${path}2019-01-01`)).status).toBe(400);
    expect((await arm(lab, `${path}2019-01-01-preview`)).status).toBe(200);
  });

  test('a method the route does not have: 405 with Allow', async () => {
    const answer = await call(lab, `${lab.lab.urls.arm}${SUBSCRIPTIONS}`, { method: 'DELETE', headers: await bearer(lab) });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET' } });
  });

  test('paths ignore case', async () => {
    const answer = await arm(
      lab,
      `/SUBSCRIPTIONS/${subscriptionOf('A', 0).toUpperCase()}/Providers/microsoft.security/ASSESSMENTS?api-version=2021-06-01`,
    );
    expect(answer.status).toBe(200);
  });

  test('answers say what is left of the quota, by provider (§1.11)', async () => {
    const security = await arm(lab, assessments(subscriptionOf('A', 0)));
    expect(security.headers).toHaveProperty('x-ms-ratelimit-remaining-subscription-resource-requests');
    const resources = await arm(lab, `/subscriptions/${subscriptionOf('A', 0)}/resources?api-version=2024-03-01`);
    expect(resources.headers).toHaveProperty('x-ms-ratelimit-remaining-subscription-reads');
    const tenant = await arm(lab, SUBSCRIPTIONS);
    expect(tenant.headers).toHaveProperty('x-ms-ratelimit-remaining-tenant-reads');
  });
});

describe('access (azure.md §1.11, §1.12)', () => {
  test('a subscription of the tenant without a role: 403 AuthorizationFailed, naming client, object, action and scope', async () => {
    const foreign = subscriptionOf('B', 1);
    const answer = await arm(lab, assessments(foreign));
    expect(answer.status).toBe(403);
    expect(answer.body.error.code).toBe('AuthorizationFailed');
    expect(answer.body.error.message).toMatch(
      new RegExp(
        `^The client '${lab.tenant('A').clientId}' with object id '[0-9a-f-]{36}' does not have authorization to perform action ` +
          `'Microsoft.Security/assessments/read' over scope '/subscriptions/${foreign}' or the scope is invalid. ` +
          'If access was recently granted, please refresh your credentials.$',
      ),
    );
  });

  test('a subscription the tenant does not have: 404', async () => {
    const answer = await arm(lab, assessments('99999999-0000-4000-8000-000000000000'));
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'SubscriptionNotFound' } } });
  });

  test('lists of the tenant show what the principal may read', async () => {
    const ids = (await armList(lab, SUBSCRIPTIONS)).map((row) => row.subscriptionId as string);
    expect(ids.toSorted()).toEqual(lab.tenant('A').subscriptions.toSorted());
    expect((await arm(lab, `/subscriptions/${subscriptionOf('B', 1)}?api-version=2022-12-01`)).status).toBe(403);
  });

  test('two deployments share a subscription', () => {
    const shared = lab.tenant('A').subscriptions.filter((id) => lab.tenant('B').subscriptions.includes(id));
    expect(shared).toHaveLength(1);
  });

  test('permissions name the actions of the roles at the scope, one entry per role', async () => {
    const value = await armList(
      lab,
      `/subscriptions/${subscriptionOf('A', 0)}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`,
    );
    expect(value.flatMap((entry) => entry.actions as string[])).toEqual(expect.arrayContaining(['*/read', 'Microsoft.Security/*/read']));
    expect(value[0]).toHaveProperty('notActions', []);
  });

  test('a revoked role takes effect at once, and comes back', async () => {
    const change = { clientId: lab.tenant('A').clientId, subscription: subscriptionOf('A', 1) };
    await admin(lab, 'POST', '/azure/change', { revoke: change });
    expect((await arm(lab, assessments(change.subscription))).status).toBe(403);
    await admin(lab, 'POST', '/azure/change', { restore: change });
    expect((await arm(lab, assessments(change.subscription))).status).toBe(200);
  });
});

describe('paging (azure.md §1, §4)', () => {
  beforeEach(async () => {
    await admin(lab, 'POST', '/azure/change', { options: { pageSizes: { assessments: 100 } } });
  });
  afterEach(async () => {
    await admin(lab, 'POST', '/azure/change', { options: { pageQuirk: 'none', pageSizes: { assessments: 1000 } } });
  });

  test('nextLink is absolute, on the same host, and leads through every row once', async () => {
    const first = await arm(lab, assessments(subscriptionOf('A', 0)));
    expect(first.body.value).toHaveLength(100);
    expect(new URL(first.body.nextLink).origin).toBe(lab.lab.urls.arm);
    const rows = await armList(lab, assessments(subscriptionOf('A', 0)));
    expect(new Set(rows.map((row) => (row.id as string).toLowerCase())).size).toBe(rows.length);
    expect(rows.length).toBeGreaterThan(200);
  });

  test('the last page has no nextLink key', async () => {
    const answer = await arm(lab, '/providers/Microsoft.Security/assessmentMetadata?api-version=2021-06-01');
    expect(answer.body).not.toHaveProperty('nextLink');
  });

  test('a cursor that is none is refused', async () => {
    const answer = await arm(lab, `${assessments(subscriptionOf('A', 0))}&$skiptoken=bm9uZQ`);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'InvalidSkipToken' } } });
  });

  test('quirk: pages without rows that still carry a link (azure-sdk-for-js#17907)', async () => {
    await admin(lab, 'POST', '/azure/change', { options: { pageQuirk: 'empty-pages' } });
    const headers = await bearer(lab);
    const sizes: number[] = [];
    let url: string | undefined = `${lab.lab.urls.arm}${assessments(subscriptionOf('A', 0))}`;
    while (url !== undefined) {
      const { body } = await call(lab, url, { headers });
      sizes.push(body.value.length as number);
      url = body.nextLink as string | undefined;
    }
    expect(sizes.slice(-3)).toEqual([0, 0, 0]);
  });

  test('quirk: a link that points to its own page (azure-cli#29833)', async () => {
    await admin(lab, 'POST', '/azure/change', { options: { pageQuirk: 'self-loop' } });
    await expect(armList(lab, assessments(subscriptionOf('A', 0)))).rejects.toThrow('points to itself');
  });

  test('quirk: "" at the end (azure-rest-api-specs#6794)', async () => {
    await admin(lab, 'POST', '/azure/change', { options: { pageQuirk: 'empty-string-at-end' } });
    const answer = await arm(lab, '/providers/Microsoft.Security/assessmentMetadata?api-version=2021-06-01');
    expect(answer.body.nextLink).toBe('');
  });
});

describe('throttling (azure.md §1.11)', () => {
  test('an empty bucket: 429 with Retry-After and the published text', async () => {
    const small = await startTestLab({ estate: 'generated:1:100', options: { readBucket: { size: 2, refillPerSecond: 0.1 } } });
    try {
      const headers = await bearer(small);
      const url = `${small.lab.urls.arm}/subscriptions/${small.tenant('A').subscriptions[0] ?? ''}/resources?api-version=2024-03-01`;
      await call(small, url, { headers });
      await call(small, url, { headers });
      const answer = await call(small, url, { headers });
      expect(answer.status).toBe(429);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(answer.body.error.code).toBe('SubscriptionRequestsThrottled');
      expect(answer.body.error.message).toMatch(
        /^Number of 'read' requests for subscription '.+' actor '.+' exceeded\. Please try again after '\d+' seconds\.$/,
      );
    } finally {
      await small.close();
    }
  });
});
