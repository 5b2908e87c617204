import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { webcrypto } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTokenSource, type TokenSource, type TokenSourceOptions } from '../../../src/azure/index.ts';
import { SyncError } from '../../../src/errors.ts';
import {
  createCountingGate,
  createTestAuthority,
  everythingIn,
  rejection,
  type Reply,
  type TestAuthority,
  type TestServer,
} from './test-server.ts';

// After the test server's module, which prepares what this one needs.
const x509 = await import('@peculiar/x509');

const tenantId = '11111111-1111-1111-1111-111111111111';
const clientId = 'cccccccc-0000-0000-0000-000000000001';
const scope = 'https://management.azure.com/.default';
const canary = 'canary~Secret-Value-8Q';

let authority: TestAuthority;
let server: TestServer;
let tokensGiven = 0;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterAll(() => authority.remove());
afterEach(() => server.close());

/** An authority whose token endpoint answers what `token` says (azure.md §3.3). */
async function entra(token: () => Reply | Promise<Reply>): Promise<void> {
  tokensGiven = 0;
  server = await authority.listen();
  server.answer((request) => {
    if (request.method === 'POST') return token();
    const base = `${server.url}/${tenantId}`;
    return {
      status: 200,
      json: {
        token_endpoint: `${base}/oauth2/v2.0/token`,
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        issuer: `${base}/v2.0`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
        end_session_endpoint: `${base}/oauth2/v2.0/logout`,
      },
    };
  });
}

function granted(): Reply {
  tokensGiven += 1;
  return { status: 200, json: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: `token-${tokensGiven}` } };
}

function refused(status: number, error: string, description: string): () => Reply {
  return () => ({ status, json: { error, error_description: description, error_codes: [Number(/\d+/.exec(description)?.[0])] } });
}

function source(options: Partial<TokenSourceOptions> = {}): TokenSource {
  return createTokenSource({
    tenantId,
    clientId,
    credential: { type: 'secret', value: canary },
    authorityHost: server.url,
    caFile: authority.caFile,
    disableInstanceDiscovery: true,
    ...options,
  });
}

/** Certificate and private key of an application, RSA as Entra wants it. */
async function selfSigned(): Promise<string> {
  x509.cryptoProvider.set(webcrypto);
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 2048 };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({ name: 'CN=client', keys, signingAlgorithm: algorithm });
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return `${key}\n${certificate.toString('pem')}\n`;
}

function posts(): number {
  return server.received.filter(({ method }) => method === 'POST').length;
}

describe('getToken', () => {
  test('ten cold callers at once make one token request, which holds one slot', async () => {
    await entra(granted);
    const tokens = source();
    const gate = createCountingGate();
    const answers = await Promise.all(Array.from({ length: 10 }, () => tokens.getToken(scope, { gate })));
    expect(new Set(answers.map(({ token }) => token))).toEqual(new Set(['token-1']));
    expect(posts()).toBe(1);
    expect(gate.passed).toEqual(['azure']);
    const form = new URLSearchParams(server.received.find(({ method }) => method === 'POST')!.body);
    expect(Object.fromEntries(form)).toMatchObject({ client_id: clientId, client_secret: canary, grant_type: 'client_credentials' });
    expect(form.get('scope')).toContain(scope);
  });

  test('each scope has a token of its own', async () => {
    await entra(granted);
    const tokens = source();
    const [arm, graph] = await Promise.all([tokens.getToken(scope), tokens.getToken('https://graph.microsoft.com/.default')]);
    expect(arm.token).not.toBe(graph.token);
    expect(posts()).toBe(2);
  });

  test('is served from memory until five minutes before its end', async () => {
    await entra(granted);
    let nowMs = Date.now();
    const tokens = source({ nowMs: () => nowMs });
    const first = await tokens.getToken(scope);
    nowMs = first.expiresAtMs - 301_000;
    expect((await tokens.getToken(scope)).token).toBe('token-1');
    nowMs = first.expiresAtMs - 299_000;
    expect((await tokens.getToken(scope)).token).toBe('token-2');
    expect(posts()).toBe(2);
  });

  test('forceNew replaces the rejected token once for all who were rejected with it', async () => {
    await entra(granted);
    const tokens = source();
    const { token } = await tokens.getToken(scope);
    const fresh = await Promise.all([1, 2, 3].map(() => tokens.getToken(scope, { forceNew: true, rejectedToken: token })));
    const late = await tokens.getToken(scope, { forceNew: true, rejectedToken: token });
    expect([...fresh, late].map((answer) => answer.token)).toEqual(['token-2', 'token-2', 'token-2', 'token-2']);
    expect((await tokens.getToken(scope, { forceNew: true })).token).toBe('token-3');
    expect(posts()).toBe(3);
  });

  test('one who leaves does not take the others along; when all have left the request ends', async () => {
    await entra(() => ({ never: true }));
    const tokens = source();
    const leaver = new AbortController();
    const stayer = new AbortController();
    const left = rejection(tokens.getToken(scope, { signal: leaver.signal }));
    const stayed = rejection(tokens.getToken(scope, { signal: stayer.signal }));
    leaver.abort(new Error('cancelled by a person'));
    expect((await left).message).toBe('cancelled by a person');
    expect(await Promise.race([stayed.then(() => 'ended'), new Promise((resolve) => setTimeout(resolve, 50, 'waiting'))])).toBe('waiting');
    stayer.abort(new Error('worker shuts down'));
    expect((await stayed).message).toBe('worker shuts down');
    server.answer(() => granted());
  });

  test('a flight that lost its fence is taken over by those who kept theirs', async () => {
    await entra(granted);
    const tokens = source();
    const stale = createCountingGate();
    const waiting = Promise.withResolvers<never>();
    stale.pass = () => waiting.promise;
    const owner = rejection(tokens.getToken(scope, { gate: stale }));
    const other = tokens.getToken(scope, { gate: createCountingGate() });
    waiting.reject(new SyncError({ kind: 'fenced-out', message: 'stale fence' }));
    expect(await owner).toMatchObject({ kind: 'fenced-out' });
    expect((await other).token).toBe('token-1');
  });
});

describe('what Entra refuses', () => {
  test('a secret shaped like a GUID is its id, and is not sent', async () => {
    await entra(granted);
    const id = '0f0f0f0f-1111-2222-3333-444444444444';
    const error = await rejection(source({ credential: { type: 'secret', value: id } }).getToken(scope));
    expect(error).toMatchObject({ kind: 'unauthenticated', code: 'secret-id-instead-of-value' });
    expect(error['remedy']).toContain('Value');
    expect(everythingIn(error)).not.toContain(id);
    expect(server.received).toHaveLength(0);
  });

  test.each([
    [401, 'invalid_client', 'AADSTS7000215: Invalid client secret provided.', 'unauthenticated', 'Secret ID'],
    [401, 'invalid_client', 'AADSTS7000222: The provided client secret keys are expired.', 'unauthenticated', 'expired'],
    [400, 'unauthorized_client', 'AADSTS700016: Application was not found.', 'unauthenticated', 'clientId and tenantId'],
    [401, 'invalid_client', 'AADSTS7000229: missing service principal', 'unauthenticated', 'az ad sp create'],
    [400, 'invalid_request', 'AADSTS90002: Tenant not found.', 'unauthenticated', 'tenantId'],
    [400, 'invalid_resource', 'AADSTS500011: The resource principal was not found.', 'unauthenticated', 'cloud'],
    [400, 'invalid_request', 'AADSTS70021: No matching federated identity record found.', 'unauthenticated', 'federated'],
    [400, 'invalid_grant', 'AADSTS65001: consent', 'forbidden', 'admin-consent'],
    [400, 'invalid_grant', 'AADSTS53003: blocked', 'forbidden', 'policy'],
  ])('%i %s %s', async (status, error, description, kind, remedy) => {
    await entra(refused(status, error, `${description}\r\nTrace ID: 1\r\nCorrelation ID: 2`));
    const failure = await rejection(source().getToken(scope));
    expect(failure).toMatchObject({ kind, service: 'entra', status, code: /AADSTS\d+/.exec(description)?.[0] });
    expect(failure['remedy']).toContain(remedy);
    expect(posts()).toBe(1);
    expect(everythingIn(failure)).not.toContain(canary);
  });

  test('an unknown code keeps its sentence but not its trace ids, nor a secret that it echoes', async () => {
    await entra(refused(400, 'invalid_client', `AADSTS7009999: Something new about ${canary}. Trace ID: abc Correlation ID: def`));
    const failure = await rejection(source().getToken(scope));
    expect(failure).toMatchObject({ kind: 'unauthenticated', code: 'AADSTS7009999' });
    expect(failure.message).toContain('Something new about [removed]');
    expect(everythingIn(failure)).not.toContain(canary);
    expect(failure.message).not.toContain('Trace ID');
  });

  test('429 is throttled, asks the gate to hold back, and is not retried here', async () => {
    await entra(() => ({ status: 429, json: { error: 'temporarily_unavailable' }, headers: { 'Retry-After': '7' } }));
    const gate = createCountingGate();
    expect(await rejection(source().getToken(scope, { gate }))).toMatchObject({ kind: 'throttled', retryAfterMs: 7_000, status: 429 });
    expect(gate.heldBackMs).toEqual([7_000]);
    expect(posts()).toBe(1);
  });

  test.each([
    [503, '{"error":"temporarily_unavailable"}'],
    [500, '<html>gateway</html>'],
    [400, '{"error":"invalid_grant","error_description":"AADSTS50196: loop"}'],
  ])('%i %s is transient', async (status, text) => {
    await entra(() => ({ status, text, headers: { 'Content-Type': 'application/json' } }));
    expect(await rejection(source().getToken(scope))).toMatchObject({ kind: 'transient', status });
    expect(posts()).toBe(1);
  });

  test('a redirect is not followed', async () => {
    await entra(() => ({ status: 307, headers: { Location: 'https://evil.example/token' } }));
    expect(await rejection(source().getToken(scope))).toMatchObject({ kind: 'malformed-answer', code: 'redirect' });
  });

  test('an authority that nobody vouches for is not talked to', async () => {
    await entra(granted);
    expect(await rejection(source({ caFile: undefined }).getToken(scope))).toMatchObject({ kind: 'untrusted' });
    expect(posts()).toBe(0);
  });

  test('an authority that does not answer is transient, within the time given', async () => {
    await entra(() => ({ never: true }));
    expect(await rejection(source({ timeoutMs: 300 }).getToken(scope))).toMatchObject({ kind: 'transient' });
  });

  test('a cut connection is transient', async () => {
    await entra(() => ({ cut: true }));
    expect(await rejection(source().getToken(scope))).toMatchObject({ kind: 'transient' });
  });
});

describe('other credentials', () => {
  test('a certificate signs an assertion and sends no secret', async () => {
    await entra(granted);
    const pemPath = join(authority.dir, 'client.pem');
    await writeFile(pemPath, await selfSigned(), { mode: 0o600 });
    await source({ credential: { type: 'certificate', pemPath } }).getToken(scope);
    const form = new URLSearchParams(server.received.find(({ method }) => method === 'POST')!.body);
    expect(form.get('client_secret')).toBeNull();
    expect(form.get('client_assertion')?.split('.')).toHaveLength(3);
  });

  test('the federated token file is read for every token, and a missing one is named', async () => {
    await entra(granted);
    const path = join(authority.dir, 'federated-token');
    await writeFile(path, 'first.assertion.text\n');
    const tokens = source({ credential: { type: 'federated-token-file', path } });
    await tokens.getToken(scope);
    await writeFile(path, 'second.assertion.text');
    await tokens.getToken(scope, { forceNew: true });
    const assertions = server.received
      .filter(({ method }) => method === 'POST')
      .map(({ body }) => new URLSearchParams(body).get('client_assertion'));
    expect(assertions).toEqual(['first.assertion.text', 'second.assertion.text']);
    const missing = source({ credential: { type: 'federated-token-file', path: join(authority.dir, 'nowhere') } });
    expect(await rejection(missing.getToken(scope))).toMatchObject({ kind: 'misconfigured' });
  });
});
