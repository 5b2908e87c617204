import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab({ business: 'strict' });
});

beforeEach(async () => {
  await started.admin('DELETE', '/servicenow/policies');
  await started.admin('DELETE', '/servicenow/field-restrictions');
});

afterAll(() => started.stop());

type Values = Record<string, string>;

async function create(table: string, values: Values): Promise<Values> {
  const answer = await started.post(`/api/now/table/${table}?sysparm_exclude_reference_link=true`, values);
  expect(answer.status).toBe(201);
  return answer.json.result as Values;
}

async function read(table: string, sysId: string | undefined): Promise<Values> {
  const answer = await started.get(`/api/now/table/${table}/${sysId ?? ''}?sysparm_exclude_reference_link=true`);
  return answer.json.result as Values;
}

function detail(text: unknown): object {
  return { status: 403, json: { error: { message: 'Operation Failed', detail: text }, status: 'failure' } };
}

describe('servicenow.md §5.3: what the platform calculates again after a write', () => {
  it('comes seconds later, as a change of its own by `system`, and overwrites what was sent', async () => {
    const test = await create('sn_vulc_test', { short_description: 'Storage must be encrypted', criticality: '2' });
    const sent = { result: 'failed', control: test['sys_id'] ?? '', short_description: 'ours', first_seen: '2026-11-01 00:00:00' };
    const result = await create('sn_vulc_result', sent);
    expect(result).toMatchObject({ short_description: 'ours', assignment_group: '', sys_mod_count: '0', sys_updated_by: 'defender.sync' });
    started.clock.advance(10_000);
    const later = await read('sn_vulc_result', result['sys_id']);
    expect(later).toMatchObject({
      short_description: 'Storage must be encrypted',
      assignment_group: expect.stringMatching(/^[0-9a-f]{32}$/),
      ttr_target_date: '2026-12-01 00:00:00',
      risk_score: '80',
      risk_rating: '2',
      sys_mod_count: '1',
      sys_updated_by: 'system',
    });
    expect(later['sys_updated_on']! > result['sys_updated_on']!).toBe(true);
  });

  it('settles: its own write starts nothing, and neither does a write that changes nothing', async () => {
    const result = await create('sn_vulc_result', { result: 'failed' });
    for (let turn = 0; turn < 3; turn += 1) started.clock.advance(10_000);
    expect(await read('sn_vulc_result', result['sys_id'])).toMatchObject({ sys_mod_count: '1' });
    await started.patch(`/api/now/table/sn_vulc_result/${String(result['sys_id'])}`, { result: 'failed' });
    started.clock.advance(10_000);
    expect(await read('sn_vulc_result', result['sys_id'])).toMatchObject({ sys_mod_count: '1' });
  });

  it('a container vulnerable item, too: the blanked vulnerability is back once it was patched', async () => {
    const [cve] = (await started.get('/api/now/table/sn_vul_nvd_entry?sysparm_query=id=CVE-2024-3094')).json.result as Values[];
    const table = 'sn_vul_container_image_vulnerable_item';
    const item = await create(table, { vulnerability: cve?.['sys_id'] ?? '' });
    expect(item['vulnerability']).toBe('');
    await started.patch(`/api/now/table/${table}/${String(item['sys_id'])}`, { vulnerability: cve?.['sys_id'] });
    started.clock.advance(10_000);
    expect(await read(table, item['sys_id'])).toMatchObject({
      vulnerability: cve?.['sys_id'],
      short_description: 'CVE-2024-3094',
      risk_rating: '1',
      sys_updated_by: 'system',
    });
  });

  it('is off under plain', async () => {
    await started.admin('POST', '/servicenow/profile', { profile: 'plain' });
    const result = await create('sn_vulc_result', { result: 'failed' });
    started.clock.advance(60_000);
    expect(await read('sn_vulc_result', result['sys_id'])).toMatchObject({ sys_mod_count: '0', assignment_group: '' });
    await started.admin('POST', '/servicenow/profile', { profile: 'strict' });
  });
});

describe('servicenow.md §11: script columns', () => {
  it('open with snc_required_script_writer_permission', async () => {
    const role = (await started.admin('GET', '/servicenow/rows/sys_user_role')).rows.find(
      (row) => row['name'] === 'snc_required_script_writer_permission',
    );
    const user = (await started.admin('GET', '/servicenow/rows/sys_user')).rows.find((row) => row['user_name'] === 'defender.sync');
    const refusal = detail('ACL Exception Insert Failed due to security constraints');
    const write = (): Promise<unknown> => started.post('/api/now/table/sn_vul_integration', { script: 'gs.log(1)' });
    await expect(write()).resolves.toMatchObject(refusal);
    const grant = { user: user?.['sys_id'], role: role?.['sys_id'], state: 'active' };
    const { rows } = await started.admin('POST', '/servicenow/rows/sys_user_has_role', grant);
    await expect(write()).resolves.toMatchObject({ status: 201, json: { result: { script: 'gs.log(1)' } } });
    await started.admin('DELETE', `/servicenow/rows/sys_user_has_role/${rows[0]?.['sys_id'] ?? ''}`);
  });
});

describe("rules of the instance's own", () => {
  it('errors/403_business_rule_abort.json: name, sys_id and stack; a second rule stands in the stack alone', async () => {
    const rule = { kind: 'business-rule', table: 'sn_vulc_test', name: 'No drafts', condition: 'source=draft' };
    await started.admin('POST', '/servicenow/policies', rule);
    await started.admin('POST', '/servicenow/policies', { ...rule, name: 'No drafts at all', on: ['insert'] });
    const text = /^Operation against file 'sn_vulc_test' was aborted by Business Rule 'No drafts\^[0-9a-f]{32}'\. Business Rule Stack:/;
    const post = await started.post('/api/now/table/sn_vulc_test', { source: 'draft' });
    expect(post).toMatchObject(detail(expect.stringMatching(text)));
    expect(post.json.error.detail).toMatch(/Business Rule Stack:No drafts,No drafts at all$/);
    const { sys_id: sysId } = await create('sn_vulc_test', { source: 'final' });
    const patch = await started.patch(`/api/now/table/sn_vulc_test/${String(sysId)}`, { source: 'draft' });
    expect(patch.json.error.detail).toMatch(/Business Rule Stack:No drafts$/);
    expect(await read('sn_vulc_test', sysId)).toMatchObject({ source: 'final', sys_mod_count: '0' });
  });

  it('errors/403_data_policy_mandatory.json: by label; a value outside the choice list counts as missing', async () => {
    await started.admin('POST', '/servicenow/policies', { kind: 'data-policy', table: 'sn_vulc_result', mandatory: ['result', 'source'] });
    const missing = (labels: string): object => detail(`Data Policy Exception: The following fields are mandatory: ${labels}`);
    await expect(started.post('/api/now/table/sn_vulc_result', {})).resolves.toMatchObject(missing('Result, Source'));
    await expect(started.post('/api/now/table/sn_vulc_result', { source: 'x', result: 'maybe' })).resolves.toMatchObject(missing('Result'));
    await expect(started.post('/api/now/table/sn_vulc_result', { source: 'x', result: 'error' })).resolves.toMatchObject({ status: 201 });
  });

  it('a column guarded by hand is skipped, refused or reverted, in every profile', async () => {
    const guard = (effect: string, columns: string[]): Promise<unknown> =>
      started.admin('POST', '/servicenow/field-restrictions', { table: 'sn_vulc_policy', columns, effect });
    await guard('skip', ['description']);
    await guard('revert', ['source']);
    await guard('refuse', ['short_description']);
    for (const profile of ['plain', 'strict']) {
      await started.admin('POST', '/servicenow/profile', { profile });
      const policy = await create('sn_vulc_policy', { description: 'a', source: 'b', source_id: 'c' });
      expect(policy).toMatchObject({ description: '', source: '', source_id: 'c' });
      const path = `/api/now/table/sn_vulc_policy/${String(policy['sys_id'])}`;
      await expect(started.patch(path, { short_description: 'd' })).resolves.toMatchObject(
        detail('ACL Exception Update Failed due to security constraints'),
      );
    }
  });

  it('the admin API says what it takes', async () => {
    await expect(started.admin('POST', '/servicenow/profile', { profile: 'lenient' })).rejects.toThrow('plain|strict');
    await expect(started.admin('POST', '/servicenow/policies', { kind: 'x' })).rejects.toThrow('data-policy');
    await expect(started.admin('POST', '/servicenow/jobs/none/run')).rejects.toThrow('recalculate-findings');
  });
});
