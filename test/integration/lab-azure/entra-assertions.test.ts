import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { makeCertificate, signAssertion, type AssertionParts, type TestCertificate } from './certificate.ts';
import { admin, changeEntra, claimsOf, requestTokenWithAssertion, startTestLab, type Answer, type TestLab } from './helpers.ts';

let lab: TestLab;
let certificate: TestCertificate;
beforeAll(async () => {
  [lab, certificate] = await Promise.all([startTestLab({ estate: 'generated:1:100' }), makeCertificate()]);
});
afterAll(() => lab.close());

describe('certificates (azure.md §2.1)', () => {
  beforeAll(() => changeEntra(lab, { certificates: { add: { pem: certificate.certificatePem } } }));
  afterEach(() => changeEntra(lab, { authority: { clockSkewSeconds: 0 } }));

  const audience = (): string => `${lab.lab.urls.authority}/${lab.tenant('A').tenantId}/oauth2/v2.0/token`;
  const present = async (parts: AssertionParts = {}, by = certificate): Promise<Answer> =>
    requestTokenWithAssertion(lab, await signAssertion(by, { clientId: lab.tenant('A').clientId, audience: audience() }, parts));

  test.each([
    ['x5t, RS256', () => ({ x5t: certificate.x5t })],
    ['x5t#S256, PS256', () => ({ 'x5t#S256': certificate.x5tS256, alg: 'PS256' })],
  ])('%s: signed in, and the token says by a certificate', async (_name, header) => {
    const answer = await present({ header: header() });
    expect(answer.status).toBe(200);
    expect(claimsOf(answer.body.access_token)).toMatchObject({ appidacr: '2', appid: lab.tenant('A').clientId });
  });

  test('the audience may be the issuer, and the tenant named by its domain', async () => {
    const { tenantId } = lab.tenant('A');
    expect((await present({ claims: { aud: `${lab.lab.urls.authority}/${tenantId}/v2.0` } })).status).toBe(200);
  });

  test('not registered: AADSTS700027 names its thumbprint', async () => {
    const stranger = await makeCertificate();
    const answer = await present({}, stranger);
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client', error_codes: [700027] } });
    expect(answer.body.error_description).toContain(`'${Buffer.from(stranger.x5t, 'base64url').toString('hex').toUpperCase()}'`);
  });

  test('the thumbprint of a registered certificate and the key of another: AADSTS700027', async () => {
    const answer = await present({ header: { x5t: certificate.x5t } }, await makeCertificate());
    expect(answer).toMatchObject({ status: 401, body: { error_codes: [700027] } });
    expect(answer.body.error_description).toContain('signature');
  });

  test('expired: AADSTS700027 says until when it was valid', async () => {
    const old = await makeCertificate({ days: 1, now: new Date(Date.now() - 10 * 86_400_000) });
    await changeEntra(lab, { certificates: { add: { pem: old.certificatePem } } });
    const answer = await present({}, old);
    expect(answer).toMatchObject({ status: 401, body: { error_codes: [700027] } });
    expect(answer.body.error_description).toMatch(/The key used is expired.*End=\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d/);
  });

  test.each([
    ['another issuer and subject', { iss: 'cccccccc-0000-4000-8000-000000000001' }, 700021],
    ['the subject of another', { sub: 'cccccccc-0000-4000-8000-000000000001' }, 700021],
    ['another audience', { aud: 'https://login.microsoftonline.com/common/v2.0' }, 700023],
    ['an exp long ago', { exp: 1_700_000_000 }, 700024],
    ['an nbf to come', { nbf: 4_000_000_000, exp: 4_000_000_600 }, 700024],
  ])('%s', async (_name, claims, code) => {
    expect(await present({ claims })).toMatchObject({ status: 401, body: { error: 'invalid_client', error_codes: [code] } });
  });

  test.each([
    ['behind', -240, 200],
    ['ahead', 240, 200],
    ['behind', -3600, 401],
    ['ahead', 3600, 401],
  ])('a clock %s by %d s', async (_name, clockSkewSeconds, status) => {
    await changeEntra(lab, { authority: { clockSkewSeconds } });
    const answer = await present();
    expect(answer.status).toBe(status);
    if (status === 401)
      expect(answer.body.error_description).toMatch(
        /^AADSTS700024: .*Current time: .*, assertion valid from .*, expiry time of assertion /,
      );
  });

  test('what is no JWT: AADSTS50027', async () => {
    expect((await requestTokenWithAssertion(lab, 'no.jwt.at-all')).body.error_codes).toEqual([50027]);
  });
});

describe('federated credentials (azure.md §2.1, §2.4)', () => {
  const subject = 'system:serviceaccount:defender-sync:worker';
  afterEach(() =>
    changeEntra(lab, { federatedCredentials: { remove: 'all' }, authority: { federatedCodes: 'by-claim', clockSkewSeconds: 0 } }),
  );

  const trust = (more: object = {}): Promise<void> =>
    changeEntra(lab, { federatedCredentials: { add: { name: 'worker', subject, ...more } } });
  const present = async (token: object = {}): Promise<Answer> => {
    const minted = await admin(lab, 'POST', '/azure/federated-tokens', { subject, ...token });
    return requestTokenWithAssertion(lab, minted.body.token as string);
  };

  test('issuer, subject and audience match: signed in without a secret', async () => {
    await trust();
    const answer = await present();
    expect(answer.status).toBe(200);
    expect(claimsOf(answer.body.access_token).appidacr).toBe('2');
  });

  test.each([
    ['another issuer', { issuer: 'https://issuer.example/' }, {}, 401, 'invalid_client', 700211],
    ['another audience', {}, { audience: 'api://elsewhere' }, 401, 'invalid_client', 700212],
    ['another subject', {}, { subject: 'system:serviceaccount:defender-sync:other' }, 401, 'invalid_client', 700213],
    ['the subject in another casing', {}, { subject: subject.toUpperCase() }, 401, 'invalid_client', 7002138],
    ['a token that ended', {}, { expiresInSeconds: -3600 }, 401, 'invalid_client', 700024],
  ])('%s', async (_name, trusted, token, status, error, code) => {
    await trust(trusted);
    expect(await present(token)).toMatchObject({ status, body: { error, error_codes: [code] } });
  });

  test('with one code for all of that: AADSTS70021, as captured', async () => {
    await trust();
    await changeEntra(lab, { authority: { federatedCodes: 'one' } });
    const answer = await present({ subject: 'system:serviceaccount:defender-sync:other' });
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_request', error_codes: [70021] } });
    expect(answer.body.error_description).toMatch(/^AADSTS70021: No matching federated identity record found for presented assertion\. /);
  });

  test('no credential at all: AADSTS70025', async () => {
    expect((await present()).body.error_codes).toEqual([70025]);
  });

  test('an issuer whose keys nobody here can read is not believed', async () => {
    await trust({ issuer: 'https://issuer.example/' });
    expect((await present({ issuer: 'https://issuer.example/' })).body.error_codes).toEqual([501661]);
  });

  test('a token that claims the issuer and is signed by another key is not believed', async () => {
    await trust();
    const { workloadIssuer } = (await admin(lab, 'GET', '/azure/directory')).body;
    const forged = await signAssertion(
      certificate,
      { clientId: subject, audience: 'api://AzureADTokenExchange' },
      { header: {}, claims: { iss: workloadIssuer as string } },
    );
    expect((await requestTokenWithAssertion(lab, forged)).body.error_codes).toEqual([50013]);
  });
});
