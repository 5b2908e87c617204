import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { admin, bearer, call, changeEntra, claimsOf, requestToken, startTestLab, type Answer, type TestLab } from './helpers.ts';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
});
afterAll(() => lab.close());

const get = (path: string): Promise<Answer> => call(lab, `${lab.lab.urls.authority}${path}`);

describe('discovery without a tenant (azure.md §3.3)', () => {
  test.each(['common', 'organizations'])('%s: which tenant it will be is left open', async (name) => {
    const { status, body } = await get(`/${name}/v2.0/.well-known/openid-configuration`);
    expect(status).toBe(200);
    expect(body.issuer).toBe(`${lab.lab.urls.authority}/{tenantid}/v2.0`);
    expect((await get(new URL(body.jwks_uri as string).pathname)).body.keys).toHaveLength(1);
  });

  test.each(['common', 'organizations'])(
    'a token for an application that signs in as itself needs a tenant, not %s: AADSTS50059',
    async (name) => {
      expect(await requestToken(lab, {}, name)).toMatchObject({ status: 400, body: { error: 'invalid_request', error_codes: [50059] } });
    },
  );

  test('a tenant may be named by its domain', async () => {
    const { iss } = claimsOf((await requestToken(lab)).body.access_token);
    const { body } = await admin(lab, 'GET', '/azure/directory');
    const answer = await requestToken(lab, {}, body.tenant.defaultDomain);
    expect(claimsOf(answer.body.access_token).iss).toBe(iss);
  });

  test('instance discovery knows this host alone', async () => {
    const { host } = new URL(lab.lab.urls.authority);
    const path = (endpoint: string): string =>
      `/common/discovery/instance?api-version=1.1&authorization_endpoint=${encodeURIComponent(`https://${endpoint}/common/oauth2/v2.0/authorize`)}`;
    const known = await get(path(host));
    expect(known.body).toMatchObject({ metadata: [{ preferred_network: host, aliases: [host] }] });
    expect(new URL(known.body.tenant_discovery_endpoint as string).host).toBe(host);
    expect(await get(path('login.example.com'))).toMatchObject({ status: 400, body: { error: 'invalid_instance', error_codes: [50049] } });
  });
});

describe('the clock of the authority', () => {
  afterEach(() => changeEntra(lab, { authority: { clockSkewSeconds: 0 } }));

  test('is in its Date header and in its tokens', async () => {
    await changeEntra(lab, { authority: { clockSkewSeconds: 7200 } });
    const answer = await requestToken(lab);
    const expected = lab.clock.nowMs() + 7_200_000;
    expect(Math.abs(Date.parse(String(answer.headers.date)) - expected)).toBeLessThan(5000);
    expect(Math.abs((claimsOf(answer.body.access_token).iat as number) * 1000 - expected)).toBeLessThan(5000);
  });
});

describe('clouds (azure.md §3.5)', () => {
  afterEach(() => changeEntra(lab, { authority: { cloud: 'public' } }));
  const PUBLIC = ['https://management.azure.com', 'https://graph.microsoft.com'];
  const US_GOVERNMENT = ['https://management.usgovcloudapi.net', 'https://graph.microsoft.us'];

  test.each([
    ['public', PUBLIC, US_GOVERNMENT],
    ['usgovernment', US_GOVERNMENT, PUBLIC],
  ])('%s: its own resources, and AADSTS500011 for those of the other cloud', async (cloud, own, foreign) => {
    await changeEntra(lab, { authority: { cloud } });
    for (const resource of own) {
      const answer = await requestToken(lab, { scope: `${resource}/.default` });
      expect(claimsOf(answer.body.access_token).aud).toBe(resource);
    }
    for (const resource of foreign) {
      const answer = await requestToken(lab, { scope: `${resource}/.default` });
      expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_resource', error_codes: [500011] } });
      expect(answer.body.error_description).toContain(`The resource principal named ${resource} was not found in the tenant named`);
    }
  });

  test('ARM and Graph take the tokens of their cloud, and no longer those of the other', async () => {
    const arm = `${lab.lab.urls.arm}/subscriptions?api-version=2022-12-01`;
    const incidents = `${lab.lab.urls.graph}/v1.0/security/incidents`;
    const before = [await bearer(lab), await bearer(lab, 'A', 'https://graph.microsoft.com/.default')];
    await changeEntra(lab, { authority: { cloud: 'usgovernment' } });
    const now = [
      await bearer(lab, 'A', 'https://management.usgovcloudapi.net/.default'),
      await bearer(lab, 'A', 'https://graph.microsoft.us/.default'),
    ];
    expect((await call(lab, arm, { headers: now[0] ?? {} })).status).toBe(200);
    expect((await call(lab, incidents, { headers: now[1] ?? {} })).status).toBe(200);
    expect(await call(lab, arm, { headers: before[0] ?? {} })).toMatchObject({
      status: 401,
      body: { error: { code: 'InvalidAuthenticationTokenAudience' } },
    });
    expect((await call(lab, incidents, { headers: before[1] ?? {} })).status).toBe(401);
  });

  test('a custom cloud asks for the lab’s own URLs, whatever the cloud', async () => {
    await changeEntra(lab, { authority: { cloud: 'usgovernment' } });
    const headers = await bearer(lab, 'A', `${lab.lab.urls.arm}/.default`);
    expect((await call(lab, `${lab.lab.urls.arm}/subscriptions?api-version=2022-12-01`, { headers })).status).toBe(200);
  });
});

describe('the lab’s own OIDC issuer for workloads', () => {
  test('publishes what verifies its tokens', async () => {
    const { workloadIssuer } = (await admin(lab, 'GET', '/azure/directory')).body;
    const discovery = await call(lab, `${workloadIssuer as string}.well-known/openid-configuration`);
    expect(discovery.body.issuer).toBe(workloadIssuer);
    const keys = await call(lab, discovery.body.jwks_uri);
    const { body } = await admin(lab, 'POST', '/azure/federated-tokens', { subject: 'system:serviceaccount:a:b' });
    const { payload } = await jwtVerify(body.token, createLocalJWKSet(keys.body), { issuer: workloadIssuer as string });
    expect(payload).toMatchObject({ sub: 'system:serviceaccount:a:b', aud: 'api://AzureADTokenExchange' });
  });
});
