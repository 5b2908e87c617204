import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, bearer, call, startTestLab, type Answer, type TestLab } from './helpers.ts';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
});
afterAll(() => lab.close());
afterEach(() => setConsent({ state: 'granted', directoryReader: false }));

async function setConsent(change: object): Promise<void> {
  const { status } = await admin(lab, 'POST', '/azure/change', { consent: { clientId: lab.tenant('A').clientId, ...change } });
  expect(status).toBe(200);
}

async function graph(path: string): Promise<Answer> {
  return call(lab, `${lab.lab.urls.graph}${path}`, { headers: await bearer(lab, 'A', 'https://graph.microsoft.com/.default') });
}

describe('incidents and their permissions (azure.md §2.3)', () => {
  test('with the application permission: incidents', async () => {
    const answer = await graph('/v1.0/security/incidents');
    expect(answer.status).toBe(200);
    expect(answer.body.value.length).toBeGreaterThan(0);
  });

  test.each(['delegated-only', 'no-consent'])('%s: the token has no roles, and the text says so', async (state) => {
    await setConsent({ state });
    const answer = await graph('/v1.0/security/incidents');
    expect(answer.status).toBe(403);
    expect(answer.body.error).toMatchObject({
      code: 'Forbidden',
      message:
        'Missing application roles. API required roles: SecurityIncident.Read.All,SecurityIncident.ReadWrite.All, application roles: .',
    });
    expect(Object.keys(answer.body.error.innerError)).toEqual(['date', 'request-id', 'client-request-id']);
  });

  test('the text names the roles the token does have', async () => {
    await setConsent({ state: 'no-consent', directoryReader: true });
    const answer = await graph('/v1.0/security/incidents');
    expect(answer.body.error.message).toMatch(/application roles: Application\.Read\.All,Directory\.Read\.All\.$/);
  });

  test('a token older than its grant stays without it', async () => {
    await setConsent({ state: 'no-consent' });
    const headers = await bearer(lab, 'A', 'https://graph.microsoft.com/.default');
    await setConsent({ state: 'granted' });
    expect((await call(lab, `${lab.lab.urls.graph}/v1.0/security/incidents`, { headers })).status).toBe(403);
    expect((await graph('/v1.0/security/incidents')).status).toBe(200);
  });

  test('an ARM token is no Graph token: 401', async () => {
    const answer = await call(lab, `${lab.lab.urls.graph}/v1.0/security/incidents`, { headers: await bearer(lab) });
    expect(answer).toMatchObject({ status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } });
  });
});

describe('what was requested and what was granted (azure.md §2.3)', () => {
  const applications = (): string => `/v1.0/applications?$filter=${encodeURIComponent(`appId eq '${lab.tenant('A').clientId}'`)}`;
  const assignments = (): string => `/v1.0/servicePrincipals(appId='${lab.tenant('A').clientId}')/appRoleAssignments`;

  test('reading it needs application permissions of its own', async () => {
    expect((await graph(applications())).status).toBe(403);
  });

  test.each([
    ['granted', 'Role', 4],
    ['delegated-only', 'Scope', 2],
    ['no-consent', 'Role', 2],
  ])('%s: requested as %s, %d grants', async (state, type, grants) => {
    await setConsent({ state, directoryReader: true });
    const requested = await graph(applications());
    const [access] = requested.body.value[0].requiredResourceAccess;
    expect(access.resourceAppId).toBe('00000003-0000-0000-c000-000000000000');
    expect(access.resourceAccess[0].type).toBe(type);
    const granted = await graph(assignments());
    expect(granted.body.value).toHaveLength(grants);
  });

  test('delegated grants show only where that mistake was made', async () => {
    await setConsent({ state: 'delegated-only', directoryReader: true });
    const [assignment] = (await graph(assignments())).body.value;
    const filter = encodeURIComponent(`clientId eq '${assignment.principalId as string}'`);
    const answer = await graph(`/v1.0/oauth2PermissionGrants?$filter=${filter}`);
    expect(answer.body.value).toMatchObject([
      { consentType: 'AllPrincipals', scope: 'SecurityIncident.Read.All SecurityIncident.ReadWrite.All' },
    ]);
  });
});
