import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parseDurationMs } from '../../../lab/servicenow/latency.ts';
import { ask, clientOf, token } from './admin-helper.ts';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});

afterAll(() => started.stop());

beforeEach(async () => {
  await ask(started, 'POST', '/availability', { mode: 'up' });
  await ask(started, 'POST', '/latency', {});
});

const TESTS = '/api/now/table/sn_vulc_test?sysparm_limit=1';
const asClient = { grant_type: 'client_credentials' };

describe('an instance that is not there', () => {
  it('errors/200_hibernating_instance_html.http: 200 text/html on every path, the token endpoint included', async () => {
    await ask(started, 'POST', '/availability', { mode: 'hibernating' });
    for (const answer of [
      await started.get(TESTS),
      await started.post('/api/now/v1/batch', { rest_requests: [] }),
      await token(started, { ...asClient, ...clientOf(started, 'defender.sync') }),
    ]) {
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe('text/html;charset=UTF-8');
      expect(answer.text).toContain('<title>Instance Hibernating page</title>');
      expect(answer.text).toContain('class="instance-hibernating-page"');
      expect(answer.text).toContain('<h1>Your instance is hibernating</h1>');
    }
  });

  it('maintenance: 503 in HTML, nothing is written', async () => {
    await ask(started, 'POST', '/availability', { mode: 'maintenance' });
    const before = started.lab.store.count('sn_vulc_test');
    const answer = await started.post('/api/now/table/sn_vulc_test', {});
    expect(answer.status).toBe(503);
    expect(answer.headers['content-type']).toContain('text/html');
    expect(answer.headers).not.toHaveProperty('retry-after');
    expect(started.lab.store.count('sn_vulc_test')).toBe(before);
  });

  it('comes back by itself after its duration on the lab clock, and lives on in the admin API meanwhile', async () => {
    const state = await ask(started, 'POST', '/availability', { mode: 'maintenance', durationMs: 600_000 });
    expect(state).toEqual({ mode: 'maintenance', until: expect.stringMatching(/Z$/) });
    started.clock.advance(599_000);
    await expect(started.get(TESTS)).resolves.toMatchObject({ status: 503 });
    started.clock.advance(2_000);
    await expect(started.get(TESTS)).resolves.toMatchObject({ status: 200 });
    await expect(ask(started, 'GET', '/availability')).resolves.toEqual({ mode: 'up' });
    await expect(ask(started, 'POST', '/availability', { mode: 'asleep' })).rejects.toThrow('400');
  });
});

describe('the latency model (servicenow.md §5.8, §5.4)', () => {
  it.each([
    ['60', 60],
    ['60ms', 60],
    ['1.5s', 1500],
    ['60 s', undefined],
    ['fast', undefined],
    ['-1', undefined],
  ])('reads %s as %s ms', (text, milliseconds) => {
    expect(parseDurationMs(text)).toBe(milliseconds);
  });

  it('takes its time for requests and for writes, as it is told while it runs', async () => {
    await expect(ask(started, 'POST', '/latency', { perRequestMs: 60, perWriteMs: 60 })).resolves.toMatchObject({ perRequestMs: 60 });
    const readMs = performance.now();
    await started.get(TESTS);
    expect(performance.now() - readMs).toBeGreaterThanOrEqual(59);
    const writeMs = performance.now();
    await started.post('/api/now/table/sn_vulc_test', {});
    expect(performance.now() - writeMs).toBeGreaterThanOrEqual(119);
    await expect(ask(started, 'POST', '/latency', { speed: 1 })).rejects.toThrow('400');
  });

  it('slow queries of others hold the threads; a full queue is 429 without Retry-After', async () => {
    await ask(started, 'POST', '/latency', { threads: 2, queueLimit: 1 });
    await expect(ask(started, 'POST', '/slow-queries', { requests: 2, durationMs: 800 })).resolves.toMatchObject({ running: 2, queued: 0 });
    const answers = await Promise.all([started.get(TESTS), started.get(TESTS), started.get(TESTS)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 429, 429]);
    const refused = answers.find(({ status }) => status === 429)!;
    expect(refused.headers).not.toHaveProperty('retry-after');
    expect(refused.headers).not.toHaveProperty('x-ratelimit-limit');
  });

  it('errors/transaction_cancelled_500_or_partial_200.json: cancelled at the quota, and the insert was committed all the same', async () => {
    await ask(started, 'POST', '/latency', { perRequestMs: 6_000 });
    await ask(started, 'POST', '/quotas', { transactionQuotaMs: 100 });
    const before = started.lab.store.count('sn_vulc_test');
    const startedMs = performance.now();
    const answer = await started.post('/api/now/table/sn_vulc_test', {});
    expect(answer).toMatchObject({
      status: 500,
      json: { error: { message: 'Transaction cancelled: maximum execution time exceeded' }, status: 'failure' },
    });
    expect(performance.now() - startedMs).toBeLessThan(6_000);
    expect(started.lab.store.count('sn_vulc_test')).toBe(before + 1);
    await expect(ask(started, 'POST', '/quotas', { transactionQuotaMs: 60_000 })).resolves.toEqual({
      transactionQuotaMs: 60_000,
      batchQuotaMs: 30_000,
    });
  });

  it('more threads let waiting requests start at once', async () => {
    await ask(started, 'POST', '/latency', { threads: 1 });
    await ask(started, 'POST', '/slow-queries', { requests: 1, durationMs: 60_000 });
    const waiting = started.get(TESTS);
    while ((await ask(started, 'GET', '/latency')).queued === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await ask(started, 'POST', '/latency', { threads: 2 });
    await expect(waiting).resolves.toMatchObject({ status: 200 });
  });
});
