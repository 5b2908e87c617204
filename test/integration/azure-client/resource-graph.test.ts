import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createAzureConnection, isTruncated, type AzureClients } from '../../../src/azure/index.ts';
import {
  createCountingGate,
  createTestAuthority,
  rejection,
  type CountingGate,
  type Handler,
  type TestAuthority,
  type TestServer,
} from './test-server.ts';

const tenantId = '11111111-1111-1111-1111-111111111111';
const path = '/providers/Microsoft.ResourceGraph/resources';

let authority: TestAuthority;
let server: TestServer;
let gate: CountingGate;
let azure: AzureClients;
let close: () => void;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterAll(() => authority.remove());
beforeEach(async () => {
  server = await authority.listen();
  gate = createCountingGate();
  const connection = createAzureConnection({
    cloud: { authorityHost: server.url, armEndpoint: server.url, graphEndpoint: server.url },
    tenantId,
    clientId: 'cccccccc-0000-0000-0000-000000000001',
    credential: { type: 'secret', value: 'not-a-guid' },
    caFile: authority.caFile,
  });
  azure = connection.through(gate);
  close = () => connection.close();
});
afterEach(async () => {
  close();
  await server.close();
});

/** The same server is the authority: everything but sign-in goes to `handler`. */
function serve(handler: Handler): void {
  server.answer((request, index) => {
    const base = `${server.url}/${tenantId}`;
    if (request.url.pathname.endsWith('/openid-configuration')) {
      return {
        status: 200,
        json: {
          token_endpoint: `${base}/oauth2/v2.0/token`,
          authorization_endpoint: `${base}/a`,
          issuer: `${base}/v2.0`,
          jwks_uri: `${base}/k`,
        },
      };
    }
    if (request.url.pathname.endsWith('/token'))
      return { status: 200, json: { token_type: 'Bearer', expires_in: 3599, access_token: 'token' } };
    return handler(request, index);
  });
}

interface SentQuery {
  query: string;
  options: Record<string, unknown>;
  subscriptions?: string[];
  managementGroups?: string[];
}

function queries(): SentQuery[] {
  return server.received.filter(({ url }) => url.pathname === path).map(({ body }) => JSON.parse(body) as SentQuery);
}

const tooLarge = (code: string) => ({
  status: 400,
  json: { error: { code: 'BadRequest', message: 'ids', details: [{ code, message: 'too large' }] } },
});

describe('queryPage', () => {
  test('pages by the skip token and never by resultTruncated', async () => {
    serve((request) =>
      JSON.parse(request.body).options.$skipToken === 'next'
        ? { status: 200, json: { totalRecords: 3, count: 1, resultTruncated: 'false', data: [{ id: 'c' }] } }
        : {
            status: 200,
            json: { totalRecords: 3, count: 2, resultTruncated: 'false', $skipToken: 'next', data: [{ id: 'a' }, { id: 'b' }] },
          },
    );
    const query = { query: 'securityresources | project id | order by id asc', managementGroups: ['mg'], top: 1_000 };
    const first = await azure.resourceGraph.queryPage(query);
    const second = await azure.resourceGraph.queryPage({ ...query, skipToken: first.skipToken });
    expect(first).toMatchObject({ rows: [{ id: 'a' }, { id: 'b' }], totalRecords: 3, skipToken: 'next', top: 1_000 });
    expect(second).toMatchObject({ rows: [{ id: 'c' }], skipToken: undefined });
    expect(queries()[1]).toEqual({
      query: query.query,
      managementGroups: ['mg'],
      options: { $top: 1_000, $skipToken: 'next', resultFormat: 'objectArray', allowPartialScopes: false },
    });
    expect(server.received.at(-1)!.headers['content-type']).toBe('application/json');
  });

  test.each(['true', 'True', true])('resultTruncated %j without a token is an incomplete result', async (resultTruncated) => {
    serve(() => ({ status: 200, json: { resultTruncated, data: [] } }));
    const error = await rejection(azure.resourceGraph.queryPage({ query: 'q', top: 10 }));
    expect(isTruncated(error)).toBe(true);
  });

  test.each(['ResponsePayloadTooLarge', 'QueryExecutionResultSizeLimitExceeded', 'E_QUERY_RESULT_SET_TOO_LARGE'])(
    '%s halves the page until it fits, and says which size worked',
    async (code) => {
      serve((request) => (JSON.parse(request.body).options.$top > 200 ? tooLarge(code) : { status: 200, json: { data: [{ id: 'a' }] } }));
      expect(await azure.resourceGraph.queryPage({ query: 'q', top: 1_000 })).toMatchObject({ top: 125 });
      expect(queries().map(({ options }) => options['$top'])).toEqual([1_000, 500, 250, 125]);
    },
  );

  test('one row that is too large alone is an error', async () => {
    serve(() => tooLarge('ResponsePayloadTooLarge'));
    expect(await rejection(azure.resourceGraph.queryPage({ query: 'q', top: 5 }))).toMatchObject({
      kind: 'rejected',
      code: 'ResponsePayloadTooLarge',
    });
    expect(queries().map(({ options }) => options['$top'])).toEqual([5, 2, 1]);
  });

  test('an exhausted quota holds everybody back before the next query is refused', async () => {
    serve(() => ({
      status: 200,
      json: { data: [] },
      headers: { 'x-ms-user-quota-remaining': '0', 'x-ms-user-quota-resets-after': '00:00:04' },
    }));
    expect(await azure.resourceGraph.queryPage({ query: 'q', top: 1 })).toMatchObject({ quotaRemaining: 0, quotaResetsAfterMs: 4_000 });
    expect(gate.heldBackMs).toEqual([4_000]);
  });

  test('more than 1,000 subscriptions are the caller’s to split', async () => {
    serve(() => ({ status: 200, json: { data: [] } }));
    const subscriptions = Array.from({ length: 1_001 }, (_, index) => `s${index}`);
    expect(await rejection(azure.resourceGraph.queryPage({ query: 'q', top: 1, subscriptions }))).toMatchObject({ kind: 'bug' });
    expect(server.received).toHaveLength(0);
  });
});

describe('discovery', () => {
  test('lists subscriptions over pages and counts rows that it cannot read', async () => {
    serve((request) =>
      request.url.pathname === '/subscriptions'
        ? {
            status: 200,
            json: {
              value: [{ subscriptionId: 'ABC', displayName: 'One', state: 'Enabled', tenantId: 'T' }, { broken: 1 }],
              nextLink: `${server.url}/more`,
            },
          }
        : { status: 200, json: { value: [{ subscriptionId: 'def', state: 'Disabled' }] } },
    );
    expect(await azure.discovery.listSubscriptions()).toEqual({
      subscriptions: [
        { subscriptionId: 'abc', displayName: 'One', state: 'Enabled', tenantId: 't' },
        { subscriptionId: 'def', displayName: 'def', state: 'Disabled', tenantId: undefined },
      ],
      unreadable: 1,
    });
  });

  test('keeps the subscriptions among a management group’s descendants', async () => {
    serve(() => ({
      status: 200,
      json: {
        value: [
          { name: 'group-1', type: 'Microsoft.Management/managementGroups', properties: { displayName: 'Group 1' } },
          { name: 'SUB-4', type: 'Microsoft.Management/managementGroups/subscriptions', properties: { displayName: 'Subscription 4' } },
          { name: 'sub-5', type: '/subscriptions', properties: null },
        ],
        '@nextLink': '',
      },
    }));
    const { subscriptions } = await azure.discovery.listManagementGroupSubscriptions('a/b');
    expect(subscriptions.map(({ subscriptionId, displayName }) => [subscriptionId, displayName])).toEqual([
      ['sub-4', 'Subscription 4'],
      ['sub-5', 'sub-5'],
    ]);
    expect(server.received.at(-1)!.url.pathname).toContain('/managementGroups/a%2Fb/descendants');
  });

  test('a list whose link points to itself is an error, not a shorter list', async () => {
    serve(() => ({ status: 200, json: { value: [{ subscriptionId: 'a' }], nextLink: `${server.url}/again` } }));
    expect(await rejection(azure.discovery.listSubscriptions())).toMatchObject({ kind: 'malformed-answer' });
  });

  test('reads plans', async () => {
    const extensions = [
      { name: 'AgentlessVmScanning', isEnabled: 'False' },
      { name: 'ContainerRegistriesVulnerabilityAssessments', isEnabled: 'True' },
    ];
    const rows = [
      { name: 'KeyVaults', properties: { pricingTier: 'Free' } },
      { name: 'CloudPosture', properties: { pricingTier: 'Standard', extensions } },
      {},
    ];
    serve(() => ({ status: 200, json: { value: rows } }));
    expect(await azure.discovery.readPricings('s1')).toEqual([
      { name: 'KeyVaults', tier: 'Free', extensions: [] },
      { name: 'CloudPosture', tier: 'Standard', extensions: ['ContainerRegistriesVulnerabilityAssessments'] },
    ]);
  });
});

describe('readIncidentsProbe', () => {
  const forbidden = (message: string) => ({
    status: 403,
    json: { error: { code: 'Forbidden', message } },
    headers: { 'request-id': 'g-1' },
  });

  test('ok', async () => {
    serve(() => ({ status: 200, json: { '@odata.context': 'x', value: [] } }));
    expect(await azure.graph.readIncidentsProbe()).toEqual({ verdict: 'ok' });
    expect(server.received.at(-1)!.url.search).toBe('?%24top=1');
  });

  test.each([
    ['application roles: .', []],
    ['application roles: Policy.Read.All,User.Read.All.', ['Policy.Read.All', 'User.Read.All']],
  ])('names required and held roles: %s', async (held, expected) => {
    serve(() =>
      forbidden(`Missing application roles. API required roles: SecurityIncident.Read.All,SecurityIncident.ReadWrite.All, ${held}`),
    );
    expect(await azure.graph.readIncidentsProbe()).toEqual({
      verdict: 'missing-roles',
      required: ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All'],
      held: expected,
    });
  });

  test('another 403 stays an error of Graph', async () => {
    serve(() => forbidden('Tenant is not licensed.'));
    expect(await rejection(azure.graph.readIncidentsProbe())).toMatchObject({ kind: 'forbidden', service: 'graph', requestId: 'g-1' });
  });
});
