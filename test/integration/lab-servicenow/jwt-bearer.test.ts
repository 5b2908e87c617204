import { randomUUID, webcrypto } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { importPKCS8, SignJWT, type CryptoKey } from 'jose';
import { selfSignedPair } from '../../../lab/kit/tls.ts';
import { add, bearer, change, denied, register, rowOf, token } from './admin-helper.ts';
import { startLab, type Answer, type StartedLab } from './start.ts';

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

let started: StartedLab;
let key: CryptoKey;
let client: { client_id: string; client_secret: string };
let clientRow: Record<string, string>;

beforeAll(async () => {
  started = await startLab();
  const user = await rowOf(started, 'sys_user', 'user_name', 'defender.sync');
  await change(started, 'sys_user', user['sys_id']!, { email: 'sync@example.com' });
  ({ client, row: clientRow } = await register(started, { name: 'assertions' }, 'oauth_jwt'));
  key = await registerKey('test-key');
});

afterAll(() => started.stop());

/** Adds a certificate and its verifier map to the client; returns the private key. */
async function registerKey(kid: string): Promise<CryptoKey> {
  const pair = await selfSignedPair('test');
  const certificate = await add(started, 'sys_certificate', { name: kid, pem_certificate: pair.cert });
  await add(started, 'jwt_verifier_map', { name: kid, kid, oauth_jwt: clientRow['sys_id']!, sys_certificate: certificate['sys_id']! });
  return importPKCS8(pair.key, 'ES256');
}

interface Claims {
  sub?: string;
  aud?: string;
  iss?: string;
  jti?: string;
  /** Seconds from now, in lab time. */
  expiresIn?: number;
  kid?: string;
  extra?: Record<string, string>;
}

async function assertion(claims: Claims = {}, signingKey: CryptoKey | Uint8Array = key, alg = 'ES256'): Promise<string> {
  const now = Math.floor(started.clock.nowMs() / 1000);
  const jwt = new SignJWT({ ...claims.extra })
    .setProtectedHeader({ alg, kid: claims.kid ?? 'test-key' })
    .setSubject(claims.sub ?? 'sync@example.com')
    .setAudience(claims.aud ?? client.client_id)
    .setIssuer(claims.iss ?? client.client_id)
    .setExpirationTime(now + (claims.expiresIn ?? 120));
  if (claims.jti !== '') jwt.setJti(claims.jti ?? randomUUID());
  return jwt.sign(signingKey);
}

async function exchange(text: string, form: Record<string, string> = {}): Promise<Answer> {
  return token(started, { grant_type: GRANT, ...client, ...form, assertion: text });
}

describe('jwt-bearer (servicenow.md §5.7, oauth/token_success.json)', () => {
  it('an assertion signed by a registered key: a token without refresh token that acts as the user of `sub`', async () => {
    const answer = await exchange(await assertion());
    expect(answer).toMatchObject({ status: 200, json: { scope: 'useraccount', token_type: 'Bearer', expires_in: 1799 } });
    expect(answer.json).not.toHaveProperty('refresh_token');
    const created = await started.post('/api/now/table/sn_vulc_test', {}, bearer(answer));
    expect(created.json.result.sys_created_by).toBe('defender.sync');
  });

  it('RS256 is accepted, too', async () => {
    const rsa = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };
    const keys = await webcrypto.subtle.generateKey(rsa, true, ['sign', 'verify']);
    const x509 = await import('@peculiar/x509');
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({ name: 'CN=rsa', keys, signingAlgorithm: rsa });
    const row = await add(started, 'sys_certificate', { name: 'rsa', pem_certificate: certificate.toString('pem') });
    await add(started, 'jwt_verifier_map', { name: 'rsa', kid: 'rsa', oauth_jwt: clientRow['sys_id']!, sys_certificate: row['sys_id']! });
    await expect(exchange(await assertion({ kid: 'rsa' }, keys.privateKey, 'RS256'))).resolves.toMatchObject({ status: 200 });
  });

  it.each<[string, Claims]>([
    ['another audience', { aud: 'https://instance.example' }],
    ['another issuer, and no claim validation that says so', { iss: 'me' }],
    ['an unknown subject', { sub: 'nobody@example.com' }],
    ['an unknown key id', { kid: 'another' }],
    ['no jti', { jti: '' }],
    ['expired, beyond the skew', { expiresIn: -301 }],
  ])('refuses %s', async (_what, claims) => {
    await expect(exchange(await assertion(claims))).resolves.toMatchObject(denied);
  });

  it('refuses a foreign signature, a shared-key algorithm and what is no token', async () => {
    const foreign = await importPKCS8((await selfSignedPair('foreign')).key, 'ES256');
    await expect(exchange(await assertion({}, foreign))).resolves.toMatchObject(denied);
    const secret = new TextEncoder().encode(client.client_secret);
    await expect(exchange(await assertion({}, secret, 'HS256'))).resolves.toMatchObject(denied);
    await expect(exchange('not.a.token')).resolves.toMatchObject(denied);
  });

  it('allows 300 s of clock difference', async () => {
    await expect(exchange(await assertion({ expiresIn: -290 }))).resolves.toMatchObject({ status: 200 });
  });

  it('takes a jti once, unless the check is off', async () => {
    const once = await assertion({ jti: 'one-and-the-same' });
    await expect(exchange(once)).resolves.toMatchObject({ status: 200 });
    await expect(exchange(once)).resolves.toMatchObject(denied);
    await change(started, 'oauth_jwt', clientRow['sys_id']!, { enable_jti_verification: 'false' });
    await expect(exchange(once)).resolves.toMatchObject({ status: 200 });
    await change(started, 'oauth_jwt', clientRow['sys_id']!, { enable_jti_verification: 'true' });
  });

  it('needs the client secret, unless the client is public', async () => {
    await expect(exchange(await assertion(), { client_secret: 'wrong' })).resolves.toMatchObject(denied);
    await change(started, 'oauth_jwt', clientRow['sys_id']!, { public_client: 'true' });
    await expect(token(started, { grant_type: GRANT, assertion: await assertion() })).resolves.toMatchObject({ status: 200 });
    await change(started, 'oauth_jwt', clientRow['sys_id']!, { public_client: 'false' });
  });

  it('create-jwt-endpoint: claim validations name another issuer and further claims', async () => {
    const { client: own, row } = await register(started, { name: 'validated' }, 'oauth_jwt');
    const certificate = await rowOf(started, 'sys_certificate', 'name', 'test-key');
    await add(started, 'jwt_verifier_map', {
      name: 'v',
      kid: 'test-key',
      oauth_jwt: row['sys_id']!,
      sys_certificate: certificate['sys_id']!,
    });
    for (const [name, value] of [
      ['iss', 'company'],
      ['tenant', 'a'],
    ]) {
      await add(started, 'oauth_jwt_claims', { oauth_jwt: row['sys_id']!, claim_name: name!, claim_value: value! });
    }
    const claims = { aud: own.client_id, iss: 'company' };
    await expect(exchange(await assertion({ ...claims, extra: { tenant: 'a' } }), own)).resolves.toMatchObject({ status: 200 });
    await expect(exchange(await assertion({ ...claims, extra: { tenant: 'b' } }), own)).resolves.toMatchObject(denied);
  });

  it('gives no token to an administrator, or to a locked user', async () => {
    const admin = await rowOf(started, 'sys_user', 'user_name', 'admin');
    await change(started, 'sys_user', admin['sys_id']!, { email: 'admin@example.com' });
    await expect(exchange(await assertion({ sub: 'admin@example.com' }))).resolves.toMatchObject(denied);
    const user = await rowOf(started, 'sys_user', 'user_name', 'defender.sync');
    await change(started, 'sys_user', user['sys_id']!, { locked_out: 'true' });
    await expect(exchange(await assertion())).resolves.toMatchObject(denied);
    await change(started, 'sys_user', user['sys_id']!, { locked_out: 'false' });
  });

  it('lab.json: the client of the lab comes with a key', async () => {
    const { jwtBearer } = started.lab.oauthClients.find(({ userName }) => userName === 'defender.sync')!;
    const own = { client_id: jwtBearer!.clientId, client_secret: jwtBearer!.clientSecret };
    const claims = { sub: 'defender.sync', aud: own.client_id, iss: own.client_id, kid: jwtBearer!.kid };
    const text = await assertion(claims, await importPKCS8(jwtBearer!.privateKey, 'ES256'));
    await expect(exchange(text, own)).resolves.toMatchObject({ status: 200 });
  });
});
