import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const ZERO = '0'.repeat(32);
const forbidden = (message: string, detail: string): object => ({ status: 403, json: { error: { message, detail }, status: 'failure' } });
const notAuthenticated = {
  status: 401,
  json: { error: { detail: 'Required to provide Auth information', message: 'User Not Authenticated' }, status: 'failure' },
};

async function token(form: Record<string, string>, type = 'application/x-www-form-urlencoded'): Promise<Answer> {
  const body = type.includes('json') ? JSON.stringify(form) : new URLSearchParams(form).toString();
  return started.call('/oauth_token.do', { method: 'POST', body, as: null, headers: { 'content-type': type } });
}

function client(userName: string): { client_id: string; client_secret: string } {
  const found = started.lab.oauthClients.find((candidate) => candidate.userName === userName)!;
  return { client_id: found.clientId, client_secret: found.clientSecret };
}

async function userId(userName: string): Promise<string> {
  const { rows } = await started.admin('GET', '/servicenow/rows/sys_user');
  return String(rows.find((row) => row['user_name'] === userName)?.['sys_id']);
}

describe('authentication', () => {
  it('errors/401_not_authenticated.http: no, wrong or unknown credentials', async () => {
    const none = await started.get('/api/now/table/sn_vulc_test', { as: null });
    expect(none).toMatchObject(notAuthenticated);
    expect(none.headers['www-authenticate']).toBe('BASIC realm="Service-now"');
    for (const authorization of ['Basic !!!', `Basic ${Buffer.from('admin:wrong').toString('base64')}`, 'Bearer nonsense', 'Digest x']) {
      await expect(started.get('/api/now/table/sn_vulc_test', { headers: { authorization } })).resolves.toMatchObject(notAuthenticated);
    }
  });

  it('servicenow.md §5.7: a locked or inactive account cannot sign in', async () => {
    const id = await userId('defender.readonly');
    await started.admin('PATCH', `/servicenow/rows/sys_user/${id}`, { locked_out: 'true' });
    await expect(started.get('/api/now/table/sn_vulc_test', { as: 'defender.readonly' })).resolves.toMatchObject({ status: 401 });
    await started.admin('PATCH', `/servicenow/rows/sys_user/${id}`, { locked_out: 'false' });
    await expect(started.get('/api/now/table/sn_vulc_test', { as: 'defender.readonly' })).resolves.toMatchObject({ status: 200 });
  });

  it('schema/basic_auth_restriction_properties.json: once enforced, basic authentication needs its role', async () => {
    const { rows } = await started.admin('GET', '/servicenow/rows/sys_properties');
    const property = rows.find((row) => row['name'] === 'glide.authenticate.basic_auth.restriction.enforce');
    await started.admin('PATCH', `/servicenow/rows/sys_properties/${String(property?.['sys_id'])}`, { value: 'true' });
    await expect(started.get('/api/now/table/sys_user?sysparm_limit=1', { as: 'defender.noroles' })).resolves.toMatchObject({
      status: 401,
    });
    await expect(started.get('/api/now/table/sys_user?sysparm_limit=1')).resolves.toMatchObject({ status: 200 });
    await started.admin('PATCH', `/servicenow/rows/sys_properties/${String(property?.['sys_id'])}`, { value: 'false' });
  });
});

describe('OAuth (servicenow.md §5.7, oauth/*.json)', () => {
  it('client credentials: a bearer token of 86 characters that acts as the application user', async () => {
    const answer = await token({ grant_type: 'client_credentials', ...client('defender.sync') });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ scope: 'useraccount', token_type: 'Bearer', expires_in: 1799 });
    expect(answer.json.access_token).toMatch(/^[A-Za-z0-9_-]{86}$/);
    expect(answer.json).not.toHaveProperty('refresh_token');
    const headers = { authorization: `Bearer ${String(answer.json.access_token)}` };
    const created = await started.post('/api/now/table/sn_vulc_test', {}, { headers });
    expect(created.json.result.sys_created_by).toBe('defender.sync');
  });

  it('the same token while it is valid, and the request extends it; then another one', async () => {
    const ask = async (): Promise<string> =>
      (await token({ grant_type: 'client_credentials', ...client('defender.readonly') })).json.access_token as string;
    const first = await ask();
    started.clock.advance(20 * 60_000);
    await expect(ask()).resolves.toBe(first);
    started.clock.advance(20 * 60_000);
    const headers = { authorization: `Bearer ${first}` };
    await expect(started.get('/api/now/table/sn_vulc_test', { headers })).resolves.toMatchObject({ status: 200 });
    started.clock.advance(31 * 60_000);
    await expect(started.get('/api/now/table/sn_vulc_test', { headers })).resolves.toMatchObject({ status: 401 });
    await expect(ask()).resolves.not.toBe(first);
  });

  it('password and refresh_token', async () => {
    const password = started.lab.users.find(({ userName }) => userName === 'defender.sync')!.password;
    const first = await token({ grant_type: 'password', ...client('defender.sync'), username: 'defender.sync', password });
    expect(first.json.refresh_token).toMatch(/^[A-Za-z0-9_-]{86}$/);
    started.clock.advance(60 * 60_000);
    const refreshed = await token({ grant_type: 'refresh_token', ...client('defender.sync'), refresh_token: first.json.refresh_token });
    expect(refreshed.status).toBe(200);
    expect(refreshed.json.access_token).not.toBe(first.json.access_token);
  });

  it('oauth/token_error_access_denied.json: flat and the same, whatever the cause', async () => {
    const denied = { status: 401, json: { error_description: 'access_denied', error: 'server_error' } };
    const good = client('defender.sync');
    await expect(token({ grant_type: 'client_credentials', ...good, client_secret: 'wrong' })).resolves.toMatchObject(denied);
    await expect(token({ grant_type: 'client_credentials', ...good, client_id: 'wrong' })).resolves.toMatchObject(denied);
    await expect(token({ grant_type: 'something', ...good })).resolves.toMatchObject(denied);
    await expect(token({ grant_type: 'client_credentials', ...good }, 'application/json')).resolves.toMatchObject(denied);
    await expect(token({ grant_type: 'password', ...good, username: 'admin', password: 'wrong' })).resolves.toMatchObject(denied);
    await expect(token({ grant_type: 'refresh_token', ...good, refresh_token: 'wrong' })).resolves.toMatchObject(denied);
  });
});

describe('roles and access', () => {
  it('errors/403_acl_insert_and_update.json', async () => {
    const as = 'defender.readonly';
    const insert = forbidden('Operation Failed', 'ACL Exception Insert Failed due to security constraints');
    await expect(started.post('/api/now/table/sn_vulc_test', {}, { as })).resolves.toMatchObject(insert);
    const created = await started.post('/api/now/table/sn_vulc_test', {});
    const update = forbidden('Operation Failed', 'ACL Exception Update Failed due to security constraints');
    const path = `/api/now/table/sn_vulc_test/${String(created.json.result.sys_id)}`;
    await expect(started.patch(path, { source: 'x' }, { as })).resolves.toMatchObject(update);
  });

  it('servicenow.md §5.2: PATCH {} of the all-zero sys_id is 404 for who may write and 403 for who may not', async () => {
    const path = `/api/now/table/sn_vulc_result/${ZERO}`;
    await expect(started.patch(path, {})).resolves.toMatchObject({ status: 404 });
    await expect(started.patch(path, {}, { as: 'defender.readonly' })).resolves.toMatchObject({ status: 403 });
  });

  it('table-api/acl_blind_x_total_count.json: unreadable rows are left out, the total counts them', async () => {
    await started.post('/api/now/table/sn_vulc_policy', { short_description: 'hidden' });
    const answer = await started.get('/api/now/table/sn_vulc_policy', { as: 'defender.noroles' });
    expect(answer).toMatchObject({ status: 200, json: { result: [] } });
    expect(Number(answer.headers['x-total-count'])).toBeGreaterThan(0);
  });

  it('schema/role_visibility_matrix.json: sys_dictionary reads as empty, sys_db_object as 403, sys_choice as label alone', async () => {
    const as = 'defender.noroles';
    await expect(started.get('/api/now/table/sys_dictionary?sysparm_limit=5', { as })).resolves.toMatchObject({
      status: 200,
      json: { result: [] },
    });
    await expect(started.get('/api/now/table/sys_db_object?sysparm_limit=5', { as })).resolves.toMatchObject({ status: 403 });
    const choices = await started.get('/api/now/table/sys_choice?sysparm_limit=5&sysparm_fields=name,element,value,label', { as });
    expect(Object.keys(choices.json.result[0])).toEqual(['label']);
    await expect(started.get('/api/now/table/sys_choice?sysparm_query=name=cmdb_ci', { as })).resolves.toMatchObject(
      forbidden('Insufficient rights to query records', 'Field(s) present in the query do not have permission to be read'),
    );
  });

  it('servicenow.md §11: the dictionary is read with personalize_read_dictionary; it lists own columns, the parent has the rest', async () => {
    const ask = async (name: string): Promise<string[]> => {
      const answer = await started.get(`/api/now/table/sys_dictionary?sysparm_query=name=${name}^elementISNOTEMPTY&sysparm_fields=element`);
      return (answer.json.result as { element: string }[]).map(({ element }) => element);
    };
    await expect(ask('cmdb_ci_vm_object')).resolves.toContain('object_id');
    await expect(ask('cmdb_ci_cmp_resource')).resolves.not.toContain('object_id');
    await expect(ask('cmdb_ci_cmp_resource')).resolves.toContain('resource_type');
  });

  it('servicenow.md §6: own roles, inherited ones included', async () => {
    const query = 'sysparm_query=user=javascript:gs.getUserID()&sysparm_fields=role.name,inherited';
    const answer = await started.get(`/api/now/table/sys_user_has_role?${query}`);
    const roles = new Map((answer.json.result as Record<string, string>[]).map((row) => [row['role.name'], row['inherited']]));
    expect(roles.get('sn_vulc.import_admin')).toBe('false');
    expect(roles.get('sn_vulc.write')).toBe('true');
    expect(roles.get('sn_vul.vulnerability_write')).toBe('true');
    expect(roles.has('sn_vulc.admin')).toBe(false);
  });

  it('servicenow.md §6: VR.System exists, active, with sn_vul.vr_import_admin', async () => {
    const user = await started.get('/api/now/table/sys_user?sysparm_query=user_name=VR.System&sysparm_fields=active,locked_out');
    expect(user.json.result).toEqual([{ active: 'true', locked_out: 'false' }]);
    const query = 'user.user_name=VR.System^role.name=sn_vul.vr_import_admin';
    const grant = await started.get(`/api/now/table/sys_user_has_role?sysparm_query=${query}&sysparm_fields=role.name,inherited,state`);
    expect(grant.json.result).toEqual([{ 'role.name': 'sn_vul.vr_import_admin', inherited: 'false', state: 'active' }]);
  });

  it('servicenow.md §5.1: cmdb_key_value refuses a direct POST, even with itil', async () => {
    await expect(started.post('/api/now/table/cmdb_key_value', { key: 'env', value: 'prod' })).resolves.toMatchObject({ status: 403 });
  });

  it('servicenow.md §3: a direct insert into sn_vul_entry is refused, a placeholder NVD entry is allowed until an administrator forbids it', async () => {
    await expect(started.post('/api/now/table/sn_vul_entry', { id: 'CVE-1' })).resolves.toMatchObject({ status: 403 });
    await expect(started.post('/api/now/table/sn_vul_nvd_entry', { id: 'CVE-2026-0001' })).resolves.toMatchObject({ status: 201 });
    await started.admin('POST', '/servicenow/access', { table: 'sn_vul_nvd_entry', operation: 'create', roles: [] });
    await expect(started.post('/api/now/table/sn_vul_nvd_entry', { id: 'CVE-2026-0002' })).resolves.toMatchObject({ status: 403 });
  });

  it('servicenow.md §11: script fields of an integration need a role of their own and are dropped without it', async () => {
    const answer = await started.post('/api/now/table/sn_vul_integration', {
      name: 'Policies',
      script: 'gs.info(1)',
      run_type: 'on_demand',
    });
    expect(answer).toMatchObject({ status: 201, json: { result: { name: 'Policies', script: '', run_type: 'on_demand' } } });
  });

  it('servicenow.md §5.1: the CMDB is written with itil', async () => {
    await expect(started.post('/api/now/table/cmdb_ci_cmp_resource', { name: 'x' }, { as: 'defender.readonly' })).resolves.toMatchObject({
      status: 403,
    });
    await expect(started.post('/api/now/table/cmdb_ci_cmp_resource', { name: 'x' })).resolves.toMatchObject({
      status: 201,
      json: { result: { sys_class_name: 'cmdb_ci_cmp_resource' } },
    });
  });
});
