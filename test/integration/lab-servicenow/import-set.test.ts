import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab({ seedFolders: [join(import.meta.dirname, 'fixtures', 'import-seed')] });
});

afterAll(() => started.stop());

const POLICIES = '/api/now/import/u_policy_import';
const ITEMS = '/api/now/import/u_item_import';

async function statesOf(importSet: string, table: string): Promise<string[]> {
  const query = `sysparm_query=sys_import_set=${importSet}^ORDERBYu_id&sysparm_fields=sys_import_state`;
  const answer = await started.get(`/api/now/table/${table}?${query}`);
  return (answer.json.result as { sys_import_state: string }[]).map((row) => row.sys_import_state);
}

async function stateOf(importSet: string): Promise<string> {
  return (await started.get(`/api/now/table/sys_import_set/${importSet}?sysparm_fields=state`)).json.result.state as string;
}

/** Waits for an asynchronous import; fails loudly instead of for ever. */
async function processed(importSet: string): Promise<void> {
  for (let round = 0; round < 200; round += 1) {
    if ((await stateOf(importSet)) === 'processed') return;
    await sleep(20);
  }
  throw new Error(`Import set ${importSet} was not processed within 4 s.`);
}

describe('Import Set API: one row (servicenow.md §5.5)', () => {
  it('import-set/get_and_post_inserted.json: 201 with what each transform map did; the same by GET of the staging row', async () => {
    const answer = await started.post(POLICIES, { u_id: 'p1', u_title: 'Baseline' });
    expect(answer.status).toBe(201);
    const { sys_id: sysId } = answer.json.result[0];
    expect(answer.json).toEqual({
      import_set: expect.stringMatching(/^ISET\d{7}$/),
      staging_table: 'u_policy_import',
      result: [
        {
          transform_map: 'Policy',
          table: 'sn_vulc_policy',
          display_name: 'short_description',
          display_value: 'Baseline',
          record_link: `${started.lab.url}/api/now/table/sn_vulc_policy/${String(sysId)}`,
          status: 'inserted',
          sys_id: sysId,
        },
      ],
    });
    const [row] = started.lab.store.equal('u_policy_import', 'u_id', ['p1']);
    const again = await started.get(`${POLICIES}/${String(row?.sysId)}`);
    expect(again).toMatchObject({ status: 200, json: answer.json });
  });

  it('a coalesced row updates, and is ignored where nothing differs', async () => {
    await started.post(POLICIES, { u_id: 'p2', u_title: 'One' });
    const updated = await started.post(POLICIES, { u_id: 'P2', u_title: 'Two' });
    expect(updated.json.result).toMatchObject([{ status: 'updated', display_value: 'Two' }]);
    const same = await started.post(POLICIES, { u_id: 'P2', u_title: 'Two' });
    expect(same.json.result).toMatchObject([{ status: 'ignored', sys_id: updated.json.result[0].sys_id }]);
    expect(started.lab.store.equal('sn_vulc_policy', 'source_id', ['p2'])).toHaveLength(1);
  });

  it('import-set/status_error_ignored_row.json: a row that a script ignores is an error with HTTP success; a remark stands on a good one', async () => {
    const ignored = await started.post(POLICIES, { u_title: 'No id' });
    expect(ignored.status).toBe(201);
    expect(ignored.json.result).toEqual([
      {
        transform_map: 'Policy',
        table: 'sn_vulc_policy',
        status: 'error',
        error_message: 'Target record not found',
        status_message: 'Row transform ignored by onBefore script',
        validation_message: 'Id [u_id] not provided - record ignored',
      },
    ]);
    const remarked = await started.post(POLICIES, { u_id: 'p3', u_note: 'by hand' });
    expect(remarked.json.result).toMatchObject([{ status: 'inserted', status_message: 'The note was taken over' }]);
  });

  it('several maps answer one entry each; references are found by name; a target that may only be updated is not inserted', async () => {
    const policy = await started.post(POLICIES, { u_id: 'p4', u_title: 'Referenced' });
    const answer = await started.post(ITEMS, { u_policy: 'referenced', u_test: 'unknown' });
    expect(answer.json.result).toMatchObject([
      { transform_map: 'Link', status: 'inserted' },
      { transform_map: 'Known test', status: 'error', error_message: 'Target record not found' },
    ]);
    const link = await started.get(`/api/now/table/sn_vulc_policy_test/${String(answer.json.result[0].sys_id)}?sysparm_fields=policy`);
    expect(link.json.result.policy.value).toBe(policy.json.result[0].sys_id);
  });

  it('a business rule that aborts the target record is an error of the row', async () => {
    const answer = await started.post(POLICIES, { u_id: 'p5', u_title: 'refuse me' });
    expect(answer).toMatchObject({ status: 201, json: { result: [{ status: 'error' }] } });
    expect(answer.json.result[0].error_message).toContain("was aborted by Business Rule 'No empty title^");
  });

  it('c_ImportSetAPI: values are strings, the ":" of an object becomes "="', async () => {
    await started.post(POLICIES, { u_id: 7, u_note: { a: 'b', c: [1, 2] } });
    const [row] = started.lab.store.equal('u_policy_import', 'u_id', ['7']);
    expect(row?.values['u_note']).toBe('{a=b, c=[1, 2]}');
  });

  it('a purged row is 404; an account without the right to stage is 403; a table that is no staging table is refused', async () => {
    await expect(started.get(`${POLICIES}/${'0'.repeat(32)}`)).resolves.toMatchObject({ status: 404 });
    await expect(started.post(POLICIES, { u_id: 'x' }, { as: 'defender.readonly' })).resolves.toMatchObject({ status: 403 });
    await expect(started.post('/api/now/import/sn_vulc_test', {})).resolves.toMatchObject({ status: 400 });
    await expect(started.post('/api/now/import/x_no_such', {})).resolves.toMatchObject({
      status: 400,
      json: { error: { message: 'Invalid table x_no_such' } },
    });
  });
});

describe('insertMultiple (servicenow.md §5.5, c_ImportSetAPI)', () => {
  it('import-set/insert_multiple_documented.json: two sys_ids; keys are column labels; transformed after the answer', async () => {
    const records = ['m1', 'm2'].map((id) => ({ Id: id, Title: `Title ${id}`, Nope: 'x' }));
    const answer = await started.post(`${POLICIES}/insertMultiple`, { records });
    expect(answer.status).toBe(201);
    expect(answer.json).toEqual({
      import_set_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      multi_import_set_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(started.lab.store.equal('sn_vulc_policy', 'source_id', ['m1', 'm2'])).toHaveLength(0);
    await processed(answer.json.import_set_id as string);
    await expect(statesOf(answer.json.import_set_id as string, 'u_policy_import')).resolves.toEqual(['inserted', 'inserted']);
    expect(started.lab.store.equal('sn_vulc_policy', 'source_id', ['m1', 'm2'])).toHaveLength(2);
  });

  it('run_after waits for another import set, multi_import_set_id joins one', async () => {
    const first = await started.post(`${POLICIES}/insertMultiple`, { records: [{ Id: 'r1', Title: 'first' }] });
    const { import_set_id: firstId, multi_import_set_id: multiId } = first.json as Record<string, string>;
    const path = `${POLICIES}/insertMultiple?run_after=${String(firstId)}&multi_import_set_id=${String(multiId)}`;
    const second = await started.post(path, { records: [{ Id: 'r1', Title: 'second' }] });
    expect(second.json.multi_import_set_id).toBe(multiId);
    await processed(second.json.import_set_id as string);
    expect(started.lab.store.equal('sn_vulc_policy', 'source_id', ['r1'])[0]?.values['short_description']).toBe('second');
    await expect(stateOf(String(firstId))).resolves.toBe('processed');
  });

  it('a record of sys_rest_insert_multiple makes it synchronous and keyed by column names', async () => {
    const answer = await started.post(`${ITEMS}/insertMultiple`, { records: [{ u_policy: 'nobody' }, { u_policy: 'nobody' }] });
    await expect(statesOf(answer.json.import_set_id as string, 'u_item_import')).resolves.toEqual(['error', 'error']);
  });

  it('a body without records is refused whole', async () => {
    const before = started.lab.store.count('u_policy_import');
    await expect(started.post(`${POLICIES}/insertMultiple`, { rows: [] })).resolves.toMatchObject({ status: 400 });
    await expect(started.post(`${POLICIES}/insertMultiple`, { records: [{ Id: 'z1' }, 'z2'] })).resolves.toMatchObject({ status: 400 });
    expect(started.lab.store.count('u_policy_import')).toBe(before);
  });
});
