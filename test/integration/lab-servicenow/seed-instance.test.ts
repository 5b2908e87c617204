import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeItems, item, runBatch } from './batch-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

type Values = Record<string, string>;

async function list(table: string, query: string, fields: string, lab = started): Promise<Values[]> {
  const path = `/api/now/table/${table}?sysparm_query=${encodeURIComponent(query)}&sysparm_fields=${fields}&sysparm_exclude_reference_link=true`;
  return (await lab.get(path, { as: 'admin' })).json.result as Values[];
}

function sysIdOf(answer: { json: unknown } | undefined): string {
  return (answer?.json as { result: { sys_id: string } }).result.sys_id;
}

describe('tables that a synchronisation needs, written and read by the three APIs', () => {
  const rows: [table: string, values: Values][] = [
    ['sn_sec_cmn_host_tag', { name: 'env: prod' }],
    ['sn_sec_cmn_m2m_src_ci_tag', { src_ci: 'a'.repeat(32), host_tag: 'b'.repeat(32) }],
    ['sn_sec_cmn_cloud_account', { name: 'subscription' }],
    ['sn_sec_cmn_region', { name: 'eastus' }],
    ['sn_sec_cmn_cloud_resource_type', { name: 'Microsoft.Compute/virtualMachines' }],
    ['sn_sec_cmn_cloud_service_provider', { name: 'Azure' }],
    ['sn_capi_resource_type', { name: 'Microsoft.Lab/things', ci_class: 'cmdb_ci_cmp_resource' }],
    ['cmdb_related_entry', { table: 'cmdb_key_value', referenced_field: 'configuration_item' }],
    ['sys_object_source', { name: 'SG-Azure', id: 'native', target_table: 'cmdb_ci_cmp_resource' }],
    ['cmdb_ire_partial_payloads', { class_name: 'cmdb_ci_cmp_resource', payload: '{}' }],
    ['cmdb_ire_incomplete_payloads', { class_name: 'cmdb_ci_cmp_resource', payload: '{}' }],
    ['sn_vul_container_image_vulnerability_keys', { data_source: 'scanner' }],
    ['sn_vulc_test_criticality_map', { source: 'lab', source_criticality: 'Severe', criticality: '1' }],
    ['sn_sec_int_config', { name: 'tenant_id', label: 'Tenant ID' }],
    ['sn_vul_ds_import_q_entry', { state: 'queued' }],
    ['sn_vulc_m2m_result_result_group', { group: 'a'.repeat(32), result: 'b'.repeat(32) }],
    ['sn_vul_cmn_auto_close_rule', { name: 'mine', table: 'sn_vulc_result' }],
  ];

  it.each(rows)('%s', async (table, values) => {
    const path = `/api/now/table/${table}`;
    const made = await started.post(`${path}?sysparm_exclude_reference_link=true`, values, { as: 'admin' });
    expect(made).toMatchObject({ status: 201, json: { result: values } });
    const query = `sysparm_query=sys_id=${String(made.json.result.sys_id)}`;
    const stats = await started.get(`/api/now/stats/${table}?sysparm_count=true&${query}`, { as: 'admin' });
    expect(stats.json.result.stats.count).toBe('1');
    await expect(list('sys_dictionary', `name=${table}^element=${Object.keys(values)[0] ?? ''}`, 'element')).resolves.toHaveLength(1);
  });

  it('through Batch as the integration account: a host tag and its link, which may be taken away again', async () => {
    const answer = await runBatch(started, [
      item('1', 'POST', '/api/now/table/sn_sec_cmn_host_tag', { name: 'cost: 42' }),
      item('2', 'POST', '/api/now/table/sn_sec_cmn_m2m_src_ci_tag', { src_ci: 'a'.repeat(32) }),
    ]);
    const [tag, link] = decodeItems(answer);
    expect([tag?.status, link?.status]).toEqual([201, 201]);
    const gone = await started.call(`/api/now/table/sn_sec_cmn_m2m_src_ci_tag/${sysIdOf(link)}`, { method: 'DELETE' });
    expect(gone.status).toBe(204);
    const kept = await started.call(`/api/now/table/sn_sec_cmn_host_tag/${sysIdOf(tag)}`, { method: 'DELETE' });
    expect(kept.status).toBe(403);
  });
});

describe('ready-made rows', () => {
  it('servicenow.md §1.5: the class map of the look-up rules, readable by the integration account', async () => {
    const path = '/api/now/table/sn_capi_resource_type?sysparm_query=name=Microsoft.Storage/storageAccounts&sysparm_fields=ci_class';
    expect((await started.get(path)).json.result).toEqual([{ ci_class: 'cmdb_ci_cloud_storage_account' }]);
  });

  it.each([
    ['§1.4', 'sn_vul.import_host_tags', 'true'],
    ['§2', 'sn_sec_cmn.update_on_ci_change', 'true'],
    ['§2', 'sn_vulc.auto_close_test_results_linked_to_retired_CIs', 'false'],
    ['§4', 'sn_sec_cmn.ci_creation_through_IRE', 'true'],
    ['§5.1', 'glide.reconciliation.override.null', 'true'],
    ['§5.2', 'glide.invalid_query.returns_no_rows', 'false'],
    ['§5.4', 'glide.rest.batch.max.inputSize', '5'],
    ['§5.6', 'com.glide.attachment.max_size', '1024'],
  ])('servicenow.md %s: property %s is %s', async (_section, name, value) => {
    expect(await list('sys_properties', `name=${name}`, 'value')).toEqual([{ value }]);
  });

  it('a choice that is not in the list is stored as it is', async () => {
    const made = await started.post('/api/now/table/sn_sec_cmn_src_ci', { matching_type: 'by_guess' });
    expect(made.json.result.matching_type).toBe('by_guess');
    const shown = await started.get(
      `/api/now/table/sn_sec_cmn_src_ci/${String(made.json.result.sys_id)}?sysparm_display_value=true&sysparm_fields=matching_type`,
    );
    expect(shown.json.result.matching_type).toBe('by_guess');
  });
});

describe('servicenow.md §1.8: before and after the upgrade to USEM', () => {
  it('a classic instance keeps rules in the old tables and lacks the new columns; state still follows the result', async () => {
    const classic = await startLab({ edition: 'classic', business: 'strict' });
    try {
      const tables = 'sn_vulc_auto_close_stale_config,sn_vul_cmn_auto_close_rule,sn_vulc_assignment_rule,sn_sec_wf_assign_rule';
      const names = async (lab: StartedLab): Promise<Values[]> => list('sys_db_object', `nameIN${tables}^ORDERBYname`, 'name', lab);
      expect(await names(classic)).toEqual([{ name: 'sn_vulc_assignment_rule' }, { name: 'sn_vulc_auto_close_stale_config' }]);
      expect(await names(started)).toEqual([{ name: 'sn_sec_wf_assign_rule' }, { name: 'sn_vul_cmn_auto_close_rule' }]);
      const newColumns = 'name=sn_vulc_result^elementINsubstate,source_risk_score,last_state_changed_on';
      expect(await list('sys_dictionary', newColumns, 'element', classic)).toEqual([]);
      expect(await list('sys_dictionary', newColumns, 'element')).toHaveLength(3);
      expect(await list('sys_choice', 'name=sn_vulc_result^element=substate', 'value', classic)).toEqual([]);
      const made = await classic.post('/api/now/table/sn_vulc_result', { result: 'passed', substate: '4' });
      expect(made.json.result).toMatchObject({ state: '3', active: 'false' });
      expect(made.json.result).not.toHaveProperty('substate');
      const open = await classic.post('/api/now/table/sn_vulc_result', { result: 'failed' });
      classic.clock.advance(10_000);
      const later = await classic.get(`/api/now/table/sn_vulc_result/${String(open.json.result.sys_id)}`);
      expect(later.json.result).toMatchObject({
        sys_updated_by: 'system',
        risk_rating: '3',
        assignment_group: { value: expect.any(String) },
      });
    } finally {
      await classic.stop();
    }
  });
});
