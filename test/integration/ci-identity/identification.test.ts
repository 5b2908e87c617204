/** What IRE refuses, loses or does not get to inside a Batch: no CI is lost, none is doubled (servicenow.md §5.1, §5.4; design §2). */
import { afterEach, expect, test } from '@jest/globals';
import type { FaultRule } from '../../../lab/kit/faults.ts';
import { newResources } from './bulk.ts';
import { withEngine, type Row } from './engine.ts';

const engine = withEngine();
const perCase = 60;
let taken = 0;
/** Resources that no other case has. */
const some = () => newResources((taken += perCase)).slice(-perCase);

afterEach(() => engine.lab.lab.faults.clear());

const held = async (): Promise<Row[]> => engine.rows('cmdb_ci_cmp_resource');
async function statesOf(): Promise<Record<string, number>> {
  const rows = await engine.context.ledger.database.query<{ state: string; n: string }>(
    'SELECT state, count(*) AS n FROM ci GROUP BY state',
    [],
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, Number(n)]));
}

const batch = { method: 'POST', pathPrefix: '/api/now/v1/batch', bodyIncludes: '"method":"POST"' };
const item = { method: 'POST', pathPrefix: '/api/now/identifyreconcile' };
const cases: readonly (readonly [string, FaultRule])[] = [
  ['some items wait for a lock', { match: { method: 'IRE', probability: 0.3 }, action: { errorCode: 'LOCK_TIMEOUT' }, times: 20 }],
  ['some items are abandoned', { match: { method: 'IRE', probability: 0.3 }, action: { errorCode: 'ABANDONED' }, times: 20 }],
  ['a payload is throttled', { match: item, action: { status: 429 }, times: 1 }],
  ['a payload ends in an error of the server', { match: item, action: { status: 500, body: { error: {} } }, times: 1 }],
  ['the answer of a whole Batch is lost', { match: batch, action: { dropConnection: 'after' }, times: 1 }],
  ['the Batch never arrives', { match: batch, action: { dropConnection: 'before' }, times: 1 }],
];

test.each(cases)('%s: every resource has one CI in the end', async (_what, fault) => {
  const before = (await held()).length;
  const run = await engine.observe('one', some());
  engine.lab.lab.faults.add(fault);
  await settleWhateverFails(() => engine.resolve(run));
  expect(engine.lab.lab.faults.list()[0]?.hits).toBeGreaterThan(0);
  expect(await statesOf()).toEqual({ resolved: taken });
  const ids = (await held()).map((row) => row['object_id']);
  expect(ids).toHaveLength(before + perCase);
  expect(new Set(ids).size).toBe(ids.length);
});

/** An activity that fails is tried again by Temporal. */
async function settleWhateverFails(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch {
    await work();
  }
}

test('a parent that stays locked parks its CIs with the code, after some tries, and the next run tries again', async () => {
  const run = await engine.observe('one', some());
  engine.lab.lab.faults.add({ match: { method: 'IRE' }, action: { errorCode: 'LOCK_TIMEOUT' } });
  await engine.resolve(run);
  expect(await statesOf()).toEqual({ resolved: taken - perCase, parked: perCase });
  const [parked] = await engine.context.ledger.database.query<{ reason: string }>(`SELECT reason FROM ci WHERE state = 'parked'`, []);
  expect(parked?.reason).toMatch(/^LOCK_TIMEOUT: still refused after 8 tries/);
  engine.lab.lab.faults.clear();
  await engine.resolve(await engine.observe('one', newResources(taken)));
  expect(await statesOf()).toEqual({ resolved: taken });
});

test('a resource that the engine fails on parks alone, after some tries in ever smaller payloads', async () => {
  const resources = some();
  const run = await engine.observe('one', resources);
  const poison = `contoso-production-workload-${String(taken - 1).padStart(6, '0')}`;
  engine.lab.lab.faults.add({ match: { ...item, bodyIncludes: poison }, action: { status: 500, body: { error: {} } } });
  await engine.resolve(run);
  const { resolved = 0, parked = 0 } = await statesOf();
  expect(resolved + parked).toBe(taken);
  // It may take its nearest neighbour along.
  expect(parked).toBeGreaterThanOrEqual(1);
  expect(parked).toBeLessThanOrEqual(2);
  const [one] = await engine.context.ledger.database.query<{ reason: string }>(`SELECT reason FROM ci WHERE state = 'parked'`, []);
  expect(one?.reason).toMatch(/status 500.*still after 8 tries/);
  engine.lab.lab.faults.clear();
  await engine.resolve(await engine.observe('one', newResources(taken)));
  expect(await statesOf()).toEqual({ resolved: taken });
});

test('a missing role stops the integration with the remedy, and nothing stays claimed', async () => {
  const run = await engine.observe('one', some());
  const body = { error: { message: 'User Not Authorized', detail: 'Failed API level ACL Validation' }, status: 'failure' };
  engine.lab.lab.faults.add({ match: item, action: { status: 403, body } });
  await expect(engine.resolve(run)).rejects.toMatchObject({ kind: 'forbidden', remedy: expect.stringMatching(/itil or asset/) });
  engine.lab.lab.faults.clear();
  await engine.resolve(run);
  expect(await statesOf()).toEqual({ resolved: taken });
});
