import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { add, ask, rowOf, type AdminAnswer } from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;
let installed: { instance: string; integrations: { integration: string; name: string; dataSource: string }[] };

const ASSESSMENTS = 'Microsoft Defender for Cloud Assessment Integration';

beforeAll(async () => {
  started = await startLab();
  installed = await ask(started, 'POST', '/play/plugin/install', {});
});

afterAll(() => started.stop());

const play = (body: object): Promise<AdminAnswer> => ask(started, 'POST', '/play/plugin/run', { integration: ASSESSMENTS, ...body });
const page = (sourceId: string, values: Record<string, string>): object => ({
  records: [{ table: 'sn_vulc_test', values: { source_id: sourceId, ...values } }],
});

async function attachments(): Promise<number> {
  const { dataSource } = installed.integrations.find(({ name }) => name === ASSESSMENTS)!;
  const answer = await started.get(`/api/now/table/sys_attachment?sysparm_query=table_name=sys_data_source^table_sys_id=${dataSource}`);
  return (answer.json.result as unknown[]).length;
}

async function runAs(userName: string): Promise<void> {
  const user = await rowOf(started, 'sys_user', 'user_name', userName);
  const { integration } = installed.integrations.find(({ name }) => name === ASSESSMENTS)!;
  const body = { table: 'sn_vul_integration', sys_id: integration, values: { run_as: user['sys_id'] } };
  await ask(started, 'POST', '/play/administrator/edit', body);
}

/** Rows of a table by an encoded query, as the integration user reads them. */
async function rowsOf(table: string, query: string, fields: string): Promise<Record<string, string>[]> {
  const path = `/api/now/table/${table}?sysparm_query=${query}&sysparm_fields=${fields}&sysparm_exclude_reference_link=true`;
  return (await started.get(path)).json.result as Record<string, string>[];
}

describe('the original plugin (servicenow.md §1.3, §6)', () => {
  it('servicenow.md §6, §7: a run-as user without the import role cannot attach: the run fails with the reason in its notes', async () => {
    await add(started, 'sys_user', { user_name: 'stranger', active: 'true' });
    await runAs('stranger');
    const done = await play({ pages: [page('never', {})] });
    expect(done).toMatchObject({ transformed: 0, left: 0 });
    const [run] = await rowsOf('sn_vul_integration_run', `sys_id=${String(done.run.sys_id)}`, 'state,substate,notes');
    expect(run).toEqual({ state: 'complete', substate: 'failed', notes: 'Error writing attachment' });
    await expect(attachments()).resolves.toBe(0);
    await runAs('VR.System');
  });

  it('servicenow.md §6: attachments that an IP restriction hides are not removed, even by VR.System', async () => {
    await ask(started, 'POST', '/attachments/hidden', { tables: ['sys_data_source'] });
    await expect(play({ pages: [page('hidden', {})] })).resolves.toMatchObject({ transformed: 1, left: 1 });
    await expect(play({ pages: [page('hidden', {})] })).resolves.toMatchObject({ transformed: 2, left: 2 });
    await ask(started, 'POST', '/attachments/hidden', { tables: [] });
    await expect(play({})).resolves.toMatchObject({ transformed: 3, left: 0 });
  });

  it('servicenow.md §1.7: each page is an entry of the import queue; a run in progress has attached and not yet transformed', async () => {
    const done = await play({ pages: [page('q1', {}), page('q2', {})], until: 'attached' });
    expect(done).toMatchObject({ transformed: 0, left: 2, run: { state: 'running' } });
    const queue = (): Promise<Record<string, string>[]> =>
      rowsOf('sn_vul_ds_import_q_entry', `integration_run=${String(done.run.sys_id)}`, 'state');
    await expect(queue()).resolves.toEqual([{ state: 'queued' }, { state: 'queued' }]);
    const next = await play({ pages: [page('q3', {})] });
    expect(next).toMatchObject({ transformed: 3, left: 0 });
    const entries = await rowsOf('sn_vul_ds_import_q_entry', `integration_run=${String(next.run.sys_id)}`, 'state,last_record_processed');
    expect(entries).toEqual([{ state: 'complete', last_record_processed: expect.stringMatching(/^\d{4}-/) }]);
  });

  it('its records: an instance, six integrations that run as VR.System, a data source for each', async () => {
    const query = 'sysparm_query=nameLIKEDefender&sysparm_fields=name,active,run_as.user_name,run_type,instance.active';
    const { json } = await started.get(`/api/now/table/sn_vul_integration?${query}`);
    expect(json.result).toHaveLength(6);
    for (const row of json.result)
      expect(row).toMatchObject({ active: 'true', 'run_as.user_name': 'VR.System', 'instance.active': 'true' });
    const sources = await started.get('/api/now/table/sys_data_source?sysparm_query=nameLIKEDefender&sysparm_fields=name');
    expect(sources.json.result).toHaveLength(6);
  });

  it('a run as VR.System leaves its run record and processes, and no attachment', async () => {
    const done = await play({ pages: [page('p1', { short_description: 'one' }), page('p2', { short_description: 'two' })] });
    expect(done).toMatchObject({ transformed: 2, inserted: 2, updated: 0, left: 0 });
    const run = await started.get(`/api/now/table/sn_vul_integration_run/${String(done.run.sys_id)}`);
    expect(run.json.result).toMatchObject({
      state: 'complete',
      substate: 'success',
      number: expect.stringMatching(/^VINTRUN/),
      vi_created: '2',
    });
    const processes = await started.get(
      `/api/now/table/sn_vul_integration_process?sysparm_query=integration_run=${String(done.run.sys_id)}`,
    );
    expect(processes.json.result).toHaveLength(2);
    await expect(attachments()).resolves.toBe(0);
  });

  it('another run-as user leaves the attachments, and every later run transforms them once more', async () => {
    await add(started, 'sys_user', { user_name: 'helper', active: 'true' });
    await ask(started, 'POST', '/play/administrator/grant-role', { user: 'helper', role: 'import_admin' });
    await runAs('helper');
    await expect(play({ pages: [page('old', { short_description: 'as it was' })] })).resolves.toMatchObject({ transformed: 1, left: 1 });
    const test = await rowOf(started, 'sn_vulc_test', 'source_id', 'old');
    await started.patch(`/api/now/table/sn_vulc_test/${test['sys_id']!}`, { short_description: 'as it is now' });
    await expect(play({ pages: [page('new', {})] })).resolves.toMatchObject({ transformed: 2, inserted: 1, updated: 1, left: 2 });
    const overwritten = await rowOf(started, 'sn_vulc_test', 'source_id', 'old');
    expect(overwritten['short_description']).toBe('as it was');
    await expect(attachments()).resolves.toBe(2);

    await runAs('VR.System');
    await expect(play({ pages: [page('newer', {})] })).resolves.toMatchObject({ transformed: 3, left: 0 });
    await expect(attachments()).resolves.toBe(0);
  });

  it('sn_sec_int_impl.active is the off switch', async () => {
    const off = { table: 'sn_sec_int_impl', sys_id: installed.instance, values: { active: 'false' } };
    await ask(started, 'POST', '/play/administrator/edit', off);
    await expect(play({})).rejects.toThrow('409');
    await ask(started, 'POST', '/play/administrator/edit', { ...off, values: { active: 'true' } });
    await expect(play({})).resolves.toMatchObject({ transformed: 1 });
  });

  it("servicenow.md §1.2: what its form asks for is kept as the instance's parameters, under the form's labels", async () => {
    const subscriptions = ['11111111-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000002'];
    const other = await ask(started, 'POST', '/play/plugin/install', {
      name: 'elsewhere',
      active: false,
      tenantId: '99999999-0000-4000-8000-000000000000',
      importFrom: 'Specific Subscriptions',
      subscriptions,
    });
    const rows = await rowsOf('sn_sec_int_impl_config', `implementation=${other.instance as string}`, 'configuration.label,value');
    expect(Object.fromEntries(rows.map((row) => [row['configuration.label'], row['value']]))).toEqual({
      'API URL': '',
      'Tenant ID': '99999999-0000-4000-8000-000000000000',
      'Import Findings from': 'Specific Subscriptions',
      'Management Group IDs': '',
      'Subscription IDs': subscriptions.join(','),
    });
  });
});
