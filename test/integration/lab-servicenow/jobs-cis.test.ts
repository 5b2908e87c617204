import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as admin from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

type Values = Record<string, string>;

const RESULT = 'sn_vulc_result';
const ITEM = 'sn_sec_cmn_src_ci';
const now = (): string => started.clock.now().toISOString().slice(0, 19).replace('T', ' ');

const create = async (table: string, values: Values): Promise<string> => (await admin.add(started, table, values))['sys_id'] ?? '';
const read = (table: string, sysId: string): Promise<Values> => admin.read(started, table, sysId);
const run = (job: string): Promise<number> => admin.runJob(started, job);
const setProperty = (name: string, value: string): Promise<void> => admin.setProperty(started, name, value);

const seededId = async (table: string, column: string, value: string): Promise<string> =>
  (await admin.rowOf(started, table, column, value))['sys_id'] ?? '';

describe('servicenow.md §2, §11: sn_sec_cmn.update_on_ci_change', () => {
  const scene = async (): Promise<{ oldCi: string; newCi: string; item: string; key: Values }> => {
    const [oldCi = '', newCi = ''] = await Promise.all(['old', 'new'].map((name) => create('cmdb_ci_cmp_resource', { name })));
    const item = await create(ITEM, { cmdb_ci: oldCi });
    const control = await create('sn_vulc_test', { short_description: 'test' });
    const instance = await create('sn_sec_int_impl', { name: 'deployment' });
    return { oldCi, newCi, item, key: { control, integration_instance: instance, result: 'failed' } };
  };

  it('true: the results move to the new CI, written by CC.System with their risk calculated again', async () => {
    const { oldCi, newCi, item, key } = await scene();
    const result = await create(RESULT, { ...key, cmdb_ci: oldCi, src_ci: item });
    await started.patch(`/api/now/table/${ITEM}/${item}`, { cmdb_ci: newCi });
    expect(await read(RESULT, result)).toMatchObject({ cmdb_ci: oldCi });
    await expect(run('move-results-to-changed-ci')).resolves.toBe(1);
    expect(await read(RESULT, result)).toMatchObject({ cmdb_ci: newCi, state: '1', risk_rating: '3', sys_updated_by: 'CC.System' });
    await expect(run('move-results-to-changed-ci')).resolves.toBe(0);
  });

  it('a result that would be a second one of its key on the new CI is closed as invalidCI; the one there stays', async () => {
    const { oldCi, newCi, item, key } = await scene();
    const moving = await create(RESULT, { ...key, cmdb_ci: oldCi, src_ci: item });
    const there = await create(RESULT, { ...key, cmdb_ci: newCi });
    const otherDeployment = await create(RESULT, { ...key, cmdb_ci: oldCi, src_ci: item, integration_instance: 'a'.repeat(32) });
    await started.patch(`/api/now/table/${ITEM}/${item}`, { cmdb_ci: newCi });
    await expect(run('move-results-to-changed-ci')).resolves.toBe(2);
    expect(await read(RESULT, moving)).toMatchObject({ state: '3', substate: 'invalidCI', cmdb_ci: oldCi });
    expect(await read(RESULT, there)).toMatchObject({ state: '1', cmdb_ci: newCi });
    expect(await read(RESULT, otherDeployment)).toMatchObject({ state: '1', cmdb_ci: newCi });
  });

  it('false: nothing moves, the results are closed as invalidCI', async () => {
    const { oldCi, newCi, item, key } = await scene();
    const result = await create(RESULT, { ...key, cmdb_ci: oldCi, src_ci: item });
    await setProperty('sn_sec_cmn.update_on_ci_change', 'false');
    await started.patch(`/api/now/table/${ITEM}/${item}`, { cmdb_ci: newCi });
    await run('move-results-to-changed-ci');
    await setProperty('sn_sec_cmn.update_on_ci_change', 'true');
    expect(await read(RESULT, result)).toMatchObject({ state: '3', substate: 'invalidCI', cmdb_ci: oldCi });
  });

  it('a first CI is no change', async () => {
    const { newCi, key } = await scene();
    const item = await create(ITEM, {});
    const result = await create(RESULT, { ...key, src_ci: item });
    await started.patch(`/api/now/table/${ITEM}/${item}`, { cmdb_ci: newCi });
    await expect(run('move-results-to-changed-ci')).resolves.toBe(0);
    expect(await read(RESULT, result)).toMatchObject({ cmdb_ci: '' });
  });
});

describe('servicenow.md §1.5, §4: Reapply Look up Rules', () => {
  let source: string;
  const VM = '/subscriptions/1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm1';

  beforeAll(async () => {
    const integration = await seededId('sn_sec_int_integration', 'name', 'Microsoft Defender for Cloud');
    source = await create('sn_sec_int_impl', { name: 'with rules', integration });
  });

  const item = async (type: string, values: Values): Promise<string> => {
    const cloudType = await create('sn_sec_cmn_cloud_resource_type', { name: type });
    return create(ITEM, { source, cloud_resource_type: cloudType, state: 'unmatched', last_comp_scan_date: now(), ...values });
  };

  it('by resource id in the class of the resource type; the item says which rule, and its results follow', async () => {
    const placeholder = await create('cmdb_ci_cmp_resource', { object_id: VM });
    const found = await item('Microsoft.Compute/virtualMachines', { resource_id: VM, cmdb_ci: placeholder });
    const result = await create(RESULT, { result: 'failed', cmdb_ci: placeholder, src_ci: found });
    await expect(run('reapply-lookup-rules')).resolves.toBe(0);
    const ci = await create('cmdb_ci_vm_instance', { name: 'vm1', object_id: VM });
    await expect(run('reapply-lookup-rules')).resolves.toBe(1);
    const rule = await seededId('sn_sec_cmn_ci_lookup_rule', 'name', 'Resource Id');
    const matched = {
      cmdb_ci: ci,
      cmdb_ci_class: 'cmdb_ci_vm_instance',
      state: 'matched',
      matching_type: 'matched_by_cilookup',
      ci_lookup_rule: rule,
    };
    expect(await read(ITEM, found)).toMatchObject(matched);
    await run('move-results-to-changed-ci');
    expect(await read(RESULT, result)).toMatchObject({ cmdb_ci: ci });
  });

  it('by name, and a bucket by its ARN', async () => {
    const byName = await item('Microsoft.Storage/storageAccounts', { resource_id: '/x', resource_name: 'acct1' });
    const bucket = await item('AWS::S3::Bucket', { resource_id: 'arn:aws:s3:::b1', resource_name: 'b1' });
    const account = await create('cmdb_ci_cloud_storage_account', { object_id: 'acct1' });
    const storage = await create('cmdb_ci_cloud_object_storage', { object_id: 'arn:aws:s3:::b1' });
    await expect(run('reapply-lookup-rules')).resolves.toBe(2);
    expect(await read(ITEM, byName)).toMatchObject({ cmdb_ci: account });
    expect(await read(ITEM, bucket)).toMatchObject({ cmdb_ci: storage });
  });

  it('leaves out what was not scanned for 90 days, retired CIs, and everything while an import runs', async () => {
    const id = `${VM}9`;
    await create('cmdb_ci_vm_instance', { object_id: id, install_status: '7' });
    await item('Microsoft.Compute/virtualMachines', { resource_id: id });
    await item('Microsoft.Compute/virtualMachines', { resource_id: VM, last_comp_scan_date: '2020-01-01 00:00:00' });
    await expect(run('reapply-lookup-rules')).resolves.toBe(0);
    const fresh = await item('Microsoft.Compute/virtualMachines', { resource_id: VM });
    const running = await create('sn_vul_integration_run', { state: 'running' });
    await expect(run('reapply-lookup-rules')).resolves.toBe(0);
    await started.admin('PATCH', `/servicenow/rows/sn_vul_integration_run/${running}`, { state: 'complete' });
    await expect(run('reapply-lookup-rules')).resolves.toBe(1);
    expect(await read(ITEM, fresh)).toMatchObject({ state: 'matched' });
  });
});

describe('when jobs run', () => {
  interface Job {
    name: string;
    runs: number;
    nextRunMs: number | null;
  }
  const jobs = async (): Promise<Job[]> => ((await started.admin('GET', '/servicenow/jobs')) as unknown as { jobs: Job[] }).jobs;
  const runsOf = async (name: string): Promise<number> => (await jobs()).find((job) => job.name === name)?.runs ?? -1;

  it('plain: never by the clock; strict: by the clock, a missed turn once', async () => {
    const before = await runsOf('close-stale-results');
    started.clock.advance(3 * 86_400_000);
    await expect(runsOf('close-stale-results')).resolves.toBe(before);
    expect((await jobs()).every(({ nextRunMs }) => nextRunMs === null)).toBe(true);
    await started.admin('POST', '/servicenow/profile', { profile: 'strict' });
    started.clock.advance(3 * 86_400_000);
    await expect(runsOf('close-stale-results')).resolves.toBe(before + 1);
    started.clock.advance(60 * 60_000);
    await expect(runsOf('close-stale-results')).resolves.toBe(before + 1);
    const hourly = await runsOf('roll-up-risk');
    started.clock.advance(60 * 60_000);
    await expect(runsOf('roll-up-risk')).resolves.toBe(hourly + 1);
    await started.admin('POST', '/servicenow/profile', { profile: 'plain' });
  });

  it('each has its record among the scheduled scripts; one that is switched off there is not run by the clock', async () => {
    const titles = ((await started.admin('GET', '/servicenow/jobs')) as unknown as { jobs: { title: string }[] }).jobs.map(
      ({ title }) => title,
    );
    const { rows } = await started.admin('GET', '/servicenow/rows/sysauto_script');
    expect(rows.map((row) => row['name'])).toEqual(expect.arrayContaining(titles));
    const record = rows.find((row) => row['name'] === 'Auto-Close Stale Test Results')?.['sys_id'] ?? '';
    await started.admin('PATCH', `/servicenow/rows/sysauto_script/${record}`, { active: 'false' });
    await started.admin('POST', '/servicenow/profile', { profile: 'strict' });
    const before = await runsOf('close-stale-results');
    started.clock.advance(2 * 86_400_000);
    await expect(runsOf('close-stale-results')).resolves.toBe(before);
    await run('close-stale-results');
    await expect(runsOf('close-stale-results')).resolves.toBe(before + 1);
    await started.admin('PATCH', `/servicenow/rows/sysauto_script/${record}`, { active: 'true' });
    await started.admin('POST', '/servicenow/profile', { profile: 'plain' });
  });

  it('strict, one night: an item of a retired CI is marked and a moved item takes its results along', async () => {
    await started.admin('POST', '/servicenow/profile', { profile: 'strict' });
    const [ci = '', other = ''] = await Promise.all(['a', 'b'].map((name) => create('cmdb_ci_cmp_resource', { name })));
    const retired = await create(ITEM, { cmdb_ci: ci, state: 'matched' });
    const moved = await create(ITEM, { cmdb_ci: ci, state: 'matched' });
    const result = await create(RESULT, { result: 'failed', cmdb_ci: ci, src_ci: moved });
    await started.patch(`/api/now/table/${ITEM}/${moved}`, { cmdb_ci: other });
    await started.patch(`/api/now/table/cmdb_ci_cmp_resource/${ci}`, { install_status: '7' });
    started.clock.advance(86_400_000);
    expect(await read(ITEM, retired)).toMatchObject({ state: 'ci_decommissioned' });
    expect(await read(ITEM, moved)).toMatchObject({ state: 'matched' });
    expect(await read(RESULT, result)).toMatchObject({ cmdb_ci: other });
    await started.admin('POST', '/servicenow/profile', { profile: 'plain' });
  });
});
