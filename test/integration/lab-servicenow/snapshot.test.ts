import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rm } from 'node:fs/promises';
import { request } from 'node:https';
import { ask, bearer, clientOf, rowOf, token } from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';
import { loadOrCreateAuthority } from '../../../lab/kit/tls.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab({ persist: true });
});

afterAll(async () => {
  await started.stop();
  await rm(started.dir, { recursive: true, force: true });
});

const asClient = { grant_type: 'client_credentials' };
const create = async (table: string, values: Record<string, string>): Promise<Record<string, string>> =>
  (await started.post(`/api/now/table/${table}?sysparm_exclude_reference_link=true`, values)).json.result as Record<string, string>;

describe('snapshot and restore: an instance that is older than its clients remember', () => {
  it('records, versions, deleted rows, numbers and tokens are those of the snapshot', async () => {
    const kept = await create('sn_vul_integration_run', { state: 'running' });
    const doomed = await create('sn_vulc_test', { short_description: 'deleted later' });
    await started.post('/api/now/table/cmdb_ci_logical_datacenter', { object_id: 'eastus' });
    const [datacenter] = started.lab.store.equal('cmdb_ci', 'object_id', ['eastus']);
    const before = await token(started, { ...asClient, ...clientOf(started, 'defender.readonly') });
    const taken = await ask(started, 'POST', '/snapshot', { name: 'last night' });
    const summary = started.lab.summary();

    await started.patch(`/api/now/table/sn_vul_integration_run/${kept['sys_id']!}`, { state: 'complete' });
    await started.call(`/api/now/table/sn_vulc_test/${doomed['sys_id']!}`, { method: 'DELETE', as: 'admin' });
    started.lab.store.reclassify(datacenter!, 'cmdb_ci_azure_datacenter', 'test');
    const later = await create('sn_vul_integration_run', { state: 'running' });
    const after = await token(started, { ...asClient, ...clientOf(started, 'defender.sync') });

    await expect(ask(started, 'POST', '/restore', { name: 'last night' })).resolves.toEqual(taken);
    const contents = (tables: typeof summary): unknown[] =>
      Object.entries(tables)
        .filter(([, { rows }]) => rows > 0)
        .map(([name, { rows, digest }]) => [name, rows, digest])
        .sort();
    expect(contents(started.lab.summary())).toEqual(contents(summary));
    const run = await started.get(`/api/now/table/sn_vul_integration_run/${kept['sys_id']!}`);
    expect(run.json.result).toMatchObject({ state: 'running', sys_mod_count: '0' });
    await expect(started.get(`/api/now/table/sn_vulc_test/${doomed['sys_id']!}`)).resolves.toMatchObject({ status: 200 });
    await expect(started.get(`/api/now/table/sn_vul_integration_run/${later['sys_id']!}`)).resolves.toMatchObject({ status: 404 });
    // The number given out since the snapshot is given out again.
    expect((await create('sn_vul_integration_run', {}))['number']).toBe(later['number']);
    const path = '/api/now/table/sn_vulc_test?sysparm_limit=1';
    await expect(started.get(path, bearer(before))).resolves.toMatchObject({ status: 200 });
    await expect(started.get(path, bearer(after))).resolves.toMatchObject({ status: 401 });
  });

  it('a restored instance stays restored over a restart', async () => {
    await ask(started, 'POST', '/snapshot', { name: 'clean' });
    const gone = await create('sn_vulc_test', { short_description: 'after the snapshot' });
    await ask(started, 'POST', '/restore', { name: 'clean' });
    await started.stop();
    started = await startLab({ persist: true, dir: started.dir });
    await expect(started.get(`/api/now/table/sn_vulc_test/${gone['sys_id']!}`)).resolves.toMatchObject({ status: 404 });
  });

  it('says which snapshots there are', async () => {
    await ask(started, 'POST', '/snapshot', { name: 'listed' });
    expect((await ask(started, 'GET', '/snapshots')).snapshots).toContainEqual({
      name: 'listed',
      takenAt: expect.stringMatching(/Z$/),
      rows: expect.any(Number),
    });
    await expect(ask(started, 'POST', '/restore', { name: 'never taken' })).rejects.toThrow('404');
  });
});

describe('clone: the same data, another instance', () => {
  it('another URL, instance id and name, other OAuth clients, the same users; what changes there stays there', async () => {
    const shared = await create('sn_vulc_test', { short_description: 'in both' });
    const clone = await ask(started, 'POST', '/clone', { name: 'labdev' });
    expect(clone.url).not.toBe(started.lab.url);
    expect(clone.instanceId).not.toBe(started.lab.instanceId);
    const { caPem } = await loadOrCreateAuthority(started.dir);
    const { password } = started.lab.users.find(({ userName }) => userName === 'defender.sync')!;
    const authorization = `Basic ${Buffer.from(`defender.sync:${password}`).toString('base64')}`;
    const call = (method: string, path: string, body = ''): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { authorization, accept: 'application/json', 'content-type': 'application/json' };
        const outgoing = request(`${String(clone.url)}${path}`, { method, ca: caPem, agent: false, headers }, (incoming) => {
          incoming.resume();
          incoming.on('end', () => resolve(incoming.statusCode ?? 0));
        });
        outgoing.on('error', reject);
        outgoing.end(body);
      });
    await expect(call('GET', `/api/now/table/sn_vulc_test/${shared['sys_id']!}`)).resolves.toBe(200);
    await expect(call('POST', '/api/now/table/sn_vulc_auth_src', '{"source":"clone"}')).resolves.toBe(201);
    expect(started.lab.store.equal('sn_vulc_auth_src', 'source', ['clone'])).toEqual([]);

    const rows = async (adminUrl: string, table: string): Promise<Record<string, string>[]> =>
      ((await (await fetch(`${adminUrl}/servicenow/rows/${table}`)).json()) as { rows: Record<string, string>[] }).rows;
    const properties = await rows(String(clone.admin.url), 'sys_properties');
    const property = (name: string): string | undefined => properties.find((row) => row['name'] === name)?.['value'];
    expect(property('instance_name')).toBe('labdev');
    expect(property('instance_id')).toBe(clone.instanceId);
    expect(property('glide.servlet.uri')).toBe(`${String(clone.url)}/`);
    expect((await rowOf(started, 'sys_properties', 'name', 'instance_id'))['value']).toBe(started.lab.instanceId);
    const ids = (list: { clientId: string }[]): string[] => list.map(({ clientId }) => clientId);
    expect(ids(clone.oauthClients)).not.toEqual(ids(started.lab.oauthClients));
    expect((await rows(String(clone.admin.url), 'oauth_entity')).map((row) => row['client_id'])).toEqual(
      expect.arrayContaining(ids(clone.oauthClients)),
    );
    await expect(ask(started, 'POST', '/clone', { name: 'labdev' })).rejects.toThrow('409');
    await ask(started, 'DELETE', '/clones/labdev');
    await expect(call('GET', '/api/now/table/sn_vulc_test')).rejects.toThrow('ECONNREFUSED');
  });
});
