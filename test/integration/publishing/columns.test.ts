/** Columns that an instance drops without a word (design §5, servicenow.md §5.2, §5.3), on a local instance of profile `strict`. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { DesiredRecord } from '../../../src/model.ts';
import type { FailpointName } from '../../../src/observability/failpoints.ts';
import { startLab, type StartedLab } from '../lab-servicenow/start.ts';
import { withPostgres } from '../servers.ts';
import { openEngine, type Engine } from './engine.ts';

const postgres = withPostgres();
let lab: StartedLab;
let engine: Engine;
/** Its failpoint kills (throws) where `killAt` says. */
let dying: Engine;
let killAt: FailpointName | undefined;

beforeAll(async () => {
  lab = await startLab({ business: 'strict', batchQuotaMs: 400 });
  engine = await openEngine({ ledgerUrl: postgres.url, lab });
  const failpoint = (reached: FailpointName): Promise<void> =>
    reached === killAt ? Promise.reject(new Error('killed')) : Promise.resolve();
  dying = await openEngine({ ledgerUrl: postgres.url, lab, failpoint });
});
beforeEach(async () => {
  killAt = undefined;
  await lab.admin('DELETE', '/servicenow/field-restrictions');
  lab.lab.faults.clear();
  await engine.reset();
});
afterAll(async () => {
  await Promise.all([engine.close(), dying.close()]);
  await lab.stop();
});

let serial = 0;
const newKey = (): string => `columns-${(serial += 1)}`;
const policy = (key: string, fields: DesiredRecord['fields'] = {}): DesiredRecord => ({
  table: 'sn_vulc_policy',
  key,
  fields: { source: 'test', source_id: key, short_description: `Policy ${key}`, ...fields },
});
const rowsOf = (table: string, column: string, value: string): Record<string, string>[] =>
  lab.lab.store.equal(table, column, [value]).map((row) => ({ ...row.values, sys_id: row.sysId }));
const restrict = (table: string, columns: readonly string[], effect: string, on?: readonly string[]): Promise<unknown> =>
  lab.admin('POST', '/servicenow/field-restrictions', { table, columns, effect, ...(on === undefined ? {} : { on }) });

describe('an optional column that never sticks', () => {
  test('is tried twice, then left out; the record counts as published, and nobody writes it again', async () => {
    await restrict('sn_vulc_policy', ['description'], 'skip');
    const key = newKey();
    const first = await engine.begin();
    await engine.want(first, [policy(key, { description: 'lost' })]);
    await engine.publish(first, ['sn_vulc_policy']);
    expect(await engine.record('sn_vulc_policy', key)).toMatchObject({ isPublished: true, parked: false, without: 'description' });
    expect(await engine.behaviours('sn_vulc_policy')).toEqual([
      { column: 'description', behaviour: 'skipped', evidence: 'sent "lost", came back empty' },
    ]);
    const before = lab.lab.summary()['sn_vulc_policy']?.writes;
    const second = await engine.begin();
    await engine.want(second, [policy(key, { description: 'lost' })]);
    expect(await engine.publish(second, ['sn_vulc_policy'])).toBe(0);
    expect(lab.lab.summary()['sn_vulc_policy']?.writes).toBe(before);
  });

  test('follows by itself once it is put right: one record tries it, then all that lack it are written', async () => {
    await restrict('sn_vulc_policy', ['description'], 'skip');
    const keys = Array.from({ length: 5 }, newKey);
    const wanted = (key: string): DesiredRecord => policy(key, { description: `of ${key}` });
    const first = await engine.begin();
    await engine.want(first, keys.map(wanted));
    await engine.publish(first, ['sn_vulc_policy']);
    await lab.admin('DELETE', '/servicenow/field-restrictions');
    const later = newKey();
    const second = await engine.begin();
    await engine.want(second, [...keys, later].map(wanted));
    expect(await engine.publish(second, ['sn_vulc_policy'])).toBe(0);
    for (const key of [...keys, later]) {
      expect(rowsOf('sn_vulc_policy', 'source_id', key)).toEqual([expect.objectContaining({ description: `of ${key}` })]);
      expect(await engine.record('sn_vulc_policy', key)).toMatchObject({ isPublished: true, without: null });
    }
    expect(await engine.behaviours('sn_vulc_policy')).toEqual([]);
  });

  test('is tried once a week where nothing else changes', async () => {
    await restrict('sn_vulc_policy', ['description'], 'skip');
    const keys = Array.from({ length: 3 }, newKey);
    const wanted = keys.map((key) => policy(key, { description: `of ${key}` }));
    const first = await engine.begin();
    await engine.want(first, wanted);
    await engine.publish(first, ['sn_vulc_policy']);
    await engine.advance(8 * 24 * 3_600_000);
    const before = lab.lab.summary()['sn_vulc_policy']?.writes ?? 0;
    const second = await engine.begin();
    await engine.publish(second, ['sn_vulc_policy']);
    expect((lab.lab.summary()['sn_vulc_policy']?.writes ?? 0) - before).toBe(1);
    await lab.admin('DELETE', '/servicenow/field-restrictions');
    await engine.advance(8 * 24 * 3_600_000);
    const third = await engine.begin();
    expect(await engine.publish(third, ['sn_vulc_policy'])).toBe(0);
    for (const key of keys) expect(rowsOf('sn_vulc_policy', 'source_id', key)).toMatchObject([{ description: `of ${key}` }]);
  });

  test('of one record alone is no finding about the table', async () => {
    const [odd, fine] = [newKey(), newKey()];
    // A rule that dislikes one value.
    lab.lab.store.addRule({
      table: 'sn_vulc_policy',
      apply: (values) => {
        if (values['description'] === `not ${odd}`) values['description'] = '';
      },
    });
    const run = await engine.begin();
    await engine.want(run, [policy(odd, { description: `not ${odd}` }), policy(fine, { description: 'fine' })]);
    await engine.publish(run, ['sn_vulc_policy']);
    expect(await engine.record('sn_vulc_policy', odd)).toMatchObject({ isPublished: true, parked: false });
    expect(rowsOf('sn_vulc_policy', 'source_id', fine)).toMatchObject([{ description: 'fine' }]);
    const next = await engine.begin();
    await engine.want(next, [policy(odd, { description: `not ${odd}` }), policy(fine, { description: 'changed' })]);
    await engine.publish(next, ['sn_vulc_policy']);
    expect(rowsOf('sn_vulc_policy', 'source_id', fine)).toMatchObject([{ description: 'changed' }]);
  });
});

describe('a column that is dropped on insert and kept by an update', () => {
  /** CVITs hang on a CVE, an image and its CI; strict blanks `vulnerability` on insert. */
  async function wantItem(of: Engine, run: Awaited<ReturnType<Engine['begin']>>, names: readonly string[]): Promise<void> {
    const engineRecord = { table: 'sn_sec_int_impl', key: 'impl' };
    await of.want(run, [
      { ...engineRecord, fields: { name: 'columns test', active: true } },
      ...names.flatMap((name): DesiredRecord[] => [
        { table: 'sn_vul_nvd_entry', key: `cve-${name}`, fields: { id: `CVE-${name}` } },
        {
          table: 'sn_vul_container_image',
          key: `image-${name}`,
          fields: { integration_instance: { record: engineRecord }, repository: `repo/${name}`, image_digest: `sha256:${name}` },
        },
        {
          table: 'sn_vul_container_image_vulnerable_item',
          key: `item-${name}`,
          fields: {
            vulnerability: { record: { table: 'sn_vul_nvd_entry', key: `cve-${name}` } },
            image: { record: { table: 'sn_vul_container_image', key: `image-${name}` } },
            docker_image: imageCi,
            source: 'test',
          },
        },
      ]),
    ]);
  }
  const tables = ['sn_sec_int_impl', 'sn_vul_nvd_entry', 'sn_vul_container_image', 'sn_vul_container_image_vulnerable_item'];
  let imageCi: string;
  const items = (name: string): Record<string, string>[] => {
    const [image] = rowsOf('sn_vul_container_image', 'image_digest', `sha256:${name}`);
    return rowsOf('sn_vul_container_image_vulnerable_item', 'discovered_container_image', image?.['sys_id'] ?? 'none');
  };
  const cve = (name: string): string => rowsOf('sn_vul_nvd_entry', 'id', `CVE-${name}`)[0]?.['sys_id'] ?? 'none';
  const newName = (): string => `2026-${10_000 + (serial += 1)}`;

  beforeAll(() => {
    imageCi = lab.lab.store.insert('cmdb_ci_docker_image', { name: 'image', image_id: '0123456789ab' }, 'admin').sysId;
  });
  /** The instance has the CVE: strict lets nobody insert one. */
  const know = (name: string): void => void lab.lab.store.insert('sn_vul_nvd_entry', { id: `CVE-${name}` }, 'admin');

  test('is set in a second step; the record counts once', async () => {
    const name = newName();
    know(name);
    const run = await engine.begin();
    await wantItem(engine, run, [name]);
    expect(await engine.publish(run, tables)).toBe(0);
    expect(items(name)).toEqual([expect.objectContaining({ vulnerability: cve(name) })]);
    expect(await engine.record('sn_vul_container_image_vulnerable_item', `item-${name}`)).toMatchObject({
      isPublished: true,
      without: null,
    });
    expect(await engine.behaviours('sn_vul_container_image_vulnerable_item')).toEqual([
      expect.objectContaining({ column: 'vulnerability', behaviour: 'second-step' }),
    ]);
    // The image and the item; the CVE was there, the integration instance is bookkeeping.
    expect(await engine.writes(run)).toBe(2);
  });

  test.each([
    ['between the two steps', 'publish.after-outcome'],
    ['after the first was sent, before anybody knew of it', 'publish.after-send'],
    ['with the intent written, nothing sent', 'publish.after-intent'],
  ] satisfies [string, FailpointName][])('a kill %s ends with the column set, and doubles nothing', async (_, point) => {
    const names = [newName(), newName(), newName()];
    names.forEach(know);
    const run = await dying.begin();
    await wantItem(dying, run, names);
    await dying.publish(run, tables.slice(0, 3));
    killAt = point;
    await expect(dying.publish(run, tables)).rejects.toThrow('killed');
    // Another worker takes over, and the platform has had its time.
    await engine.advance(1_000);
    const next = await engine.begin();
    expect(await engine.publish(next, tables)).toBe(0);
    for (const name of names) expect(items(name)).toEqual([expect.objectContaining({ vulnerability: cve(name) })]);
  });

  test('an answer that is lost leaves records without their key column: they are adopted, none is made twice', async () => {
    const names = Array.from({ length: 6 }, newName);
    names.forEach(know);
    const run = await engine.begin();
    await wantItem(engine, run, names);
    await engine.publish(run, tables.slice(0, 3));
    const posts = {
      method: 'POST',
      pathPrefix: '/api/now/v1/batch',
      bodyIncludes: '/api/now/table/sn_vul_container_image_vulnerable_item?',
    };
    lab.lab.faults.add({ match: posts, action: { dropConnection: 'after' }, times: 1 });
    expect(await engine.publish(run, tables)).toBe(0);
    for (const name of names) expect(items(name)).toEqual([expect.objectContaining({ vulnerability: cve(name) })]);
  });
});

describe('a column that a record is meaningless without', () => {
  test('parks the record, its mates are written; the next run follows when it is put right', async () => {
    await restrict('sn_vulc_test', ['short_description'], 'skip');
    const key = newKey();
    const wanted: DesiredRecord = { table: 'sn_vulc_test', key, fields: { source: 'test', source_id: key, short_description: 'Test' } };
    const first = await engine.begin();
    await engine.want(first, [wanted, policy(key)]);
    expect(await engine.publish(first, ['sn_vulc_policy', 'sn_vulc_test'])).toBe(0);
    expect(await engine.record('sn_vulc_test', key)).toMatchObject({
      parked: true,
      isPublished: false,
      reason: expect.stringContaining('sn_vulc_test.short_description is not kept'),
      remedy: expect.stringContaining('Name = sn_vulc_test.short_description'),
    });
    expect(await engine.record('sn_vulc_policy', key)).toMatchObject({ isPublished: true });
    expect(await engine.behaviours('sn_vulc_test')).toEqual([]);
    await lab.admin('DELETE', '/servicenow/field-restrictions');
    const second = await engine.begin();
    expect(await engine.publish(second, ['sn_vulc_test'])).toBe(0);
    expect(rowsOf('sn_vulc_test', 'source_id', key)).toEqual([expect.objectContaining({ short_description: 'Test' })]);
    expect(await engine.record('sn_vulc_test', key)).toMatchObject({ parked: false, isPublished: true });
  });
});

describe('what something changes a little later', () => {
  const undoLater = (key: string, column: string): void => {
    const [row] = lab.lab.store.equal('sn_vulc_policy', 'source_id', [key]);
    if (row !== undefined) lab.lab.store.update(row, { [column]: 'changed by the platform' }, 'system');
  };

  test('is found when the first record of the table is read again, and left out from then on', async () => {
    const key = newKey();
    const run = await engine.begin();
    await engine.want(run, [policy(key, { description: 'ours' })]);
    await engine.publish(run, ['sn_vulc_policy']);
    undoLater(key, 'description');
    expect(await engine.publish(run, ['sn_vulc_policy'], { waitForReadBacks: true })).toBe(0);
    expect(await engine.behaviours('sn_vulc_policy')).toEqual([
      { column: 'description', behaviour: 'undone', evidence: 'sent "ours", came back "changed by the platform" a little later' },
    ]);
    const next = await engine.begin();
    await engine.want(next, [policy(key, { description: 'ours', short_description: 'changed' })]);
    await engine.publish(next, ['sn_vulc_policy']);
    expect(rowsOf('sn_vulc_policy', 'source_id', key)).toMatchObject([{ short_description: 'changed' }]);
  });

  test('costs one GET per table, once: not for the second record, not in the next run', async () => {
    lab.lab.log.clear();
    const gets = (): number =>
      lab.lab.log.recent().filter(({ method, url }) => method === 'GET' && /sn_vulc_policy\/[0-9a-f]{32}/.test(url)).length;
    for (let round = 0; round < 2; round += 1) {
      const run = await engine.begin();
      await engine.want(run, [policy(newKey(), { description: 'ours' })], `round ${round}`);
      await engine.publish(run, ['sn_vulc_policy'], { waitForReadBacks: true });
      expect(gets()).toBe(1);
    }
  });

  test('parks the record when it is meaningless without', async () => {
    const key = newKey();
    const run = await engine.begin();
    await engine.want(run, [policy(key)]);
    await engine.publish(run, ['sn_vulc_policy']);
    undoLater(key, 'short_description');
    await engine.publish(run, ['sn_vulc_policy'], { waitForReadBacks: true });
    expect(await engine.record('sn_vulc_policy', key)).toMatchObject({ parked: true, remedy: expect.stringContaining('async') });
  });
});
