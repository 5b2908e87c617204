/** What becomes of a known CI's records when the CMDB changes under it (design §5). */
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/model.ts';
import { assessmentOf, must, withEngine, type Row } from './engine.ts';

const engine = withEngine();
const dayMs = 24 * 3_600_000;
const subscription = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
const idOf = (name: string): string =>
  `/subscriptions/${subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/${name}`;
const keys = ['00000000-0000-4000-8000-0000000000f1', '00000000-0000-4000-8000-0000000000f2'];
const names = ['merged', 'retired', 'retired-alone', 'deleted', 'reclassified', 'quiet'] as const;
type Name = (typeof names)[number];
const assessments: readonly JsonObject[] = names.flatMap((name) =>
  keys.map((key) => assessmentOf(idOf(name), { Source: 'Azure', Id: idOf(name) }, key)),
);

interface CiRow {
  readonly sys_id: string;
  readonly class_name: string;
  readonly note: string | null;
  readonly state: string;
  readonly created_by_engine: boolean;
}

async function ciOf(name: Name): Promise<CiRow> {
  const rows = await engine.context.ledger.database.query<CiRow>('SELECT * FROM ci WHERE key_text = $1', [
    `resource:${idOf(name).toLowerCase()}`,
  ]);
  return must(rows[0]);
}
const itemOf = async (name: Name): Promise<Row> =>
  must((await engine.rows('sn_sec_cmn_src_ci')).find((row) => row['source_id'] === idOf(name).toLowerCase()));
const resultsOf = async (name: Name): Promise<Row[]> => {
  const item = await itemOf(name);
  return (await engine.rows('sn_vulc_result')).filter((row) => row['src_ci'] === item['sys_id']);
};

async function nights(count: number): Promise<void> {
  for (let night = 0; night < count; night += 1) {
    await engine.advance(dayMs);
    await engine.run('one', assessments);
  }
}

const machines = new Map<Name, string>();
let before = new Map<Name, { readonly item: Row; readonly results: readonly Row[] }>();

beforeAll(async () => {
  for (const name of names) {
    machines.set(name, must((await engine.insert('cmdb_ci_vm_instance', { name, object_id: idOf(name) }))['sys_id']));
  }
  await engine.run('one', assessments);
  before = new Map(
    await Promise.all(names.map(async (name) => [name, { item: await itemOf(name), results: await resultsOf(name) }] as const)),
  );
}, 60_000);

const rememberedResults = (name: Name): (string | undefined)[] => must(before.get(name)).results.map((row) => row['sys_id']);

test('an unchanged estate costs a few reads and no write', async () => {
  const { log } = engine.lab.lab;
  const writes = (): number => Object.values(engine.lab.lab.summary()).reduce((sum, table) => sum + table.writes, 0);
  await engine.advance(dayMs);
  const run = await engine.observe('one', assessments);
  const writtenBefore = writes();
  log.clear();
  await engine.resolve(run);
  const wire = log.counters().reduce((sum, { pattern, count }) => sum + (pattern.startsWith('batch:') ? 0 : count), 0);
  await engine.publish(run);
  expect(wire).toBeLessThanOrEqual(3);
  expect(writes()).toBe(writtenBefore);
});

describe('a CI that was', () => {
  test('merged becomes its survivor; item and results follow, none is doubled', async () => {
    const survivor = must((await engine.insert('cmdb_ci_vm_instance', { name: 'merged', object_id: 'by-another-source' }))['sys_id']);
    await engine.change('cmdb_ci_vm_instance', must(machines.get('merged')), { duplicate_of: survivor });
    await nights(1);
    expect(await ciOf('merged')).toMatchObject({ sys_id: survivor, note: null, created_by_engine: false });
    await followed('merged', survivor);
  });

  test('retired becomes the live one that the rules find', async () => {
    const live = must(
      (await engine.insert('cmdb_ci_vm_instance', { name: 'retired', object_id: idOf('retired').toUpperCase() }))['sys_id'],
    );
    await engine.change('cmdb_ci_vm_instance', must(machines.get('retired')), { install_status: '7' });
    await nights(1);
    expect(await ciOf('retired')).toMatchObject({ sys_id: live });
    await followed('retired', live);
  });

  test('retired without a successor stays and says so', async () => {
    const machine = must(machines.get('retired-alone'));
    await engine.change('cmdb_ci_vm_instance', machine, { operational_status: '6' });
    await nights(1);
    expect(await ciOf('retired-alone')).toMatchObject({ sys_id: machine, note: expect.stringMatching(/retired/) });
    await followed('retired-alone', machine);
  });

  describe('within seven nights every CI was looked at:', () => {
    beforeAll(async () => {
      const { store } = engine.lab.lab;
      await engine.change('cmdb_ci_vm_instance', must(machines.get('retired-alone')), { operational_status: '1' });
      store.reclassify(must(store.find('cmdb_ci', must(machines.get('reclassified')))), 'cmdb_ci_cloud_webserver', 'discovery');
      await engine.remove('cmdb_ci_vm_instance', must(machines.get('deleted')));
      await nights(7);
    }, 60_000);

    test('brought back, it says nothing any more', async () => {
      expect(await ciOf('retired-alone')).toMatchObject({ sys_id: must(machines.get('retired-alone')), note: null });
    });

    test('reclassified, it stays, and its class is known', async () => {
      const machine = must(machines.get('reclassified'));
      expect(await ciOf('reclassified')).toMatchObject({ sys_id: machine, class_name: 'cmdb_ci_cloud_webserver' });
      await followed('reclassified', machine);
    });

    test('deleted, it is made anew, once', async () => {
      const placeholders = (await engine.rows('cmdb_ci_cmp_resource')).filter((row) => row['object_id'] === idOf('deleted'));
      expect(placeholders).toHaveLength(1);
      const made = must(placeholders[0]?.['sys_id']);
      expect(await ciOf('deleted')).toMatchObject({ sys_id: made, state: 'resolved', created_by_engine: true });
      await followed('deleted', made);
    });
  });

  test('left alone is left alone', async () => {
    expect(await ciOf('quiet')).toMatchObject({ sys_id: must(machines.get('quiet')), note: null });
    const was = must(before.get('quiet'));
    expect(await itemOf('quiet')).toEqual(was.item);
    expect(await resultsOf('quiet')).toEqual(was.results);
  });
});

/** The same records on the instance, on the CI that is the resource's now. */
async function followed(name: Name, sysId: string): Promise<void> {
  const item = await itemOf(name);
  expect(item).toMatchObject({ sys_id: must(before.get(name)).item['sys_id'], cmdb_ci: sysId });
  const results = await resultsOf(name);
  expect(results.map((row) => row['sys_id']).sort()).toEqual(rememberedResults(name).sort());
  expect(results.map((row) => row['cmdb_ci'])).toEqual([sysId, sysId]);
}

test('no two results are of one instance, CI and test', async () => {
  const keysOfResults = (await engine.rows('sn_vulc_result')).map((row) =>
    [row['integration_instance'], row['cmdb_ci'], row['control']].join(),
  );
  expect(new Set(keysOfResults).size).toBe(keysOfResults.length);
  expect(keysOfResults).toHaveLength(names.length * keys.length);
});
