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

describe('the original plugin (servicenow.md §1.3, §6)', () => {
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
    await ask(started, 'POST', '/play/administrator/grant-role', { user: 'helper', role: 'sn_vulc.write' });
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
});
