/** What a record points at, and what its key is made of, is not always there, or not in a form that can be asked for. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { DesiredRecord } from '../../../src/model.ts';
import { startLab, type StartedLab } from '../lab-servicenow/start.ts';
import { withPostgres } from '../servers.ts';
import { openEngine, type Engine } from './engine.ts';

const postgres = withPostgres();
let lab: StartedLab;
let engine: Engine;

const [items, regions, packages, images] = [
  'sn_sec_cmn_src_ci',
  'sn_sec_cmn_region',
  'sn_vul_container_image_package',
  'sn_vul_container_image',
] as const;

beforeAll(async () => {
  lab = await startLab({ business: 'plain' });
  engine = await openEngine({ ledgerUrl: postgres.url, lab });
});
beforeEach(() => engine.reset());
afterAll(async () => {
  await engine.close();
  await lab.stop();
});

const access = (roles: readonly string[], operation: 'create' | 'read'): Promise<unknown> =>
  lab.admin('POST', '/servicenow/access', { table: regions, operation, roles });
const rows = (table: string): Record<string, string>[] => [...lab.lab.store.rows(table)].map(({ values }) => ({ ...values }));

const region = (name: string): DesiredRecord => ({ table: regions, key: name, fields: { name } });
const item = (key: string, name: string): DesiredRecord => ({
  table: items,
  key,
  fields: { source: 'test', source_id: key, cloud_region: { record: { table: regions, key: name } } },
});

describe('a region that the instance does not take', () => {
  test('keeps no item back; when it is taken after all, the item points at it, and then nothing is written again', async () => {
    await access(['nobody'], 'create');
    const first = await engine.begin();
    await engine.want(first, [region('westeurope'), item('a', 'westeurope')]);
    expect(await engine.publish(first, [regions, items])).toBe(0);
    expect(await engine.record(regions, 'westeurope')).toMatchObject({ parked: true });
    expect(await engine.record(items, 'a')).toMatchObject({ isPublished: true, parked: false });
    // The report names the region, and does not call the column one that is not kept.
    expect(await engine.refusals(first)).toMatchObject({ parkedRecords: [{ table: regions }], skippedColumns: [] });
    const second = await engine.begin();
    expect(await engine.publish(second, [regions, items])).toBe(0);
    expect(await engine.writes(second)).toBeLessThanOrEqual(1);
    await access(['itil', 'sn_sec_cmn.write', 'sn_vulc.write'], 'create');
    const third = await engine.begin();
    expect(await engine.publish(third, [regions, items])).toBe(0);
    const { sysId } = (await engine.record(regions, 'westeurope'))!;
    expect(rows(items).map((row) => row['cloud_region'])).toEqual([sysId]);
    expect(await engine.record(items, 'a')).toMatchObject({ isPublished: true, without: null });
    const fourth = await engine.begin();
    expect(await engine.publish(fourth, [regions, items])).toBe(0);
    expect(await engine.writes(fourth)).toBe(0);
  });
});

test('a table of regions that the instance does not have keeps no item back', async () => {
  const bare = await startLab({ business: 'plain' });
  try {
    await bare.admin('POST', '/servicenow/play/administrator/drop', { table: regions });
    const without = await openEngine({ ledgerUrl: postgres.url, lab: bare });
    try {
      await without.reset();
      const run = await without.begin();
      await without.want(run, [region('westeurope'), item('b', 'westeurope')]);
      expect(await without.publish(run, [items])).toBe(0);
      expect(await without.record(items, 'b')).toMatchObject({ isPublished: true, parked: false });
    } finally {
      await without.close();
    }
  } finally {
    await bare.stop();
  }
});

describe('packages of an image', () => {
  const image: DesiredRecord = { table: images, key: 'img', fields: { image_digest: 'sha256:img', repository: 'r' } };
  const ofImage = (key: string, name: string, version: string): DesiredRecord => ({
    table: packages,
    key,
    fields: { image: { record: { table: images, key: 'img' } }, name, version },
  });

  test('one without a version is not taken for its sibling that has one', async () => {
    const first = await engine.begin();
    await engine.want(first, [image, ofImage('one', 'openssl', '1.1.1')]);
    expect(await engine.publish(first, [images, packages])).toBe(0);
    const second = await engine.begin();
    await engine.want(second, [image, ofImage('one', 'openssl', '1.1.1'), ofImage('none', 'openssl', '')]);
    expect(await engine.publish(second, [images, packages])).toBe(0);
    expect(
      rows(packages)
        .map(({ name, version }) => `${name ?? ''} ${version ?? ''}`)
        .sort(),
    ).toEqual(['openssl ', 'openssl 1.1.1']);
  });

  test('one whose version cannot be asked for is written like any other', async () => {
    const run = await engine.begin();
    await engine.want(run, [image, ofImage('snapshot', 'bash', '1.2^20240101')]);
    expect(await engine.publish(run, [images, packages])).toBe(0);
    expect(rows(packages).filter(({ version }) => version === '1.2^20240101')).toHaveLength(1);
  });
});
