import { afterAll, beforeEach, beforeAll, describe, expect, test } from '@jest/globals';
import { bearer, call, changeEntra, claimsOf, requestToken, startTestLab, type Answer, type TestLab } from './helpers.ts';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
});
afterAll(() => lab.close());
beforeEach(() => changeEntra(lab, { consent: { state: 'no-consent' }, authority: { consentAnswer: 'accept' } }));

const REDIRECT = 'https://localhost/consented';

async function openConsentPage(parameters: Record<string, string> = {}, tenant = lab.tenant('A').tenantId): Promise<Answer> {
  const query = new URLSearchParams({ client_id: lab.tenant('A').clientId, state: '12 345', redirect_uri: REDIRECT, ...parameters });
  return call(lab, `${lab.lab.urls.authority}/${tenant}/adminconsent?${query.toString()}`);
}

async function graphRoles(): Promise<unknown> {
  const { body } = await requestToken(lab, { scope: 'https://graph.microsoft.com/.default' });
  return claimsOf(body.access_token).roles;
}

describe('the admin consent page (azure.md §2.1)', () => {
  test('accepted: the administrator is sent back, and the next token carries what was requested', async () => {
    expect(await graphRoles()).toBeUndefined();
    const answer = await openConsentPage();
    expect(answer.status).toBe(302);
    const target = new URL(String(answer.headers.location));
    expect(`${target.origin}${target.pathname}`).toBe(REDIRECT);
    expect(Object.fromEntries(target.searchParams)).toEqual({ tenant: lab.tenant('A').tenantId, state: '12 345', admin_consent: 'True' });
    expect(await graphRoles()).toEqual(['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All']);
  });

  test('declined: permission_denied, and nothing is granted', async () => {
    await changeEntra(lab, { authority: { consentAnswer: 'decline' } });
    const { searchParams } = new URL(String((await openConsentPage()).headers.location));
    expect(searchParams.get('error')).toBe('permission_denied');
    expect(searchParams.get('error_description')).toBeTruthy();
    expect(searchParams.get('state')).toBe('12 345');
    expect(await graphRoles()).toBeUndefined();
  });

  test.each([
    ['an address that is not registered', { redirect_uri: 'https://elsewhere.example/' }, undefined, 50011],
    ['an unknown application', { client_id: '99999999-0000-4000-8000-000000000000' }, undefined, 700016],
    ['an unknown tenant', {}, '99999999-0000-4000-8000-000000000000', 90002],
  ])('%s: nobody is sent anywhere', async (_name, parameters, tenant, code) => {
    const answer = await openConsentPage(parameters, tenant);
    expect(answer).toMatchObject({ status: 400, body: { error_codes: [code] } });
    expect(answer.headers.location).toBeUndefined();
  });

  test('consent to Delegated permissions gives a background service nothing (§2.3)', async () => {
    await changeEntra(lab, { consent: { state: 'delegated-without-consent' } });
    await openConsentPage();
    expect(await graphRoles()).toBeUndefined();
  });
});

describe('the administrator, without the page', () => {
  test('adminConsent grants what is requested at that moment; a token of before stays without it (§2.3)', async () => {
    const headers = await bearer(lab, 'A', 'https://graph.microsoft.com/.default');
    await changeEntra(lab, { adminConsent: {} });
    expect(await graphRoles()).toHaveLength(2);
    expect((await call(lab, `${lab.lab.urls.graph}/v1.0/security/incidents`, { headers })).status).toBe(403);
  });

  test('consent granted is the whole way from Delegated to Application', async () => {
    await changeEntra(lab, { consent: { state: 'delegated-only' } });
    await changeEntra(lab, { consent: { state: 'granted' } });
    expect(await graphRoles()).toEqual(['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All']);
  });
});
