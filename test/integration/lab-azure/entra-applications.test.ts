import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { changeEntra, claimsOf, registrationOf, requestToken, startTestLab, type TestLab } from './helpers.ts';

let lab: TestLab;
beforeAll(async () => {
  lab = await startTestLab({ estate: 'generated:1:100' });
});
afterAll(() => lab.close());

const value = (): string => lab.tenant('A').clientSecret;

describe('client secrets (azure.md §2.1, §2.4)', () => {
  afterEach(() => changeEntra(lab, { secrets: { rotate: { value: value(), displayName: 'restored' } } }));

  test('an application may have several: each of them signs in', async () => {
    await changeEntra(lab, { secrets: { add: { displayName: 'second', value: 'lab8Q~second-secret' } } });
    const answers = await Promise.all([requestToken(lab), requestToken(lab, { client_secret: 'lab8Q~second-secret' })]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });

  test('expired: AADSTS7000222 names the app; another secret still signs in', async () => {
    const [{ keyId }] = (await registrationOf(lab)).secrets;
    await changeEntra(lab, { secrets: { expire: keyId, add: { value: 'lab8Q~second-secret' } } });
    const expired = await requestToken(lab);
    expect(expired).toMatchObject({ status: 401, body: { error: 'invalid_client', error_codes: [7000222] } });
    expect(expired.body.error_description).toContain(`The provided client secret keys for app '${lab.tenant('A').clientId}' are expired.`);
    expect((await requestToken(lab, { client_secret: 'lab8Q~second-secret' })).status).toBe(200);
  });

  test('it expires by lab time, too', async () => {
    await changeEntra(lab, { secrets: { rotate: { value: value(), endsInDays: 10 } } });
    expect((await requestToken(lab)).status).toBe(200);
    lab.clock.advance(11 * 86_400_000);
    try {
      expect((await requestToken(lab)).body.error_codes).toEqual([7000222]);
    } finally {
      lab.clock.advance(-11 * 86_400_000);
    }
  });

  test('removed, or not valid yet: it is a wrong one, AADSTS7000215', async () => {
    await changeEntra(lab, { secrets: { rotate: { value: 'lab8Q~new', startDateTime: '2199-01-01T00:00:00Z' } } });
    expect((await requestToken(lab)).body.error_codes).toEqual([7000215]);
    expect((await requestToken(lab, { client_secret: 'lab8Q~new' })).body.error_codes).toEqual([7000215]);
  });

  test('the id of a secret is not its value: AADSTS7000215 says so', async () => {
    const [{ keyId }] = (await registrationOf(lab)).secrets;
    const answer = await requestToken(lab, { client_secret: keyId });
    expect(answer.body.error_description).toMatch(
      /^AADSTS7000215: Invalid client secret provided\. Ensure the secret being sent .* not the client secret ID/,
    );
  });

  test('no credential at all: AADSTS7000216', async () => {
    const answer = await requestToken(lab, { client_secret: undefined });
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client', error_codes: [7000216] } });
  });
});

describe('what the tenant has of an application (azure.md §2.4)', () => {
  afterEach(() =>
    changeEntra(lab, { application: { presence: 'present' }, conditionalAccess: { blocked: false }, consent: { state: 'granted' } }),
  );

  test.each([
    ['not-in-tenant', 400, 'unauthorized_client', 700016],
    ['service-principal-missing', 401, 'invalid_client', 7000229],
    ['disabled', 400, 'unauthorized_client', 7000112],
  ])('%s', async (presence, status, error, code) => {
    await changeEntra(lab, { application: { presence } });
    const answer = await requestToken(lab);
    expect(answer).toMatchObject({ status, body: { error, error_codes: [code] } });
    expect(answer.body.error_description).toContain(lab.tenant('A').clientId);
  });

  test('without its service principal its grants are gone, also when it is back', async () => {
    await changeEntra(lab, { application: { presence: 'service-principal-missing' } });
    await changeEntra(lab, { application: { presence: 'present' } });
    const { body } = await requestToken(lab, { scope: 'https://graph.microsoft.com/.default' });
    expect(claimsOf(body.access_token)).not.toHaveProperty('roles');
  });

  test('blocked by Conditional Access for workload identities: AADSTS53003, after everything else is right', async () => {
    await changeEntra(lab, { conditionalAccess: { blocked: true } });
    const answer = await requestToken(lab);
    expect(answer).toMatchObject({ status: 400, body: { error_codes: [53003] } });
    expect(answer.body.error_description).toContain('Access has been blocked by Conditional Access policies.');
    expect((await requestToken(lab, { client_secret: 'wrong' })).body.error_codes).toEqual([7000215]);
    expect((await requestToken(lab, { scope: 'https://example.com/.default' })).body.error_codes).toEqual([500011]);
  });
});

describe('what passes by itself (azure.md §2.4: retry class 429, 5xx, temporarily_unavailable)', () => {
  test.each([
    [50196, 429, '60'],
    [90024, 503, undefined],
    [90033, 503, undefined],
    [90055, 429, '10'],
  ])('AADSTS%d', async (code, status, retryAfter) => {
    await changeEntra(lab, { authority: { transient: { code, times: 2 } } });
    const answers = [await requestToken(lab), await requestToken(lab), await requestToken(lab)];
    expect(answers.map((answer) => answer.status)).toEqual([status, status, 200]);
    expect(answers[0]?.body).toMatchObject({ error: 'temporarily_unavailable', error_codes: [code] });
    expect(answers[0]?.headers['retry-after']).toBe(retryAfter);
  });

  test('without a number of times it lasts until it is lifted', async () => {
    await changeEntra(lab, { authority: { transient: { code: 90033 } } });
    for (let attempt = 0; attempt < 5; attempt += 1) expect((await requestToken(lab)).status).toBe(503);
    await changeEntra(lab, { authority: { transient: null } });
    expect((await requestToken(lab)).status).toBe(200);
  });
});
