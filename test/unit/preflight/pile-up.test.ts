import { describe, expect, test } from '@jest/globals';
import { runPreflight, type Finding, type PreflightInput } from '../../../src/preflight/index.ts';
import * as fake from './world.ts';
import { dictionaryOf, healthyWorld, inputOf, refusal, subscriptionId, type World } from './world.ts';

async function find(world: World, check: string, changes: Partial<PreflightInput> = {}): Promise<Finding> {
  const { findings } = await runPreflight(inputOf(world, changes));
  const [finding, ...others] = findings.filter((candidate) => candidate.check === check);
  expect(others).toEqual([]);
  return finding!;
}

const mode = (of: World, runAs: 'report' | 'enforce'): Partial<PreflightInput> => ({
  serviceNow: { ...inputOf(of).serviceNow, runAs: { mode: runAs, user: 'VR.System' } },
});

describe('the scope of the plugin, as its form says it', () => {
  const writersWith = async (
    values: Readonly<Record<string, string>>,
    change: (world: World) => void = () => undefined,
  ): Promise<Finding> => {
    const world = healthyWorld();
    world.rows['sn_vul_integration'] = [fake.pluginRow()];
    world.rows['sn_sec_int_impl_config'] = fake.scopeRows(values);
    change(world);
    return find(world, 'servicenow.plugin-writers');
  };

  test.each([
    ['another tenant', { 'Tenant ID': subscriptionId(9) }, 'ok', 'ok', subscriptionId(9)],
    ['the whole tenant', { 'Tenant ID': fake.tenantId.toUpperCase() }, 'blocking', 'plugin-active', 'the whole of it'],
    [
      'one of our subscriptions, and one of others',
      {
        'Tenant ID': fake.tenantId,
        'Import Findings from': 'Specific Subscriptions',
        'Subscription IDs': `${subscriptionId(1)}, ${subscriptionId(7)}`,
      },
      'blocking',
      'plugin-active',
      `subscription ${subscriptionId(1)}`,
    ],
    [
      'other subscriptions of the tenant',
      { 'Tenant ID': fake.tenantId, 'Import Findings from': 'Specific Subscriptions', 'Subscription IDs': subscriptionId(7) },
      'ok',
      'ok',
      'other subscriptions',
    ],
    [
      'subscriptions chosen, but none named',
      { 'Tenant ID': fake.tenantId, 'Import Findings from': 'Specific Subscriptions', 'Subscription IDs': '' },
      'blocking',
      'plugin-active',
      'the whole of it',
    ],
    ['an empty tenant', { 'Tenant ID': '' }, 'blocking', 'plugin-scope-not-readable', 'no Tenant ID'],
    [
      'a management group that nobody may expand',
      { 'Tenant ID': fake.tenantId, 'Import Findings from': 'Specific Management Groups', 'Management Group IDs': 'mg-1' },
      'blocking',
      'plugin-scope-not-readable',
      'mg-1',
    ],
  ])('%s → %s', async (_state, values, verdict, cause, words) => {
    const finding = await writersWith(values);
    expect(finding).toMatchObject({ verdict, cause });
    expect(finding.evidence).toContain(words);
  });

  test('management groups are compared by the subscriptions in them', async () => {
    const values = { 'Tenant ID': fake.tenantId, 'Import Findings from': 'Specific Management Groups', 'Management Group IDs': 'mg-1' };
    const inside = await writersWith(values, (world) => (world.managementGroups['mg-1'] = [subscriptionId(2)]));
    expect(inside).toMatchObject({ verdict: 'blocking', cause: 'plugin-active' });
    const outside = await writersWith(values, (world) => (world.managementGroups['mg-1'] = [subscriptionId(8)]));
    expect(outside.verdict).toBe('ok');
  });

  test('our own scope is what the management groups of the configuration hold; not known, no scope is other', async () => {
    const values = { 'Tenant ID': fake.tenantId, 'Subscription IDs': subscriptionId(2) };
    const ours = (world: World): void => {
      world.scope = { type: 'management-groups', managementGroups: ['ours'] };
      world.managementGroups['ours'] = [subscriptionId(2)];
    };
    expect(await writersWith(values, ours)).toMatchObject({ verdict: 'blocking', cause: 'plugin-active' });
    const refused = await writersWith(values, (world) => {
      ours(world);
      world.managementGroups['ours'] = refusal('forbidden', { status: 403 });
    });
    expect(refused).toMatchObject({ verdict: 'blocking', cause: 'plugin-scope-not-readable' });
  });

  test('the parameters are hidden', async () => {
    const finding = await writersWith({ 'Tenant ID': subscriptionId(9) }, (world) => {
      dictionaryOf(world).tables['sn_sec_int_impl_config']!.state = 'hidden';
    });
    expect(finding).toMatchObject({ verdict: 'blocking', cause: 'plugin-scope-not-readable' });
    expect(finding.remedy).toContain('sn_sec_int_impl_config');
  });
});

describe('run-as', () => {
  const drifted = { run_as: 'sys-helper', 'run_as.user_name': 'helper', sys_updated_by: 'admin', sys_updated_on: '2026-11-20 08:00:00' };

  test('drift says whose record it is, as whom it runs, who changed it last and when; what follows depends on the mode', async () => {
    const world = healthyWorld();
    fake.withDataSource(world, 0, drifted);
    const report = await find(world, 'servicenow.run-as', mode(world, 'report'));
    expect(report).toMatchObject({ verdict: 'warning', cause: 'run-as-drift' });
    expect(report.evidence).toMatch(/plugin-1/);
    expect(report.evidence).toContain('as helper, last changed by admin at 2026-11-20 08:00:00 UTC');
    expect(report.follows).toContain('leaves it as it is');
    expect(report.remedy).toContain('serviceNow.runAs.mode to enforce');
    const enforce = await find(world, 'servicenow.run-as', mode(world, 'enforce'));
    expect(enforce.follows).toContain('puts the field back');
  });

  test('records of other deployments and of other vendors are nobody’s business here', async () => {
    const world = healthyWorld();
    const engine = { 'integration.name': 'defender-sync', 'integration.id': 'defender-sync', 'instance.name': '', ...drifted };
    world.rows['sn_vul_integration'] = [
      fake.pluginRow({ name: 'defender-sync fabrikam: Assessments', ...engine }),
      fake.pluginRow({ name: 'Qualys', 'integration.name': 'Qualys', 'integration.id': 'q', 'instance.name': 'Qualys', ...drifted }),
    ];
    expect((await find(world, 'servicenow.run-as')).verdict).toBe('ok');
    world.rows['sn_vul_integration'] = [fake.pluginRow({ name: 'defender-sync contoso: Assessments', ...engine })];
    expect((await find(world, 'servicenow.run-as')).cause).toBe('run-as-drift');
  });
});

describe('attachments', () => {
  const earlier = (...counts: number[]): Partial<PreflightInput> => ({
    attachmentLog: { earlier: () => Promise.resolve(new Map([['source-1', counts]])), remember: () => Promise.resolve() },
  });

  test.each([
    ['none', 0, [], 'ok'],
    ['one, as a run may leave it', 1, [0, 1], 'ok'],
    ['more, never counted before', 3, [], 'attachments-surplus'],
    ['more than before', 3, [1, 2], 'attachments-pile-up'],
    ['as many as the last run, more than earlier ones', 3, [1, 2, 3], 'attachments-pile-up'],
    ['as many as ever', 3, [3, 3, 3, 3, 3], 'attachments-surplus'],
    ['fewer than before', 2, [5, 4], 'attachments-surplus'],
  ])('%s: %i after %j → %s', async (_state, count, counts, cause) => {
    const world = healthyWorld();
    fake.withDataSource(world, count);
    expect((await find(world, 'servicenow.attachments', earlier(...counts))).cause).toBe(cause);
  });

  test('growth is named with the data source, its counts and what is expected', async () => {
    const world = healthyWorld();
    fake.withDataSource(world, 3);
    const finding = await find(world, 'servicenow.attachments', earlier(1, 2));
    expect(finding.evidence).toContain('"Assessments" (source-1): 1 → 2 → 3');
    expect(finding.evidence).toContain('One run leaves 1 at most');
    expect(finding.remedy).toContain('defender-sync attachments list');
  });

  test('a run in progress is not judged, and not remembered', async () => {
    const world = healthyWorld();
    fake.withDataSource(world, 5);
    world.rows['sn_vul_integration_run'] = [{ sys_id: 'run-1', integration: 'plugin-1', state: 'running' }];
    const remembered: ReadonlyMap<string, number>[] = [];
    const finding = await find(world, 'servicenow.attachments', {
      attachmentLog: { earlier: () => Promise.resolve(new Map()), remember: async (counts) => void remembered.push(counts) },
    });
    expect(finding.verdict).toBe('ok');
    expect(finding.evidence).toContain('not judged while a run is in progress: "Assessments"');
    expect(remembered).toEqual([new Map()]);
  });

  test.each([
    ['the link to data sources', (world: World) => (dictionaryOf(world).tables['sn_vul_int_data_src']!.columns = {})],
    ['every link', (world: World) => (world.rows['sn_vul_int_data_src'] = [])],
    ['the data source', (world: World) => (world.rows['sys_data_source'] = [])],
  ])('%s is hidden: nobody says that nothing hangs there', async (_what, change) => {
    const world = healthyWorld();
    fake.withDataSource(world, 3);
    change(world);
    expect(await find(world, 'servicenow.attachments')).toMatchObject({
      verdict: 'not-readable',
      cause: 'data-sources-not-readable',
    });
  });

  test('integration records that are hidden are named once, by the check of two writers', async () => {
    const world = healthyWorld();
    dictionaryOf(world).tables['sn_vul_integration']!.state = 'hidden';
    expect((await find(world, 'servicenow.plugin-writers')).cause).toBe('table-hidden');
    for (const check of ['servicenow.run-as', 'servicenow.attachments']) expect((await find(world, check)).verdict).toBe('not-checked');
  });
});
