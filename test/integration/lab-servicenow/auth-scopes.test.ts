import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { add, bearer, change, clientOf, register, rowOf, setProperty, token } from './admin-helper.ts';
import { startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const TESTS = '/api/now/table/sn_vulc_test?sysparm_limit=1';
const unscoped = {
  status: 403,
  json: { error: { message: 'User Not Authorized', detail: 'Access to unscoped api is not allowed' }, status: 'failure' },
};

async function clientWith(values: Record<string, string>): Promise<{ row: Record<string, string>; answer: Answer }> {
  const user = await rowOf(started, 'sys_user', 'user_name', 'defender.sync');
  const { row, client } = await register(started, { name: 'scoped', user: user['sys_id']!, ...values });
  return { row, answer: await token(started, { grant_type: 'client_credentials', ...client }) };
}

/** A REST API Auth Scope of its own on a path; returns its sys_auth_scope. */
async function protect(apiPath: string, values: Record<string, string> = {}): Promise<{ scope: string; access: string }> {
  const name = `scope of ${apiPath} ${values['http_method'] ?? ''}`;
  const scope = await add(started, 'sys_auth_scope', { name });
  const access = await add(started, 'sys_api_access_scope', { name, api_path: apiPath, auth_scope: scope['sys_id']!, ...values });
  return { scope: scope['sys_id']!, access: access['sys_id']! };
}

const link = (row: Record<string, string>, scope: string): Promise<unknown> =>
  add(started, 'oauth_entity_auth_scope_mapping', { oauth_entity: row['sys_id']!, auth_scope: scope });

describe('REST API Auth Scope (servicenow.md §5.1 pitfalls, §5.7)', () => {
  it('errors/403_unscoped_api_oauth_client.json: a securely scoped client without a scope is refused before roles and ACLs', async () => {
    const { answer } = await clientWith({ scope_restriction: 'securely_scoped' });
    expect(answer.json.scope).toBe('');
    const refused = await started.post('/api/now/identifyreconcile', { items: [] }, bearer(answer));
    expect(refused).toMatchObject(unscoped);
    expect(refused.headers['x-is-logged-in']).toBe('true');
    await expect(started.get('/api/now/table/no_such_table', bearer(answer))).resolves.toMatchObject(unscoped);
    await expect(started.get(TESTS)).resolves.toMatchObject({ status: 200 });
  });

  it('a scope is bound per API and per HTTP method', async () => {
    const { row, answer } = await clientWith({ scope_restriction: 'securely_scoped' });
    const { scope, access } = await protect('now/table', { apply_all_methods: 'false', http_method: 'GET' });
    await link(row, scope);
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 200 });
    await expect(started.post('/api/now/table/sn_vulc_test', {}, bearer(answer))).resolves.toMatchObject(unscoped);
    await expect(started.get('/api/now/stats/sn_vulc_test', bearer(answer))).resolves.toMatchObject(unscoped);
    await change(started, 'sys_api_access_scope', access, { active: 'false' });
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject(unscoped);
  });

  it('the items of a batch are judged one by one', async () => {
    const { row, answer } = await clientWith({ scope_restriction: 'securely_scoped' });
    const { scope, access } = await protect('now/batch');
    await link(row, scope);
    const item = { id: '1', method: 'GET', url: TESTS, headers: [{ name: 'Accept', value: 'application/json' }] };
    const batch = await started.post('/api/now/v1/batch', { batch_request_id: '1', rest_requests: [item] }, bearer(answer));
    expect(batch.status).toBe(200);
    expect(batch.json.serviced_requests[0].status_code).toBe(403);
    await change(started, 'sys_api_access_scope', access, { active: 'false' });
  });

  it('once an API has a scope, other clients lose it, too, unless they hold useraccount; basic authentication knows no scopes', async () => {
    const { answer } = await clientWith({});
    const { access } = await protect('now/stats');
    const refused = await started.get('/api/now/stats/sn_vulc_test?sysparm_count=true', bearer(answer));
    expect(refused).toMatchObject({
      status: 403,
      json: { error: { message: 'User Not Authorized', detail: 'Missing required api access scope: scope of now/stats ' } },
    });
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 200 });
    const own = await token(started, { grant_type: 'client_credentials', ...clientOf(started, 'defender.sync') });
    await expect(started.get('/api/now/stats/sn_vulc_test?sysparm_count=true', bearer(own))).resolves.toMatchObject({ status: 200 });
    await expect(started.get('/api/now/stats/sn_vulc_test?sysparm_count=true')).resolves.toMatchObject({ status: 200 });
    await change(started, 'sys_api_access_scope', access, { active: 'false' });
  });

  it.each([
    ['glide.security.oauth_allow_unscoped_clients', 'true', 'false'],
    ['com.glide.rest.api.auth.scope.check.enable', 'false', 'true'],
  ])('the property %s = %s lets unscoped clients in', async (name, open, closed) => {
    const { answer } = await clientWith({ scope_restriction: 'securely_scoped' });
    await setProperty(started, name, open);
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 200 });
    await setProperty(started, name, closed);
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject(unscoped);
  });
});
