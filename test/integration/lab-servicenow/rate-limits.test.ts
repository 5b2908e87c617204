import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { add, ask, change, rowOf } from './admin-helper.ts';
import { startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;
const HOUR_MS = 3_600_000;

beforeAll(async () => {
  started = await startLab({ rateLimits: { flushMs: 0 } });
});

afterAll(() => started.stop());

/** Every test starts in a fresh hour, without the rules of the one before. */
beforeEach(async () => {
  const { rows } = await started.admin('GET', '/servicenow/rows/sys_rate_limit_rules');
  for (const row of rows) await started.admin('DELETE', `/servicenow/rows/sys_rate_limit_rules/${row['sys_id']!}`);
  started.clock.set(new Date((Math.floor(started.clock.nowMs() / HOUR_MS) + 1) * HOUR_MS + 60_000));
});

const TESTS = '/api/now/v2/table/sn_vulc_test?sysparm_limit=1';
const statuses = async (count: number, path = TESTS, as = 'defender.sync'): Promise<number[]> => {
  const answers: number[] = [];
  for (let index = 0; index < count; index += 1) answers.push((await started.get(path, { as })).status);
  return answers;
};
const rule = (values: Record<string, string>): Promise<Record<string, string>> =>
  add(started, 'sys_rate_limit_rules', { name: 'rule', rest_api: 'Table API', ...values });
const user = async (name: string): Promise<string> => (await rowOf(started, 'sys_user', 'user_name', name))['sys_id']!;
const role = async (name: string): Promise<string> => (await rowOf(started, 'sys_user_role', 'name', name))['sys_id']!;

describe('rate-limit rules (servicenow.md §5.8, errors/429_rate_limit_rule.json)', () => {
  it('no rule, no header', async () => {
    const answer = await started.get(TESTS);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([]);
  });

  it('headers while a rule matches; 429 with Retry-After and the recorded body above the limit; another hour, another count', async () => {
    const { sys_id: sysId } = await rule({ request_limit: '2' });
    const first = await started.get(TESTS);
    const reset = (Math.floor(started.clock.nowMs() / HOUR_MS) + 1) * 3600;
    expect(first.headers).toMatchObject({ 'x-ratelimit-limit': '2', 'x-ratelimit-reset': String(reset), 'x-ratelimit-rule': sysId });
    expect(first.headers).not.toHaveProperty('retry-after');
    expect(first.headers).not.toHaveProperty('x-ratelimit-remaining');
    await started.get(TESTS);
    const denied = await started.get(TESTS);
    expect(denied).toMatchObject({
      status: 429,
      json: {
        error: { message: 'Rate limit exceeded', detail: 'Rate limit of 2 requests per hour for Table API exceeded' },
        status: 'failure',
      },
      headers: { 'x-ratelimit-limit': '2', 'x-ratelimit-rule': sysId },
    });
    const seconds = Number(denied.headers['retry-after']);
    expect(seconds).toBeGreaterThan(3500);
    expect(seconds).toBeLessThanOrEqual(3600);
    started.clock.advance(seconds * 1000);
    await expect(statuses(1)).resolves.toEqual([200]);
  });

  it('a denied request does no work', async () => {
    await rule({ request_limit: '1', http_method: 'POST' });
    await started.post('/api/now/table/sn_vulc_auth_src', { source: 'counted' });
    await started.post('/api/now/table/sn_vulc_auth_src', { source: 'counted' });
    const { rows } = await started.admin('GET', '/servicenow/rows/sn_vulc_auth_src');
    expect(rows.filter(({ source }) => source === 'counted')).toHaveLength(1);
  });

  it('counts per user and per resource', async () => {
    await rule({ request_limit: '1', http_method: 'GET', table: 'sn_vulc_test' });
    await expect(statuses(2)).resolves.toEqual([200, 429]);
    await expect(statuses(2, TESTS, 'defender.readonly')).resolves.toEqual([200, 429]);
    await expect(statuses(2, '/api/now/table/sn_vulc_policy?sysparm_limit=1')).resolves.toEqual([200, 200]);
    await expect(started.post('/api/now/table/sn_vulc_test', {})).resolves.toMatchObject({ status: 201 });
    await expect(statuses(2, '/api/now/stats/sn_vulc_test?sysparm_count=true')).resolves.toEqual([200, 200]);
  });

  it('single user before role before all users, whatever the numbers', async () => {
    await rule({ name: 'all', request_limit: '1' });
    await rule({ name: 'role', request_limit: '2', apply_to: 'users_with_role', role: await role('itil') });
    await rule({ name: 'user', request_limit: '3', apply_to: 'single_user', user: await user('defender.sync') });
    await expect(statuses(4)).resolves.toEqual([200, 200, 200, 429]);
    await expect(statuses(2, TESTS, 'defender.readonly')).resolves.toEqual([200, 429]);
  });

  it('of several role rules the lowest', async () => {
    await rule({ name: 'high', request_limit: '5', apply_to: 'users_with_role', role: await role('itil') });
    await rule({ name: 'low', request_limit: '2', apply_to: 'users_with_role', role: await role('import_admin') });
    const first = await started.get(TESTS);
    expect(first.headers['x-ratelimit-limit']).toBe('2');
    await expect(statuses(2)).resolves.toEqual([200, 429]);
  });

  it('a rule that is switched off or whose limit changes starts anew', async () => {
    const { sys_id: sysId } = await rule({ request_limit: '1' });
    await expect(statuses(2)).resolves.toEqual([200, 429]);
    await change(started, 'sys_rate_limit_rules', sysId!, { request_limit: '2' });
    await expect(statuses(3)).resolves.toEqual([200, 200, 429]);
    await change(started, 'sys_rate_limit_rules', sysId!, { active: 'false' });
    await expect(statuses(2)).resolves.toEqual([200, 200]);
  });

  it.each(['', '0', '-1'])('a rule with the limit "%s" limits nothing', async (limit) => {
    await rule({ request_limit: limit });
    const answer = await started.get(TESTS);
    expect(answer.status).toBe(200);
    expect(answer.headers).not.toHaveProperty('x-ratelimit-limit');
  });

  it('the node commits its counts every 30 s: until then a burst overshoots', async () => {
    await ask(started, 'POST', '/rate-limits', { flushMs: 30_000 });
    await rule({ request_limit: '2' });
    await expect(statuses(5)).resolves.toEqual([200, 200, 200, 200, 200]);
    started.clock.advance(30_000);
    await expect(statuses(1)).resolves.toEqual([429]);
    const { counts } = await ask(started, 'GET', '/rate-limits');
    expect(counts).toContainEqual({ rule: expect.any(String), ruleName: 'rule', userName: 'defender.sync', requests: 5, violations: 1 });
    await ask(started, 'POST', '/rate-limits', { flushMs: 0 });
  });

  it('a batch counts once; its items count where the instance is told so', async () => {
    await rule({ request_limit: '2' });
    const item = (id: string): object => ({ id, method: 'GET', url: TESTS, headers: [{ name: 'Accept', value: 'application/json' }] });
    const batch = (): Promise<Answer> =>
      started.post('/api/now/v1/batch', { batch_request_id: '1', rest_requests: ['1', '2', '3'].map(item) });
    const codes = (answer: Answer): number[] =>
      (answer.json.serviced_requests as { status_code: number }[]).map(({ status_code: code }) => code);
    expect(codes(await batch())).toEqual([200, 200, 200]);
    await ask(started, 'POST', '/rate-limits', { countsBatchItems: true });
    expect(codes(await batch())).toEqual([200, 200, 429]);
    await ask(started, 'POST', '/rate-limits', { countsBatchItems: false });
  });
});
