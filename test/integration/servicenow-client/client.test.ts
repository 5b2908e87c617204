import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { isCertainlyNotDone, SyncError } from '../../../src/errors.ts';
import type { SysId } from '../../../src/model.ts';
import {
  classifyWrite,
  createServiceNowConnection,
  query,
  type BatchItem,
  type InstanceDictionary,
  type Row,
  type ServiceNowAuth,
  type ServiceNowClient,
  type ServiceNowConnection,
  type ServiceNowConnectionOptions,
} from '../../../src/servicenow/index.ts';
import {
  createCountingGate,
  createTestAuthority,
  everythingIn,
  rejection,
  type CountingGate,
  type Handler,
  type Received,
  type Reply,
  type TestAuthority,
  type TestServer,
} from '../azure-client/test-server.ts';

const canary = 'canary-secret-4711';
const password: ServiceNowAuth = {
  type: 'password',
  clientId: 'client',
  clientSecret: canary,
  userName: 'sync',
  password: 'canary-password-4711',
};
const credentials: ServiceNowAuth = { type: 'client-credentials', clientId: 'client', clientSecret: canary };

const dictionary: InstanceDictionary = {
  readable: { tables: true, columns: true, choices: true },
  tables: {
    t: {
      name: 't',
      state: 'present',
      superClasses: [],
      columns: Object.fromEntries(
        ['name', 'source_id', 'sys_updated_on'].map((name) => [
          name,
          { name, type: 'string', maxLength: 100, reference: undefined, readable: true, readOnly: false, choices: undefined },
        ]),
      ),
    },
  },
};

let authority: TestAuthority;
let server: TestServer;
let gate: CountingGate;
let connection: ServiceNowConnection;
let client: ServiceNowClient;
let tokensGiven: number;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterAll(() => authority.remove());
beforeEach(async () => {
  server = await authority.listen();
  gate = createCountingGate();
  tokensGiven = 0;
  client = connect({ auth: password });
});
afterEach(async () => {
  connection.close();
  await server.close();
});

function connect(options: Partial<ServiceNowConnectionOptions> = {}): ServiceNowClient {
  connection = createServiceNowConnection({ url: server.url, auth: credentials, caFile: authority.caFile, ...options });
  return connection.through(gate, dictionary);
}

/** Signs everybody in; everything else goes to `handler`. */
function serve(handler: Handler): void {
  server.answer((request, index) => {
    if (request.url.pathname !== '/oauth_token.do') return handler(request, index);
    tokensGiven += 1;
    return { status: 200, json: { access_token: `token-${tokensGiven}`, scope: 'useraccount', token_type: 'Bearer', expires_in: 1799 } };
  });
}

function calls(): Received[] {
  return server.received.filter(({ url }) => url.pathname !== '/oauth_token.do');
}

const failure = (message: string, detail: string | null): unknown => ({ error: { message, detail }, status: 'failure' });
const named = { query: query().equals('name', 'x'), fields: ['name'] };
const list = (): Promise<unknown> => client.table.list('t', named);
const create = (): Promise<unknown> => client.table.create('t', { name: 'x' }, 'serviceNowWrites');

describe('signing in', () => {
  test('ten cold calls make one token request, form-encoded', async () => {
    serve(() => ({ status: 200, json: { result: [] } }));
    await Promise.all(Array.from({ length: 10 }, list));
    expect(tokensGiven).toBe(1);
    const token = server.received.find(({ url }) => url.pathname === '/oauth_token.do')!;
    expect(token.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(Object.fromEntries(new URLSearchParams(token.body))).toEqual({
      grant_type: 'password',
      client_id: 'client',
      client_secret: canary,
      username: 'sync',
      password: 'canary-password-4711',
    });
    expect(gate.passed.filter((kind) => kind === 'serviceNowReads')).toHaveLength(11);
  });

  test('client credentials send no user', async () => {
    client = connect({ auth: credentials });
    serve(() => ({ status: 200, json: { result: [] } }));
    await list();
    expect(Object.fromEntries(new URLSearchParams(server.received[0]!.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'client',
      client_secret: canary,
    });
  });

  test('a token is asked for again in its last minute', async () => {
    let nowMs = Date.now();
    client = connect({ nowMs: () => nowMs });
    serve(() => ({ status: 200, json: { result: [] } }));
    await list();
    nowMs += (1799 - 61) * 1000;
    await list();
    expect(tokensGiven).toBe(1);
    nowMs += 2_000;
    await list();
    expect(tokensGiven).toBe(2);
  });

  test('401 takes one fresh token, for a write too', async () => {
    serve((request) =>
      request.headers.authorization === 'Bearer token-2'
        ? { status: 201, json: { result: { sys_id: 'abc', name: 'x' } } }
        : { status: 401, json: failure('User Not Authenticated', 'Required to provide Auth information') },
    );
    expect(await client.table.create('t', { name: 'x' }, 'serviceNowWrites')).toMatchObject({ sysId: 'abc' });
    expect(tokensGiven).toBe(2);
    expect(calls()).toHaveLength(2);
  });

  test('401 twice is unauthenticated with a remedy', async () => {
    serve(() => ({
      status: 401,
      json: failure('User Not Authenticated', 'Required to provide Auth information'),
      headers: { 'X-Transaction-ID': 'tx-1' },
    }));
    const error = await rejection(list());
    expect(error).toMatchObject({ kind: 'unauthenticated', status: 401, requestId: 'tx-1', remedy: expect.stringContaining('locked out') });
    expect(calls()).toHaveLength(2);
  });

  test('the one token error of the platform is explained by its likely causes', async () => {
    server.answer(() => ({ status: 401, json: { error: 'server_error', error_description: 'access_denied' } }));
    client = connect({ auth: credentials });
    const error = await rejection(list());
    expect(error).toMatchObject({
      kind: 'unauthenticated',
      code: 'server_error',
      remedy: expect.stringContaining('OAuth Application User'),
    });
    expect(error.message).toContain('access_denied');
    expect(everythingIn(error)).not.toContain('canary');
    expect(server.received).toHaveLength(1);
  });

  test('basic authentication needs no token, and 401 ends at once', async () => {
    client = connect({ auth: { type: 'basic', userName: 'sync', password: canary } });
    server.answer(() => ({ status: 401, json: failure('User Not Authenticated', `wrong ${canary}`) }));
    const error = await rejection(list());
    expect(error).toMatchObject({ kind: 'unauthenticated', remedy: expect.stringContaining('snc_basic_auth_api_access') });
    expect(everythingIn(error)).not.toContain(canary);
    expect(server.received).toHaveLength(1);
    expect(server.received[0]!.headers.authorization).toBe(`Basic ${Buffer.from(`sync:${canary}`).toString('base64')}`);
  });

  test('a hibernating instance is recognised at the token endpoint already', async () => {
    server.answer(() => ({
      status: 200,
      text: '<!DOCTYPE html><html><body class="instance-hibernating-page">',
      headers: { 'Content-Type': 'text/html;charset=UTF-8' },
    }));
    expect(await rejection(list())).toMatchObject({
      kind: 'transient',
      code: 'hibernating',
      remedy: expect.stringContaining('Wake'),
    });
  });

  test('leaving while the token is awaited does not fail the others', async () => {
    const release = Promise.withResolvers<Reply>();
    server.answer((request) => (request.url.pathname === '/oauth_token.do' ? release.promise : { status: 200, json: { result: [] } }));
    const abort = new AbortController();
    const leaving = rejection(client.table.list('t', named, abort.signal));
    const staying = list();
    abort.abort(new Error('cancelled'));
    expect((await leaving).message).toBe('cancelled');
    release.resolve({ status: 200, json: { access_token: 'token', expires_in: '1799' } });
    expect(await staying).toEqual([]);
  });
});

describe('reading', () => {
  test('asks for what was meant, escaped, without cookies or links', async () => {
    serve(() => ({ status: 200, json: { result: [{ sys_id: '1', name: 'x' }] }, headers: { 'Set-Cookie': 'JSESSIONID=1' } }));
    await list();
    await list();
    const [first, second] = calls();
    expect(first!.url.pathname).toBe('/api/now/table/t');
    expect(Object.fromEntries(first!.url.searchParams)).toEqual({
      sysparm_query: 'name=x',
      sysparm_fields: 'sys_id,name',
      sysparm_limit: '1000',
      sysparm_exclude_reference_link: 'true',
      sysparm_no_count: 'true',
    });
    expect(second!.headers.cookie).toBeUndefined();
    expect(first!.headers.accept).toBe('application/json');
  });

  test('a column that the dictionary lacks is never sent', async () => {
    serve(() => ({ status: 200, json: { result: [] } }));
    for (const attempt of [
      client.table.list('t', { query: query().equals('nmae', 'x'), fields: ['name'] }),
      client.table.list('t', { query: query().orderBy('nmae'), fields: [] }),
      client.table.list('t', { query: query(), fields: ['nmae'] }),
      client.table.list('unprobed', { query: query(), fields: ['name'] }),
      client.table.list('t', { query: query().equals('name.user_name', 'x'), fields: [] }),
      client.table.create('t', { nmae: 'x' }, 'serviceNowWrites'),
      client.aggregate.count('t', query().equals('nmae', 'x')),
      client.aggregate.countBy('t', query(), 'nmae'),
    ]) {
      expect(await rejection(attempt)).toMatchObject({ kind: 'misconfigured', code: 'unknown-column' });
    }
    expect(await rejection(client.table.create('t', { sys_created_on: 'x' }, 'serviceNowWrites'))).toMatchObject({ kind: 'bug' });
    expect(await rejection(client.table.list('t?x', named))).toMatchObject({ kind: expect.stringMatching(/bug|misconfigured/) });
    expect(server.received).toHaveLength(0);
  });

  test('a row that the query excludes means the instance dropped a condition', async () => {
    serve(() => ({
      status: 200,
      json: {
        result: [
          { sys_id: '1', name: 'X ' },
          { sys_id: '2', name: 'other' },
        ],
      },
    }));
    expect(await rejection(list())).toMatchObject({ kind: 'malformed-answer', code: 'query-ignored' });
  });

  test.each([
    ['{"result":[', 'not JSON'],
    ['{"result":{}}', 'no record'],
    ['{"result":[1]}', 'no record'],
    ['', 'no record'],
  ])('%j is a malformed answer', async (text, because) => {
    serve(() => ({ status: 200, text, headers: { 'Content-Type': 'application/json' } }));
    expect(await rejection(list())).toMatchObject({ kind: 'malformed-answer', message: expect.stringContaining(because) });
  });

  test('a web page is named as such', async () => {
    serve(() => ({ status: 200, text: '<html><title>Log in</title></html>', headers: { 'Content-Type': 'text/html' } }));
    expect(await rejection(list())).toMatchObject({ kind: 'malformed-answer', code: 'html' });
  });

  test('a 200 that the quota broke while streaming is transient', async () => {
    serve(() => ({
      status: 200,
      text: '{"result":[{"a":1},}],"error":{"message":"Transaction cancelled: maximum execution time exceeded"},"status":"failure"}',
      headers: { 'Content-Type': 'application/json' },
    }));
    expect(await rejection(list())).toMatchObject({ kind: 'transient', code: 'transaction-cancelled' });
  });

  test.each([
    [202, '', 'transient'],
    [400, failure('Invalid table t', null), 'misconfigured'],
    [400, failure('Requested URI does not represent any resource', null), 'misconfigured'],
    [400, failure('Exception while reading request', 'x'), 'rejected'],
    [403, failure('Insufficient rights to query records', 'Field(s) present in the query do not have permission to be read'), 'forbidden'],
    [404, failure('Requested URI does not represent any resource', null), 'misconfigured'],
    [404, failure('No Record found', 'x'), 'not-found'],
    [414, 'URI Too Long', 'rejected'],
    [500, failure('Exception while executing request: null', 'x'), 'transient'],
    [502, '<html>bad gateway</html>', 'transient'],
    [503, '', 'transient'],
  ])('%i %j is %s', async (status, body, kind) => {
    serve(() => (typeof body === 'string' ? { status, text: body } : { status, json: body }));
    expect(await rejection(list())).toMatchObject({ kind, status, service: 'servicenow' });
    expect(calls()).toHaveLength(1);
  });

  test.each([
    [{ 'Retry-After': '30' }, 30_000],
    [{}, 5_000],
  ])('429 %j holds everybody back', async (headers, retryAfterMs) => {
    serve(() => ({
      status: 429,
      json: failure('Rate limit exceeded', 'Rate limit of 100 requests per hour for Table API exceeded'),
      headers,
    }));
    expect(await rejection(list())).toMatchObject({ kind: 'throttled', retryAfterMs });
    expect(gate.heldBackMs).toEqual([retryAfterMs]);
  });

  test('a redirect is not followed', async () => {
    serve(() => ({ status: 302, headers: { Location: 'https://developer.servicenow.com/dev.do?secret=1' } }));
    const error = await rejection(list());
    expect(error).toMatchObject({
      kind: 'malformed-answer',
      code: 'redirect',
      message: expect.stringContaining('developer.servicenow.com'),
    });
    expect(everythingIn(error)).not.toContain('secret=1');
  });

  test('get: 404 is undefined', async () => {
    serve((request) =>
      request.url.pathname.endsWith('/a%2Fb')
        ? { status: 200, json: { result: { sys_id: 'a/b', name: 'x' } } }
        : { status: 404, json: failure('No Record found', 'x') },
    );
    expect(await client.table.get('t', 'a/b' as SysId, ['name'])).toEqual({ sys_id: 'a/b', name: 'x' });
    expect(await client.table.get('t', 'c' as SysId, ['name'])).toBeUndefined();
  });

  test('an untrusted certificate is a failure of its own, and certainly nothing was done', async () => {
    client = connect({ caFile: undefined });
    const error = await rejection(list());
    expect(error).toMatchObject({ kind: 'untrusted', remedy: expect.stringContaining('caFile') });
    expect(isCertainlyNotDone(error)).toBe(true);
    expect(server.received).toHaveLength(0);
  });

  test('an instance that is not https is refused', () => {
    expect(() => createServiceNowConnection({ url: 'http://x.service-now.com', auth: credentials })).toThrow(
      expect.objectContaining({ kind: 'usage' }),
    );
  });

  test('a stale fence sends nothing', async () => {
    serve(() => ({ status: 200, json: { result: [] } }));
    gate.pass = () => Promise.reject(new SyncError({ kind: 'fenced-out', message: 'stale' }));
    expect(await rejection(list())).toMatchObject({ kind: 'fenced-out' });
    expect(server.received).toHaveLength(0);
  });
});

describe('listAll', () => {
  /** A table of which an ACL hides some rows after the limit was applied, as the platform does. */
  function instanceWith(ids: readonly string[], hidden: ReadonlySet<string>): void {
    serve((request) => {
      const limit = Number(request.url.searchParams.get('sysparm_limit'));
      const offset = Number(request.url.searchParams.get('sysparm_offset') ?? 0);
      const after = /sys_id>([^^]+)/.exec(request.url.searchParams.get('sysparm_query') ?? '')?.[1] ?? '';
      const left = ids.filter((id) => id > after);
      const page = left.slice(offset, offset + limit);
      return {
        status: 200,
        json: { result: page.filter((id) => !hidden.has(id)).map((id) => ({ sys_id: id, name: 'x' })) },
        headers: left.length > offset + limit ? { Link: `<https://elsewhere.example/next>;rel="next"` } : {},
      };
    });
  }

  const ids = Array.from({ length: 23 }, (_, index) => String(index).padStart(3, '0'));

  async function readAll(): Promise<string[]> {
    const found: string[] = [];
    for await (const row of client.table.listAll('t', { ...named, limit: 5 })) found.push(row['sys_id'] as string);
    return found;
  }

  test('reads by keyset to the empty page, and never follows a link', async () => {
    instanceWith(ids, new Set());
    expect(await readAll()).toEqual(ids);
    expect(calls()).toHaveLength(6);
    expect(calls()[1]!.url.searchParams.get('sysparm_query')).toBe('name=x^sys_id>004^ORDERBYsys_id');
  });

  test('goes on behind short pages, and behind pages that an ACL hides whole', async () => {
    const hidden = new Set(['001', ...ids.slice(5, 17)]);
    instanceWith(ids, hidden);
    expect(await readAll()).toEqual(ids.filter((id) => !hidden.has(id)));
  });

  test('a query of many bytes asks for no links, which would repeat it beyond what a header may hold', async () => {
    const hidden = new Set(ids.slice(5, 17));
    serve((request) => {
      const { searchParams, search } = request.url;
      const [limit, offset] = [Number(searchParams.get('sysparm_limit')), Number(searchParams.get('sysparm_offset') ?? 0)];
      const after = /sys_id>([^^]+)/.exec(searchParams.get('sysparm_query') ?? '')?.[1] ?? '';
      const left = ids.filter((id) => id > after);
      const link = ['first', 'prev', 'next'].map((rel) => `<https://elsewhere.example/${search}>;rel="${rel}"`).join(',');
      return {
        status: 200,
        json: { result: left.slice(offset, offset + limit).flatMap((id) => (hidden.has(id) ? [] : [{ sys_id: id, name: 'x' }])) },
        headers: {
          ...(searchParams.get('sysparm_suppress_pagination_header') === 'true' ? {} : { Link: link }),
          ...(searchParams.get('sysparm_no_count') === 'true' ? {} : { 'X-Total-Count': String(left.length) }),
        },
      };
    });
    const asked = query().in('name', ['x', ...Array.from({ length: 250 }, (_, index) => `a long value ${String(index)}`)]);
    const found: string[] = [];
    for await (const row of client.table.listAll('t', { query: asked, fields: ['name'], limit: 5 })) found.push(row['sys_id'] as string);
    expect(found).toEqual(ids.filter((id) => !hidden.has(id)));
  });

  test('an answer whose headers are too large is said to be so, and is not asked for again and again', async () => {
    serve(() => ({ status: 200, json: { result: [] }, headers: { Link: 'x'.repeat(20_000) } }));
    expect(await rejection(list())).toMatchObject({ kind: 'malformed-answer', code: 'too-large' });
  });

  test('a page that repeats is an error, not an endless list', async () => {
    serve(() => ({ status: 200, json: { result: [{ sys_id: '1', name: 'x' }] } }));
    expect(await rejection(readAll())).toMatchObject({ kind: 'malformed-answer' });
    expect(calls()).toHaveLength(2);
  });

  test('one who stops listening asks for no further page', async () => {
    instanceWith(ids, new Set());
    for await (const row of client.table.listAll('t', { ...named, limit: 5 })) {
      if (row['sys_id'] === '002') break;
    }
    expect(calls()).toHaveLength(1);
  });
});

describe('writing', () => {
  test('create and update send texts, and give the record back', async () => {
    serve((request) => ({ status: request.method === 'POST' ? 201 : 200, json: { result: { sys_id: 'abc', name: 'x' } } }));
    expect(await client.table.create('t', { name: 'x' }, 'serviceNowWrites')).toEqual({ sysId: 'abc', row: { sys_id: 'abc', name: 'x' } });
    await client.table.update('t', 'abc' as SysId, { name: 'x' }, 'serviceNowBookkeeping');
    expect(calls().map(({ method, url, body }) => [method, url.pathname, body])).toEqual([
      ['POST', '/api/now/table/t', '{"name":"x"}'],
      ['PATCH', '/api/now/table/t/abc', '{"name":"x"}'],
    ]);
    expect(gate.passed.slice(1)).toEqual(['serviceNowWrites', 'serviceNowBookkeeping']);
  });

  test.each<[string, Reply]>([
    ['a cut connection', { cut: true }],
    ['202', { status: 202 }],
    ['500 of a quota', { status: 500, json: failure('Transaction cancelled: maximum execution time exceeded', 'x') }],
    ['504', { status: 504, text: '' }],
    ['a cut 200', { status: 200, text: '{"result":{"sys_id"' }],
    ['a 201 without a record', { status: 201, json: {} }],
  ])('%s leaves the outcome unknown', async (_name, reply) => {
    serve(() => reply);
    expect(await rejection(create())).toMatchObject({ kind: 'outcome-unknown' });
    expect(calls()).toHaveLength(1);
  });

  test('no answer in time leaves the outcome unknown', async () => {
    client = connect({ timeouts: { requestMs: 300 } });
    serve(() => ({ never: true }));
    expect(await rejection(create())).toMatchObject({ kind: 'outcome-unknown', code: 'ETIMEDOUT' });
  });

  test.each<[string, Reply, string]>([
    ['429', { status: 429, json: {} }, 'throttled'],
    ['503', { status: 503, text: '' }, 'transient'],
    ['an ACL', { status: 403, json: failure('Operation Failed', 'ACL Exception Insert Failed due to security constraints') }, 'forbidden'],
  ])('%s certainly did nothing', async (_name, reply, kind) => {
    serve(() => reply);
    expect(await rejection(create())).toMatchObject({ kind });
  });

  test('a connection that was never made certainly did nothing', async () => {
    serve(() => ({ status: 200, json: { result: [] } }));
    await list();
    await server.close();
    expect(await rejection(create())).toMatchObject({ kind: expect.stringMatching(/transient|outcome-unknown/) });
    expect(await rejection(create())).toMatchObject({ kind: 'transient', code: 'ECONNREFUSED' });
    server = await authority.listen();
  });

  test('cancelling ends a running write with the reason', async () => {
    const arrived = Promise.withResolvers<undefined>();
    serve(() => {
      arrived.resolve(undefined);
      return { never: true };
    });
    const abort = new AbortController();
    const writing = rejection(client.table.create('t', { name: 'x' }, 'serviceNowWrites', abort.signal));
    await arrived.promise;
    abort.abort(new Error('worker shuts down'));
    expect((await writing).message).toBe('worker shuts down');
  });
});

describe('sendBatch', () => {
  const write = { kind: 'serviceNowWrites', effect: 'write' } as const;
  const items = (): BatchItem[] => [
    client.table.createItem('c', 't', { name: 'Grüße ^=' }),
    client.table.updateItem('u', 't', 'abc' as SysId, { name: 'y' }),
    client.table.listItem('l', 't', named),
  ];
  const encode = (body: unknown): string => Buffer.from(JSON.stringify(body)).toString('base64');

  test('one outcome per item, in the order of the items, whatever the order of the answers', async () => {
    serve(() => ({
      status: 200,
      json: {
        batch_request_id: '1',
        serviced_requests: [
          { id: 'l', status_code: 200, body: encode({ result: [] }), headers: [], execution_time: 3 },
          { id: 'c', status_code: 201, body: encode({ result: { sys_id: 'new' } }), headers: [], execution_time: 12 },
        ],
        unserviced_requests: ['u'],
      },
    }));
    const outcomes = await client.batch.sendBatch(items(), write);
    expect(outcomes).toEqual([
      { outcome: 'answered', status: 201, body: { result: { sys_id: 'new' } }, executionMs: 12 },
      { outcome: 'unserviced' },
      { outcome: 'answered', status: 200, body: { result: [] }, executionMs: 3 },
    ]);
    expect(outcomes.map((outcome) => classifyWrite(outcome).result)).toEqual(['written', 'unknown', 'unknown']);
    const sent = JSON.parse(calls()[0]!.body);
    expect(sent.rest_requests[0]).toMatchObject({
      id: 'c',
      method: 'POST',
      url: '/api/now/table/t?sysparm_fields=sys_id%2Cname&sysparm_exclude_reference_link=true',
      exclude_response_headers: true,
    });
    expect(JSON.parse(Buffer.from(sent.rest_requests[0].body, 'base64').toString('utf8'))).toEqual({ name: 'Grüße ^=' });
    expect(sent.rest_requests[2].body).toBeUndefined();
    expect(gate.passed.at(-1)).toBe('serviceNowWrites');
  });

  test('what must be committed before a request is committed with the slot in hand, and again before a repeat', async () => {
    const seen: { readonly passed: number; readonly received: number }[] = [];
    const beforeSend = (): Promise<void> => {
      seen.push({ passed: gate.passed.filter((kind) => kind === 'serviceNowWrites').length, received: calls().length });
      return Promise.resolve();
    };
    serve((_, index) =>
      index < 2 ? { status: 401, json: failure('User Not Authenticated', null) } : { status: 200, json: { serviced_requests: [] } },
    );
    await client.batch.sendBatch(items(), { ...write, beforeSend });
    expect(seen).toEqual([
      { passed: 1, received: 0 },
      { passed: 2, received: 1 },
    ]);
  });

  test('nothing is sent when that fails: the claim is lost, or the ledger is away', async () => {
    serve(() => ({ status: 200, json: { serviced_requests: [] } }));
    const lostClaim = new SyncError({ kind: 'overtaken', service: 'ledger', message: 'The claim passed to another attempt.' });
    const beforeSend = (): Promise<void> => Promise.reject(lostClaim);
    expect(await rejection(client.batch.sendBatch(items(), { ...write, beforeSend }))).toBe(lostClaim);
    const payload = { items: [{ className: 'cmdb_ci_cmp_resource', values: { name: 'x' } }] };
    const options = { dataSource: 'x', kind: 'serviceNowWrites', beforeSend } as const;
    expect(await rejection(client.identifyReconcile.identify(payload, options))).toBe(lostClaim);
    expect(calls()).toEqual([]);
  });

  test('nothing is sent when the process stood still in between: somebody may have looked, and sent it, meanwhile', async () => {
    serve(() => ({ status: 200, json: { serviced_requests: [] } }));
    const impatient = connect({ timeouts: { leaveMs: 100 } });
    const sendAfter = (standingStillMs: number): Promise<unknown> => {
      const beforeSend = (): Promise<void> => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, standingStillMs);
        return Promise.resolve();
      };
      return impatient.batch.sendBatch(items(), { ...write, beforeSend });
    };
    // On a new connection, on one that was used before, and then as ever.
    expect(await rejection(sendAfter(150))).toMatchObject({ kind: 'outcome-unknown', code: 'held-back' });
    expect(calls()).toEqual([]);
    await sendAfter(0);
    expect(await rejection(sendAfter(150))).toMatchObject({ kind: 'outcome-unknown', code: 'held-back' });
    await sendAfter(0);
    expect(calls()).toHaveLength(2);
  });

  test('a write that is under way is waited for when it is cancelled; one that waits is not sent', async () => {
    const cancel = new AbortController();
    serve(async () => {
      cancel.abort(new Error('cancelled'));
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { status: 200, json: { serviced_requests: [] } };
    });
    const send = (): Promise<unknown> =>
      client.batch.sendBatch(items(), { ...write, beforeSend: () => Promise.resolve(), signal: cancel.signal });
    await expect(send()).resolves.toHaveLength(items().length);
    await expect(send()).rejects.toThrow('cancelled');
    expect(calls()).toHaveLength(1);
  });

  test('an item that no list names, or that has no status, is unserviced; a foreign id changes nothing', async () => {
    serve(() => ({
      status: 200,
      json: {
        serviced_requests: [{ id: 'u' }, null, { id: 'x', status_code: 200 }, { id: 'c', status_code: 201, body: '!!not base64 json' }],
      },
    }));
    expect(await client.batch.sendBatch(items(), write)).toEqual([
      { outcome: 'answered', status: 201, body: undefined, executionMs: undefined },
      { outcome: 'unserviced' },
      { outcome: 'unserviced' },
    ]);
  });

  test.each<[string, Reply, string, string]>([
    ['an answer without its list', { status: 200, json: {} }, 'outcome-unknown', 'malformed-answer'],
    ['a cut connection', { cut: true }, 'outcome-unknown', 'transient'],
    ['202', { status: 202 }, 'outcome-unknown', 'transient'],
    [
      'a quota',
      { status: 500, json: failure('Transaction cancelled: maximum execution time exceeded', '') },
      'outcome-unknown',
      'transient',
    ],
  ])('%s: a writing batch is %s', async (_name, reply, writing, reading) => {
    serve(() => reply);
    expect(await rejection(client.batch.sendBatch(items(), write))).toMatchObject({ kind: writing });
    expect(await rejection(client.batch.sendBatch(items(), { kind: 'serviceNowReads', effect: 'read' }))).toMatchObject({ kind: reading });
  });

  test('nothing sends nothing; two equal ids or 5 MB are a defect of the caller', async () => {
    serve(() => ({ status: 200, json: { serviced_requests: [] } }));
    expect(await client.batch.sendBatch([], write)).toEqual([]);
    const [item] = items();
    expect(await rejection(client.batch.sendBatch([item!, item!], write))).toMatchObject({ kind: 'bug' });
    const large: BatchItem = { id: '1', method: 'POST', path: '/api/now/table/t', body: { name: 'x'.repeat(6_000_000) } };
    expect(await rejection(client.batch.sendBatch([large], write))).toMatchObject({ kind: 'bug' });
    expect(server.received).toHaveLength(0);
  });
});

describe('identify, count, attachments, roles', () => {
  const payload = { items: [{ className: 'cmdb_ci_cmp_resource', values: { object_id: 'x' } }] };

  test('a simulation is a read, a commit is a write', async () => {
    serve(() => ({
      status: 200,
      json: { result: { items: [{ operation: 'INSERT', sysId: 'abc', className: 'cmdb_ci_cmp_resource', inputIndices: [0] }] } },
    }));
    const options = { dataSource: 'Defender', kind: 'serviceNowWrites' } as const;
    expect((await client.identifyReconcile.identify(payload, options)).items).toEqual([
      { outcome: 'inserted', sysId: 'abc', className: 'cmdb_ci_cmp_resource', operation: 'INSERT' },
    ]);
    expect(calls()[0]!.url.pathname + calls()[0]!.url.search).toBe('/api/now/identifyreconcile?sysparm_data_source=Defender');
    serve(() => ({ cut: true }));
    expect(await rejection(client.identifyReconcile.identify(payload, options))).toMatchObject({ kind: 'outcome-unknown' });
    expect(await rejection(client.identifyReconcile.identify(payload, { ...options, simulate: true }))).toMatchObject({
      kind: 'transient',
    });
  });

  test('the engine’s 400 is an answer; an unscoped client is forbidden with its own remedy', async () => {
    const errors = [{ error: 'INVALID_INPUT_DATA', message: 'In payload invalid data source [x] exist.' }];
    serve(() => ({ status: 400, json: { result: { items: [{ errors, inputIndices: [0], sysId: 'Unknown' }] } } }));
    const options = { dataSource: 'x', kind: 'serviceNowWrites' } as const;
    expect((await client.identifyReconcile.identify(payload, options)).items[0]).toMatchObject({
      outcome: 'refused',
      code: 'INVALID_INPUT_DATA',
    });
    serve(() => ({ status: 403, json: failure('User Not Authorized', 'Access to unscoped api is not allowed') }));
    expect(await rejection(client.identifyReconcile.identify(payload, options))).toMatchObject({
      kind: 'forbidden',
      code: 'oauth-scope',
      remedy: expect.stringContaining('REST API Auth Scope'),
    });
  });

  test('counts are numbers, groups are by value', async () => {
    serve((request) =>
      request.url.searchParams.get('sysparm_group_by') === null
        ? { status: 200, json: { result: { stats: { count: '10' } } } }
        : {
            status: 200,
            json: {
              result: [
                { stats: { count: '2' }, groupby_fields: [{ value: '', field: 'name' }] },
                { stats: { count: '8' }, groupby_fields: [{ value: 'a', field: 'name' }] },
              ],
            },
          },
    );
    expect(await client.aggregate.count('t', query())).toBe(10);
    expect(await client.aggregate.countBy('t', query(), 'name')).toEqual(
      new Map([
        ['', 2],
        ['a', 8],
      ]),
    );
    serve(() => ({ status: 200, json: { result: { stats: {} } } }));
    expect(await rejection(client.aggregate.count('t', query()))).toMatchObject({ kind: 'malformed-answer' });
    expect(await client.aggregate.countBy('t', query(), 'name')).toEqual(new Map());
  });

  test('attachments are counted per record', async () => {
    serve(() => ({
      status: 200,
      json: { result: [{ stats: { count: '3' }, groupby_fields: [{ value: 'ds1', field: 'table_sys_id' }] }] },
    }));
    expect(await client.attachments.countPerRecord('sys_data_source', ['ds1', 'ds2'] as SysId[])).toEqual(new Map([['ds1', 3]]));
    expect(calls()[0]!.url.searchParams.get('sysparm_query')).toBe('table_name=sys_data_source^table_sys_idINds1,ds2');
  });

  test('own roles: active ones, inherited ones included', async () => {
    const rows: Row[] = [
      { sys_id: '1', user: 'u1', 'user.user_name': 'sync', 'role.name': 'sn_vulc.write', inherited: 'false', state: 'active' },
      { sys_id: '2', user: 'u1', 'user.user_name': 'sync', 'role.name': 'sn_vulc.read', inherited: 'true', state: 'active' },
      { sys_id: '3', user: 'u1', 'user.user_name': 'sync', 'role.name': 'admin', inherited: 'false', state: 'requested' },
    ];
    serve((request) => ({
      status: 200,
      json: { result: (request.url.searchParams.get('sysparm_query') ?? '').includes('sys_id>') ? [] : rows },
    }));
    expect(await client.roles.readOwnRoles()).toEqual({
      user: { sysId: 'u1', userName: 'sync' },
      roles: ['sn_vulc.read', 'sn_vulc.write'],
    });
    expect(calls()[0]!.url.searchParams.get('sysparm_query')).toBe('user=javascript:gs.getUserID()^ORDERBYsys_id');
  });
});

test('no error of any path shows a secret, a token or a value', async () => {
  const value = 'canary-value-4711';
  const replies: Reply[] = [
    { status: 400, json: failure('bad', `Bearer token-1 ${canary}`) },
    { status: 403, json: failure('Operation Failed', 'ACL Exception Insert Failed due to security constraints') },
    { status: 500, text: `boom ${value}` },
    { status: 200, text: `{"result": ${value}` },
    { cut: true },
    { status: 302, headers: { Location: `https://x.example/?q=${value}` } },
  ];
  for (const reply of replies) {
    serve(() => reply);
    for (const attempt of [
      client.table.create('t', { name: value }, 'serviceNowWrites'),
      client.table.list('t', { query: query().equals('name', value), fields: [] }),
    ]) {
      const seen = everythingIn(await rejection(attempt));
      expect(seen).not.toMatch(/canary|token-1/);
    }
  }
});
