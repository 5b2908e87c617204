import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  account,
  addRow,
  codes,
  CONTAINS,
  datacenter,
  ENGINE_PROPERTY,
  HOSTED,
  image,
  itemsOf,
  operations,
  resource,
  rows,
  server,
  setProperty,
  source,
  sysIdOf,
} from './ire-payloads.ts';
import { ENGINE_SOURCE, startLab, type StartedLab } from './start.ts';

const PARTIALS = 'cmdb_ire_partial_payloads';
const INCOMPLETE = 'cmdb_ire_incomplete_payloads';
const DAY_MS = 86_400_000;
const nameless = (key: string, values: Record<string, unknown> = {}, recency?: string): ReturnType<typeof server> => ({
  className: 'cmdb_ci_computer',
  values,
  ...source(key, recency),
});

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});
afterAll(() => started.stop());

const partials = (): Promise<Record<string, string>[]> => rows(started, PARTIALS, '');

describe('IRE partial payloads (servicenow.md §5.1; documentation of the engine, partial items)', () => {
  it('identifyreconcile_enhanced_insert_as_partial.json: kept with its reason; sent again it replaces the kept one', async () => {
    const first = await started.ire({ items: [nameless('p1', { ram: '8192' })] }, '/enhanced');
    const [item] = first.json.result.items;
    expect(item).toMatchObject({
      operation: 'INSERT_AS_PARTIAL',
      sysId: 'Unknown',
      errors: [],
      errorCount: 0,
      warningCount: 1,
      mergedPayloadIds: [],
    });
    expect(item.warnings[0].message).toMatch(/"settings":\{\},"sys_ire_info":\{"ire_received_time":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"\}\}'$/);
    const [kept] = await partials();
    expect(kept).toMatchObject({
      sys_id: item.partialSysIds[0],
      class_name: 'cmdb_ci_computer',
      error_code: 'MISSING_MATCHING_ATTRIBUTES',
    });
    const again = await started.ire({ items: [nameless('p1', { cpu_count: '2' })] }, '/enhanced');
    expect(again.json.result.items[0]).toMatchObject({ operation: 'INSERT_AS_PARTIAL', mergedPayloadIds: [kept?.['sys_id']] });
    expect((await partials()).map(({ sys_id: id }) => id)).toEqual(again.json.result.items[0].partialSysIds);
  });

  it('identifyreconcile_enhanced_generate_summary_insert.json: a later payload of the same source completes it', async () => {
    const [kept] = await partials();
    const complete = { ...server('p1', 'cmdb_ci_linux_server'), ...source('p1') };
    const answer = await started.ire({ items: [complete] }, '/enhanced?options=generate_summary:true');
    expect(answer.json.result).toMatchObject({
      items: [{ className: 'cmdb_ci_linux_server', operation: 'INSERT', mergedPayloadIds: [kept?.['sys_id']] }],
      summary: { cmdb_ci_linux_server: { inserted: 1, mergedPartialPayloads: 1 } },
    });
    await expect(rows(started, 'cmdb_ci_linux_server', 'name=p1')).resolves.toMatchObject([{ ram: '8192', cpu_count: '2' }]);
    await expect(partials()).resolves.toEqual([]);
    await expect(rows(started, 'cmdb_ire_partial_payloads_index', '')).resolves.toEqual([]);
  });

  it('what hangs on a partial item is partial too, and comes along as an additional item', async () => {
    const volume = { className: 'cmdb_ci_storage_volume', values: { object_id: '/disk/p2', name: 'disk1' } };
    const feed = { items: [nameless('p2'), volume], relations: [{ parent: 0, child: 1, type: CONTAINS }] };
    const partial = await started.ire(feed, '/enhanced');
    expect(operations(partial)).toEqual(['INSERT_AS_PARTIAL', 'INSERT_AS_PARTIAL']);
    expect(itemsOf(partial)[1]?.warnings).toMatchObject([{ error: 'ABANDONED' }]);
    expect(partial.json.result.relations).toMatchObject([{ operation: 'INSERT_AS_PARTIAL', errorCount: 0 }]);
    await expect(partials()).resolves.toHaveLength(1);
    const answer = await started.ire({ items: [{ ...server('p2'), ...source('p2') }] }, '/enhanced?options=generate_summary:true');
    expect(answer.json.result).toMatchObject({
      items: [{ operation: 'INSERT' }],
      additionalCommittedItems: [{ className: 'cmdb_ci_storage_volume', operation: 'INSERT', inputIndices: [] }],
      additionalCommittedRelations: [{ operation: 'INSERT', inputIndices: [] }],
      summary: { cmdb_ci_storage_volume: { additionalInserted: 1, inserted: 0 } },
    });
    await expect(rows(started, 'cmdb_rel_ci', `parent=${sysIdOf(answer, 0)}`)).resolves.toHaveLength(1);
  });

  it('the newer of two values wins, by source_recency_timestamp', async () => {
    await started.ire({ items: [nameless('p3', { ram: '2', os: 'new' }, '2026-05-02 00:00:00')] }, '/enhanced');
    const older = { ...server('p3', 'cmdb_ci_linux_server', { ram: '1' }), ...source('p3', '2026-05-01 00:00:00') };
    await started.ire({ items: [older] }, '/enhanced');
    await expect(rows(started, 'cmdb_ci_linux_server', 'name=p3')).resolves.toMatchObject([{ ram: '2', os: 'new' }]);
  });

  it('INSERT_NOT_ALLOWED_FOR_SOURCE waits for a source that may insert, then may update (IRE data source rules)', async () => {
    const rule = await addRow(started, 'cmdb_ire_data_source_rule', { applies_to: 'cmdb_ci_docker_image', data_source: ENGINE_SOURCE });
    const blocked = await started.ire({ items: [image('p4', { namespace: 'kept' })] }, '/enhanced');
    expect(operations(blocked)).toEqual(['INSERT_AS_PARTIAL']);
    const allowed = await started.ire({ items: [image('p4')] }, '/enhanced', 'ServiceNow');
    expect(allowed.json.result.items[0]).toMatchObject({ operation: 'INSERT', mergedPayloadIds: [expect.any(String)] });
    await expect(rows(started, 'cmdb_ci_docker_image', 'image_id=p4')).resolves.toMatchObject([{ namespace: 'kept' }]);
    expect(operations(await started.ire({ items: [image('p4', { name: 'mine' })] }, '/enhanced'))).toEqual(['UPDATE']);
    await started.admin('DELETE', `/servicenow/rows/cmdb_ire_data_source_rule/${rule}`);
  });

  it('a large group is split at the documented size', async () => {
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.partial_payload_items_max_size`, '2');
    const before = (await partials()).length;
    const volumes = ['a', 'b', 'c', 'd'].map((name) => ({
      className: 'cmdb_ci_storage_volume',
      values: { object_id: `/disk/p5/${name}` },
    }));
    const relations = volumes.map((_, index) => ({ parent: 0, child: index + 1, type: CONTAINS }));
    await started.ire({ items: [nameless('p5'), ...volumes], relations }, '/enhanced');
    await expect(partials()).resolves.toHaveLength(before + 3);
    await undo();
  });

  it('queryEnhanced says what would be kept and keeps nothing', async () => {
    const before = await started.admin('GET', '/servicenow/summary');
    const answer = await started.ire({ items: [nameless('p6')] }, '/queryEnhanced');
    expect(answer.json.result.items[0]).toMatchObject({
      operation: 'INSERT_AS_PARTIAL',
      partialSysIds: [expect.stringMatching(/^[0-9a-f]{32}$/)],
    });
    await expect(started.admin('GET', '/servicenow/summary')).resolves.toEqual(before);
  });

  it('lives for 90 days of lab time', async () => {
    await started.ire({ items: [nameless('p7', { ram: '7' })] }, '/enhanced');
    started.clock.advance(91 * DAY_MS);
    const late = await started.ire({ items: [{ ...server('p7'), ...source('p7') }] }, '/enhanced');
    expect(late.json.result.items[0]).toMatchObject({ operation: 'INSERT', mergedPayloadIds: [] });
    await expect(partials()).resolves.toEqual([]);
  });
});

describe('IRE incomplete payloads (servicenow.md §5.1; documentation of the engine, incomplete items)', () => {
  it('no source key and no complete identifier, or another error: kept for the record, never taken up again', async () => {
    const answer = await started.ire({ items: [{ className: 'cmdb_ci_docker_image', values: { name: 'i1' } }] }, '/enhanced');
    const [item] = answer.json.result.items;
    expect(item).toMatchObject({ operation: 'INSERT_AS_INCOMPLETE', sysId: 'Unknown', errorCount: 1 });
    await expect(rows(started, INCOMPLETE, `sys_id=${String(item.incompleteSysIds[0])}`)).resolves.toMatchObject([
      { class_name: 'cmdb_ci_docker_image', error_code: 'MISSING_MATCHING_ATTRIBUTES' },
    ]);
    const complete = await started.ire({ items: [image('i1', { name: 'i1' })] }, '/enhanced');
    expect(complete.json.result.items[0]).toMatchObject({ operation: 'INSERT', mergedPayloadIds: [] });
  });

  it('rerun_insert_update_no_change.json: an unregistered data source', async () => {
    const answer = await started.ire({ items: [account('i2')] }, '/enhanced', 'Nobody');
    expect(answer.json.result).toMatchObject({
      hasError: true,
      items: [{ operation: 'INSERT_AS_INCOMPLETE', incompleteSysIds: [expect.any(String)], errors: [{ error: 'INVALID_INPUT_DATA' }] }],
    });
  });

  it('no data source at all: every endpoint puts the payload aside (documentation of sysparm_data_source)', async () => {
    const payload = { items: [account('i3'), datacenter()], relations: [{ parent: 1, child: 0, type: HOSTED }] };
    const answer = await started.post('/api/now/identifyreconcile', payload);
    expect(operations(answer)).toEqual(['INSERT_AS_INCOMPLETE', 'INSERT_AS_INCOMPLETE']);
    expect(itemsOf(answer).map(codes)).toEqual([['INVALID_INPUT_DATA'], ['INVALID_INPUT_DATA']]);
    await expect(rows(started, INCOMPLETE, 'class_name=cmdb_ci_azure_datacenter')).resolves.toHaveLength(1);
    await expect(rows(started, 'cmdb_ci_cloud_service_account', 'object_id=i3')).resolves.toEqual([]);
  });

  it('rerun_insert_update_no_change.json: classes without their dependency are a warning, not an error', async () => {
    const items = [resource('/i4'), { className: 'cmdb_ci_vm_instance', values: { object_id: '/vm/i4' } }];
    const answer = await started.ire({ items }, '/queryEnhanced');
    expect(answer.json.result).toMatchObject({ hasWarning: true, hasError: false });
  });
});
