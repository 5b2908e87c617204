/** How many requests it takes, and that all workers wait together: counted by the local instance (design §2, throttle; servicenow.md §5.4, §5.8). */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DesiredRecord } from '../../../src/model.ts';
import type { ServiceNowSettings } from '../../../src/config/index.ts';
import { startLab, type StartedLab } from '../lab-servicenow/start.ts';
import type { ServiceNowLabOptions } from '../../../lab/servicenow/index.ts';
import { withPostgres } from '../servers.ts';
import { openEngine, type Engine } from './engine.ts';

const postgres = withPostgres();
const table = 'sn_vulc_policy';
let lab: StartedLab;
let engines: Engine[] = [];

beforeEach(() => {
  engines = [];
});
afterEach(async () => {
  await Promise.all(engines.map((engine) => engine.close()));
  await lab.stop();
});

/** A fresh instance, and so many worker processes on one empty ledger. */
async function open(options: Partial<ServiceNowLabOptions>, serviceNow: Partial<ServiceNowSettings>, workers = 1): Promise<Engine> {
  lab = await startLab(options);
  for (let n = 0; n < workers; n += 1) engines.push(await openEngine({ ledgerUrl: postgres.url, lab, serviceNow }));
  await engines[0]!.reset();
  return engines[0]!;
}

const policies = (count: number, prefix = 'p', title = 'new'): DesiredRecord[] =>
  Array.from({ length: count }, (_, index) => {
    const key = `${prefix}-${String(index).padStart(5, '0')}`;
    return { table, key, fields: { source: 'test', source_id: key, short_description: title } };
  });

/** Batch requests since the log was cleared. */
const writingBatches = (): number => lab.lab.log.counters().find(({ pattern }) => pattern === '/api/now/v1/batch')?.count ?? 0;

describe('the size of batches', () => {
  test('rises on an instance that takes 12 ms a write: fewer requests than a hundred records each would take', async () => {
    const engine = await open({ latency: { perWriteMs: 12 } }, { batchTransactionQuotaMs: 30_000, settleMs: 5_000 });
    const first = await engine.begin();
    await engine.want(first, policies(700));
    await engine.publish(first, []); // The definitions are read by a batch as well.
    lab.lab.log.clear();
    expect(await engine.publish(first, [table])).toBe(0);
    const onCreation = writingBatches();
    // Looked up first, then written: by the hundred that would be fourteen. An idle machine needs seven, a busy one more.
    expect(onCreation).toBeLessThan(14);
    const second = await engine.begin();
    await engine.want(second, policies(700, 'p', 'changed'));
    lab.lab.log.clear();
    expect(await engine.publish(second, [table])).toBe(0);
    expect(writingBatches()).toBeLessThan(7);
    expect(lab.lab.store.equal(table, 'short_description', ['changed'])).toHaveLength(700);
  });

  test('falls on a slow instance until nothing is unserviced: every record is written once', async () => {
    // Ten writes fill a quarter of this quota; a hundred of them, as the first batch has, go far beyond it.
    const engine = await open(
      { latency: { perWriteMs: 8 }, batchQuotaMs: 300 },
      { batchTransactionQuotaMs: 300, settleMs: 500, concurrentRequests: 1 },
    );
    const run = await engine.begin();
    const wanted = policies(150);
    await engine.want(run, wanted);
    const before = lab.lab.store.count(table);
    expect(await engine.publish(run, [table], { rounds: 60 })).toBe(0);
    expect(lab.lab.store.count(table) - before).toBe(150);
    for (const { key } of wanted) expect(lab.lab.store.equal(table, 'source_id', [key])).toHaveLength(1);
    expect(engine.context.batchPaces.sizeOf(table)).toBeLessThan(40);
  });
});

describe('a 429, with two worker processes on one ledger', () => {
  const tooMany = {
    error: { message: 'Rate limit exceeded', detail: 'Rate limit of 100 requests per hour for Table API exceeded' },
    status: 'failure',
  };

  test.each([
    ['a rate rule says how long', { 'retry-after': '2' }, 2_000],
    ['a full semaphore queue says nothing: five seconds', {}, 5_000],
  ])('%s: no request of either arrives before that', async (_, headers, waitMs) => {
    await open({ latency: { perWriteMs: 2 } }, { concurrentRequests: 1 }, 2);
    const runs = [await engines[0]!.begin('a'), await engines[1]!.begin('b')];
    for (const [index, run] of runs.entries()) await engines[index]!.want(run, policies(300, run.deployment));
    await Promise.all(engines.map((engine, index) => engine.publish(runs[index]!, []))); // Signed in and warm.
    lab.lab.faults.add({
      match: { method: 'POST', pathPrefix: '/api/now/v1/batch' },
      action: { status: 429, headers, body: tooMany },
      times: 1,
    });
    lab.lab.log.clear();
    await Promise.all(engines.map((engine, index) => publishThroughThrottling(engine, runs[index]!)));
    const requests = lab.lab.log.recent().filter(({ pattern }) => !pattern.startsWith('batch:'));
    const refused = requests.findIndex(({ status }) => status === 429);
    const [throttled, ...later] = requests.slice(refused).map(({ at }) => Date.parse(at));
    expect(refused).toBeGreaterThanOrEqual(0);
    expect(later.length).toBeGreaterThan(2);
    expect(Math.min(...later) - throttled!).toBeGreaterThanOrEqual(waitMs);
    // Both went on, and nothing is doubled.
    for (const { deployment } of runs)
      expect(
        lab.lab.store
          .rows(table)
          .filter((row) => row.values['source_id']?.startsWith(`${deployment}-`))
          .toArray(),
      ).toHaveLength(300);
  });

  test('of one item inside a batch holds all back as well', async () => {
    const engine = await open({}, { concurrentRequests: 1 });
    const run = await engine.begin();
    await engine.want(run, policies(3));
    lab.lab.faults.add({
      match: { method: 'POST', pathPrefix: `/api/now/table/${table}`, bodyIncludes: 'p-00001' },
      action: { status: 429, body: tooMany },
      times: 1,
    });
    expect(await engine.publish(run, [table], { rounds: 1 })).toBe(1);
    expect(lab.lab.store.equal(table, 'short_description', ['new'])).toHaveLength(2);
    const [held] = await engine.context.ledger.database.query<{ ms: string }>(
      'SELECT extract(epoch FROM not_before - ledger_now()) * 1000 AS ms FROM throttle',
    );
    expect(Number(held?.ms)).toBeGreaterThan(3_000);
  });
});

/** A throttled activity is tried again by Temporal. */
async function publishThroughThrottling(engine: Engine, run: Awaited<ReturnType<Engine['begin']>>): Promise<void> {
  for (;;) {
    try {
      if ((await engine.publish(run, [table])) === 0) return;
    } catch (error) {
      if ((error as { kind?: unknown }).kind !== 'throttled') throw error;
    }
  }
}
