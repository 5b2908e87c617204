import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask } from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;
let early: string;

beforeAll(async () => {
  started = await startLab();
  early = await create('made before separation', 'defender.sync');
  await ask(started, 'POST', '/domains', {
    domains: [{ name: 'TOP' }, { name: 'ACME', parent: 'TOP' }, { name: 'Initech' }],
    users: { 'defender.sync': 'ACME', 'defender.readonly': 'Initech' },
  });
});

afterAll(() => started.stop());

async function create(description: string, as: string): Promise<string> {
  const answer = await started.post('/api/now/table/sn_vulc_test', { short_description: description }, { as });
  expect(answer.status).toBe(201);
  return answer.json.result.sys_id as string;
}

const seen = async (query: string, as: string, more = ''): Promise<{ total: string | undefined; rows: { sys_domain: string }[] }> => {
  const answer = await started.get(`/api/now/table/sn_vulc_test?sysparm_query=${query}&sysparm_fields=sys_id,sys_domain${more}`, { as });
  return { total: answer.headers['x-total-count'], rows: answer.json.result };
};
const domain = async (name: string): Promise<string> => {
  const { rows } = await started.admin('GET', '/servicenow/rows/domain');
  return rows.find((row) => row['name'] === name)!['sys_id']!;
};

describe('domain separation (servicenow.md §11, §5.2)', () => {
  it("records land in the user's domain; those of other domains are not there, not even counted", async () => {
    const sysId = await create('of ACME', 'defender.sync');
    const own = await seen('short_description=of ACME', 'defender.sync');
    expect(own).toEqual({ total: '1', rows: [{ sys_id: sysId, sys_domain: await domain('ACME') }] });
    await expect(seen('short_description=of ACME', 'defender.readonly')).resolves.toEqual({ total: '0', rows: [] });
    await expect(started.get(`/api/now/table/sn_vulc_test/${sysId}`, { as: 'defender.readonly' })).resolves.toMatchObject({ status: 404 });
    const stats = await started.get(
      '/api/now/stats/sn_vulc_test?sysparm_count=true&sysparm_query=short_description=of ACME'.replaceAll(' ', '%20'),
      {
        as: 'defender.readonly',
      },
    );
    expect(stats.json.result.stats.count).toBe('0');
  });

  it('what was there before is global: everybody sees it', async () => {
    for (const as of ['defender.sync', 'defender.readonly', 'admin']) {
      const { rows } = await seen(`sys_id=${early}`, as);
      expect(rows).toEqual([{ sys_id: early, sys_domain: 'global' }]);
    }
  });

  it('a user of the parent domain sees its children, one of global sees all', async () => {
    await create('for the parent', 'defender.sync');
    await ask(started, 'POST', '/domains', { users: { 'defender.readonly': 'TOP' } });
    expect((await seen('short_description=for the parent', 'defender.readonly')).total).toBe('1');
    await ask(started, 'POST', '/domains', { users: { 'defender.readonly': 'Initech' } });
    expect((await seen('short_description=for the parent', 'defender.readonly')).total).toBe('0');
    expect((await seen('short_description=for the parent', 'admin')).total).toBe('1');
  });

  it('sysparm_query_no_domain lifts it for administrators only', async () => {
    await create('asked across domains', 'defender.sync');
    const query = 'short_description=asked across domains';
    await ask(started, 'POST', '/domains', { users: { admin: 'Initech' } });
    expect((await seen(query, 'admin')).total).toBe('0');
    expect((await seen(query, 'admin', '&sysparm_query_no_domain=true')).total).toBe('1');
    expect((await seen(query, 'defender.readonly', '&sysparm_query_no_domain=true')).total).toBe('0');
    await ask(started, 'POST', '/domains', { users: { admin: 'global' } });
  });

  it('IRE identifies and creates within the domain', async () => {
    const item = {
      className: 'cmdb_ci_cloud_service_account',
      values: { object_id: 'sub-1', account_id: 'sub-1', datacenter_type: 'cmdb_ci_azure_datacenter' },
    };
    const made = await started.ire({ items: [item] });
    expect(made.json.result.items[0]).toMatchObject({ operation: 'INSERT' });
    const sysId = made.json.result.items[0].sysId as string;
    expect(started.lab.store.find('cmdb', sysId)?.values['sys_domain']).toBe(await domain('ACME'));
    await expect(started.get(`/api/now/table/cmdb_ci/${sysId}`, { as: 'defender.readonly' })).resolves.toMatchObject({ status: 404 });
  });

  it('the dictionary shows the column, and clients cannot set it', async () => {
    const column = await started.get(
      '/api/now/table/sys_dictionary?sysparm_query=name=sn_vulc_test^element=sys_domain&sysparm_fields=internal_type',
    );
    expect(column.json.result).toHaveLength(1);
    const answer = await started.post('/api/now/table/sn_vulc_test', { sys_domain: await domain('Initech') });
    expect(answer.json.result.sys_domain).toBe(await domain('ACME'));
  });
});
