import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, type AdminAnswer } from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const play = (what: string, body: object): Promise<AdminAnswer> => ask(started, 'POST', `/play/administrator/${what}`, body);
const defined = async (query: string): Promise<number> => {
  const { json } = await started.get(`/api/now/table/sys_dictionary?sysparm_query=${query}&sysparm_fields=sys_id`);
  return json.result.length as number;
};

describe('an instance that lacks something (servicenow.md §9: probe, do not assume)', () => {
  it('a table that was dropped is unknown to every account (errors/400_invalid_table.json), and so is what extended it', async () => {
    await play('drop', { table: 'sn_vulc_citation' });
    for (const as of ['defender.sync', 'admin']) {
      await expect(started.get('/api/now/table/sn_vulc_citation?sysparm_limit=1', { as })).resolves.toMatchObject({
        status: 400,
        json: { error: { message: 'Invalid table sn_vulc_citation', detail: null }, status: 'failure' },
      });
    }
    expect(await defined('name=sn_vulc_citation')).toBe(0);
    await expect(started.get('/api/now/table/sn_vulc_test?sysparm_limit=1')).resolves.toMatchObject({ status: 200 });
  });

  it('a column that was dropped is in no definition and in no record (servicenow.md §1.8)', async () => {
    const { json } = await started.post('/api/now/table/sn_vulc_test', { source_id: 'a', source_category: 'b' });
    await play('drop', { table: 'sn_vulc_test', column: 'source_category' });
    expect(await defined('name=sn_vulc_test^element=source_category')).toBe(0);
    const read = await started.get(`/api/now/table/sn_vulc_test/${String(json.result.sys_id)}`);
    expect(read.json.result).toHaveProperty('source_id');
    expect(read.json.result).not.toHaveProperty('source_category');
    await expect(play('drop', { table: 'sn_vulc_test', column: 'source_category' })).rejects.toThrow('no column');
  });

  it('an application takes its tables and roles with it, and nobody has those roles any more (servicenow.md §1.1, §2)', async () => {
    const gone = await play('uninstall', { scope: 'sn_vul_container' });
    expect(gone.tables).toContain('sn_vul_container_image');
    expect(gone.roles).toContain('sn_vul_container.write_all');
    await expect(started.get('/api/now/table/sn_vul_container_image')).resolves.toMatchObject({ status: 400 });
    const roles = await started.get('/api/now/table/sys_user_role?sysparm_query=nameSTARTSWITHsn_vul_container.');
    expect(roles.json.result).toEqual([]);
    const held = await started.get('/api/now/table/sys_user_has_role?sysparm_query=role.nameSTARTSWITHsn_vul_container.');
    expect(held.json.result).toEqual([]);
    await expect(started.get('/api/now/table/sn_vul_nvd_entry?sysparm_limit=1')).resolves.toMatchObject({ status: 200 });
    await expect(play('uninstall', { scope: 'sn_vul_container' })).rejects.toThrow('Nothing of scope');
  });
});
