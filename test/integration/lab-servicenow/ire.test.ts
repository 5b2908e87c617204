import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ENGINE_SOURCE, startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

type Item = Record<string, unknown> & { className: string; values: Record<string, unknown> };
const HOSTED = 'Hosted on::Hosts';

const account = (id: string): Item => ({
  className: 'cmdb_ci_cloud_service_account',
  values: { object_id: id, account_id: id, name: `Account ${id}`, datacenter_type: 'cmdb_ci_azure_datacenter' },
});
const datacenter = (region = 'eastus'): Item => ({
  className: 'cmdb_ci_azure_datacenter',
  values: { object_id: region, region, name: region },
});
const resource = (id: string, values: Record<string, unknown> = {}): Item => ({
  className: 'cmdb_ci_cmp_resource',
  values: { object_id: id, name: id, resource_type: 'microsoft.storage/storageaccounts', ...values },
});

/** The chain of servicenow.md §5.1: each resource on the datacenter, the datacenter on the account. */
function chain(accountId: string, resources: Item[], region = 'eastus'): { items: Item[]; relations: object[] } {
  return {
    items: [account(accountId), datacenter(region), ...resources],
    relations: [{ parent: 1, child: 0, type: HOSTED }, ...resources.map((_, index) => ({ parent: index + 2, child: 1, type: HOSTED }))],
  };
}

interface AnsweredItem {
  operation?: string;
  errors?: { error: string; message: string }[];
}

const itemsOf = (answer: Answer): AnsweredItem[] => answer.json.result.items as AnsweredItem[];
const codes = ({ errors = [] }: AnsweredItem): string[] => errors.map(({ error }) => error);
const operations = (answer: Answer): unknown[] => itemsOf(answer).map(({ operation }) => operation);
const errorsOf = (answer: Answer): string[][] => itemsOf(answer).map(codes);

async function rows(table: string, query: string): Promise<Record<string, string>[]> {
  const parameters = `sysparm_query=${encodeURIComponent(query)}&sysparm_exclude_reference_link=true`;
  return (await started.get(`/api/now/table/${table}?${parameters}`)).json.result as Record<string, string>[];
}

describe('IRE: a cloud resource (servicenow.md §5.1)', () => {
  it('inserts account, datacenter and resource with their relations', async () => {
    const answer = await started.ire(chain('sub-1', [resource('/r/1')]));
    expect(answer.status).toBe(200);
    expect(operations(answer)).toEqual(['INSERT', 'INSERT', 'INSERT']);
    expect(answer.json.result.relations).toMatchObject([
      { className: 'cmdb_rel_ci', operation: 'INSERT', errorCount: 0, inputIndices: [0] },
      { operation: 'INSERT', inputIndices: [1] },
    ]);
    const [ci] = await rows('cmdb_ci_cmp_resource', 'object_id=/r/1');
    expect(ci).toMatchObject({ discovery_source: ENGINE_SOURCE, sys_class_name: 'cmdb_ci_cmp_resource', sys_created_by: 'defender.sync' });
    expect(ci?.['last_discovered']).toMatch(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/);
    expect(answer.json.result.items[2]).toMatchObject({
      sysId: ci?.['sys_id'],
      inputIndices: [2],
      markers: [],
      mergedPayloadIds: [],
      errorCount: 0,
    });
  });

  it('identifyreconcile/rerun_insert_update_no_change.json: NO_CHANGE again, UPDATE when a value moved; no second relation', async () => {
    const payload = chain('sub-2', [resource('/r/2')]);
    const first = await started.ire(payload);
    started.clock.advance(5000);
    const again = await started.ire(payload);
    expect(operations(again)).toEqual(['NO_CHANGE', 'NO_CHANGE', 'NO_CHANGE']);
    expect(again.json.result.relations).toMatchObject([{ operation: 'NO_CHANGE' }, { operation: 'NO_CHANGE' }]);
    expect(again.json.result.relations[0].sysId).toBe(first.json.result.relations[0].sysId);
    expect(again.json.result.items[2].sysId).toBe(first.json.result.items[2].sysId);
    expect(again.json.result.items[2]).toMatchObject({
      identifierEntrySysId: expect.stringMatching(/^[0-9a-f]{32}$/),
      identificationAttempts: [
        { attemptResult: 'MATCHED', attributes: ['object_id'], searchOnTable: 'cmdb_ci_cmp_resource', hybridEntryCiAttributes: [] },
      ],
    });
    const renamed = await started.ire(chain('sub-2', [resource('/r/2', { name: 'renamed' })]));
    expect(operations(renamed)).toEqual(['NO_CHANGE', 'NO_CHANGE', 'UPDATE']);
    const sysId = String(first.json.result.items[2].sysId);
    await expect(rows('cmdb_rel_ci', `parent=${sysId}`)).resolves.toHaveLength(1);
  });

  it('discovery_source and last_discovered are always updated', async () => {
    const payload = chain('sub-3', [resource('/r/3')]);
    await started.ire(payload);
    const [before] = await rows('cmdb_ci_cmp_resource', 'object_id=/r/3');
    started.clock.advance(86_400_000);
    await started.ire(payload, '', 'ServiceNow');
    const [after] = await rows('cmdb_ci_cmp_resource', 'object_id=/r/3');
    expect(after?.['discovery_source']).toBe('ServiceNow');
    expect((after?.['last_discovered'] ?? '') > (before?.['last_discovered'] ?? '')).toBe(true);
    expect(after?.['sys_mod_count']).toBe('1');
  });

  it('values compare without case: the same resource id in another spelling is the same record', async () => {
    const first = await started.ire(chain('sub-4', [resource('/Subscriptions/A')]));
    const second = await started.ire(chain('SUB-4', [resource('/subscriptions/a')]));
    expect(second.json.result.items[2].sysId).toBe(first.json.result.items[2].sysId);
  });

  it('dependent identification: the same object id under another host is another record', async () => {
    const east = await started.ire(chain('sub-5', [resource('/r/5')], 'eastus'));
    const west = await started.ire(chain('sub-5', [resource('/r/5')], 'westus'));
    expect(operations(west)).toEqual(['NO_CHANGE', 'INSERT', 'INSERT']);
    expect(west.json.result.items[2].sysId).not.toBe(east.json.result.items[2].sysId);
  });

  it('a global resource may hang on the service account itself', async () => {
    const payload = { items: [account('sub-6'), resource('/r/6')], relations: [{ parent: 1, child: 0, type: HOSTED }] };
    expect(operations(await started.ire(payload))).toEqual(['INSERT', 'INSERT']);
    expect(operations(await started.ire(payload))).toEqual(['NO_CHANGE', 'NO_CHANGE']);
  });

  it('relations may name their ends by internal_id', async () => {
    const items = [
      { ...account('sub-7'), internal_id: 'acc' },
      { ...datacenter(), internal_id: 'dc' },
    ];
    const answer = await started.ire({ items, relations: [{ parent_id: 'dc', child_id: 'acc', type: HOSTED }] });
    expect(operations(answer)).toEqual(['INSERT', 'INSERT']);
  });
});

describe('IRE: what it refuses (servicenow.md §5.1, §11; identifyreconcile/error_message_templates.json)', () => {
  it('MISSING_DEPENDENCY with the documented text, though the whole chain exists', async () => {
    await started.ire(chain('sub-10', [resource('/r/10')]));
    const answer = await started.ire({ items: [resource('/r/10')] });
    expect(answer.status).toBe(200);
    const [item] = answer.json.result.items;
    expect(item).not.toHaveProperty('operation');
    expect(item).toMatchObject({ sysId: 'Unknown', identifierEntrySysId: 'Unknown', errorCount: 1 });
    expect(item.errors[0]).toMatchObject({ error: 'MISSING_DEPENDENCY' });
    expect(item.errors[0].message).toMatch(
      /^In payload no relations defined for dependent class \[cmdb_ci_cmp_resource\] that matches any containment\/hosting rules: \[cmdb_ci_cmp_resource >> Hosted on >> cmdb_ci_logical_datacenter/,
    );
  });

  it('a relation the wrong way round, or of another type, does not qualify', async () => {
    const items = [account('sub-11'), datacenter()];
    const reversed = await started.ire({ items, relations: [{ parent: 0, child: 1, type: HOSTED }] });
    expect(errorsOf(reversed)).toEqual([[], ['MISSING_DEPENDENCY']]);
    const contained = await started.ire({ items, relations: [{ parent: 1, child: 0, type: 'Contains::Contained by' }] });
    expect(errorsOf(contained)).toEqual([[], ['MISSING_DEPENDENCY']]);
  });

  it('dictionary/INDEX: a resource group is contained by its datacenter, hosting it fails', async () => {
    const group: Item = { className: 'cmdb_ci_resource_group', values: { object_id: '/rg/1', name: 'rg' } };
    const items = [account('sub-12'), datacenter(), group];
    const onDatacenter = { parent: 1, child: 0, type: HOSTED };
    const hosted = await started.ire({ items, relations: [onDatacenter, { parent: 2, child: 1, type: HOSTED }] });
    expect(errorsOf(hosted)).toEqual([[], [], ['MISSING_DEPENDENCY']]);
    const contained = await started.ire({ items, relations: [onDatacenter, { parent: 1, child: 2, type: 'Contains::Contained by' }] });
    expect(operations(contained)).toEqual(['NO_CHANGE', 'NO_CHANGE', 'INSERT']);
  });

  it('REQUIRED_ATTRIBUTE_EMPTY without datacenter_type, and ABANDONED for what depends on it', async () => {
    const payload = chain('sub-13', [resource('/r/13')]);
    delete payload.items[0]!.values['datacenter_type'];
    const answer = await started.ire(payload);
    expect(errorsOf(answer)).toEqual([['REQUIRED_ATTRIBUTE_EMPTY'], ['ABANDONED'], ['ABANDONED']]);
    expect(answer.json.result.items[0].errors[0].message).toBe(
      'Missing mandatory field [datacenter_type] in table [cmdb_ci_cloud_service_account]. Add input value for mandatory field in payload',
    );
    expect((answer.json.result.relations as AnsweredItem[]).map(codes)).toEqual([['ABANDONED'], ['ABANDONED']]);
    await expect(rows('cmdb_ci_cmp_resource', 'object_id=/r/13')).resolves.toEqual([]);
  });

  it('MISSING_MATCHING_ATTRIBUTES, IDENTIFICATION_RULE_MISSING, METADATA_RULE_MISSING and MULTIPLE_DEPENDENCIES', async () => {
    const image = await started.ire({ items: [{ className: 'cmdb_ci_docker_image', values: { name: 'no id' } }] });
    expect(errorsOf(image)).toEqual([['MISSING_MATCHING_ATTRIBUTES']]);
    expect(image.json.result.items[0].identificationAttempts).toMatchObject([
      { attemptResult: 'SKIPPED', identifierName: 'Docker Global Image' },
    ]);
    const subnet = await started.ire({ items: [{ className: 'cmdb_ci_cloud_subnet', values: { object_id: '/s' } }] });
    expect(errorsOf(subnet)).toEqual([['IDENTIFICATION_RULE_MISSING']]);
    const { rows: hosting } = await started.admin('GET', '/servicenow/rows/cmdb_metadata_hosting');
    const rule = hosting.find((row) => row['parent_type'] === 'cmdb_ci_logical_datacenter');
    await started.admin('PATCH', `/servicenow/rows/cmdb_metadata_hosting/${String(rule?.['sys_id'])}`, { parent_type: '' });
    const items = [account('sub-14'), datacenter(), account('sub-15')];
    const relation = { parent: 1, child: 0, type: HOSTED };
    expect(errorsOf(await started.ire({ items, relations: [relation] }))[1]).toEqual(['METADATA_RULE_MISSING']);
    await started.admin('PATCH', `/servicenow/rows/cmdb_metadata_hosting/${String(rule?.['sys_id'])}`, {
      parent_type: 'cmdb_ci_logical_datacenter',
    });
    const both = await started.ire({ items, relations: [relation, { parent: 1, child: 2, type: HOSTED }] });
    expect(errorsOf(both)[1]).toEqual(['MULTIPLE_DEPENDENCIES']);
  });

  it('DUPLICATE_PAYLOAD_RECORDS rejects the whole plain payload; the enhanced endpoint merges', async () => {
    const payload = chain('sub-16', [resource('/r/16'), resource('/R/16'), resource('/r/17')]);
    const plain = await started.ire(payload);
    expect(errorsOf(plain)).toEqual([
      ['ABANDONED'],
      ['ABANDONED'],
      ['DUPLICATE_PAYLOAD_RECORDS'],
      ['DUPLICATE_PAYLOAD_RECORDS'],
      ['ABANDONED'],
    ]);
    expect(plain.json.result.items[2].errors[0].message).toBe(
      'Found duplicate items in the payload (index 2 and 3), using className [cmdb_ci_cmp_resource] and fields [object_id]. Remove duplicate items from payload',
    );
    await expect(rows('cmdb_ci_cloud_service_account', 'object_id=sub-16')).resolves.toEqual([]);
    const enhanced = await started.ire(payload, '/enhanced');
    expect(operations(enhanced)).toEqual(['INSERT', 'INSERT', 'INSERT', 'INSERT']);
    expect(enhanced.json.result.items[2].inputIndices).toEqual([2, 3]);
    const refused = await started.ire(payload, '/enhanced?options=deduplicate_payloads:false');
    expect(errorsOf(refused)).toEqual([[], [], ['DUPLICATE_PAYLOAD_RECORDS'], ['DUPLICATE_PAYLOAD_RECORDS'], []]);
  });

  it('merges dependents of merged hosts too, wherever the duplicate host stands', async () => {
    const items = [account('sub-17'), resource('/r/18'), resource('/r/18'), account('SUB-17')];
    const relations = [
      { parent: 1, child: 0, type: HOSTED },
      { parent: 2, child: 3, type: HOSTED },
    ];
    const answer = await started.ire({ items, relations }, '/enhanced');
    expect((answer.json.result.items as { inputIndices: number[] }[]).map(({ inputIndices }) => inputIndices)).toEqual([
      [0, 3],
      [1, 2],
    ]);
    await expect(rows('cmdb_ci_cmp_resource', 'object_id=/r/18')).resolves.toHaveLength(1);
  });

  it('INVALID_INPUT_DATA: data source (case-exact), sys_id, relation type, index; a word as index is a server error', async () => {
    const payload = chain('sub-18', [resource('/r/18')]);
    const unknown = await started.ire(payload, '', 'microsoft defender for cloud');
    expect(errorsOf(unknown)).toEqual([['INVALID_INPUT_DATA'], ['INVALID_INPUT_DATA'], ['INVALID_INPUT_DATA']]);
    expect(unknown.json.result.items[0].errors[0].message).toBe(
      'In payload invalid data source [microsoft defender for cloud] exist. You need to provide a valid choice value from field [discovery_source] in table [cmdb_ci]',
    );
    const missing = await started.call('/api/now/identifyreconcile', { method: 'POST', body: payload });
    expect(missing.json.result.items[0].errors[0].message).toMatch(/^In payload no data source exist\./);
    const sysId = await started.ire({
      items: [{ ...account('x'), values: { sys_id: 'f'.repeat(32), datacenter_type: 'cmdb_ci_azure_datacenter' } }],
    });
    expect(errorsOf(sysId)).toEqual([['INVALID_INPUT_DATA']]);
    const relations = [
      { parent: 0, child: 9, type: HOSTED },
      { parent: 0, child: 0, type: 'Loves::Loved by' },
    ];
    const bad = await started.ire({ items: [account('sub-18')], relations });
    expect(bad.json.result.relations).toMatchObject([
      { errors: [{ error: 'INVALID_INPUT_DATA' }] },
      { errors: [{ error: 'INVALID_INPUT_DATA' }] },
    ]);
    await expect(
      started.ire({ items: [account('x')], relations: [{ parent: 'a'.repeat(32), child: 0, type: HOSTED }] }),
    ).resolves.toMatchObject({
      status: 500,
    });
  });

  it('IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING for tags, until the administrator adds a related entry', async () => {
    const payload = chain('sub-19', [
      { ...resource('/r/19'), related: [{ className: 'cmdb_key_value', values: { key: 'env', value: 'prod' } }] },
    ]);
    expect(errorsOf(await started.ire(payload))[2]).toEqual(['IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING']);
    const { rows: identifiers } = await started.admin('GET', '/servicenow/rows/cmdb_identifier');
    const identifier = identifiers.find((row) => row['applies_to'] === 'cmdb_ci_cmp_resource');
    const entry = { identifier: identifier?.['sys_id'], table: 'cmdb_key_value', referenced_field: 'configuration_item' };
    await started.admin('POST', '/servicenow/rows/cmdb_related_entry', entry);
    const answer = await started.ire(payload);
    expect(answer.json.result.items[2]).toMatchObject({
      operation: 'INSERT',
      relatedItems: [{ className: 'cmdb_key_value', operation: 'INSERT' }],
    });
    const [tag] = await rows('cmdb_key_value', 'key=env');
    expect(tag).toMatchObject({ value: 'prod', configuration_item: answer.json.result.items[2].sysId });
    expect((await started.ire(payload)).json.result.items[2].relatedItems).toMatchObject([{ operation: 'NO_CHANGE' }]);
  });

  it('LOCK_TIMEOUT of one item abandons only what depends on it', async () => {
    await started.admin('POST', '/servicenow/faults', {
      match: { method: 'IRE', bodyIncludes: '/r/20' },
      action: { errorCode: 'LOCK_TIMEOUT' },
      times: 1,
    });
    const payload = chain('sub-20', [resource('/r/20'), resource('/r/21')]);
    const answer = await started.ire(payload);
    expect(operations(answer)).toEqual(['INSERT', 'INSERT', undefined, 'INSERT']);
    expect(answer.json.result.items[2].errors[0].message).toMatch(/^Failed to acquire synchronization lock for /);
    expect(operations(await started.ire(payload))).toEqual(['NO_CHANGE', 'NO_CHANGE', 'INSERT', 'NO_CHANGE']);
  });

  it('an unknown field is a warning, not an error', async () => {
    const answer = await started.ire(chain('sub-22', [resource('/r/22', { colour: 'red' })]));
    expect(answer.json.result.items[2]).toMatchObject({ operation: 'INSERT', errorCount: 0, warningCount: 1 });
    expect(answer.json.result.items[2].warnings[0].message).toBe('unknown field [colour] in table [cmdb_ci_cmp_resource]');
  });

  it('errors/403_api_level_acl.json: the role itil or asset is needed', async () => {
    const path = `/api/now/identifyreconcile/query?sysparm_data_source=ServiceNow`;
    await expect(started.post(path, { items: [] }, { as: 'defender.readonly' })).resolves.toMatchObject({
      status: 403,
      json: { error: { message: 'User Not Authorized', detail: 'Failed API level ACL Validation' } },
    });
    await expect(started.post(path, { items: [] })).resolves.toMatchObject({ status: 200 });
  });
});

describe('IRE: simulation, enhanced endpoints and matching (servicenow.md §5.1)', () => {
  it('query and queryEnhanced answer like a commit and commit nothing', async () => {
    const payload = chain('sub-30', [resource('/r/30')]);
    const before = await started.admin('GET', '/servicenow/summary');
    const query = await started.ire(payload, '/query');
    expect(operations(query)).toEqual(['INSERT', 'INSERT', 'INSERT']);
    expect(query.json.result.items[0]).not.toHaveProperty('sysId');
    expect(query.json.result.relations[0]).toMatchObject({ operation: 'INSERT' });
    expect(query.json.result.relations[0]).not.toHaveProperty('sysId');
    const enhanced = await started.ire(payload, '/queryEnhanced?options=generate_summary:true');
    expect(enhanced.json.result.items[0].sysId).toMatch(/^[0-9a-f]{32}$/);
    expect(enhanced.json.result).toMatchObject({ hasError: false, hasWarning: false });
    expect(enhanced.json.result.summary['cmdb_ci_cmp_resource']).toMatchObject({
      inserted: 1,
      updated: 0,
      errors: 0,
      mergedPartialPayloads: 0,
    });
    await expect(started.admin('GET', '/servicenow/summary')).resolves.toEqual(before);
  });

  it('identifyreconcile_enhanced_insert_as_partial.json: a missing attribute makes a partial item, reason in warnings', async () => {
    const answer = await started.ire({ items: [{ className: 'cmdb_ci_docker_image', values: { name: 'no id' } }] }, '/enhanced');
    expect(answer.json.result.items[0]).toMatchObject({
      operation: 'INSERT_AS_PARTIAL',
      sysId: 'Unknown',
      errors: [],
      warnings: [{ error: 'MISSING_MATCHING_ATTRIBUTES' }],
      partialSysIds: [expect.stringMatching(/^[0-9a-f]{32}$/)],
    });
    await expect(rows('cmdb_ire_partial_payloads', 'class_name=cmdb_ci_docker_image')).resolves.toHaveLength(1);
  });

  it('rerun_insert_update_no_change.json: an unknown data source on the enhanced endpoint is INSERT_AS_INCOMPLETE', async () => {
    const answer = await started.ire({ items: [account('sub-31')] }, '/enhanced', 'Nobody');
    expect(answer.json.result).toMatchObject({
      hasError: true,
      items: [{ operation: 'INSERT_AS_INCOMPLETE', incompleteSysIds: [expect.any(String)], errors: [{ error: 'INVALID_INPUT_DATA' }] }],
    });
  });

  it('malformed options are a server error; partial_commits:false holds everything back', async () => {
    const options = await started.ire({ items: [] }, '/enhanced?options=nonsense');
    expect(options).toMatchObject({ status: 500, json: { error: { message: 'Chunk [nonsense] is not a valid entry' } } });
    const items = [account('sub-32'), { className: 'cmdb_ci_cloud_subnet', values: {} }];
    await started.ire({ items }, '/enhanced?options=partial_commits:false');
    await expect(rows('cmdb_ci_cloud_service_account', 'object_id=sub-32')).resolves.toEqual([]);
    await started.ire({ items }, '/enhanced');
    await expect(rows('cmdb_ci_cloud_service_account', 'object_id=sub-32')).resolves.toHaveLength(1);
  });

  it('sys_object_source is asked first and remembers the native key', async () => {
    const info = { source_name: 'ServiceNow', source_native_key: 'native-1', source_feed: 'feed' };
    const first = await started.ire({ items: [{ ...account('sub-33'), sys_object_source_info: info }] });
    expect(first.json.result.items[0].identificationAttempts[0]).toEqual({
      identifierName: '',
      attemptResult: 'NO_MATCH',
      attributes: [],
      hybridEntryCiAttributes: [],
      info: 'sys_object_source NO_MATCH',
    });
    const moved = await started.ire({ items: [{ ...account('sub-33-renamed'), sys_object_source_info: info }] });
    expect(moved.json.result.items[0]).toMatchObject({ operation: 'UPDATE', sysId: first.json.result.items[0].sysId });
    expect(moved.json.result.items[0].identificationAttempts[0].info).toBe('sys_object_source MATCHED');
  });

  it('dependent_ci_parent_rule_fallback.json: an item given by sys_id has no attempts', async () => {
    const first = await started.ire({ items: [account('sub-34')] });
    const values = { sys_id: first.json.result.items[0].sysId, name: 'by id' };
    const answer = await started.ire({ items: [{ className: 'cmdb_ci_cloud_service_account', values }] });
    expect(answer.json.result.items[0]).toMatchObject({ operation: 'UPDATE', identificationAttempts: [], sysId: values.sys_id });
  });

  it('duplicates in the CMDB: the oldest is updated, the others point to it', async () => {
    for (const name of ['old', 'new']) {
      await started.admin('POST', '/servicenow/rows/cmdb_ci_docker_image', { image_id: 'aaaabbbbcccc', name });
      started.clock.advance(60_000);
    }
    const answer = await started.ire({
      items: [{ className: 'cmdb_ci_docker_image', values: { image_id: 'aaaabbbbcccc', name: 'nginx' } }],
    });
    expect(answer.json.result.items[0]).toMatchObject({ operation: 'UPDATE', identificationAttempts: [{ attemptResult: 'MULTI_MATCH' }] });
    const images = await rows('cmdb_ci_docker_image', 'image_id=aaaabbbbcccc^ORDERBYsys_created_on');
    expect(images.map(({ name, duplicate_of }) => [name, duplicate_of])).toEqual([
      ['nginx', ''],
      ['new', images[0]?.['sys_id']],
    ]);
  });

  it('a record of another class is reclassified, unless the item forbids it', async () => {
    const general: Item = {
      className: 'cmdb_ci_logical_datacenter',
      values: { object_id: 'northeurope', region: 'northeurope', name: 'ne' },
    };
    const payload = (item: Item): object => ({ items: [account('sub-35'), item], relations: [{ parent: 1, child: 0, type: HOSTED }] });
    await started.ire(payload(general));
    const kept = await started.ire(payload({ ...datacenter('northeurope'), settings: { updateWithoutUpgrade: true } }));
    expect(kept.json.result.items[1].info).toMatchObject([{ code: 'SKIPPED_CLASS_UPGRADE' }]);
    const upgraded = await started.ire(payload(datacenter('northeurope')));
    expect(operations(upgraded)).toEqual(['NO_CHANGE', 'UPDATE_WITH_UPGRADE']);
    await expect(rows('cmdb_ci_azure_datacenter', 'object_id=northeurope')).resolves.toHaveLength(1);
  });

  it('lookup items answer as related items without an operation (identifyreconcile_update_two_items_with_lookup_and_relation.json)', async () => {
    const answer = await started.ire({ items: [{ ...account('sub-36'), lookup: [{ className: 'cmdb_serial_number', values: {} }] }] });
    expect(answer.json.result.items[0]).toMatchObject({
      relatedSysIds: [null],
      relatedItems: [{ className: 'cmdb_serial_number', inputIndices: [{ mainIndex: 0, subIndex: 0 }] }],
    });
    expect(answer.json.result.items[0].relatedItems[0]).not.toHaveProperty('operation');
  });
});
