import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as admin from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

const DAY_MS = 86_400_000;
const CVIT = 'sn_vul_container_image_vulnerable_item';
const START = new Date('2026-11-22T10:00:00Z');

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
  started.clock.set(START);
});

afterAll(() => started.stop());

type Values = Record<string, string>;

/** A lab date-time so many days ago. */
function ago(days: number): string {
  return new Date(started.clock.nowMs() - days * DAY_MS).toISOString().slice(0, 19).replace('T', ' ');
}

const create = async (table: string, values: Values): Promise<string> => (await admin.add(started, table, values))['sys_id'] ?? '';
const read = (table: string, sysId: string): Promise<Values> => admin.read(started, table, sysId);
const run = (job: string): Promise<number> => admin.runJob(started, job);
const setProperty = (name: string, value: string): Promise<void> => admin.setProperty(started, name, value);

describe('servicenow.md §2, §11: Auto-Close Stale Test Results', () => {
  it('closes by the compliance scan date of the discovered item; no date is not old; seen again opens', async () => {
    const [old, recent, undated] = await Promise.all(
      [{ last_comp_scan_date: ago(91) }, { last_comp_scan_date: ago(89) }, { last_scan_date: ago(200) }].map((values) =>
        create('sn_sec_cmn_src_ci', values),
      ),
    );
    const results = await Promise.all(
      [old, recent, undated, ''].map((item) => create('sn_vulc_result', { result: 'failed', src_ci: item ?? '' })),
    );
    await expect(run('close-stale-results')).resolves.toBe(1);
    const states = await Promise.all(results.map(async (id) => (await read('sn_vulc_result', id))['state']));
    expect(states).toEqual(['3', '1', '1', '1']);
    const closed = await read('sn_vulc_result', results[0] ?? '');
    expect(closed).toMatchObject({ substate: '3', active: 'false', sys_updated_by: 'CC.System', result: 'failed' });
    await expect(run('close-stale-results')).resolves.toBe(0);
    started.clock.advance(60_000);
    const path = `/api/now/table/sn_vulc_result/${results[0] ?? ''}`;
    const again = await started.patch(path, { last_seen: ago(0) });
    expect(again.json.result).toMatchObject({ state: '1', substate: '', active: 'true', reopened: 'true' });
    // Seen again is not scanned again: the next night closes it once more, until the item says so.
    await expect(run('close-stale-results')).resolves.toBe(1);
    await started.admin('PATCH', `/servicenow/rows/sn_sec_cmn_src_ci/${old ?? ''}`, { last_comp_scan_date: ago(0) });
    await started.patch(path, { last_seen: ago(-1) });
    await expect(run('close-stale-results')).resolves.toBe(0);
  });

  it('what a person closed stays closed when it is seen again', async () => {
    const result = await create('sn_vulc_result', { result: 'failed' });
    await started.admin('PATCH', `/servicenow/rows/sn_vulc_result/${result}`, { state: '3', substate: '1' });
    const answer = await started.patch(`/api/now/table/sn_vulc_result/${result}`, { last_seen: ago(0) });
    expect(answer.json.result).toMatchObject({ state: '3', substate: '1' });
  });

  it('a rule that is switched off, or has no condition, closes nothing', async () => {
    const item = await create('sn_sec_cmn_src_ci', { last_comp_scan_date: ago(365) });
    await create('sn_vulc_result', { result: 'failed', src_ci: item });
    await create('sn_vul_cmn_auto_close_rule', { name: 'empty', table: 'sn_vulc_result', active: 'true' });
    const { rows } = await started.admin('GET', '/servicenow/rows/sn_vul_cmn_auto_close_rule');
    const rule = rows.find((row) => row['name'] === 'Auto-Close Stale Test Results')?.['sys_id'] ?? '';
    await started.admin('PATCH', `/servicenow/rows/sn_vul_cmn_auto_close_rule/${rule}`, { active: 'false' });
    await expect(run('close-stale-results')).resolves.toBe(0);
    await started.admin('PATCH', `/servicenow/rows/sn_vul_cmn_auto_close_rule/${rule}`, { active: 'true' });
    await expect(run('close-stale-results')).resolves.toBe(1);
  });
});

describe('servicenow.md §3, §11: container vulnerable items', () => {
  it('without a Docker image CI: Closed / Canceled; an image that is gone is none', async () => {
    const image = await create('cmdb_ci_docker_image', { name: 'nginx', image_id: 'abcdef012345' });
    const [good, none, dangling] = await Promise.all([image, '', 'f'.repeat(32)].map((id) => create(CVIT, { docker_image: id })));
    await expect(run('cancel-items-without-image')).resolves.toBe(2);
    expect(await read(CVIT, good ?? '')).toMatchObject({ state: '1' });
    for (const id of [none, dangling]) {
      expect(await read(CVIT, id ?? '')).toMatchObject({ state: '3', substate: '2', sys_updated_by: 'VR.System' });
    }
  });

  it('last found 90 days ago: Closed / Stale; found again: Open', async () => {
    const stale = await create(CVIT, { last_found_dt_tm: ago(91) });
    const fresh = await create(CVIT, { last_found_dt_tm: ago(89) });
    await expect(run('close-stale-container-items')).resolves.toBe(1);
    expect(await read(CVIT, stale)).toMatchObject({ state: '3', substate: '3' });
    expect(await read(CVIT, fresh)).toMatchObject({ state: '1' });
    const found = await started.patch(`/api/now/table/${CVIT}/${stale}`, { last_found_dt_tm: ago(0) });
    expect(found.json.result).toMatchObject({ state: '1', substate: '', last_opened_dt_tm: ago(0) });
  });

  it('all its findings fixed: Closed / Fixed', async () => {
    const item = await create(CVIT, { last_found_dt_tm: ago(1) });
    const findings = await Promise.all(['1', '0'].map((status) => create('sn_vul_container_image_findings', { status })));
    for (const finding of findings) await create('sn_vul_container_finding_m2m_vul_item', { finding, vulnerable_item: item });
    await expect(run('roll-up-container-findings')).resolves.toBe(0);
    await started.admin('PATCH', `/servicenow/rows/sn_vul_container_image_findings/${findings[1] ?? ''}`, { status: '1' });
    await expect(run('roll-up-container-findings')).resolves.toBe(1);
    expect(await read(CVIT, item)).toMatchObject({ state: '3', substate: '4' });
  });
});

describe('servicenow.md §11: roll-ups and cleaners', () => {
  it('hourly: the score of a changed test is the highest of its open results', async () => {
    const test = await create('sn_vulc_test', { short_description: 'rolled up' });
    await create('sn_vulc_result', { result: 'failed', control: test, risk_score: '55' });
    await create('sn_vulc_result', { result: 'failed', control: test, risk_score: '80' });
    await create('sn_vulc_result', { result: 'passed', control: test, risk_score: '95' });
    await create('sn_vulc_test_manifest', { test });
    await expect(run('roll-up-risk')).resolves.toBe(1);
    expect(await read('sn_vulc_test', test)).toMatchObject({ risk_score: '80', sys_updated_by: 'CC.System' });
    await expect(run('roll-up-risk')).resolves.toBe(0);
  });

  it.each([
    ['any result open', ['passed', 'failed'], '1', ''],
    ['all closed, one of them fixed', ['passed', 'passed'], '3', '4'],
  ])('every 15 minutes: a remediation task with %s', async (_title, results, state, substate) => {
    const task = await create('sn_vulc_result_group', { state: '1', assess_state: 'false' });
    for (const result of results) {
      const member = await create('sn_vulc_result', { result });
      await create('sn_vulc_m2m_result_result_group', { group: task, result: member });
    }
    await run('reassess-remediation-tasks');
    expect(await read('sn_vulc_result_group', task)).toMatchObject({ state, substate, assess_state: 'true' });
  });

  it('cleaners delete closed findings a year after their last change, and no others', async () => {
    const closed = await create('sn_vulc_result', { result: 'passed' });
    const open = await create('sn_vulc_result', { result: 'failed' });
    await expect(run('clean-tables')).resolves.toBe(0);
    started.clock.advance(366 * DAY_MS);
    const late = await create('sn_vulc_result', { result: 'passed' });
    expect(await run('clean-tables')).toBeGreaterThan(0);
    const statuses = [closed, open, late].map(async (id) => (await started.get(`/api/now/table/sn_vulc_result/${id}`)).status);
    await expect(Promise.all(statuses)).resolves.toEqual([404, 200, 200]);
    started.clock.set(START);
  });
});

describe('servicenow.md §2: results of retired CIs', () => {
  it('the item is marked by itself, its results are closed where the property says so, and open when the source sees them again', async () => {
    const property = 'sn_vulc.auto_close_test_results_linked_to_retired_CIs';
    const ci = await create('cmdb_ci_cmp_resource', { name: 'vm', install_status: '1' });
    const item = await create('sn_sec_cmn_src_ci', { cmdb_ci: ci, state: 'matched' });
    const result = await create('sn_vulc_result', { result: 'failed', cmdb_ci: ci, src_ci: item });
    await started.admin('PATCH', `/servicenow/rows/cmdb_ci_cmp_resource/${ci}`, { install_status: '7' });
    await expect(run('mark-decommissioned-items')).resolves.toBe(1);
    expect(await read('sn_sec_cmn_src_ci', item)).toMatchObject({ state: 'ci_decommissioned', sys_updated_by: 'SecCommon.System' });
    await expect(run('close-results-of-decommissioned-cis')).resolves.toBe(0);
    await setProperty(property, 'true');
    await expect(run('close-results-of-decommissioned-cis')).resolves.toBe(1);
    expect(await read('sn_vulc_result', result)).toMatchObject({ state: '3', substate: '5' });
    await setProperty(property, 'false');
    await started.admin('PATCH', `/servicenow/rows/cmdb_ci_cmp_resource/${ci}`, { install_status: '1' });
    await expect(run('mark-decommissioned-items')).resolves.toBe(1);
    expect(await read('sn_sec_cmn_src_ci', item)).toMatchObject({ state: 'matched' });
    started.clock.advance(60_000);
    const seen = await started.patch(`/api/now/table/sn_vulc_result/${result}`, { last_seen: ago(0) });
    expect(seen.json.result).toMatchObject({ state: '1', substate: '' });
  });
});
