import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { add, ask, rowOf, type AdminAnswer } from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const play = (what: string, body: object): Promise<AdminAnswer> => ask(started, 'POST', `/play/administrator/${what}`, body);
const create = async (table: string, values: Record<string, string>): Promise<string> => {
  const answer = await started.post(`/api/now/table/${table}`, values);
  expect(answer.status).toBe(201);
  return answer.json.result.sys_id as string;
};
const read = async (table: string, sysId: string): Promise<Record<string, string>> =>
  (await started.get(`/api/now/table/${table}/${sysId}?sysparm_exclude_reference_link=true`)).json.result as Record<string, string>;

describe('an administrator at work on records', () => {
  it('edits: any column, a new version, signed admin', async () => {
    const sysId = await create('sn_vulc_result', { result: 'failed' });
    await play('edit', { table: 'sn_vulc_result', sys_id: sysId, values: { state: '12' } });
    await expect(read('sn_vulc_result', sysId)).resolves.toMatchObject({ state: '12', sys_updated_by: 'admin', sys_mod_count: '1' });
    await expect(play('edit', { table: 'sn_vulc_result', sys_id: sysId, values: { nonsense: '1' } })).rejects.toThrow('no column');
  });

  it('deletes: what refers to the record is empty, its relations are gone', async () => {
    const ci = await create('cmdb_ci_cmp_resource', { object_id: '/subscriptions/1' });
    const other = await create('cmdb_ci_logical_datacenter', { object_id: 'eastus' });
    const relation = await create('cmdb_rel_ci', { parent: ci, child: other });
    const item = await create('sn_sec_cmn_src_ci', { source_id: 'r1', cmdb_ci: ci });
    await play('delete', { table: 'cmdb_ci', sys_id: ci });
    await expect(started.get(`/api/now/table/cmdb_ci/${ci}`)).resolves.toMatchObject({ status: 404 });
    await expect(started.get(`/api/now/table/cmdb_rel_ci/${relation}`)).resolves.toMatchObject({ status: 404 });
    await expect(read('sn_sec_cmn_src_ci', item)).resolves.toMatchObject({ cmdb_ci: '' });
  });

  it('re-points one reference, or all that lead to a record', async () => {
    const [wrong, right] = [await create('cmdb_ci_cmp_resource', {}), await create('cmdb_ci_vm_instance', {})];
    const items = [];
    for (const name of ['a', 'b', 'c']) items.push(await create('sn_sec_cmn_src_ci', { source_id: name, cmdb_ci: wrong }));
    const one = { table: 'sn_sec_cmn_src_ci', column: 'cmdb_ci', sys_id: items[0], to: right };
    await expect(play('re-point', one)).resolves.toEqual({ changed: 1 });
    const all = { table: 'sn_sec_cmn_src_ci', column: 'cmdb_ci', from: wrong, to: right };
    await expect(play('re-point', all)).resolves.toEqual({ changed: 2 });
    await expect(read('sn_sec_cmn_src_ci', items[2]!)).resolves.toMatchObject({ cmdb_ci: right });
    await expect(play('re-point', { ...all, column: 'source_id' })).rejects.toThrow('no reference');
  });
});

describe('roles', () => {
  const mayRead = async (as: string): Promise<boolean> => {
    const { json } = await started.get('/api/now/table/sn_vulc_test?sysparm_limit=1', { as });
    return (json.result as unknown[]).length > 0;
  };
  const as = 'defender.noroles';

  beforeAll(async () => {
    await create('sn_vulc_test', {});
  });

  it('granted and revoked by hand, with what they contain (servicenow.md §2)', async () => {
    await expect(mayRead(as)).resolves.toBe(false);
    const { roles } = await play('grant-role', { user: as, role: 'sn_vulc.write' });
    expect(roles).toEqual(expect.arrayContaining(['sn_vulc.write', 'sn_vulc.read', 'sn_vulc.remediation_owner']));
    await expect(mayRead(as)).resolves.toBe(true);
    await expect(play('revoke-role', { user: as, role: 'sn_vulc.write' })).resolves.toEqual({ roles: [] });
    await expect(mayRead(as)).resolves.toBe(false);
    await expect(play('revoke-role', { user: as, role: 'sn_vulc.write' })).rejects.toThrow('409');
  });

  it('by a group: members gain and lose it; a role given by hand as well stays', async () => {
    const group = 'Cloud Security';
    await play('group-member', { user: as, group });
    await expect(play('grant-role', { group, role: 'sn_vulc.read' })).resolves.toEqual({ users: 1 });
    await expect(mayRead(as)).resolves.toBe(true);
    const user = (await rowOf(started, 'sys_user', 'user_name', as))['sys_id']!;
    const inheritance = await started.get(`/api/global/user_role_inheritance?user_sysid=${user}`, { as: 'admin' });
    // schema/user_role_inheritance.json
    expect(inheritance.json.result).toMatchObject({ user_name: as, from_role: [] });
    expect(inheritance.json.result.from_group).toContain('[Cloud Security]/sn_vulc.read');
    expect(inheritance.json.result.from_group).toContain('[Cloud Security]/sn_vulc.read/sn_vul.view_manager_workspace');
    await play('group-member', { user: as, group, member: false });
    await expect(mayRead(as)).resolves.toBe(false);
  });

  it('by containment: a role that gains another gives it to its holders', async () => {
    await play('grant-role', { user: as, role: 'cmdb_read' });
    await play('contain-role', { role: 'cmdb_read', contains: 'sn_vulc.read' });
    await expect(mayRead(as)).resolves.toBe(true);
    await play('contain-role', { role: 'cmdb_read', contains: 'sn_vulc.read', contained: false });
    await expect(mayRead(as)).resolves.toBe(false);
  });

  it('schema/user_role_inheritance.json needs user_admin', async () => {
    await expect(started.get('/api/global/user_role_inheritance?user_sysid=x')).resolves.toMatchObject({
      status: 403,
      json: { error: { message: 'User Not Authorized', detail: 'Failed API level ACL Validation' } },
    });
  });

  it('a locked user is out, until it is unlocked (servicenow.md §5.7)', async () => {
    await play('lock-user', { user: 'defender.readonly' });
    const path = '/api/now/table/sn_vulc_test?sysparm_limit=1';
    await expect(started.get(path, { as: 'defender.readonly' })).resolves.toMatchObject({ status: 401 });
    await play('lock-user', { user: 'defender.readonly', locked: false });
    await expect(started.get(path, { as: 'defender.readonly' })).resolves.toMatchObject({ status: 200 });
  });
});

describe('configuration', () => {
  it('a deactivated business rule does nothing any more', async () => {
    const { rules } = await play('business-rule', { table: 'sn_vulc_result', active: false });
    expect(rules.length).toBeGreaterThan(0);
    const silent = await create('sn_vulc_result', { result: 'passed' });
    await expect(read('sn_vulc_result', silent)).resolves.toMatchObject({ state: '' });
    await play('business-rule', { name: rules[0], active: true });
    await play('business-rule', { table: 'sn_vulc_result', active: true });
    const closed = await create('sn_vulc_result', { result: 'passed' });
    await expect(read('sn_vulc_result', closed)).resolves.toMatchObject({ state: '3' });
  });

  it('a deactivated ACL leaves the decision to the next wider one', async () => {
    // sn_vulc_result has an ACL of its own for writing, which lets remediation owners in; sn_vulc_* wants sn_vulc.write.
    const sysId = await create('sn_vulc_result', {});
    await add(started, 'sys_user', { user_name: 'owner', active: 'true' });
    await play('grant-role', { user: 'defender.readonly', role: 'sn_vulc.remediation_owner' });
    const patch = (): Promise<{ status: number }> =>
      started.patch(`/api/now/table/sn_vulc_result/${sysId}`, { description: 'x' }, { as: 'defender.readonly' });
    await expect(patch()).resolves.toMatchObject({ status: 200 });
    await play('acl', { table: 'sn_vulc_result', operation: 'write', active: false });
    await expect(patch()).resolves.toMatchObject({ status: 403 });
    await play('acl', { table: 'sn_vulc_result', operation: 'write', active: true });
    await expect(patch()).resolves.toMatchObject({ status: 200 });
  });

  it('CI lookup rules: one more, one less', async () => {
    const active = async (): Promise<string[]> => {
      const query = 'sysparm_query=active=true^ORDERBYorder&sysparm_fields=name';
      const { json } = await started.get(`/api/now/table/sn_sec_cmn_ci_lookup_rule?${query}`);
      return (json.result as { name: string }[]).map(({ name }) => name);
    };
    await play('lookup-rule', { name: 'Our name rule', values: { order: '50', active: 'true', target_field: 'name' } });
    await play('lookup-rule', { name: 'S3 Bucket', values: { active: 'false' } });
    await expect(active()).resolves.toEqual(['Our name rule', 'Resource Id', 'Name']);
  });

  it('identification rules: the engine of the instance follows', async () => {
    const image = (imageId: string): object => ({
      items: [{ className: 'cmdb_ci_docker_image', values: { image_id: imageId, name: 'same' } }],
    });
    const first = await started.ire(image('aaaaaaaaaaaa'));
    expect(first.json.result.items[0].operation).toBe('INSERT');
    await play('identifier-rule', { class: 'cmdb_ci_docker_image', attributes: 'name', order: 10 });
    const second = await started.ire(image('bbbbbbbbbbbb'));
    expect(second.json.result.items[0]).toMatchObject({ operation: 'UPDATE', sysId: first.json.result.items[0].sysId });
    await play('identifier-rule', { class: 'cmdb_ci_docker_image', active: false });
    const third = await started.ire(image('bbbbbbbbbbbb'));
    expect(third.json.result.items[0].errors.length).toBeGreaterThan(0);
    await play('identifier-rule', { class: 'cmdb_ci_docker_image', active: true });
  });

  it('servicenow.md §5.1: tags as related items need an entry that an administrator adds', async () => {
    const tagged = {
      items: [
        {
          className: 'cmdb_ci_docker_image',
          values: { image_id: 'cccccccccccc', name: 'tagged' },
          related: [{ className: 'cmdb_key_value', values: { key: 'env', value: 'prod' } }],
        },
      ],
    };
    const refused = await started.ire(tagged);
    expect(JSON.stringify(refused.json)).toContain('IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING');
    const entry = { class: 'cmdb_ci_docker_image', relatedTable: 'cmdb_key_value', referencedField: 'configuration_item' };
    await play('identifier-rule', entry);
    await started.ire(tagged);
    expect((await started.get('/api/now/table/cmdb_key_value?sysparm_query=key=env&sysparm_fields=value')).json.result).toEqual([
      { value: 'prod' },
    ]);
  });

  it('properties', async () => {
    const bad = '/api/now/table/sn_vulc_test?sysparm_query=nonsense=1&sysparm_limit=1';
    expect((await started.get(bad)).json.result).toHaveLength(1);
    await play('property', { name: 'glide.invalid_query.returns_no_rows', value: 'true' });
    expect((await started.get(bad)).json.result).toEqual([]);
    await play('property', { name: 'glide.invalid_query.returns_no_rows', value: 'false' });
  });
});
