import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ask, type AdminAnswer } from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;
let objectId: string;
let placeholder: string;
let count = 0;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

/** Every test has a placeholder of its own, hosted on a datacenter, as an unmatched cloud resource leaves it. */
beforeEach(async () => {
  count += 1;
  objectId = `/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm${String(count)}`;
  placeholder = await create('cmdb_ci_cmp_resource', { object_id: objectId, name: `vm${String(count)}` });
  const datacenter = await create('cmdb_ci_azure_datacenter', { object_id: 'eastus', region: 'eastus' });
  await create('cmdb_rel_ci', { parent: placeholder, child: datacenter });
});

const play = (what: string, body: object): Promise<AdminAnswer> => ask(started, 'POST', `/play/discovery/${what}`, body);
const create = async (table: string, values: Record<string, string>): Promise<string> =>
  (await started.post(`/api/now/table/${table}`, values)).json.result.sys_id as string;
const read = async (sysId: string, table = 'cmdb_ci'): Promise<Record<string, string>> =>
  (await started.get(`/api/now/table/${table}/${sysId}?sysparm_exclude_reference_link=true`)).json.result as Record<string, string>;

describe('Discovery (servicenow.md §4, product page: "enriches the CI or creates another one")', () => {
  it('enriches the CI of the mapped class with the same object_id, whatever its case', async () => {
    const vm = await create('cmdb_ci_vm_instance', { object_id: objectId });
    const row = await play('enrich', { objectId: objectId.toLowerCase(), class: 'cmdb_ci_vm_instance', values: { cpus: '4' } });
    expect(row).toMatchObject({ sys_id: vm, cpus: '4', discovery_source: 'ServiceNow', object_id: objectId });
    await expect(read(vm)).resolves.toMatchObject({
      sys_mod_count: '1',
      last_discovered: expect.stringMatching(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/),
    });
    await expect(play('enrich', { objectId: 'unknown', class: 'cmdb_ci_vm_instance' })).rejects.toThrow('404');
  });

  it('reclassifies the placeholder: a specific class, the same sys_id', async () => {
    await play('reclassify', { sys_id: placeholder, class: 'cmdb_ci_vm_instance', values: { memory: '8192' } });
    await expect(read(placeholder, 'cmdb_ci_vm_instance')).resolves.toMatchObject({
      sys_class_name: 'cmdb_ci_vm_instance',
      object_id: objectId,
      memory: '8192',
    });
    await expect(started.get(`/api/now/table/cmdb_ci_cmp_resource/${placeholder}`)).resolves.toMatchObject({ status: 404 });
    await expect(play('reclassify', { sys_id: placeholder, class: 'sn_vulc_test' })).rejects.toThrow('no class of CIs');
  });

  it("creates another CI beside it: the same object_id in Discovery's spelling, on the same datacenter", async () => {
    const spelled = objectId.toLowerCase();
    const beside = await play('create-beside', { sys_id: placeholder, class: 'cmdb_ci_vm_instance', objectId: spelled });
    expect(beside).toMatchObject({ sys_class_name: 'cmdb_ci_vm_instance', object_id: spelled, discovery_source: 'ServiceNow' });
    const both = await started.get(
      `/api/now/table/cmdb_ci_vm_object?sysparm_query=object_id=${encodeURIComponent(objectId)}&sysparm_fields=sys_id`,
    );
    const ids = (both.json.result as { sys_id: string }[]).map(({ sys_id: sysId }) => sysId);
    expect(ids.sort()).toEqual([placeholder, beside.sys_id].sort());
    const hosts = async (parent: string): Promise<unknown> =>
      (await started.get(`/api/now/table/cmdb_rel_ci?sysparm_query=parent=${parent}&sysparm_fields=child,type`)).json.result;
    await expect(hosts(beside.sys_id as string)).resolves.toEqual(await hosts(placeholder));
  });

  it('retires a CI: install_status 7', async () => {
    await play('retire', { sys_id: placeholder });
    await expect(read(placeholder)).resolves.toMatchObject({ install_status: '7', operational_status: '6' });
  });

  it('marks a duplicate: duplicate_of leads to the original', async () => {
    const original = await create('cmdb_ci_vm_instance', { object_id: objectId });
    await play('mark-duplicate', { sys_id: placeholder, of: original });
    await expect(read(placeholder)).resolves.toMatchObject({ duplicate_of: original });
    await expect(play('mark-duplicate', { sys_id: placeholder, of: '0'.repeat(32) })).rejects.toThrow('404');
  });

  it('deletes a CI', async () => {
    await play('delete', { objectId, class: 'cmdb_ci_cmp_resource' });
    await expect(started.get(`/api/now/table/cmdb_ci/${placeholder}`)).resolves.toMatchObject({ status: 404 });
    const relations = await started.get(`/api/now/table/cmdb_rel_ci?sysparm_query=parent=${placeholder}`);
    expect(relations.json.result).toEqual([]);
  });
});
