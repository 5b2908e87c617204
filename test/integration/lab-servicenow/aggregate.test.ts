import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startLab, type StartedLab } from './start.ts';

let started: StartedLab;
let tests: string[];

const STATS = '/api/now/stats/sn_vulc_result';

beforeAll(async () => {
  started = await startLab();
  tests = [];
  for (const title of ['Beta', 'Alpha']) {
    const answer = await started.post('/api/now/table/sn_vulc_test', { short_description: title });
    tests.push(answer.json.result.sys_id as string);
  }
  const rows: [number, string, string][] = [
    [0, 'failed', '90'],
    [0, 'failed', '70'],
    [0, 'passed', '10'],
    [1, 'failed', '50'],
  ];
  for (const [test, result, score] of rows) {
    await started.post('/api/now/table/sn_vulc_result', { control: tests[test], result, risk_score: score, source: 'stats' });
  }
});

afterAll(() => started.stop());

interface Group {
  stats: Record<string, unknown>;
  groupby_fields: Record<string, string>[];
}

async function groups(parameters: string): Promise<Group[]> {
  const answer = await started.get(`${STATS}?sysparm_query=source=stats&sysparm_count=true&${parameters}`);
  expect(answer.status).toBe(200);
  return answer.json.result as Group[];
}

async function labels(parameters: string): Promise<(string | undefined)[]> {
  return (await groups(parameters)).map((group) => group.groupby_fields[0]?.['value']);
}

describe('Aggregate API (servicenow.md §5.6, c_AggregateAPI)', () => {
  it('stats/group_by_avg_fields.json: avg with four decimals, every number a string', async () => {
    const answer = await started.get(
      `${STATS}?sysparm_query=source=stats&sysparm_avg_fields=risk_score&sysparm_sum_fields=risk_score&sysparm_min_fields=risk_score&sysparm_max_fields=risk_score,nope`,
    );
    expect(answer.json).toEqual({
      result: {
        stats: { avg: { risk_score: '55.0000' }, sum: { risk_score: '220' }, min: { risk_score: '10' }, max: { risk_score: '90' } },
      },
    });
  });

  it('groups by several fields and by dot-walked ones', async () => {
    const two = await groups('sysparm_group_by=control.short_description,result');
    expect(two.map(({ stats, groupby_fields: fields }) => [...fields.map(({ value }) => value), stats['count']])).toEqual([
      ['Alpha', 'failed', '1'],
      ['Beta', 'failed', '2'],
      ['Beta', 'passed', '1'],
    ]);
  });

  it('sysparm_display_value: the group by value, by what stands for it, or both', async () => {
    await expect(labels('sysparm_group_by=control')).resolves.toEqual([tests[1], tests[0]]);
    await expect(labels('sysparm_group_by=control&sysparm_display_value=true')).resolves.toEqual(['Alpha', 'Beta']);
    const [first] = await groups('sysparm_group_by=control&sysparm_display_value=all');
    expect(first?.groupby_fields).toEqual([{ field: 'control', display_value: 'Alpha', value: tests[1] }]);
  });

  it.each([
    ['COUNT', ['Alpha', 'Beta']],
    ['COUNT^DESC', ['Beta', 'Alpha']],
    ['AVG^risk_score', ['Alpha', 'Beta']],
    ['control^DESC', ['Beta', 'Alpha']],
    ['SUM^risk_score^DESC', ['Beta', 'Alpha']],
  ])('sysparm_order_by=%s', async (orderBy, expected) => {
    await expect(labels(`sysparm_group_by=control&sysparm_display_value=true&sysparm_order_by=${orderBy}`)).resolves.toEqual(expected);
  });

  it.each([
    ['count^result^>^1', ['Beta']],
    ['count^result^=^1', ['Alpha']],
    ['avg^risk_score^<=^50', ['Alpha']],
    ['count^result^>^1,max^risk_score^<^90', []],
    ['max^nothing^<^90', ['Alpha', 'Beta']],
  ])('sysparm_having=%s', async (having, expected) => {
    const parameters = `sysparm_group_by=control&sysparm_display_value=true&sysparm_having=${encodeURIComponent(having)}`;
    await expect(labels(parameters)).resolves.toEqual(expected);
  });

  it('name-value pairs filter where there is no sysparm_query, by value or by display value', async () => {
    for (const pair of [`control=${String(tests[0])}`, 'control=beta']) {
      const answer = await started.get(`${STATS}?sysparm_count=true&source=stats&${pair}`);
      expect(answer.json).toEqual({ result: { stats: { count: '3' } } });
    }
  });

  it('nothing asked, nothing computed; an unknown table and another method are refused', async () => {
    await expect(started.get(`${STATS}?sysparm_query=source=stats`)).resolves.toMatchObject({
      status: 200,
      json: { result: { stats: {} } },
    });
    await expect(started.get('/api/now/stats/x_no_such')).resolves.toMatchObject({ status: 400 });
    await expect(started.post(STATS, {})).resolves.toMatchObject({ status: 405 });
  });

  it('an account that may not read the table is refused, and so is a hidden column to group by', async () => {
    await expect(started.get(`${STATS}?sysparm_count=true`, { as: 'defender.noroles' })).resolves.toMatchObject({ status: 403 });
    await expect(
      started.get('/api/now/stats/sys_choice?sysparm_count=true&sysparm_group_by=element', { as: 'defender.noroles' }),
    ).resolves.toMatchObject({ status: 403, json: { error: { message: 'Insufficient rights to query records' } } });
  });
});
