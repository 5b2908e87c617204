import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeCertificate } from './certificate.ts';
import { bearer, call, changeEntra, registrationOf, startTestLab, type Answer, type TestLab, type Wire } from './helpers.ts';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
  await changeEntra(lab, { consent: { directoryReader: true } });
});
afterAll(() => lab.close());

async function graph(path: string, query: Record<string, string> = {}): Promise<Answer> {
  const url = `${lab.lab.urls.graph}/v1.0${path}?${new URLSearchParams(query).toString()}`;
  return call(lab, url, { headers: await bearer(lab, 'A', 'https://graph.microsoft.com/.default') });
}

describe('applications (azure.md §2.3, step 3)', () => {
  test('$filter and $select: only what was asked for, and the context says so', async () => {
    const { clientId } = lab.tenant('A');
    const { body } = await graph('/applications', {
      $filter: `appId eq '${clientId}'`,
      $select: 'id,appId,displayName,requiredResourceAccess',
    });
    expect(body['@odata.context']).toBe(`${lab.lab.urls.graph}/v1.0/$metadata#applications(id,appId,displayName,requiredResourceAccess)`);
    expect(body.value).toHaveLength(1);
    expect(Object.keys(body.value[0])).toEqual(['id', 'appId', 'displayName', 'requiredResourceAccess']);
  });

  test('by id, and by appId: the same object', async () => {
    const { clientId } = lab.tenant('A');
    const byAppId = (await graph(`/applications(appId='${clientId}')`)).body;
    const byId = (await graph(`/applications/${byAppId.id as string}`)).body;
    expect(byId).toEqual(byAppId);
    expect(byId.appId).toBe(clientId);
  });

  test('all of them, page by page', async () => {
    const first = await graph('/applications', { $top: '1', $select: 'appId' });
    expect(first.body.value).toHaveLength(1);
    const second = await call(lab, first.body['@odata.nextLink'], {
      headers: await bearer(lab, 'A', 'https://graph.microsoft.com/.default'),
    });
    expect(second.body.value).toHaveLength(1);
    expect(second.body).not.toHaveProperty('@odata.nextLink');
    const ids = [...first.body.value, ...second.body.value].map(({ appId }: Wire) => appId as string);
    expect(ids).toEqual([lab.tenant('A').clientId, lab.tenant('B').clientId]);
  });

  test('credentials: end date, hint and keyId of each, and never a secret', async () => {
    const certificate = await makeCertificate({ days: 20 });
    await changeEntra(lab, {
      secrets: { add: { displayName: 'soon over', value: 'xyz~a-secret-that-ends', endsInDays: 20 } },
      certificates: { add: { pem: certificate.certificatePem, displayName: 'CN=defender-sync' } },
    });
    const { body } = await graph(`/applications(appId='${lab.tenant('A').clientId}')`, { $select: 'passwordCredentials,keyCredentials' });
    const [first, second] = body.passwordCredentials;
    expect(first.hint).toBe(lab.tenant('A').clientSecret.slice(0, 3));
    const { secrets } = await registrationOf(lab);
    expect(second).toMatchObject({ displayName: 'soon over', hint: 'xyz', keyId: secrets[1].keyId, secretText: null });
    expect((Date.parse(second.endDateTime as string) - lab.clock.nowMs()) / 86_400_000).toBeCloseTo(20, 2);
    expect(body.keyCredentials).toMatchObject([
      {
        type: 'AsymmetricX509Cert',
        usage: 'Verify',
        customKeyIdentifier: Buffer.from(certificate.x5t, 'base64url').toString('hex').toUpperCase(),
      },
    ]);
    expect(JSON.stringify(body)).not.toContain('a-secret-that-ends');
  });

  test('federated credentials of an application', async () => {
    await changeEntra(lab, { federatedCredentials: { add: { name: 'worker', subject: 'system:serviceaccount:a:b' } } });
    const { body } = await graph(`/applications(appId='${lab.tenant('A').clientId}')/federatedIdentityCredentials`);
    expect(body.value).toMatchObject([{ name: 'worker', subject: 'system:serviceaccount:a:b', audiences: ['api://AzureADTokenExchange'] }]);
  });
});

describe('service principals and their grants (azure.md §2.3, step 3)', () => {
  test('Microsoft Graph tells the ids of its permissions', async () => {
    const { body } = await graph("/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')", {
      $select: 'id,appRoles,oauth2PermissionScopes',
    });
    const find = (list: Wire[]): string => list.find(({ value }) => value === 'SecurityIncident.Read.All').id as string;
    expect(find(body.appRoles)).toBe('45cc0394-e837-488b-a098-1918f48d186c');
    expect(find(body.oauth2PermissionScopes)).toBe('b9abcc4f-94fc-4457-9141-d20ce80ec952');
  });

  test('by id and by appId, with the assignments of Graph', async () => {
    const { clientId } = lab.tenant('A');
    const { id } = (await graph(`/servicePrincipals(appId='${clientId}')`)).body;
    const byAppId = (await graph(`/servicePrincipals(appId='${clientId}')/appRoleAssignments`)).body.value;
    expect((await graph(`/servicePrincipals/${id as string}/appRoleAssignments`)).body.value).toEqual(byAppId);
    expect(byAppId).toHaveLength(4);
    expect(byAppId[0]).toMatchObject({ principalId: id, principalType: 'ServicePrincipal', resourceDisplayName: 'Microsoft Graph' });
    const page = await graph(`/servicePrincipals/${id as string}/appRoleAssignments`, { $top: '3' });
    expect(page.body.value).toHaveLength(3);
    expect(page.body['@odata.nextLink']).toContain('skiptoken');
  });

  test('a missing one answers 404, its application stays', async () => {
    await changeEntra(lab, { federatedCredentials: { remove: 'all' } });
    const { clientId } = lab.tenant('B');
    await changeEntra(lab, { application: { clientId, presence: 'service-principal-missing' } });
    const answer = await graph(`/servicePrincipals(appId='${clientId}')/appRoleAssignments`);
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'Request_ResourceNotFound' } } });
    expect((await graph(`/applications(appId='${clientId}')`)).status).toBe(200);
    await changeEntra(lab, { application: { clientId, presence: 'present' } });
  });

  test('delegated grants by client: each API once, its scopes in one text', async () => {
    await changeEntra(lab, { consent: { state: 'both' } });
    const { id } = (await graph(`/servicePrincipals(appId='${lab.tenant('A').clientId}')`)).body;
    const filtered = await graph('/oauth2PermissionGrants', {
      $filter: `clientId eq '${id as string}' and consentType eq 'AllPrincipals'`,
    });
    expect(filtered.body.value).toMatchObject([
      { clientId: id, principalId: null, scope: 'SecurityIncident.Read.All SecurityIncident.ReadWrite.All' },
    ]);
    expect((await graph('/oauth2PermissionGrants', { $filter: `clientId eq '${lab.tenant('B').clientId}'` })).body.value).toEqual([]);
  });
});

describe('what is refused', () => {
  test.each([
    ['/applications', { $filter: "startswith(displayName,'a')" }, 400, 'Request_UnsupportedQuery'],
    ['/applications', { $filter: "signInAudience eq 'AzureADMyOrg'" }, 400, 'Request_UnsupportedQuery'],
    ['/applications', { $select: 'id,nonsense' }, 400, 'BadRequest'],
    ['/applications', { $top: '1000' }, 400, 'Request_UnsupportedQuery'],
    ['/applications/99999999-0000-4000-8000-000000000000', {}, 404, 'Request_ResourceNotFound'],
    ['/nonsense', {}, 400, 'BadRequest'],
  ])('%s %j', async (path, query: Record<string, string>, status, code) => {
    expect(await graph(path, query)).toMatchObject({ status, body: { error: { code } } });
  });

  test('without a permission on the directory: Authorization_RequestDenied, which names no role', async () => {
    await changeEntra(lab, { consent: { directoryReader: false } });
    for (const path of ['/applications', '/servicePrincipals', '/oauth2PermissionGrants'])
      expect(await graph(path)).toMatchObject({ status: 403, body: { error: { code: 'Authorization_RequestDenied' } } });
  });

  test('without a token: 401', async () => {
    expect((await call(lab, `${lab.lab.urls.graph}/v1.0/applications`)).status).toBe(401);
  });
});
