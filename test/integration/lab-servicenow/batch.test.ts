import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeItems, item, runBatch } from './batch-helper.ts';
import { startLab, type StartedLab } from './start.ts';

const TESTS = '/api/now/table/sn_vulc_test';

async function countOf(started: StartedLab, source: string): Promise<number> {
  const answer = await started.get(`/api/now/stats/sn_vulc_test?sysparm_count=true&sysparm_query=source=${source}`);
  return Number(answer.json.result.stats.count);
}

describe('Batch (servicenow.md §5.4)', () => {
  let started: StartedLab;

  beforeAll(async () => {
    started = await startLab();
  });

  afterAll(() => started.stop());

  it('batch/batch_two_gets_one_post.json: an answer per item, in order, base64 bodies, headers unless excluded', async () => {
    const answer = await runBatch(started, [
      item('11', 'GET', `${TESTS}?sysparm_limit=1`),
      { ...item('12', 'POST', TESTS, { short_description: 'from a batch' }), exclude_response_headers: true },
      { ...item('13', 'GET', '/api/now/table/x_no_such'), exclude_response_headers: true },
    ]);
    expect(answer).toMatchObject({ status: 200, json: { batch_request_id: '1', unserviced_requests: [] } });
    const [first, second, third] = answer.json.serviced_requests;
    expect(first).toMatchObject({ id: '11', status_code: 200, status_text: 'OK' });
    expect(first.headers).toContainEqual({ name: 'content-type', value: 'application/json;charset=UTF-8' });
    expect(typeof first.execution_time).toBe('number');
    expect(second).toMatchObject({ id: '12', status_code: 201, status_text: 'Created', headers: [] });
    expect(second).not.toHaveProperty('error_message');
    expect(third).toMatchObject({ id: '13', status_code: 400, status_text: 'Bad Request' });
    expect(decodeItems(answer)[2]?.json).toMatchObject({ error: { message: 'Invalid table x_no_such' } });
  });

  it('one after the other: a later item sees what an earlier one wrote, and nothing is rolled back', async () => {
    const answer = await runBatch(started, [
      item('a', 'POST', TESTS, { source: 'sequence' }),
      item('b', 'PATCH', `${TESTS}/${'0'.repeat(32)}`, {}),
      item('c', 'GET', `${TESTS}?sysparm_query=source=sequence&sysparm_fields=source`),
    ]);
    expect(decodeItems(answer)).toMatchObject([{ status: 201 }, { status: 404 }, { json: { result: [{ source: 'sequence' }] } }]);
  });

  it('items run under the rights of the batch', async () => {
    const answer = await runBatch(started, [item('1', 'POST', TESTS, {})], { as: 'defender.readonly' });
    expect(decodeItems(answer)).toMatchObject([{ status: 403 }]);
    await expect(runBatch(started, [], { as: null })).resolves.toMatchObject({ status: 401 });
  });

  it('an identification call, and a body that is no JSON, are items like any other', async () => {
    const answer = await runBatch(started, [
      item('1', 'POST', '/api/now/identifyreconcile?sysparm_data_source=ServiceNow', {
        items: [{ className: 'cmdb_ci_docker_image', values: { image_id: 'abcdef123456', name: 'nginx' } }],
      }),
      { ...item('2', 'POST', TESTS), body: Buffer.from('{').toString('base64') },
    ]);
    expect(decodeItems(answer)).toMatchObject([
      { status: 200, json: { result: { items: [{ operation: 'INSERT' }] } } },
      { status: 400, json: { error: { message: 'Exception while reading request' } } },
    ]);
  });

  it('an answer beyond X-BATCHREQUEST-MAX-OUTPUT-SIZE ends the transaction', async () => {
    const items = [item('1', 'GET', `${TESTS}?sysparm_limit=1`), item('2', 'POST', TESTS, { source: 'after-limit' })];
    const answer = await runBatch(started, items, { headers: { 'x-batchrequest-max-output-size': '10' } });
    expect(answer.json).toMatchObject({ serviced_requests: [], unserviced_requests: ['1', '2'] });
    await expect(countOf(started, 'after-limit')).resolves.toBe(0);
  });

  it('a request over 5 MB ends the transaction', async () => {
    const large = item('2', 'POST', TESTS, { description: 'x'.repeat(5 * 1024 * 1024) });
    const answer = await runBatch(started, [item('1', 'POST', TESTS, { source: 'before-large' }), large]);
    expect(answer.json).toMatchObject({ serviced_requests: [{ id: '1' }], unserviced_requests: ['2'] });
  });

  it('faults meet single items, and items are counted as requests', async () => {
    await started.admin('POST', '/servicenow/faults', {
      match: { method: 'POST', bodyIncludes: 'unlucky' },
      action: { status: 429 },
      times: 1,
    });
    await started.admin('DELETE', '/servicenow/requests');
    const items = [item('1', 'POST', TESTS, { source: 'lucky' }), item('2', 'POST', TESTS, { source: 'unlucky' })];
    expect(decodeItems(await runBatch(started, items)).map(({ status }) => status)).toEqual([201, 429]);
    const { counters } = await started.admin('GET', '/servicenow/requests');
    expect(counters).toContainEqual({ method: 'POST', pattern: 'batch:/api/now/table/sn_vulc_test', count: 1, byStatus: { '201': 1 } });
    expect(counters).toContainEqual({ method: 'POST', pattern: '/api/now/v1/batch', count: 1, byStatus: { '200': 1 } });
    await started.admin('DELETE', '/servicenow/faults');
  });
});

describe('Batch with a short quota on a slow node (servicenow.md §5.4, §5.8)', () => {
  let started: StartedLab;

  beforeAll(async () => {
    started = await startLab({ batchQuotaMs: 1000, latency: { perWriteMs: 20 } });
  });

  afterAll(() => started.stop());

  it('what the quota cuts off is unserviced; the item that was running then has done its work', async () => {
    started.lab.faults.add({ match: { bodyIncludes: 'sluggish' }, action: { delayMs: 1200 } });
    const sources = ['quick', 'quick', 'sluggish', 'never', 'never'];
    const items = sources.map((source, index) => item(String(index + 1), 'POST', TESTS, { source }));
    const answer = await runBatch(started, items);
    expect(decodeItems(answer).map(({ id, status }) => [id, status])).toEqual([
      ['1', 201],
      ['2', 201],
    ]);
    expect(answer.json.unserviced_requests).toEqual(['3', '4', '5']);
    await expect(countOf(started, 'sluggish')).resolves.toBe(1);
    await expect(countOf(started, 'never')).resolves.toBe(0);
  });

  it('the server keeps working when the client went away', async () => {
    const password = started.lab.users.find(({ userName }) => userName === 'defender.sync')!.password;
    const rest_requests = ['1', '2'].map((id) => item(id, 'POST', TESTS, { source: 'gone' }));
    const outgoing = request(`${started.lab.url}/api/now/v1/batch`, {
      method: 'POST',
      rejectUnauthorized: false,
      agent: false,
      headers: {
        accept: 'application/json',
        'content-type': 'application/json',
        authorization: `Basic ${Buffer.from(`defender.sync:${password}`).toString('base64')}`,
      },
    });
    const closed = new Promise((resolve) => outgoing.on('error', resolve));
    const written = (): number => started.lab.store.equal('sn_vulc_test', 'source', ['gone']).length;
    outgoing.end(JSON.stringify({ batch_request_id: '1', rest_requests }));
    while (written() === 0) await sleep(1);
    outgoing.destroy(new Error('client gave up'));
    await closed;
    while (written() < 2) await sleep(5);
    expect(written()).toBe(2);
  });
});

describe('one thread and no queue (servicenow.md §5.8)', () => {
  it('a full semaphore queue answers 429', async () => {
    const started = await startLab({ latency: { perRequestMs: 800, threads: 1, queueLimit: 1 } });
    try {
      const answers = await Promise.all([1, 2, 3].map(() => started.get(`${TESTS}?sysparm_limit=1`)));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 429]);
    } finally {
      await started.stop();
    }
  });
});
