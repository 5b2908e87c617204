import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const PATH = '/api/global/user_role_inheritance';

function idOf(table: string, column: string, value: string): string {
  return started.lab.store.equal(table, column, [value])[0]!.sysId;
}

describe('GET /api/global/user_role_inheritance (servicenow.md §6, schema/user_role_inheritance.json)', () => {
  it('shows the path to every role: granted, contained, from a group', async () => {
    const user = idOf('sys_user', 'user_name', 'defender.readonly');
    const group = idOf('sys_user_group', 'name', 'Cloud Security');
    await started.admin('POST', '/servicenow/rows/sys_user_grmember', { user, group });
    await started.admin('POST', '/servicenow/rows/sys_group_has_role', { group, role: idOf('sys_user_role', 'name', 'sn_vulc.write') });
    const answer = await started.get(`${PATH}?user_sysid=${user}`, { as: 'admin' });
    expect(answer).toMatchObject({ status: 200, json: { result: { user_name: 'defender.readonly' } } });
    const { from_role: fromRole, from_group: fromGroup } = answer.json.result as Record<string, string[]>;
    expect(fromRole).toEqual(expect.arrayContaining(['/sn_vulc.read', '/cmdb_read']));
    expect(fromRole).not.toContain('/sn_vulc.write');
    expect(fromGroup).toEqual(expect.arrayContaining(['[Cloud Security]/sn_vulc.write', '[Cloud Security]/sn_vulc.write/sn_vulc.read']));
  });

  it('without a user it answers an empty one, in XML where XML is asked for (batch/batch_two_gets_one_post.json, item 11)', async () => {
    const empty = await started.get(PATH, { as: 'admin' });
    expect(empty.json).toEqual({ result: { user_name: '', from_group: [], from_role: [] } });
    const xml = await started.get(PATH, { as: 'admin', headers: { accept: 'application/xml' } });
    expect(xml.headers['content-type']).toBe('application/xml; charset=UTF-8');
    expect(xml.text).toBe('<?xml version="1.0" encoding="UTF-8"?><response><result><user_name/></result></response>');
  });

  it('errors/403_api_level_acl.json: needs user_admin; 404 for an unknown user or another path', async () => {
    await expect(started.get(PATH)).resolves.toMatchObject({
      status: 403,
      json: { error: { message: 'User Not Authorized', detail: 'Failed API level ACL Validation' }, status: 'failure' },
    });
    await expect(started.get(`${PATH}?user_sysid=${'0'.repeat(32)}`, { as: 'admin' })).resolves.toMatchObject({ status: 404 });
    await expect(started.get('/api/global/other', { as: 'admin' })).resolves.toMatchObject({ status: 404 });
  });
});
