import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  account,
  addRow,
  chain,
  changeRow,
  datacenter,
  ENGINE_PROPERTY,
  HOSTED,
  image,
  operations,
  resource,
  rows,
  ruleOf,
  server,
  setProperty,
  source,
  sysIdOf,
  type IreItem,
} from './ire-payloads.ts';
import { startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});
afterAll(() => started.stop());

const attempts = (answer: Answer, index = 0): string[] =>
  (answer.json.result.items[index].identificationAttempts as { info?: string; attemptResult: string; attributes: string[] }[]).map(
    ({ info, attemptResult, attributes }) => info ?? `${attributes.join('+')} ${attemptResult}`,
  );
const serial = (number: string): object => ({
  className: 'cmdb_serial_number',
  values: { serial_number: number, serial_number_type: 'system', valid: 'true' },
});

describe('IRE identification by source and by sys_id (servicenow.md §5.1)', () => {
  it('sys_object_source is asked first, remembers the native key, and is skipped where an item has none', async () => {
    const first = await started.ire({ items: [{ ...account('s1'), ...source('native-1') }, account('s1b')] });
    expect(first.json.result.items[0].identificationAttempts[0]).toEqual({
      identifierName: '',
      attemptResult: 'NO_MATCH',
      attributes: [],
      hybridEntryCiAttributes: [],
      info: 'sys_object_source NO_MATCH',
    });
    expect(attempts(first, 1)[0]).toBe('sys_object_source SKIPPED');
    const moved = await started.ire({ items: [{ ...account('s1 renamed'), ...source('native-1') }] });
    expect(moved.json.result.items[0]).toMatchObject({ operation: 'UPDATE', sysId: sysIdOf(first, 0), identifierEntrySysId: 'Unknown' });
    expect(attempts(moved)).toEqual(['sys_object_source MATCHED']);
  });

  it('skip_sys_object_source_matching prefers the rules, unless the key is all there is', async () => {
    await started.ire({ items: [{ ...image('s2'), ...source('native-2') }] });
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.skip_sys_object_source_matching`, 'true');
    const other = await started.ire({ items: [{ ...image('s2 other'), ...source('native-2') }] });
    expect(operations(other)).toEqual(['INSERT']);
    const keyOnly = await started.ire({
      items: [{ className: 'cmdb_ci_docker_image', values: { name: 'key only' }, ...source('native-2') }],
    });
    expect(operations(keyOnly)).toEqual(['UPDATE']);
    await undo();
  });

  it('last_scan follows source_recency_timestamp, never back (documented property)', async () => {
    const scanned = async (recency: string): Promise<string | undefined> => {
      await started.ire({ items: [{ ...image('s3'), ...source('native-3', recency) }] });
      return (await rows(started, 'sys_object_source', 'id=native-3'))[0]?.['last_scan'];
    };
    await expect(scanned('2026-02-02 00:00:00')).resolves.toBe('2026-02-02 00:00:00');
    await expect(scanned('2026-01-01 00:00:00')).resolves.toBe('2026-02-02 00:00:00');
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.skip_updating_last_scan_if_older`, 'false');
    await expect(scanned('2026-01-01 00:00:00')).resolves.toBe('2026-01-01 00:00:00');
    await undo();
  });

  it('dependent_ci_parent_rule_fallback.json: an item given by sys_id has no attempts, and needs no chain', async () => {
    const first = await started.ire(chain('s4', [resource('/s4')]));
    const values = { sys_id: sysIdOf(first, 2), name: 'by id' };
    const answer = await started.ire({ items: [{ className: 'cmdb_ci_cmp_resource', values }] });
    expect(answer.json.result.items[0]).toMatchObject({ operation: 'UPDATE', identificationAttempts: [], sysId: values.sys_id });
  });
});

describe('IRE identifier entries (servicenow.md §5.1; documentation of CI identification rules)', () => {
  it('by order: look-up records, then the class’s own columns', async () => {
    const first = await started.ire({
      items: [{ ...server('e1', 'cmdb_ci_linux_server', { serial_number: 'E1' }), lookup: [serial('E1-a'), serial('E1-b')] }],
    });
    expect(attempts(first)).toEqual([
      'serial_number+serial_number_type NO_MATCH',
      'serial_number NO_MATCH',
      'name NO_MATCH',
      'mac_address+name SKIPPED',
    ]);
    expect(first.json.result.items[0]).toMatchObject({
      relatedItems: [{ operation: 'INSERT' }, { operation: 'INSERT' }],
      relatedSysIds: [expect.any(String), expect.any(String)],
    });
    await expect(rows(started, 'cmdb_serial_number', `cmdb_ci=${sysIdOf(first, 0)}`)).resolves.toHaveLength(2);
    const byLookup = await started.ire({ items: [{ ...server('e1 renamed'), lookup: [serial('e1-B')] }] });
    expect(byLookup.json.result.items[0]).toMatchObject({ operation: 'UPDATE', sysId: sysIdOf(first, 0) });
    expect(attempts(byLookup)).toEqual(['serial_number+serial_number_type MATCHED']);
    const byColumn = await started.ire({ items: [server('other name', 'cmdb_ci_linux_server', { serial_number: 'e1' })] });
    expect(sysIdOf(byColumn, 0)).toBe(sysIdOf(first, 0));
  });

  it('several CIs behind look-up records: the one with most of them, or with an exact count only the one with all', async () => {
    const [one, two] = [
      await addRow(started, 'cmdb_ci_linux_server', { name: 'e2 one' }),
      await addRow(started, 'cmdb_ci_linux_server', { name: 'e2 two' }),
    ];
    for (const [ci, numbers] of [
      [one, ['E2-a']],
      [two, ['E2-a', 'E2-b']],
    ] as const)
      for (const number of numbers)
        await addRow(started, 'cmdb_serial_number', { serial_number: number, serial_number_type: 'system', cmdb_ci: ci });
    const item = { ...server('e2 payload'), lookup: ['E2-a', 'E2-b', 'E2-c'].map(serial) };
    expect(sysIdOf(await started.ire({ items: [item] }, '/query'), 0)).toBe(two);
    const rule = await ruleOf(started, 'cmdb_ci_hardware');
    const [entry] = await rows(started, 'cmdb_identifier_entry', `identifier=${rule}^table=cmdb_serial_number`);
    await changeRow(started, 'cmdb_identifier_entry', entry?.['sys_id'] ?? '', { exact_count_match: 'true' });
    expect(operations(await started.ire({ items: [item] }, '/query'))).toEqual(['INSERT']);
    await changeRow(started, 'cmdb_identifier_entry', entry?.['sys_id'] ?? '', { exact_count_match: 'false' });
  });

  it('a hybrid entry needs its look-up record and the class’s own columns', async () => {
    const rule = await ruleOf(started, 'cmdb_ci_hardware');
    const entry = {
      identifier: rule,
      table: 'cmdb_serial_number',
      attributes: 'serial_number',
      hybrid_entry_ci_criterion_attributes: 'asset_tag',
    };
    const hybrid = await addRow(started, 'cmdb_identifier_entry', { ...entry, order: '1', active: 'true' });
    const ci = await addRow(started, 'cmdb_ci_linux_server', { name: 'e3', asset_tag: 'T3' });
    await addRow(started, 'cmdb_serial_number', { serial_number: 'E3', serial_number_type: 'other', cmdb_ci: ci });
    const item = (tag: string): IreItem => ({ ...server(`e3 ${tag}`, 'cmdb_ci_linux_server', { asset_tag: tag }), lookup: [serial('E3')] });
    const matched = await started.ire({ items: [item('t3')] }, '/query');
    expect(matched.json.result.items[0]).toMatchObject({
      sysId: ci,
      identifierEntrySysId: hybrid,
      identificationAttempts: [{ attemptResult: 'MATCHED', hybridEntryCiAttributes: ['asset_tag'], searchOnTable: 'cmdb_serial_number' }],
    });
    expect(operations(await started.ire({ items: [item('another')] }, '/query'))).toEqual(['INSERT']);
    await started.admin('DELETE', `/servicenow/rows/cmdb_identifier_entry/${hybrid}`);
  });

  it('allow null: one value is enough, and the empty columns must be empty', async () => {
    const identifier = await addRow(started, 'cmdb_identifier', {
      name: 'Phone',
      applies_to: 'cmdb_ci_ip_phone',
      active: 'true',
      independent: 'true',
    });
    const entry = { identifier, table: 'cmdb_ci_ip_phone', attributes: 'name,mac_address', order: '1', active: 'true' };
    const entryId = await addRow(started, 'cmdb_identifier_entry', entry);
    const phone = (values: Record<string, string>): object => ({ items: [{ className: 'cmdb_ci_ip_phone', values }] });
    expect(operations(await started.ire(phone({ name: 'e4' })))).toEqual([undefined]);
    await changeRow(started, 'cmdb_identifier_entry', entryId, { allow_null_attribute: 'true' });
    expect(operations(await started.ire(phone({ name: 'e4' })))).toEqual(['INSERT']);
    expect(operations(await started.ire(phone({ name: 'e4', mac_address: '00:00' })))).toEqual(['INSERT']);
    expect(operations(await started.ire(phone({ name: 'E4' }), '/query'))).toEqual(['UPDATE']);
  });

  it('a dependent class falls back to the rules of its parents; below a new host no attempt is made', async () => {
    const db2: IreItem = {
      className: 'cmdb_ci_db_db2_instance',
      values: { name: 'e5', db_name: 'new', installed_dir: '/opt', tcp_port: '50000', running_process_command: 'db2sysc' },
    };
    const payload = (host: string, item: IreItem): object => ({
      items: [server(host), item],
      relations: [{ parent: 1, child: 0, type: 'Runs on::Runs' }],
    });
    const first = await started.ire(payload('e5', db2));
    expect(attempts(first, 1)).toEqual([]);
    const moved = await started.ire(payload('e5', { ...db2, values: { ...db2.values, db_name: 'moved' } }));
    expect(attempts(moved, 1)).toEqual([
      'db_name+installed_dir+sys_class_name+tcp_port NO_MATCH',
      'serial_number SKIPPED',
      'edition+name+tcp_port SKIPPED',
      'cl_port+sys_class_name SKIPPED',
      'running_process_command+running_process_key_parameters+sys_class_name MATCHED',
    ]);
    expect(sysIdOf(moved, 1)).toBe(sysIdOf(first, 1));
    expect(sysIdOf(await started.ire(payload('e5 elsewhere', db2)), 1)).not.toBe(sysIdOf(first, 1));
  });

  it('either end of the relation may be the dependent one, and one of several dependencies is enough (dictionary/identifiers.json)', async () => {
    const volume: IreItem = { className: 'cmdb_ci_storage_volume', values: { object_id: '/v/e6', name: 'disk' } };
    const contained = { items: [server('e6'), volume], relations: [{ parent: 0, child: 1, type: 'Contains::Contained by' }] };
    expect(operations(await started.ire(contained))).toEqual(['INSERT', 'INSERT']);
    const hosted = {
      items: [account('e6'), datacenter(), volume],
      relations: [
        { parent: 1, child: 0, type: HOSTED },
        { parent: 2, child: 1, type: HOSTED },
      ],
    };
    // Under another host it is another record.
    expect(operations(await started.ire(hosted))).toEqual(['INSERT', 'INSERT', 'INSERT']);
    const [rule] = await rows(started, 'cmdb_metadata_hosting', 'parent_type=cmdb_ci_storage_cluster');
    expect(rule?.['is_reverse']).toBe('true');
  });
});

describe('IRE related items, references, relation sources (servicenow.md §5.1)', () => {
  it('tags by cmdb_related_entry: inserted, updated by their key, unchanged', async () => {
    const entry = {
      identifier: await ruleOf(started, 'cmdb_ci_cmp_resource'),
      table: 'cmdb_key_value',
      referenced_field: 'configuration_item',
      attributes: 'key',
    };
    await addRow(started, 'cmdb_related_entry', entry);
    const send = (value: string): Promise<Answer> =>
      started.ire(chain('r1', [{ ...resource('/r1'), related: [{ className: 'cmdb_key_value', values: { key: 'env', value } }] }]));
    const outcomes: unknown[] = [];
    for (const value of ['test', 'prod', 'prod']) outcomes.push((await send(value)).json.result.items[2].relatedItems[0].operation);
    expect(outcomes).toEqual(['INSERT', 'UPDATE', 'NO_CHANGE']);
    await expect(rows(started, 'cmdb_key_value', 'key=env')).resolves.toMatchObject([{ value: 'prod' }]);
  });

  it('script_api_insert_related_reference_items.json: referenceItems fill a column before the referring item is identified', async () => {
    const related = { className: 'cmdb_software_instance', internal_id: 'si', values: { name: 'r2 on r2' } };
    const payload = {
      items: [
        { className: 'cmdb_ci_spkg', values: { name: 'r2', key: 'r2_:::_NULL' }, related: [related] },
        { ...server('r2'), internal_id: 'host' },
      ],
      referenceItems: [{ referenceField: 'installed_on', referenced: 'host', referencedBy: 'si' }],
    };
    const answer = await started.ire(payload);
    expect(operations(answer)).toEqual(['INSERT', 'INSERT']);
    await expect(rows(started, 'cmdb_software_instance', 'name=r2 on r2')).resolves.toMatchObject([
      { installed_on: sysIdOf(answer, 1), software: sysIdOf(answer, 0) },
    ]);
    const again = await started.ire(payload);
    expect(again.json.result.items[0]).toMatchObject({ operation: 'NO_CHANGE', relatedItems: [{ operation: 'NO_CHANGE' }] });
    const unreferenced = await started.ire({ items: payload.items }, '/enhanced');
    expect(unreferenced.json.result.items[0].relatedItems).toMatchObject([{ operation: 'INSERT_AS_INCOMPLETE', errorCount: 1 }]);
  });

  it('sys_rel_source_info is kept for relations that nothing depends on; the feed is UNKNOWN by default (documentation of the API)', async () => {
    const relations = [
      { parent: 0, child: 1, type: 'Uses::Used by', sys_rel_source_info: { source_name: 'SG-Azure' } },
      { parent: 2, child: 0, type: HOSTED },
    ];
    const answer = await started.ire({ items: [account('r3'), image('r3'), datacenter('r3')], relations });
    const [used, hosted] = answer.json.result.relations as { sysId: string }[];
    await expect(rows(started, 'sys_rel_source', `relationship=${used?.sysId ?? ''}`)).resolves.toMatchObject([
      { source_name: 'SG-Azure', source_feed: 'UNKNOWN' },
    ]);
    await expect(rows(started, 'sys_rel_source', `relationship=${hosted?.sysId ?? ''}`)).resolves.toEqual([]);
  });
});
