import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { add, ask, bearer, change, clientOf, denied, register, rowOf, setProperty, token } from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const TESTS = '/api/now/table/sn_vulc_test?sysparm_limit=1';
const asClient = { grant_type: 'client_credentials' };
const syncUser = async (): Promise<string> => (await rowOf(started, 'sys_user', 'user_name', 'defender.sync'))['sys_id']!;

describe('OAuth clients are records (servicenow.md §5.7)', () => {
  it('a new record gets an id and a secret, and signs in as its OAuth Application User', async () => {
    const { client } = await register(started, { name: 'another', user: await syncUser() });
    expect(client.client_id).toMatch(/^[0-9a-f]{32}$/);
    const answer = await token(started, { ...asClient, ...client });
    expect(answer).toMatchObject({ status: 200, json: { scope: 'useraccount' } });
    const created = await started.post('/api/now/table/sn_vulc_test', {}, bearer(answer));
    expect(created.json.result.sys_created_by).toBe('defender.sync');
  });

  it('client credentials need the application user and the property', async () => {
    const { client } = await register(started, { name: 'no user' });
    await expect(token(started, { ...asClient, ...client })).resolves.toMatchObject(denied);
    const property = 'glide.oauth.inbound.client.credential.grant_type.enabled';
    await setProperty(started, property, 'false');
    await expect(token(started, { ...asClient, ...clientOf(started, 'defender.sync') })).resolves.toMatchObject(denied);
    await setProperty(started, property, 'true');
    await expect(token(started, { ...asClient, ...clientOf(started, 'defender.sync') })).resolves.toMatchObject({ status: 200 });
  });

  it('each client has its own lifetimes', async () => {
    const { client } = await register(started, { name: 'short', user: await syncUser(), access_token_lifespan: '60' });
    const answer = await token(started, { ...asClient, ...client });
    expect(answer.json.expires_in).toBe(59);
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 200 });
    started.clock.advance(61_000);
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 401 });
  });

  it('a deactivated client gets no token, and those it has end', async () => {
    const { row, client } = await register(started, { name: 'leaving', user: await syncUser() });
    const answer = await token(started, { ...asClient, ...client });
    await change(started, 'oauth_entity', row['sys_id']!, { active: 'false' });
    await expect(token(started, { ...asClient, ...client })).resolves.toMatchObject(denied);
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 401 });
  });

  it('a changed secret holds at once', async () => {
    const { row, client } = await register(started, { name: 'rotated', user: await syncUser() });
    await change(started, 'oauth_entity', row['sys_id']!, { client_secret: 'rotated-secret' });
    await expect(token(started, { ...asClient, ...client })).resolves.toMatchObject(denied);
    await expect(token(started, { ...asClient, ...client, client_secret: 'rotated-secret' })).resolves.toMatchObject({ status: 200 });
  });

  it.each([
    ['client_credential', 'password'],
    ['ropc', 'client_credentials'],
  ])('a client for %s refuses the grant %s', async (inboundGrant, grant) => {
    const { client } = await register(started, { name: inboundGrant, user: await syncUser(), inbound_grant_type: inboundGrant });
    const { password } = started.lab.users.find(({ userName }) => userName === 'defender.sync')!;
    const form = { grant_type: grant, ...client, username: 'defender.sync', password };
    await expect(token(started, form)).resolves.toMatchObject(denied);
  });

  it('a scope that the client does not have is refused', async () => {
    const client = clientOf(started, 'defender.sync');
    await expect(token(started, { ...asClient, ...client, scope: 'useraccount' })).resolves.toMatchObject({ status: 200 });
    await expect(token(started, { ...asClient, ...client, scope: 'useraccount other' })).resolves.toMatchObject(denied);
  });

  it('secrets are readable by nobody, over REST or on the pages', async () => {
    const answer = await started.get('/api/now/table/oauth_entity?sysparm_fields=client_id,client_secret&sysparm_limit=1', { as: 'admin' });
    expect(Object.keys(answer.json.result[0])).toEqual(['client_id']);
    const other = await started.get('/api/now/table/oauth_entity', { as: 'defender.readonly' });
    expect(other.json.result).toEqual([]);
    const { client_secret: secret } = clientOf(started, 'defender.sync');
    const row = await rowOf(started, 'oauth_entity', 'client_secret', secret);
    for (const path of ['/lab/table/oauth_entity', `/lab/table/oauth_entity/${row['sys_id']!}`]) {
      const page = await started.get(path, { as: null });
      expect(page.status).toBe(200);
      expect(page.text).not.toContain(secret);
    }
    const search = await started.get(`/lab/table/oauth_entity?search=${secret}`, { as: null });
    expect(search.text).toContain('0 records with');
    const guess = `/api/now/table/oauth_entity?sysparm_query=client_secretSTARTSWITH${secret.slice(0, 2)}`;
    await expect(started.get(guess, { as: 'admin' })).resolves.toMatchObject({ status: 403 });
  });
});

describe('tokens end (servicenow.md §5.7)', () => {
  it.each([
    ['locked_out', 'true', 'false'],
    ['active', 'false', 'true'],
    ['password_needs_reset', 'true', 'false'],
  ])('a user with %s = %s: no token, and the present one is refused', async (column, bad, good) => {
    const user = await add(started, 'sys_user', { user_name: `user.${column}`, active: 'true' });
    const { client } = await register(started, { name: column, user: user['sys_id']! });
    const answer = await token(started, { ...asClient, ...client });
    expect(answer.status).toBe(200);
    await change(started, 'sys_user', user['sys_id']!, { [column]: bad });
    await expect(token(started, { ...asClient, ...client })).resolves.toMatchObject(denied);
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 401 });
    await change(started, 'sys_user', user['sys_id']!, { [column]: good });
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 200 });
  });

  it('a refresh token outlives its access token, keeps its own end, and belongs to its client', async () => {
    const { password } = started.lab.users.find(({ userName }) => userName === 'defender.readonly')!;
    const client = clientOf(started, 'defender.readonly');
    const first = await token(started, { grant_type: 'password', ...client, username: 'defender.readonly', password });
    const refresh = { grant_type: 'refresh_token', refresh_token: first.json.refresh_token as string };
    await expect(token(started, { ...refresh, ...clientOf(started, 'defender.sync') })).resolves.toMatchObject(denied);
    started.clock.advance(99 * 86_400_000);
    const second = await token(started, { ...refresh, ...client });
    expect(second.json).toMatchObject({ refresh_token: first.json.refresh_token });
    expect(second.json.access_token).not.toBe(first.json.access_token);
    started.clock.advance(2 * 86_400_000);
    await expect(token(started, { ...refresh, ...client })).resolves.toMatchObject(denied);
  });

  it('t_RevokeOAuthToken: /oauth_revoke_token.do needs no sign-in', async () => {
    const client = clientOf(started, 'defender.sync');
    const answer = await token(started, { ...asClient, ...client });
    const revoked = await started.get(`/oauth_revoke_token.do?token=${String(answer.json.access_token)}`, { as: null });
    expect(revoked.status).toBe(200);
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 401 });
    const next = await token(started, { ...asClient, ...client });
    expect(next.json.access_token).not.toBe(answer.json.access_token);
  });

  it('an administrator revokes the tokens of a user or of a client', async () => {
    const answer = await token(started, { ...asClient, ...clientOf(started, 'defender.sync') });
    const other = await token(started, { ...asClient, ...clientOf(started, 'defender.readonly') });
    await expect(ask(started, 'POST', '/tokens/revoke', { userName: 'defender.sync' })).resolves.toMatchObject({
      revoked: expect.any(Number),
    });
    await expect(started.get(TESTS, bearer(answer))).resolves.toMatchObject({ status: 401 });
    await expect(started.get(TESTS, bearer(other))).resolves.toMatchObject({ status: 200 });
    const { client_id: clientId } = clientOf(started, 'defender.readonly');
    await expect(ask(started, 'POST', '/tokens/revoke', { clientId })).resolves.toEqual({ revoked: expect.any(Number) });
    await expect(started.get(TESTS, bearer(other))).resolves.toMatchObject({ status: 401 });
  });
});
