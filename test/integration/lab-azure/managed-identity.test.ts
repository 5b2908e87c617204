import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { admin, call, changeEntra, claimsOf, startTestLab, type TestLab, type Wire } from './helpers.ts';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
});
afterAll(() => lab.close());
afterEach(() => setIdentities(lab.tenant('A').clientId, [lab.tenant('A').clientId, lab.tenant('B').clientId]));

const RESOURCE = 'https://management.azure.com';

async function setIdentities(systemAssigned: string | null, userAssigned: string[]): Promise<void> {
  expect((await admin(lab, 'POST', '/azure/change', { managedIdentity: { systemAssigned, userAssigned } })).status).toBe(200);
}

async function ask(url: string, query: Record<string, string>, headers: Record<string, string>): Promise<{ status: number; body: Wire }> {
  const response = await fetch(`${url}?${new URLSearchParams(query).toString()}`, { headers });
  return { status: response.status, body: await response.json() };
}

const machine = (query: Record<string, string> = {}, headers: Record<string, string> = { Metadata: 'true' }): ReturnType<typeof ask> =>
  ask(
    `${lab.lab.managedIdentity.AZURE_POD_IDENTITY_AUTHORITY_HOST}/metadata/identity/oauth2/token`,
    { 'api-version': '2018-02-01', resource: RESOURCE, ...query },
    headers,
  );
const appService = (query: Record<string, string> = {}, header = lab.lab.managedIdentity.IDENTITY_HEADER): ReturnType<typeof ask> =>
  ask(
    lab.lab.managedIdentity.IDENTITY_ENDPOINT,
    { 'api-version': '2019-08-01', resource: RESOURCE, ...query },
    { 'X-IDENTITY-HEADER': header },
  );

describe('the metadata service of a virtual machine, over plain HTTP (azure.md §3.2)', () => {
  test('a token of the host’s own identity, which ARM takes', async () => {
    const { status, body } = await machine();
    expect(status).toBe(200);
    expect(body).toMatchObject({ client_id: lab.tenant('A').clientId, resource: RESOURCE, token_type: 'Bearer', expires_in: '3599' });
    expect(Number(body.expires_on) * 1000).toBeGreaterThan(Date.now());
    expect(claimsOf(body.access_token)).toMatchObject({ aud: RESOURCE, appidacr: '2', oid: expect.any(String) });
    const headers = { authorization: `Bearer ${body.access_token as string}` };
    expect((await call(lab, `${lab.lab.urls.arm}/subscriptions?api-version=2022-12-01`, { headers })).status).toBe(200);
  });

  test('a user-assigned identity by its client id', async () => {
    const { clientId } = lab.tenant('B');
    expect((await machine({ client_id: clientId })).body.client_id).toBe(clientId);
  });

  test('the path may end in a slash: the library sends it so', async () => {
    const { AZURE_POD_IDENTITY_AUTHORITY_HOST: host } = lab.lab.managedIdentity;
    const query = { 'api-version': '2018-02-01', resource: RESOURCE };
    expect((await ask(`${host}/metadata/identity/oauth2/token/`, query, { Metadata: 'true' })).status).toBe(200);
  });

  test('without the header that a forwarded request would not have: 400', async () => {
    expect(await machine({}, {})).toMatchObject({
      status: 400,
      body: { error: 'invalid_request', error_description: 'Required metadata header not specified' },
    });
  });

  test.each([
    ['no identity of that client id', { client_id: '99999999-0000-4000-8000-000000000000' }, 'invalid_request', 'Identity not found'],
    ['a resource of another cloud', { resource: 'https://management.usgovcloudapi.net' }, 'invalid_resource', 'AADSTS500011'],
    ['another api-version', { 'api-version': '2017-01-01' }, 'invalid_request', 'api-version'],
  ])('%s: 400', async (_name, query: Record<string, string>, error, text) => {
    const answer = await machine(query);
    expect(answer).toMatchObject({ status: 400, body: { error } });
    expect(answer.body.error_description).toContain(text);
  });

  test('a host without an identity', async () => {
    await setIdentities(null, []);
    expect(await machine()).toMatchObject({ status: 400, body: { error: 'invalid_request', error_description: 'Identity not found' } });
    expect((await machine({ client_id: lab.tenant('B').clientId })).status).toBe(400);
  });

  test('fault rules reach it, as they reach everything else', async () => {
    await admin(lab, 'POST', '/azure/faults', { match: { pathPrefix: '/metadata/identity' }, action: { status: 429, body: {} }, times: 1 });
    expect((await machine()).status).toBe(429);
    expect((await machine()).status).toBe(200);
  });
});

describe('the endpoint of App Service (azure.md §3.2)', () => {
  test('a token for whoever knows the header', async () => {
    const { status, body } = await appService();
    expect(status).toBe(200);
    expect(body).toMatchObject({ client_id: lab.tenant('A').clientId, resource: RESOURCE, token_type: 'Bearer' });
    expect(body).not.toHaveProperty('expires_in');
  });

  test('the wrong header: 401', async () => {
    expect((await appService({}, 'wrong')).status).toBe(401);
  });

  test('no such identity: 400 in words of its own', async () => {
    expect(await appService({ client_id: '99999999-0000-4000-8000-000000000000' })).toMatchObject({
      status: 400,
      body: {
        statusCode: 400,
        message: 'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.',
      },
    });
  });
});

describe('an identity whose service principal is gone', () => {
  afterEach(() => changeEntra(lab, { application: { presence: 'present' } }));

  test('is not found', async () => {
    await changeEntra(lab, { application: { presence: 'service-principal-missing' } });
    expect((await machine()).body.error_description).toBe('Identity not found');
  });
});
