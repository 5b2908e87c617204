import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

async function create(table: string, values: Record<string, string>): Promise<Record<string, string>> {
  const answer = await started.post(`/api/now/table/${table}?sysparm_exclude_reference_link=true`, values);
  expect(answer.status).toBe(201);
  return answer.json.result as Record<string, string>;
}

describe('platform logic on writes', () => {
  it('servicenow.md §2, §11: passed is Closed / Fixed, failed is Open and reopens', async () => {
    const result = await create('sn_vulc_result', { result: 'failed' });
    expect(result).toMatchObject({ state: '1', substate: '', active: 'true', number: expect.stringMatching(/^CTR\d{7}$/) });
    const path = `/api/now/table/sn_vulc_result/${String(result['sys_id'])}`;
    const passed = await started.patch(path, { result: 'passed', last_pass: '2026-11-22 10:00:00' });
    expect(passed.json.result).toMatchObject({ state: '3', substate: '4', active: 'false' });
    const failed = await started.patch(path, { result: 'failed' });
    expect(failed.json.result).toMatchObject({ state: '1', substate: '', active: 'true', reopened: 'true' });
  });

  it('a failure leaves Deferred alone', async () => {
    const { sys_id: sysId } = await create('sn_vulc_result', { result: 'error' });
    const path = `/api/now/table/sn_vulc_result/${String(sysId)}`;
    await started.patch(path, { state: '12' });
    const failed = await started.patch(path, { result: 'failed' });
    expect(failed.json.result.state).toBe('12');
  });

  it('servicenow.md §3: a container vulnerable item starts Open', async () => {
    await expect(create('sn_vul_container_image_vulnerable_item', {})).resolves.toMatchObject({ state: '1' });
  });

  it('numbers count up per table: VINTRUN', async () => {
    const first = await create('sn_vul_integration_run', { state: 'complete', substate: 'success' });
    const second = await create('sn_vul_integration_run', {});
    expect(first['number']).toMatch(/^VINTRUN\d{7}$/);
    expect(Number(second['number']?.slice(7))).toBe(Number(first['number']?.slice(7)) + 1);
  });
});

describe('what a fresh instance has', () => {
  it('servicenow.md §1.5: the three look-up rules, by order', async () => {
    const answer = await started.get(
      '/api/now/table/sn_sec_cmn_ci_lookup_rule?sysparm_query=active=true^ORDERBYorder&sysparm_fields=name,target_field,source.name',
    );
    expect(answer.json.result).toEqual(
      ['Resource Id', 'Name', 'S3 Bucket'].map((name) => ({
        name,
        target_field: 'object_id',
        'source.name': 'Microsoft Defender for Cloud',
      })),
    );
  });

  it('servicenow.md §5.1: the deployed identification rules can be read', async () => {
    const query = 'identifier.applies_to=cmdb_ci_cmp_resource&sysparm_fields=attributes,identifier.independent';
    const answer = await started.get(`/api/now/table/cmdb_identifier_entry?sysparm_query=${query}`);
    expect(answer.json.result).toEqual([{ attributes: 'object_id', 'identifier.independent': 'false' }]);
    const hosting = await started.get(
      '/api/now/table/cmdb_metadata_hosting?sysparm_query=parent_type=cmdb_ci_cmp_resource&sysparm_fields=child_type,rel_type.name,is_reverse',
    );
    expect(hosting.json.result).toEqual([
      { child_type: 'cmdb_ci_logical_datacenter', 'rel_type.name': 'Hosted on::Hosts', is_reverse: 'false' },
      { child_type: 'cmdb_ci_cloud_service_account', 'rel_type.name': 'Hosted on::Hosts', is_reverse: 'false' },
    ]);
  });

  it('servicenow.md §3: NVD entries are seen through sn_vul_entry, with the columns of the parent alone', async () => {
    const answer = await started.get('/api/now/table/sn_vul_entry?sysparm_query=id=CVE-2021-44228');
    expect(answer.json.result).toMatchObject([{ id: 'CVE-2021-44228', sys_class_name: 'sn_vul_nvd_entry' }]);
    expect(answer.json.result[0]).not.toHaveProperty('epss_score');
  });

  it('dictionary: m2m columns are found by what they refer to; container columns come in one dialect', async () => {
    const query = 'name=sn_vulc_policy_test^internal_type=reference&sysparm_fields=element,reference&sysparm_exclude_reference_link=true';
    const columns = await started.get(`/api/now/table/sys_dictionary?sysparm_query=${query}`);
    expect(columns.json.result).toEqual([
      { element: 'policy', reference: 'sn_vulc_policy' },
      { element: 'test', reference: 'sn_vulc_test' },
    ]);
    const dialect = async (lab: StartedLab): Promise<string[]> => {
      const answer = await lab.get(
        '/api/now/table/sys_dictionary?sysparm_query=name=sn_vul_container_image^elementLIKErepo&sysparm_fields=element',
      );
      return (answer.json.result as { element: string }[]).map(({ element }) => element);
    };
    await expect(dialect(started)).resolves.toEqual(['repository_entry', 'repository']);
    const plural = await startLab({ containerDialect: 'plural' });
    await expect(dialect(plural)).resolves.toEqual(['repository_entry', 'repo']);
    await plural.stop();
  });
});

describe('Aggregate and attachments (servicenow.md §5.6)', () => {
  it('stats/count_only.json and stats/group_by_avg_fields.json', async () => {
    for (const [result, score] of [
      ['failed', '10'],
      ['failed', '20'],
      ['passed', '6'],
    ]) {
      await create('sn_vulc_result', { result: result ?? '', risk_score: score ?? '', source: 'stats' });
    }
    const base = '/api/now/stats/sn_vulc_result?sysparm_query=source=stats';
    const count = await started.get(`${base}&sysparm_count=true`);
    expect(count.json).toEqual({ result: { stats: { count: '3' } } });
    const grouped = await started.get(
      `${base}&sysparm_count=true&sysparm_group_by=result&sysparm_avg_fields=risk_score&sysparm_max_fields=risk_score`,
    );
    expect(grouped.json.result).toEqual([
      {
        stats: { count: '2', avg: { risk_score: '15.0000' }, max: { risk_score: '20' } },
        groupby_fields: [{ value: 'failed', field: 'result' }],
      },
      {
        stats: { count: '1', avg: { risk_score: '6.0000' }, max: { risk_score: '6' } },
        groupby_fields: [{ value: 'passed', field: 'result' }],
      },
    ]);
    const none = await started.get('/api/now/stats/sn_vulc_result?sysparm_query=source=nobody&sysparm_count=true');
    expect(none.json).toEqual({ result: { stats: { count: '0' } } });
  });

  it('attachment/get_list_one_row.json: metadata with a download link', async () => {
    const owner = 'd'.repeat(32);
    await started.admin('POST', '/servicenow/rows/sys_attachment', {
      file_name: 'page.json',
      table_name: 'sys_data_source',
      table_sys_id: owner,
    });
    const answer = await started.get(`/api/now/attachment?sysparm_query=table_name=sys_data_source^table_sys_id=${owner}`);
    expect(answer.headers['x-total-count']).toBe('1');
    expect(answer.json.result).toMatchObject([{ file_name: 'page.json', table_sys_id: owner }]);
    expect(answer.json.result[0].download_link).toMatch(/\/api\/now\/attachment\/[0-9a-f]{32}\/file$/);
  });
});

describe('admin API', () => {
  it('the summary proves that nothing was touched, and tells what was', async () => {
    const before = (await started.admin('GET', '/servicenow/summary')).tables;
    await started.get('/api/now/table/sn_vulc_test');
    expect((await started.admin('GET', '/servicenow/summary')).tables).toEqual(before);
    const { sys_id: sysId } = await create('sn_vulc_test', { source: 'summary' });
    const created = (await started.admin('GET', '/servicenow/summary')).tables['sn_vulc_test']!;
    await started.patch(`/api/now/table/sn_vulc_test/${String(sysId)}`, { source: 'summary' });
    const same = (await started.admin('GET', '/servicenow/summary')).tables['sn_vulc_test']!;
    expect(same).toEqual({ ...created, writes: created.writes + 1 });
    await started.patch(`/api/now/table/sn_vulc_test/${String(sysId)}`, { source: 'other' });
    const changed = (await started.admin('GET', '/servicenow/summary')).tables['sn_vulc_test']!;
    expect(changed.modCountSum).toBe(created.modCountSum + 1);
    expect(changed.digest).not.toBe(created.digest);
  });

  it('rows are raw; an unknown table or column is an error of the admin API', async () => {
    const { rows } = await started.admin('GET', '/servicenow/rows/sn_vul_nvd_entry');
    expect(rows.map((row) => row['id'])).toContain('CVE-2024-3094');
    await expect(started.admin('GET', '/servicenow/rows/nothing')).rejects.toThrow('404');
    await expect(started.admin('POST', '/servicenow/rows/sn_vulc_test', { nope: 1 })).rejects.toThrow(
      'sn_vulc_test has no column \\"nope\\"',
    );
  });

  it('faults of the whole request: 429 with a header, and a connection cut after the work', async () => {
    await started.admin('POST', '/servicenow/faults', [
      {
        match: { pathPrefix: '/api/now/table/sn_vulc_auth_src', method: 'GET' },
        action: { status: 429, headers: { 'retry-after': '3' } },
        times: 1,
      },
      { match: { pathPrefix: '/api/now/table/sn_vulc_auth_src', method: 'POST' }, action: { dropConnection: 'after' }, times: 1 },
    ]);
    const limited = await started.get('/api/now/table/sn_vulc_auth_src');
    expect([limited.status, limited.headers['retry-after']]).toEqual([429, '3']);
    await expect(started.post('/api/now/table/sn_vulc_auth_src', { source: 'cut' })).rejects.toThrow(/hang up|ECONNRESET/);
    const list = await started.get('/api/now/table/sn_vulc_auth_src?sysparm_query=source=cut&sysparm_fields=source');
    expect(list.json.result).toEqual([{ source: 'cut' }]);
    await started.admin('DELETE', '/servicenow/faults');
  });
});

describe('pages', () => {
  it('need no sign-in, list tables with counts, and escape what records say', async () => {
    const { sys_id: sysId } = await create('sn_vulc_test', { short_description: '<script>alert("x")</script>' });
    const index = await started.get('/lab/', { as: null });
    expect(index.status).toBe(200);
    expect(index.text).toContain('href="/lab/table/sn_vulc_test"');
    for (const path of [
      '/lab/table/sn_vulc_test',
      `/lab/table/sn_vulc_test/${String(sysId)}`,
      '/lab/table/sn_vulc_test?search=%22%3E%3Cscript',
    ]) {
      const page = await started.get(path, { as: null });
      expect(page.status).toBe(200);
      expect(page.text).not.toContain('<script');
    }
    const page = await started.get('/lab/table/sn_vulc_test?search=ALERT', { as: null });
    expect(page.text).toContain('&lt;script&gt;');
    await expect(started.get('/lab/table/nothing', { as: null })).resolves.toMatchObject({ status: 404 });
    await expect(started.get('/lab/other', { as: null })).resolves.toMatchObject({ status: 404 });
  });

  it('show references by what they stand for, and page', async () => {
    const policy = await create('sn_vulc_policy', { short_description: 'Shown policy' });
    for (let index = 0; index < 60; index += 1) await create('sn_vulc_policy_test', { policy: String(policy['sys_id']) });
    const first = await started.get('/lab/table/sn_vulc_policy_test', { as: null });
    expect(first.text).toContain('Shown policy');
    expect(first.text).toContain('Page 1 of 2');
    await expect(started.get('/lab/table/sn_vulc_policy_test?page=2', { as: null })).resolves.toMatchObject({ status: 200 });
  });
});

describe('persistence', () => {
  it('a restarted lab continues: rows, versions, numbers, credentials; deleted rows stay deleted', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'lab-persist-'));
    try {
      const first = await startLab({ dir, persist: true });
      const run = (await first.post('/api/now/table/sn_vul_integration_run', { state: 'running' })).json.result;
      await first.patch(`/api/now/table/sn_vul_integration_run/${String(run.sys_id)}`, { state: 'complete' });
      const doomed = (await first.post('/api/now/table/sn_vulc_test', {})).json.result.sys_id as string;
      await first.call(`/api/now/table/sn_vulc_test/${doomed}`, { method: 'DELETE', as: 'admin' });
      const datacenter = (await first.post('/api/now/table/cmdb_ci_logical_datacenter', { object_id: 'eastus' })).json.result
        .sys_id as string;
      const datacenterRow = first.lab.store.find('cmdb', datacenter)!;
      first.lab.store.reclassify(datacenterRow, 'cmdb_ci_azure_datacenter', 'test');
      first.lab.store.delete(datacenterRow);
      const before = first.lab.summary()['sn_vul_integration_run'];
      const users = first.lab.users;
      await first.stop();
      expect((await stat(join(dir, 'servicenow', 'credentials.json'))).mode & 0o777).toBe(0o600);

      const second = await startLab({ dir, persist: true });
      expect(second.lab.users).toEqual(users);
      expect(second.lab.summary()['sn_vul_integration_run']).toEqual({ ...before, writes: 0 });
      await expect(second.get(`/api/now/table/sn_vulc_test/${doomed}`)).resolves.toMatchObject({ status: 404 });
      expect(second.lab.store.find('cmdb', datacenter)).toBeUndefined();
      const next = (await second.post('/api/now/table/sn_vul_integration_run', {})).json.result;
      expect(next.number > run.number).toBe(true);
      await second.stop();
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
