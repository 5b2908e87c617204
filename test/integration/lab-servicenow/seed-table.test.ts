import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeItems, item, runBatch } from './batch-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab({ seedFolders: [join(import.meta.dirname, 'fixtures', 'extra-seed')] });
});

afterAll(() => started.stop());

const ASSETS = '/api/now/table/x_lab_asset';

describe('a table added by seed data alone', () => {
  it('works through the Table API: rows, lengths, numbers, choices, references', async () => {
    const answer = await started.post(ASSETS, { name: 'longer than ten', weight: '1' });
    expect(answer.json.result).toMatchObject({ name: 'longer tha', weight: '1', number: 'LAB0000042' });
    const query = 'sysparm_query=owner.user_name=admin&sysparm_display_value=true&sysparm_fields=name,weight,owner';
    const list = await started.get(`${ASSETS}?${query}`);
    expect(list.json.result).toMatchObject([{ name: 'first', weight: 'Light', owner: { display_value: 'System Administrator' } }]);
    await expect(started.post(ASSETS, {}, { as: 'defender.readonly' })).resolves.toMatchObject({ status: 403 });
  });

  it('is described by sys_db_object, sys_dictionary and sys_choice', async () => {
    const query = 'sysparm_query=name=x_lab_asset';
    const table = await started.get(`/api/now/table/sys_db_object?${query}&sysparm_fields=label`);
    expect(table.json.result).toEqual([{ label: 'Lab Asset' }]);
    const columns = await started.get(`/api/now/table/sys_dictionary?${query}^element=name&sysparm_fields=element,max_length`);
    expect(columns.json.result).toEqual([{ element: 'name', max_length: '10' }]);
    const choices = await started.get(`/api/now/table/sys_choice?${query}&sysparm_fields=element,value,label`);
    expect(choices.json.result).toEqual([{ element: 'weight', value: '1', label: 'Light' }]);
  });

  it('works through Batch', async () => {
    const answer = await runBatch(started, [
      item('1', 'POST', ASSETS, { name: 'batched' }),
      item('2', 'GET', `${ASSETS}?sysparm_query=name=batched`),
    ]);
    const [created, listed] = decodeItems(answer);
    expect(created).toMatchObject({ id: '1', status: 201, json: { result: { name: 'batched' } } });
    expect(listed).toMatchObject({ id: '2', status: 200, json: { result: [{ name: 'batched' }] } });
  });

  it('works through Aggregate', async () => {
    await started.post(ASSETS, { name: 'heavy', weight: '5' });
    const answer = await started.get('/api/now/stats/x_lab_asset?sysparm_count=true&sysparm_query=weight>=1&sysparm_avg_fields=weight');
    expect(answer.json).toEqual({ result: { stats: { count: '3', avg: { weight: '2.3333' } } } });
  });
});
