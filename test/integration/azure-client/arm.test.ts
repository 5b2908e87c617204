import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createArmClient, type AccessToken, type ArmClient, type GetTokenOptions, type TokenSource } from '../../../src/azure/index.ts';
import type { ArmClientOptions } from '../../../src/azure/arm.ts';
import {
  createCountingGate,
  createTestAuthority,
  everythingIn,
  rejection,
  type CountingGate,
  type TestAuthority,
  type TestServer,
} from './test-server.ts';

const canary = 'eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOnRydWV9.canary-signature';
const list = { path: '/subscriptions/s1/providers/Microsoft.Security/assessments', apiVersion: '2021-06-01' };

let authority: TestAuthority;
let server: TestServer;
let gate: CountingGate;
let asked: GetTokenOptions[];
let arm: ArmClient;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterAll(() => authority.remove());
beforeEach(async () => {
  server = await authority.listen();
  gate = createCountingGate();
  asked = [];
  arm = client();
});
afterEach(() => server.close());

/** Hands out one token after the other: `<canary>-1`, `<canary>-2`. */
function tokens(ageMs = 0): TokenSource {
  let count = 1;
  const current = (): AccessToken => ({
    token: `${canary}-${count}`,
    expiresAtMs: Date.now() + 3_600_000,
    obtainedAtMs: Date.now() - ageMs,
  });
  return {
    tenantId: 't',
    clientId: 'c',
    getToken: (_scope, options = {}) => {
      asked.push(options);
      if (options.forceNew === true) count += 1;
      return Promise.resolve(current());
    },
  };
}

function client(options: Partial<ArmClientOptions> = {}): ArmClient {
  return createArmClient({ endpoint: server.url, tokens: tokens(), scope: 's/.default', gate, caFile: authority.caFile, ...options });
}

describe('getPage', () => {
  test('sends the version, a bearer token and no cookie, through the gate', async () => {
    server.answer(() => ({
      status: 200,
      json: { value: [{ id: 'a' }], nextLink: null },
      headers: { 'Set-Cookie': 'session=1', 'x-ms-request-id': 'r-1', 'x-ms-ratelimit-remaining-subscription-resource-requests': '749' },
    }));
    const page = await arm.getPage({ ...list, query: { $filter: "category eq 'a b'" } });
    expect(page).toEqual({ items: [{ id: 'a' }], requestId: 'r-1', remainingReads: 749 });
    await arm.getPage(list);
    expect(gate.passed).toEqual(['azure', 'azure']);
    const [first, second] = server.received;
    expect(first!.url.searchParams.get('api-version')).toBe('2021-06-01');
    expect(first!.url.searchParams.get('$filter')).toBe("category eq 'a b'");
    expect(first!.headers.authorization).toBe(`Bearer ${canary}-1`);
    expect(second!.headers.cookie).toBeUndefined();
  });

  test.each(['nextLink', '@nextLink', '@odata.nextLink'])('follows %s verbatim', async (name) => {
    const link = `${server.url}/page2?$skiptoken=a%2Fb&api-version=2021-06-01`;
    server.answer((request) => ({
      status: 200,
      json: request.url.pathname === '/page2' ? { value: [2], nextLink: '' } : { value: [1], [name]: link },
    }));
    const first = await arm.getPage(list);
    expect(first.nextLink).toBe(link);
    expect(await arm.getPage({ nextLink: first.nextLink! })).toEqual({ items: [2] });
    expect(server.received[1]!.url.search).toBe('?$skiptoken=a%2Fb&api-version=2021-06-01');
  });

  test.each(['https://evil.example/steal', 'http://localhost/steal', '/relative', 'not a url', 'https://user:pass@localhost/x'])(
    'refuses a next link to %s, and never sends the token there',
    async (link) => {
      server.answer(() => ({ status: 200, json: { value: [], nextLink: link } }));
      const error = await rejection(arm.getPage(list));
      expect(error).toMatchObject({ kind: 'malformed-answer', code: 'foreign-next-link' });
      expect(everythingIn(error)).not.toContain('user:pass');
      expect(await rejection(arm.getPage({ nextLink: link }))).toMatchObject({ code: 'foreign-next-link' });
      expect(server.received).toHaveLength(1);
    },
  );

  test('a path cannot leave the endpoint', async () => {
    expect(await rejection(arm.getPage({ path: '//evil.example/x', apiVersion: '1' }))).toMatchObject({ code: 'foreign-next-link' });
    expect(server.received).toHaveLength(0);
  });

  test.each([
    ['{"value": [', 'not JSON'],
    ['[1]', 'not a JSON object'],
    ['{"items":[]}', 'no list named'],
    ['{"value":[],"nextLink":7}', 'not text'],
    ['<html>sign in</html>', 'not JSON'],
    ['', 'not JSON'],
  ])('%s is a malformed answer', async (text, because) => {
    server.answer(() => ({ status: 200, text }));
    const error = await rejection(arm.getPage(list));
    expect(error).toMatchObject({ kind: 'malformed-answer', service: 'azure', status: 200 });
    expect(error.message).toContain(because);
  });

  test('a redirect is an error that names the host, without its query', async () => {
    server.answer(() => ({ status: 302, headers: { Location: 'https://login.example/path?token=abc' } }));
    const error = await rejection(arm.getPage(list));
    expect(error).toMatchObject({ kind: 'malformed-answer', code: 'redirect', status: 302 });
    expect(error.message).toContain('login.example');
    expect(everythingIn(error)).not.toContain('token=abc');
    expect(server.received).toHaveLength(1);
  });

  test('a page above 64 MB is refused', async () => {
    server.answer(() => ({ status: 200, text: `{"value":["${'x'.repeat(65 * 1024 * 1024)}"]}` }));
    expect(await rejection(arm.getPage(list))).toMatchObject({ kind: 'malformed-answer', code: 'too-large' });
  });
});

describe('401 and 403', () => {
  test('401 takes one fresh token and goes on', async () => {
    server.answer((request) =>
      request.headers.authorization === `Bearer ${canary}-2`
        ? { status: 200, json: { value: [] } }
        : { status: 401, json: { error: { code: 'InvalidAuthenticationToken' } } },
    );
    await arm.getPage(list);
    expect(asked[1]).toMatchObject({ forceNew: true, rejectedToken: `${canary}-1` });
    expect(server.received).toHaveLength(2);
  });

  test('401 twice is unauthenticated; the echoed token is in no part of the error', async () => {
    server.answer((request) => ({
      status: 401,
      json: { error: { code: 'InvalidAuthenticationToken', message: `Token ${request.headers.authorization ?? ''} is not for us` } },
      headers: { 'x-ms-request-id': 'r-7' },
    }));
    const error = await rejection(arm.getPage(list));
    expect(error).toMatchObject({ kind: 'unauthenticated', status: 401, code: 'InvalidAuthenticationToken', requestId: 'r-7' });
    expect(everythingIn(error)).not.toContain('canary');
    expect(server.received).toHaveLength(2);
  });

  const denied = {
    status: 403,
    json: {
      error: {
        code: 'AuthorizationFailed',
        message:
          "The client 'c' with object id 'o' does not have authorization to perform action 'Microsoft.Security/assessments/read' over scope '/subscriptions/s1' or the scope is invalid. If access was recently granted, please refresh your credentials.",
      },
    },
  };

  test('403 is forbidden and its remedy names action and scope', async () => {
    server.answer(() => denied);
    const error = await rejection(arm.getPage(list));
    expect(error).toMatchObject({ kind: 'forbidden', status: 403, code: 'AuthorizationFailed' });
    expect(error['remedy']).toContain('/subscriptions/s1');
    expect(error['remedy']).toContain('Microsoft.Security/assessments/read');
    expect(server.received).toHaveLength(1);
  });

  test('403 with an old token is tried once with a fresh one: access may have been granted since', async () => {
    server.answer(() => denied);
    const old = client({ tokens: tokens(6 * 60_000) });
    expect(await rejection(old.getPage(list))).toMatchObject({ kind: 'forbidden' });
    expect(server.received).toHaveLength(2);
  });
});

describe('failures that pass', () => {
  test.each([
    [{ 'Retry-After': '10' }, {}, 10_000],
    [{}, { error: { code: 'SubscriptionRequestsThrottled', message: "Please try again after '6' seconds." } }, 6_000],
    [{ 'x-ms-user-quota-resets-after': '00:00:03' }, {}, 3_000],
    [{}, {}, 10_000],
  ])('429 %j %j is throttled for all', async (headers, json, retryAfterMs) => {
    server.answer(() => ({ status: 429, json, headers }));
    expect(await rejection(arm.getPage(list))).toMatchObject({ kind: 'throttled', retryAfterMs, status: 429 });
    expect(gate.heldBackMs).toEqual([retryAfterMs]);
    expect(server.received).toHaveLength(1);
  });

  test.each([500, 502, 503, 504, 408])('%i is transient and not retried here', async (status) => {
    server.answer(() => ({
      status,
      json: { error: { code: 'GatewayTimeout', message: 'no answer' } },
      headers: { 'x-ms-correlation-request-id': 'c-1' },
    }));
    expect(await rejection(arm.getPage(list))).toMatchObject({ kind: 'transient', status, code: 'GatewayTimeout', requestId: 'c-1' });
    expect(server.received).toHaveLength(1);
  });

  test('a cut connection, a refused one and a slow answer are transient', async () => {
    server.answer(() => ({ cut: true }));
    expect(await rejection(arm.getPage(list))).toMatchObject({ kind: 'transient' });
    server.answer(() => ({ never: true }));
    expect(await rejection(client({ timeoutMs: 200 }).getPage(list))).toMatchObject({ kind: 'transient', code: 'ETIMEDOUT' });
    const { url } = server;
    await server.close();
    expect(await rejection(client({ endpoint: url }).getPage(list))).toMatchObject({ kind: 'transient', code: 'ECONNREFUSED' });
    server = await authority.listen();
  });

  test('an untrusted certificate is a failure of its own and names the remedy', async () => {
    const error = await rejection(client({ caFile: undefined }).getPage(list));
    expect(error).toMatchObject({ kind: 'untrusted' });
    expect(error['remedy']).toContain('caFile');
    expect(server.received).toHaveLength(0);
  });
});

describe('cancellation', () => {
  test('ends a running request with the reason given', async () => {
    server.answer(() => ({ never: true }));
    const abort = new AbortController();
    const failing = rejection(arm.getPage(list, abort.signal));
    setTimeout(() => abort.abort(new Error('cancelled by a person')), 50);
    expect((await failing).message).toBe('cancelled by a person');
  });

  test('an aborted signal sends nothing', async () => {
    expect((await rejection(arm.getPage(list, AbortSignal.abort(new Error('before'))))).message).toBe('before');
    expect(server.received).toHaveLength(0);
  });
});

describe('getOne and refusals', () => {
  test('404 is undefined, a resource is its object', async () => {
    server.answer((request) =>
      request.url.pathname === '/there' ? { status: 200, json: { id: 'x' } } : { status: 404, json: { error: { code: 'NotFound' } } },
    );
    expect(await arm.getOne('/gone', '2021-06-01')).toBeUndefined();
    expect(await arm.getOne('/there', '2021-06-01', { $expand: 'links' })).toEqual({ id: 'x' });
  });

  test.each([
    [400, 'rejected'],
    [404, 'not-found'],
    [409, 'rejected'],
    [410, 'not-found'],
  ])('%i of a page is %s', async (status, kind) => {
    server.answer(() => ({ status, json: { Error: { Code: 'Some Code', Message: 'why' } } }));
    expect(await rejection(arm.getPage(list))).toMatchObject({ kind, code: 'Some Code', message: expect.stringContaining('why') });
  });

  test('the answer for a subscription without a plan keeps its code', async () => {
    const code = 'Subscription with no standard pricing bundle';
    server.answer(() => ({ status: 400, json: { error: { code, message: 'Regulatory compliance is not supported' } } }));
    expect(await rejection(arm.getPage(list))).toMatchObject({ kind: 'rejected', status: 400, code });
  });
});
