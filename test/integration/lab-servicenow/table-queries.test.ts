import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab({ seedFolders: [join(import.meta.dirname, 'fixtures', 'query-seed')] });
});

afterAll(() => started.stop());

const POLICIES = '/api/now/table/sn_vulc_policy';

describe('queries that match everything, and queries that match nothing', () => {
  const RESULTS = '/api/now/table/sn_vulc_result';

  beforeAll(async () => {
    for (const [state, score] of [
      ['1', '10'],
      ['1', '20'],
      ['12', '30'],
    ]) {
      await started.post(RESULTS, { state, risk_score: score, short_description: `VPN email ${String(score)}` });
    }
  });

  it.each([
    ['state=1', 2],
    ['state=1^risk_score=10', 1],
    ['state=1^ORstate=12', 3],
    ['stateIN1,2,3', 2],
    ['short_descriptionSTARTSWITHVPN', 3],
    ['short_descriptionLIKEemail 3', 1],
    ['sys_created_on>javascript:gs.beginningOfLastMonth()', 3],
    ['active=true^ORDERBYDESCrisk_score', 3],
    ['no_such_field=banana', 3],
    ['state=1^no_such_field=banana', 2],
    ['^^^', 3],
    ['state=NOT_A_NUMBER', 0],
    ['state==1', 0],
  ])('table-api/query_errors_silent_or_empty.json: %s → %d rows, always 200', async (query, expected) => {
    const answer = await started.get(`${RESULTS}?sysparm_query=${encodeURIComponent(query)}&sysparm_fields=sys_id`);
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.json.result).toHaveLength(expected);
    expect(answer.headers['x-total-count']).toBe(String(expected));
  });
});

describe('errors/403_field_not_readable_in_query.json', () => {
  const refusal = {
    status: 403,
    json: {
      error: {
        message: 'Insufficient rights to query records',
        detail: 'Field(s) present in the query do not have permission to be read',
      },
      status: 'failure',
    },
  };
  const ask = (query: string, as = 'defender.sync'): Promise<Answer> => started.get(`${POLICIES}?sysparm_query=${query}`, { as });

  it('a hidden column in a condition or in ORDERBY refuses the query, for non-administrators alone', async () => {
    await started.admin('POST', '/servicenow/access', { table: 'sn_vulc_policy', operation: 'read', column: 'source', roles: [] });
    for (const query of ['source=x', 'ORDERBYsource', 'short_description=a^ORsource=x']) {
      await expect(ask(query)).resolves.toMatchObject(refusal);
      await expect(ask(query, 'admin')).resolves.toMatchObject({ status: 200 });
    }
    const answer = await started.get(`${POLICIES}?sysparm_limit=1`);
    expect(answer.status).toBe(200);
    await started.admin('POST', '/servicenow/access', { table: 'sn_vulc_policy', operation: 'read', column: 'source', roles: ['*'] });
    await expect(ask('source=x')).resolves.toMatchObject({ status: 200 });
  });

  it('on some tables a column that does not exist is refused instead of ignored', async () => {
    await expect(started.get('/api/now/table/x_lab_message?sysparm_query=conversation=1')).resolves.toMatchObject(refusal);
    await expect(started.get('/api/now/table/x_lab_message?sysparm_query=text=1')).resolves.toMatchObject({ status: 200 });
  });

  it("on some tables every query is refused, even an administrator's, while the bare read answers", async () => {
    for (const as of ['admin', 'defender.sync']) {
      await expect(started.get('/api/now/table/x_lab_package?sysparm_query=text=1', { as })).resolves.toMatchObject(refusal);
      await expect(started.get('/api/now/table/x_lab_package?sysparm_limit=1', { as })).resolves.toMatchObject({ status: 200 });
    }
  });

  it('a hidden column is left out of rows', async () => {
    await started.post('/api/now/table/sn_vulc_auth_src', { source: 'hidden', short_description: 'shown' });
    const path = '/api/now/table/sn_vulc_auth_src?sysparm_limit=1&sysparm_fields=source,short_description';
    await started.admin('POST', '/servicenow/access', { table: 'sn_vulc_auth_src', operation: 'read', column: 'source', roles: [] });
    expect((await started.get(path)).json.result).toEqual([{ short_description: 'shown' }]);
  });
});

describe('name-value pairs (c_TableAPI)', () => {
  it('filter by value or by display value; parameters that are no column do nothing; sysparm_query wins', async () => {
    const tests = '/api/now/table/sn_vulc_test';
    await started.post(tests, { source: 'pairs', criticality: '2' });
    await started.post(tests, { source: 'pairs', criticality: '3' });
    const count = async (parameters: string): Promise<number> => (await started.get(`${tests}?${parameters}`)).json.result.length as number;
    await expect(count('source=pairs')).resolves.toBe(2);
    await expect(count('source=pairs&criticality=2')).resolves.toBe(1);
    await expect(count('source=pairs&criticality=High&nonsense=1')).resolves.toBe(1);
    await expect(count('source=pairs^ORsource=other')).resolves.toBe(0);
    await expect(count('source=nobody&sysparm_query=source=pairs')).resolves.toBe(2);
  });
});

describe('headers of every answer (table-api/get_list_incident_v2_full_headers.json)', () => {
  it('who answers, whether the caller is signed in, the transaction', async () => {
    const answer = await started.get(`${POLICIES}?sysparm_limit=1`);
    expect(answer.headers).toMatchObject({
      server: 'ServiceNow',
      'x-is-logged-in': 'true',
      'x-content-type-options': 'nosniff',
      'strict-transport-security': 'max-age=63072000; includeSubDomains',
      'cache-control': 'no-cache,no-store,must-revalidate,max-age=-1',
      pragma: 'no-store,no-cache',
      expires: '0',
    });
    expect(answer.headers['x-transaction-id']).toMatch(/^[0-9a-f]{12}$/);
    const refused = await started.get(POLICIES, { as: null });
    expect(refused.headers['x-is-logged-in']).toBeUndefined();
    expect(refused.headers['server']).toBe('ServiceNow');
  });
});

describe('limits and totals', () => {
  it('servicenow.md §5.2: the limit is applied before the ACLs, so a short page is not the last one', async () => {
    const { store } = started.lab;
    for (const [table, name] of [
      ['cmdb_ci_cmp_resource', 'b'],
      ['cmdb_ci_server', 'a'],
      ['cmdb_ci_server', 'c'],
    ] as const) {
      store.insert(table, { name, short_description: 'mixed' }, 'admin');
    }
    await started.admin('POST', '/servicenow/access', { table: 'cmdb_ci_cmp_resource', operation: 'read', roles: [] });
    const list = '/api/now/table/cmdb_ci?sysparm_query=short_description=mixed^ORDERBYname&sysparm_fields=name&sysparm_limit=1';
    const pages = await Promise.all([0, 1, 2].map((offset) => started.get(`${list}&sysparm_offset=${String(offset)}`)));
    expect(pages.map(({ json }) => json.result as unknown)).toEqual([[{ name: 'a' }], [], [{ name: 'c' }]]);
    expect(pages.map(({ headers }) => headers['x-total-count'])).toEqual(['3', '3', '3']);
    expect(pages[1]?.headers['link']).toContain('rel="next"');
  });

  it('without a limit 10,000 rows come back', async () => {
    const { store } = started.lab;
    for (let index = 0; index < 10_001; index += 1) store.insert('sys_user_group', { name: `g${String(index)}` }, 'admin');
    const answer = await started.get('/api/now/table/sys_user_group?sysparm_query=nameSTARTSWITHg&sysparm_fields=name');
    expect(answer.json.result).toHaveLength(10_000);
    expect(answer.headers['x-total-count']).toBe('10001');
    expect(answer.headers['link']).toContain('sysparm_offset=10000>;rel="next"');
  });
});
