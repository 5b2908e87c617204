/**
 * A placeholder and the CI that Discovery makes beside it (servicenow.md §4): listed with the evidence, re-pointed exactly as listed and
 * only on command, put back from the ledger. Proofs read the lab's rows; the story of one resource is told by `explain` on the way.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { syncWorkflowId } from '../../workflows/contract.ts';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { startCli } from './cli-process.ts';
import type { Engine, Lab } from './harness.ts';
import {
  itemTable,
  openPairsScenario,
  reconcileThroughDeath,
  resultTable,
  specificClass,
  type Pairs,
  type PairsScenario,
  type Reconciled,
  type Resource,
} from './pairs-scenario.ts';
import { faultHits } from './scenario.ts';

interface Story {
  readonly ci: {
    readonly sysId: string;
    readonly match: string;
    readonly createdByEngine: boolean;
    readonly history: readonly { readonly what: string }[];
  };
  readonly records: readonly {
    readonly table: string;
    readonly sysId: string | null;
    readonly writes: readonly { readonly what: string }[];
  }[];
}

const servers = { postgres: withPostgres(), temporal: withTemporal() };
let scenario: PairsScenario;
let lab: Lab;
let engine: Engine;

beforeAll(async () => {
  scenario = await openPairsScenario(servers);
  ({ lab, engine } = scenario);
}, 580_000);

afterAll(async () => {
  await scenario.close();
});

const { temporal } = servers;
const sync = (): Promise<readonly { readonly outcome: string; readonly calls: { readonly serviceNowWrites: number } }[]> =>
  scenario.json(0, 'sync');
const listPairs = (): Promise<Pairs> => scenario.json(0, 'cis', 'pairs');
const reconcile = (code: number, ...args: string[]): Promise<Reconciled> => scenario.json(code, 'cis', 'reconcile', ...args, '--yes');
const resource = (index: number): Resource => scenario.resource(index);
const discover = (of: Resource): Promise<string> => scenario.discover(of);
const undiscover = (sysId: string): Promise<void> => scenario.undiscover(sysId);
const pointingAt = (table: string, ci: string): Promise<string[]> => scenario.pointingAt(table, ci);

/** Every table's rows and versions, but for the records of runs and sign-ins. */
async function dataOnInstance(): Promise<string> {
  const tables = Object.entries(await lab.summary()).filter(([name]) => !/^(sn_vul_integration_run|oauth_credential|sys_user)$/.test(name));
  return JSON.stringify(tables.sort());
}

test('without any CI beside a placeholder, that is what the list says, and nothing is kept', async () => {
  const { code, stdout } = await engine.cli('cis', 'pairs');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^No pairs: none of the \d+ placeholders has a CI of another class/);
  expect(await listPairs()).toMatchObject({ id: null, hash: null, pairs: [] });
});

describe('one pair', () => {
  let one: Resource;
  let specific: string;
  let before: { readonly items: readonly string[]; readonly results: readonly string[] };
  let shown: Pairs;
  let done: Reconciled;

  beforeAll(async () => {
    one = resource(0);
    specific = await discover(one);
    before = { items: await pointingAt(itemTable, one.placeholder), results: await pointingAt(resultTable, one.placeholder) };
    shown = await listPairs();
  }, 120_000);

  test('is listed with the evidence: both CIs, who points at which, and what re-pointing would do', () => {
    expect(shown.id).toMatch(/^[0-9a-f]{10}$/);
    expect(shown.hash).toMatch(/^[0-9a-f]{64}$/);
    // The integration user may not read the property; that is no yes.
    expect(shown.platformMovesResults).toBeNull();
    expect(shown.pairs).toHaveLength(1);
    const [pair] = shown.pairs;
    expect(pair).toMatchObject({
      resourceId: one.id,
      createdByEngine: true,
      obstacle: null,
      placeholder: { sysId: one.placeholder, className: 'cmdb_ci_cmp_resource' },
      specific: [{ sysId: specific, className: specificClass, discoverySource: 'ServiceNow' }],
      effect: { items: before.items.length, results: before.results.length, leftToPlatform: 0 },
    });
    expect(pair?.items.map(({ sysId }) => sysId)).toEqual(before.items);
    expect(pair?.results.map(({ sysId }) => sysId)).toEqual(before.results);
    expect(new Set(pair?.items.map(({ deployment }) => deployment))).toEqual(new Set(engine.deployments));
  });

  test('is not re-pointed by a script that does not say that it means it, nor by a list that does not exist', async () => {
    const unsure = await engine.cli('cis', 'reconcile', shown.id ?? '');
    expect(unsure).toMatchObject({ code: 2, stdout: '' });
    expect(unsure.stderr).toContain('--yes');
    for (const args of [['0123456789'], [shown.id ?? '', '--only', '/subscriptions/nothing'], ['--undo', 'nothing'], []]) {
      const { code, stderr } = await engine.cli('cis', 'reconcile', ...args, '--yes');
      expect({ args, code }).toEqual({ args, code: 2 });
      expect(stderr.split('\n').length).toBeGreaterThan(1);
    }
    expect(await pointingAt(itemTable, one.placeholder)).toEqual(before.items);
  });

  test('is re-pointed as it was shown: every item and every result, and no other record', async () => {
    const othersBefore = (await lab.rows(resultTable))
      .filter((row) => row['cmdb_ci'] !== one.placeholder)
      .map((row) => row['sys_mod_count']);
    done = await reconcile(0, shown.id ?? '', '--only', one.id.toUpperCase());
    expect(done).toMatchObject({
      outcome: 'succeeded',
      counts: { moved: 1, refused: 0, items: before.items.length, results: before.results.length },
    });
    expect(await pointingAt(itemTable, specific)).toEqual(before.items);
    expect(await pointingAt(resultTable, specific)).toEqual(before.results);
    expect(await pointingAt(resultTable, one.placeholder)).toEqual([]);
    const others = (await lab.rows(resultTable)).filter((row) => row['cmdb_ci'] !== specific).map((row) => row['sys_mod_count']);
    expect(others).toEqual(othersBefore);
    // Nothing is deleted, and nothing retired.
    const [placeholder] = (await lab.rows('cmdb_ci_cmp_resource')).filter((row) => row['sys_id'] === one.placeholder);
    expect(placeholder?.['sys_mod_count']).toBe('0');
  });

  test('a second reconcile changes nothing, and the list is empty', async () => {
    const data = await dataOnInstance();
    expect(await reconcile(0, shown.id ?? '')).toMatchObject({
      outcome: 'succeeded',
      counts: { moved: 0, unchanged: 1, items: 0, results: 0 },
    });
    expect(await listPairs()).toMatchObject({ id: null, pairs: [] });
    expect(await dataOnInstance()).toBe(data);
  });

  test('the next runs write nothing and keep the specific CI', async () => {
    const data = await dataOnInstance();
    for (const report of await sync()) expect(report).toMatchObject({ outcome: 'succeeded', calls: { serviceNowWrites: 0 } });
    expect(await dataOnInstance()).toBe(data);
    expect(await pointingAt(itemTable, specific)).toEqual(before.items);
  });

  test('what changes in Azure afterwards is written to the same results, on the specific CI', async () => {
    await lab.admin('POST', '/azure/change', { flip: { percent: 100, seed: 9 } });
    await sync();
    expect(await pointingAt(resultTable, specific)).toEqual(before.results);
    expect(await pointingAt(resultTable, one.placeholder)).toEqual([]);
  });

  test('explain tells it: which CI, since when, and every write from the first on, by either CI', async () => {
    for (const name of [one.id, one.placeholder, specific]) {
      const { ci, records } = await scenario.json<Story>(0, 'explain', name);
      expect(ci).toMatchObject({ sysId: specific, match: 'reconciled', createdByEngine: false });
      expect(ci.history.map(({ what }) => what)).toEqual(['matched', 'reconciled']);
      const told = new Map(records.map((record) => [record.sysId, record.writes.map(({ what }) => what)]));
      for (const sysId of before.items) expect(told.get(sysId)).toEqual(['created', 're-pointed']);
      for (const sysId of before.results) expect(told.get(sysId)?.slice(0, 2)).toEqual(['created', 're-pointed']);
    }
    const { stdout } = await engine.cli('explain', one.id);
    expect(stdout).toContain(`is ${specificClass} ${specific} on ${lab.file.serviceNow.url}: chosen by a reconcile`);
    expect(stdout).toContain(`reconciled: reconcile ${done.reconcile} chose it over cmdb_ci_cmp_resource ${one.placeholder}`);
  });

  test('undo refuses what somebody changed since, and says what', async () => {
    const [item] = before.items;
    const other = resource(1).placeholder;
    await lab.admin('PATCH', `/servicenow/rows/${itemTable}/${item ?? ''}`, { cmdb_ci: other });
    const refused = await reconcile(3, '--undo', done.reconcile);
    expect(refused.counts).toMatchObject({ moved: 0, refused: 1, items: 0, results: 0 });
    expect(refused.pairs[0]?.because).toBe(
      `changed since it was shown: ${itemTable} ${item ?? ''} pointed at ${specific} and points at ${other}`,
    );
    expect(await pointingAt(resultTable, specific)).toEqual(before.results);
    await lab.admin('PATCH', `/servicenow/rows/${itemTable}/${item ?? ''}`, { cmdb_ci: specific });
  });

  test('undo puts everything back; after it the runs write nothing, and a second undo neither', async () => {
    const undone = await reconcile(0, '--undo', done.reconcile);
    expect(undone.counts).toMatchObject({ moved: 1, items: before.items.length, results: before.results.length });
    expect(await pointingAt(itemTable, one.placeholder)).toEqual(before.items);
    expect(await pointingAt(resultTable, one.placeholder)).toEqual(before.results);
    const data = await dataOnInstance();
    for (const report of await sync()) expect(report).toMatchObject({ outcome: 'succeeded', calls: { serviceNowWrites: 0 } });
    expect(await reconcile(0, '--undo', done.reconcile)).toMatchObject({ counts: { moved: 0, unchanged: 1, items: 0 } });
    expect(await dataOnInstance()).toBe(data);
    const { ci } = await scenario.json<Story>(0, 'explain', one.id);
    expect(ci).toMatchObject({ sysId: one.placeholder, match: 'created-by-ire', createdByEngine: true });
    expect(ci.history.map(({ what }) => what)).toEqual(['matched', 'reconciled', 'put-back']);
    await undiscover(specific);
  });
});

describe('what changed since it was shown', () => {
  test('is refused with the difference, and the other pairs are done', async () => {
    const [moved, changed, doubled] = [resource(2), resource(3), resource(4)];
    const specific = [await discover(moved), await discover(changed), await discover(doubled)];
    const shown = await listPairs();
    expect(shown.pairs).toHaveLength(3);
    const [result] = await pointingAt(resultTable, changed.placeholder);
    await lab.admin('PATCH', `/servicenow/rows/${resultTable}/${result ?? ''}`, { cmdb_ci: specific[1] });
    const besides = await discover(doubled);
    const { outcome, counts, pairs } = await reconcile(3, shown.id ?? '');
    expect({ outcome, ...counts }).toMatchObject({ outcome: 'degraded', moved: 1, refused: 2 });
    const because = new Map(pairs.map((pair) => [pair.resourceId, pair.because]));
    expect(because.get(moved.id)).toBeNull();
    expect(because.get(changed.id)).toBe(
      `changed since it was shown: test result ${result ?? ''} pointed at ${changed.placeholder} and points at ${specific[1] ?? ''}`,
    );
    expect(because.get(doubled.id)).toBe(`changed since it was shown: there is ${specificClass} ${besides} besides`);
    expect(await pointingAt(itemTable, specific[0] ?? '')).toHaveLength(2);
    expect(await pointingAt(itemTable, changed.placeholder)).toHaveLength(2);
    // Listed again, two CIs for one resource are no pair that anybody could choose from.
    const again = await listPairs();
    expect(again.pairs.map(({ resourceId, obstacle }) => [resourceId, obstacle === null]).sort()).toEqual(
      [
        [changed.id, true],
        [doubled.id, false],
      ].sort(),
    );
    await lab.admin('PATCH', `/servicenow/rows/${resultTable}/${result ?? ''}`, { cmdb_ci: changed.placeholder });
    for (const sysId of [...specific.slice(1), besides]) await undiscover(sysId);
  });
});

describe('where the platform moves results by itself', () => {
  test('the engine re-points items alone, and refuses when that has changed since', async () => {
    const one = resource(5);
    const specific = await discover(one);
    // The property is true from the start, but nobody may read it.
    const shownBefore = await listPairs();
    await lab.admin('POST', '/servicenow/access', { table: 'sys_properties', operation: 'read', roles: ['itil'] });
    const changed = await reconcile(1, shownBefore.id ?? '');
    expect(changed.because).toMatch(/was unreadable and is true/);
    const shown = await listPairs();
    expect(shown.platformMovesResults).toBe(true);
    const results = await pointingAt(resultTable, one.placeholder);
    expect(shown.pairs[0]?.effect).toMatchObject({ items: 2, results: 0, leftToPlatform: results.length });
    expect(await reconcile(0, shown.id ?? '')).toMatchObject({
      counts: { moved: 1, items: 2, results: 0, leftToPlatform: results.length },
    });
    expect(await pointingAt(itemTable, specific)).toHaveLength(2);
    expect(await pointingAt(resultTable, one.placeholder)).toEqual(results);
    // As the platform's own job does it, later.
    for (const sysId of results) await lab.admin('PATCH', `/servicenow/rows/${resultTable}/${sysId}`, { cmdb_ci: specific });
    for (const report of await sync()) expect(report.calls.serviceNowWrites).toBe(0);
    await lab.admin('POST', '/servicenow/access', { table: 'sys_properties', operation: 'read', roles: [] });
  });
});

describe('the lock of each deployment', () => {
  const slow = (delayMs: number, match: object = {}): Promise<unknown> =>
    lab.admin('POST', '/servicenow/faults', { match: { pathIncludes: '/batch', ...match }, action: { delayMs } });
  /** Longer than it takes until an activity hears that it is cancelled: with its next heartbeat but one, at the latest. */
  const untilItHears = 12_000;

  test('a run that is under way is named, and nothing is re-pointed; a reconcile that is under way is named to whoever starts a run', async () => {
    const one = resource(6);
    const specific = await discover(one);
    const shown = await listPairs();
    const [first = '', second = ''] = engine.deployments;
    const arguments_ = ['--config', engine.configFile];
    await slow(1_500);
    try {
      const running = startCli([...arguments_, 'sync', second, '--json']);
      const holder = temporal.client.workflow.getHandle(syncWorkflowId(second));
      await untilRunning(holder);
      const { code, stderr, stdout } = await engine.cli('cis', 'reconcile', shown.id ?? '', '--yes', '--json');
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain(`Nothing was re-pointed: ${syncWorkflowId(second)} is held by a sync, since `);
      expect(await pointingAt(itemTable, specific)).toEqual([]);
      // What was taken until then was given back: the other deployment is free.
      expect((await temporal.client.workflow.getHandle(syncWorkflowId(first)).describe()).status.name).not.toBe('RUNNING');
      await lab.admin('DELETE', '/servicenow/faults');
      expect(await running.ended).toBe(0);

      await slow(3_000);
      const reconciling = startCli([...arguments_, 'cis', 'reconcile', shown.id ?? '', '--yes', '--json']);
      await untilRunning(temporal.client.workflow.getHandle(syncWorkflowId(second)));
      for (const deployment of engine.deployments) {
        const refused = await engine.cli('sync', deployment, '--json');
        expect(refused).toMatchObject({ code: 2, stdout: '' });
        expect(refused.stderr).toContain(`a reconcile of ${shown.id ?? ''}, since `);
      }
      await lab.admin('DELETE', '/servicenow/faults');
      expect(await reconciling.ended).toBe(0);
      expect(await pointingAt(itemTable, specific)).toHaveLength(2);
    } finally {
      await lab.admin('DELETE', '/servicenow/faults');
    }
  });

  test('whoever cancels a held lock ends the reconcile, which says so and can be started again', async () => {
    const one = resource(7);
    const specific = await discover(one);
    const shown = await listPairs();
    const [first = ''] = engine.deployments;
    await slow(untilItHears);
    const reconciling = startCli(['--config', engine.configFile, 'cis', 'reconcile', shown.id ?? '', '--yes', '--json']);
    try {
      const lock = temporal.client.workflow.getHandle(syncWorkflowId(first));
      await untilRunning(lock);
      await lock.cancel();
      expect(await reconciling.ended).toBe(1);
    } finally {
      await lab.admin('DELETE', '/servicenow/faults');
    }
    expect(JSON.parse(reconciling.stdout())).toMatchObject({
      outcome: 'cancelled',
      because: expect.stringContaining(syncWorkflowId(first)),
    });
    expect(await reconcile(0, shown.id ?? '')).toMatchObject({ counts: { moved: 1 } });
    expect(await pointingAt(itemTable, specific)).toHaveLength(2);
  });

  test('what was out when the lock was cancelled is waited for, counted, and can be taken back', async () => {
    const specific = await discover(resource(8));
    const shown = await listPairs();
    await slow(untilItHears, { bodyIncludes: '"method":"PATCH"' });
    const reconciling = startCli(['--config', engine.configFile, 'cis', 'reconcile', shown.id ?? '', '--yes', '--json']);
    try {
      while ((await faultHits(lab))[0] === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      await temporal.client.workflow.getHandle(syncWorkflowId(engine.deployments[0] ?? '')).cancel();
      await reconciling.ended;
    } finally {
      await lab.admin('DELETE', '/servicenow/faults');
    }
    const { reconcile: id, counts } = JSON.parse(reconciling.stdout()) as Reconciled;
    expect(counts).toMatchObject({ moved: 1, refused: 0, parked: 0 });
    expect(await pointingAt(itemTable, specific)).toHaveLength(2);
    await scenario.json(0, 'cis', 'reconcile', '--undo', id, '--yes');
    expect(await pointingAt(itemTable, specific)).toEqual([]);
    await undiscover(specific);
  });
});

test('a worker that is killed after it has sent: the next one ends it as if nothing had happened', async () => {
  const { signal, code, counts, before, after, undone } = await reconcileThroughDeath(scenario, resource(8), 'reconcile.after-send');
  expect({ signal, code, after, undone }).toEqual({ signal: 'SIGKILL', code: 0, after: before, undone: before.items });
  expect(counts).toMatchObject({ moved: 1, refused: 0, items: before.items.length, results: before.results.length });
}, 300_000);

async function untilRunning(handle: { describe(): Promise<{ readonly status: { readonly name: string } }> }): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { status } = await handle.describe();
    if (status.name === 'RUNNING') return;
    if (performance.now() > deadline) throw new Error('It does not begin.');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
