import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { bearer, call, claimsOf, requestToken, startTestLab, type TestLab } from './helpers.ts';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
});
afterAll(() => lab.close());

describe('discovery (azure.md §3.3)', () => {
  test('names an https issuer on the same host and port', async () => {
    const { authority } = lab.lab.urls;
    const { tenantId } = lab.tenant('A');
    const answer = await call(lab, `${authority}/${tenantId}/v2.0/.well-known/openid-configuration`);
    expect(answer.status).toBe(200);
    expect(new URL(answer.body.issuer).host).toBe(new URL(authority).host);
    expect(answer.body.token_endpoint).toBe(`${authority}/${tenantId}/oauth2/v2.0/token`);
  });

  test('of an unknown tenant answers AADSTS90002 as invalid_tenant (§2.4)', async () => {
    const answer = await call(lab, `${lab.lab.urls.authority}/no-such-tenant/v2.0/.well-known/openid-configuration`);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'invalid_tenant', error_codes: [90002] });
    expect(answer.body.error_description).toContain("Tenant 'no-such-tenant' not found.");
  });
});

describe('token endpoint (azure.md §2.1, §2.4)', () => {
  test('answers a secret with a bearer token that the published keys verify', async () => {
    const answer = await requestToken(lab);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ token_type: 'Bearer', expires_in: 3599 });
    const discovery = await call(lab, `${lab.lab.urls.authority}/${lab.tenant('A').tenantId}/v2.0/.well-known/openid-configuration`);
    const keys = await call(lab, discovery.body.jwks_uri);
    const { payload } = await jwtVerify(answer.body.access_token, createLocalJWKSet(keys.body), { algorithms: ['RS256'] });
    expect(payload.appid).toBe(lab.tenant('A').clientId);
  });

  test.each([
    ['a wrong secret', { client_secret: 'wrong' }, 401, 'invalid_client', 7000215],
    ['an unknown app', { client_id: '99999999-0000-4000-8000-000000000000' }, 400, 'unauthorized_client', 700016],
    ['an unknown resource', { scope: 'https://example.com/.default' }, 400, 'invalid_resource', 500011],
    ['a scope without /.default', { scope: 'https://management.azure.com/user_impersonation' }, 400, 'invalid_scope', 1002012],
    ['another grant', { grant_type: 'password' }, 400, 'unsupported_grant_type', 70003],
  ])('refuses %s', async (_name, form, status, error, code) => {
    const answer = await requestToken(lab, form);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({
      error,
      error_codes: [code],
      error_uri: `https://login.microsoftonline.com/error?code=${String(code)}`,
    });
    expect(answer.body.error_description).toMatch(new RegExp(`^AADSTS${String(code)}: `));
    expect(Object.keys(answer.body)).toEqual(
      expect.arrayContaining(['error', 'error_description', 'error_codes', 'timestamp', 'trace_id', 'correlation_id', 'error_uri']),
    );
  });

  test('refuses an unknown tenant as invalid_request', async () => {
    const answer = await requestToken(lab, {}, '99999999-0000-4000-8000-000000000000');
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_request', error_codes: [90002] } });
  });

  test('never repeats the secret it was sent', async () => {
    const answer = await requestToken(lab, { client_secret: 'canary-secret-value' });
    expect(JSON.stringify(answer.body)).not.toContain('canary-secret-value');
  });
});

describe('claims (azure.md §2.2)', () => {
  test('an ARM token is v1-style and carries no roles', async () => {
    const { body } = await requestToken(lab);
    const claims = claimsOf(body.access_token);
    const { tenantId, clientId } = lab.tenant('A');
    expect(claims).toMatchObject({
      aud: 'https://management.azure.com',
      iss: `https://sts.windows.net/${tenantId}/`,
      appid: clientId,
      appidacr: '1',
      idtyp: 'app',
      tid: tenantId,
      ver: '1.0',
    });
    expect(claims.oid).toBe(claims.sub);
    expect(claims).not.toHaveProperty('roles');
  });

  test('a Graph token carries the granted application permissions', async () => {
    const { body } = await requestToken(lab, { scope: 'https://graph.microsoft.com/.default' });
    expect(claimsOf(body.access_token)).toMatchObject({
      aud: 'https://graph.microsoft.com',
      roles: ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All'],
    });
  });

  test('the audience is the resource that was asked for: the lab’s own URL, with and without its slash (server.md, traps)', async () => {
    const { arm } = lab.lab.urls;
    for (const scope of [`${arm}/.default`, `${arm}//.default`]) {
      const { body } = await requestToken(lab, { scope });
      expect(claimsOf(body.access_token).aud).toBe(scope.slice(0, -'/.default'.length));
    }
    const answer = await call(lab, `${arm}/subscriptions?api-version=2022-12-01`, { headers: await bearer(lab, 'A', `${arm}//.default`) });
    expect(answer.status).toBe(200);
  });
});
