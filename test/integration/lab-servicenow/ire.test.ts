import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeItems, item, runBatch } from './batch-helper.ts';
import {
  account,
  chain,
  CONTAINS,
  datacenter,
  errorsOf,
  HOSTED,
  operations,
  resource,
  rows as rowsOf,
  type IreItem,
} from './ire-payloads.ts';
import { ENGINE_SOURCE, startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

const rows = (table: string, query: string): Promise<Record<string, string>[]> => rowsOf(started, table, query, 'defender.sync');

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

describe('IRE: what it refuses (servicenow.md §5.1, §11)', () => {
  it('MISSING_DEPENDENCY, though the whole chain exists; HTTP says 200', async () => {
    await started.ire(chain('sub-10', [resource('/r/10')]));
    const answer = await started.ire({ items: [resource('/r/10')] });
    expect(answer.status).toBe(200);
    const [item] = answer.json.result.items;
    expect(item).not.toHaveProperty('operation');
    expect(item).toMatchObject({ sysId: 'Unknown', identifierEntrySysId: 'Unknown', errorCount: 1 });
    expect(item.errors[0].message).toMatch(
      /\[cmdb_ci_cmp_resource >> Hosted on >> cmdb_ci_logical_datacenter, cmdb_ci_cmp_resource >> Hosted on >> cmdb_ci_cloud_service_account\]/,
    );
  });

  it('a relation the wrong way round, or of another type, does not qualify', async () => {
    const items = [account('sub-11'), datacenter()];
    const reversed = await started.ire({ items, relations: [{ parent: 0, child: 1, type: HOSTED }] });
    expect(errorsOf(reversed)).toEqual([['ABANDONED'], ['MISSING_DEPENDENCY']]);
    const contained = await started.ire({ items, relations: [{ parent: 1, child: 0, type: CONTAINS }] });
    expect(errorsOf(contained)).toEqual([['ABANDONED'], ['MISSING_DEPENDENCY']]);
  });

  it('dictionary/INDEX: a resource group is contained by its datacenter, hosting it fails', async () => {
    const group: IreItem = { className: 'cmdb_ci_resource_group', values: { object_id: '/rg/1', name: 'rg' } };
    const items = [account('sub-12'), datacenter(), group];
    const onDatacenter = { parent: 1, child: 0, type: HOSTED };
    const hosted = await started.ire({ items, relations: [onDatacenter, { parent: 2, child: 1, type: HOSTED }] });
    expect(errorsOf(hosted)[2]).toEqual(['MISSING_DEPENDENCY']);
    const contained = { items, relations: [onDatacenter, { parent: 1, child: 2, type: CONTAINS }] };
    expect(operations(await started.ire(contained))).toEqual(['INSERT', 'INSERT', 'INSERT']);
    expect((await started.ire(contained)).json.result.relations).toMatchObject([{ operation: 'NO_CHANGE' }, { operation: 'NO_CHANGE' }]);
  });

  it('the plain endpoint commits all or nothing, the enhanced one what it can (documentation, partial commits)', async () => {
    const payload = chain('sub-13', [resource('/r/13'), { className: 'cmdb_ci_cloud_subnet', values: {} }]);
    const plain = await started.ire(payload);
    expect(errorsOf(plain)).toEqual([['ABANDONED'], ['ABANDONED'], ['ABANDONED'], ['IDENTIFICATION_RULE_MISSING']]);
    expect(plain.json.result.items[2].errors[0].message).toBe(`Detected error while processing payload from ${ENGINE_SOURCE}`);
    await expect(rows('cmdb_ci_cmp_resource', 'object_id=/r/13')).resolves.toEqual([]);
    const enhanced = await started.ire(payload, '/enhanced?options=partial_payloads:false');
    expect(operations(enhanced)).toEqual(['INSERT', 'INSERT', 'INSERT', undefined]);
    await expect(rows('cmdb_ire_incomplete_payloads', 'class_name=cmdb_ci_cloud_subnet')).resolves.toEqual([]);
  });

  it('partial_commits:false and deduplicate_payloads:false count only without partial_payloads (documentation, enhanced features)', async () => {
    const items = [account('sub-14'), { className: 'cmdb_ci_cloud_subnet', values: {} }];
    const held = await started.ire({ items }, '/enhanced?options=partial_payloads:false,partial_commits:false');
    expect(operations(held)).toEqual([undefined, undefined]);
    const commits = await started.ire({ items }, '/enhanced?options=partial_commits:false');
    expect(operations(commits)).toEqual(['INSERT', 'INSERT_AS_INCOMPLETE']);
    const twice = { items: [account('sub-15'), account('SUB-15')] };
    const refused = await started.ire(twice, '/enhanced?options=partial_payloads:false,deduplicate_payloads:false');
    expect(errorsOf(refused)).toEqual([['DUPLICATE_PAYLOAD_RECORDS'], ['DUPLICATE_PAYLOAD_RECORDS']]);
    expect((await started.ire(twice, '/enhanced')).json.result.items).toMatchObject([{ operation: 'INSERT', inputIndices: [0, 1] }]);
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
    expect(answer.json.result.relations).toMatchObject([{ operation: 'INSERT' }]);
    await expect(rows('cmdb_ci_cmp_resource', 'object_id=/r/18')).resolves.toHaveLength(1);
  });

  it('an end of a relation that is a word is a server error, a payload that is none a bad request', async () => {
    const relations = [{ parent: 'a'.repeat(32), child: 0, type: HOSTED }];
    await expect(started.ire({ items: [account('x')], relations })).resolves.toMatchObject({ status: 500 });
    await expect(started.ire({ items: 'none' })).resolves.toMatchObject({
      status: 400,
      json: { error: { detail: expect.stringMatching(/^Error occurred during parsing input json payload: /) } },
    });
    await expect(started.ire('{ items: ', '', ENGINE_SOURCE)).resolves.toMatchObject({ status: 400 });
  });

  it('an injected fault of one item: LOCK_TIMEOUT, everything else abandoned; then it works', async () => {
    const match = { method: 'IRE', bodyIncludes: '/r/20' };
    await started.admin('POST', '/servicenow/faults', { match, action: { errorCode: 'LOCK_TIMEOUT' }, times: 1 });
    const payload = chain('sub-20', [resource('/r/20'), resource('/r/21')]);
    const answer = await started.ire(payload);
    expect(errorsOf(answer)).toEqual([['ABANDONED'], ['ABANDONED'], ['LOCK_TIMEOUT'], ['ABANDONED']]);
    expect(operations(await started.ire(payload))).toEqual(['INSERT', 'INSERT', 'INSERT', 'INSERT']);
  });

  it('an unknown field is a warning, not an error', async () => {
    const answer = await started.ire(chain('sub-22', [resource('/r/22', { colour: 'red' })]));
    expect(answer.json.result.items[2]).toMatchObject({ operation: 'INSERT', errorCount: 0, warningCount: 1 });
    expect(answer.json.result.items[2].warnings[0].message).toBe('unknown field [colour] in table [cmdb_ci_cmp_resource]');
  });

  it('errors/403_api_level_acl.json: the role itil or asset is needed; JSON only', async () => {
    const path = `/api/now/identifyreconcile/query?sysparm_data_source=ServiceNow`;
    await expect(started.post(path, { items: [] }, { as: 'defender.readonly' })).resolves.toMatchObject({
      status: 403,
      json: { error: { message: 'User Not Authorized', detail: 'Failed API level ACL Validation' } },
    });
    await expect(started.post(path, { items: [] })).resolves.toMatchObject({ status: 200 });
    await expect(started.post(path, '<items/>', { headers: { 'content-type': 'application/xml' } })).resolves.toMatchObject({
      status: 415,
    });
    await expect(started.get(path)).resolves.toMatchObject({ status: 405 });
  });

  it('malformed options are a server error', async () => {
    const answer = await started.ire({ items: [] }, '/enhanced?options=partial_payloads:true,nonsense');
    expect(answer).toMatchObject({ status: 500, json: { error: { message: 'Chunk [nonsense] is not a valid entry' } } });
  });

  it('inside Batch it works like alone (servicenow.md §5.4)', async () => {
    const url = `/api/now/identifyreconcile?sysparm_data_source=${encodeURIComponent(ENGINE_SOURCE)}`;
    const answer = await runBatch(started, [
      item('1', 'POST', url, chain('sub-23', [resource('/r/23')])),
      item('2', 'POST', url, { items: [resource('/r/23')] }),
    ]);
    expect(decodeItems(answer)).toMatchObject([
      { status: 200, json: { result: { items: [{ operation: 'INSERT' }, { operation: 'INSERT' }, { operation: 'INSERT' }] } } },
      { status: 200, json: { result: { items: [{ errors: [{ error: 'MISSING_DEPENDENCY' }] }] } } },
    ]);
  });
});

describe('IRE: simulation (servicenow.md §5.1)', () => {
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
});
