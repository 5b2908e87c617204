/** Tags as host tags (docs/decisions/host-tags.md): the engine's steps over a real ledger, judged by what the lab's instance holds. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startLab, type StartedLab } from '../lab-servicenow/start.ts';
import { withPostgres } from '../servers.ts';
import { openEngine, vm, type Engine } from './engine.ts';

const postgres = withPostgres();
let started: StartedLab;
let engine: Engine;

async function open(): Promise<void> {
  started = await startLab();
  engine = await openEngine(started, await postgres.freshDatabase(), ['first', 'second']);
}

beforeEach(open);
afterEach(close);

async function close(): Promise<void> {
  await engine.close();
  await started.stop();
}

const rows = async (table: string): Promise<Record<string, string>[]> => (await started.admin('GET', `/servicenow/rows/${table}`)).rows;
const tagNames = async (): Promise<string[]> => (await rows('sn_sec_cmn_host_tag')).map((row) => row['name'] ?? '').sort();

/** Host tags of each discovered item, by deployment and machine: once by its list, once by the link rows. */
async function tagsOfItems(): Promise<{ list: Record<string, string[]>; links: Record<string, string[]> }> {
  const names = new Map((await rows('sn_sec_cmn_host_tag')).map((row) => [row['sys_id'], row['name'] ?? '']));
  const instances = new Map(
    (await rows('sn_sec_int_impl')).map((row) => [row['sys_id'], (row['name'] ?? '').replace('defender-sync ', '')]),
  );
  const labels = new Map(
    (await rows('sn_sec_cmn_src_ci')).map((row) => [
      row['sys_id'],
      `${instances.get(row['source'] ?? '') ?? '?'}/${row['resource_name'] ?? ''}`,
    ]),
  );
  const list: Record<string, string[]> = {};
  for (const row of await rows('sn_sec_cmn_src_ci')) {
    const sysIds = (row['host_tag'] ?? '').split(',').filter((sysId) => sysId !== '');
    list[labels.get(row['sys_id']) ?? '?'] = sysIds.map((sysId) => names.get(sysId) ?? '?').sort();
  }
  const links: Record<string, string[]> = Object.fromEntries([...labels.values()].map((label) => [label, []]));
  for (const row of await rows('sn_sec_cmn_m2m_src_ci_tag'))
    links[labels.get(row['src_ci']) ?? '?']?.push(names.get(row['host_tag']) ?? '?');
  for (const names of Object.values(links)) names.sort();
  return { list, links };
}

/** Writes to the tables of tags and items so far. */
async function writes(): Promise<number> {
  const { tables } = await started.admin('GET', '/servicenow/summary');
  return ['sn_sec_cmn_host_tag', 'sn_sec_cmn_m2m_src_ci_tag', 'sn_sec_cmn_src_ci', 'sn_vulc_result'].reduce(
    (sum, table) => sum + (tables[table]?.writes ?? 0),
    0,
  );
}

async function allowDeletes(): Promise<void> {
  await started.admin('POST', '/servicenow/access', { table: 'sn_sec_cmn_m2m_src_ci_tag', operation: 'delete', roles: ['itil'] });
}

describe('tags of several deployments', () => {
  test('one host tag per text whatever its case, spelt by whoever was first; an unchanged estate writes nothing', async () => {
    // An administrator, or another scanner, was before us.
    await started.admin('POST', '/servicenow/rows/sn_sec_cmn_host_tag', [{ name: 'OWNER: Web' }]);
    await engine.sync('first', { vm1: { Env: 'Prod', owner: 'web' }, vm2: { Env: 'Prod' } });
    await engine.sync('second', { vm1: { ENV: 'PROD', cost: '42' } });
    expect(await tagNames()).toEqual(['Env: Prod', 'OWNER: Web', 'cost: 42'].sort());
    const expected = {
      'first/vm1': ['Env: Prod', 'OWNER: Web'],
      'first/vm2': ['Env: Prod'],
      'second/vm1': ['Env: Prod', 'cost: 42'],
    };
    expect(await tagsOfItems()).toEqual({ list: expected, links: expected });
    const before = await writes();
    await engine.sync('second', { vm1: { ENV: 'PROD', cost: '42' } });
    await engine.sync('first', { vm1: { Env: 'Prod', owner: 'web' }, vm2: { Env: 'Prod' } });
    // Another spelling alone is nothing to write either.
    await engine.sync('first', { vm1: { ENV: 'Prod', Owner: 'WEB' }, vm2: { env: 'PROD' } });
    expect(await writes()).toBe(before);
  });

  test('of forty tags 31 are kept, the same every time, and the report counts the others and the unusable', async () => {
    const forty = Object.fromEntries(Array.from({ length: 40 }, (_unused, index) => [`t${String(index).padStart(2, '0')}`, '']));
    const notes = await engine.sync('first', { vm1: { ...forty, broken: 1 } });
    const { list, links } = await tagsOfItems();
    expect(list['first/vm1']).toEqual(Object.keys(forty).slice(0, 31));
    expect(links).toEqual(list);
    expect(notes).toEqual([
      '9 tags are not imported: a discovered item takes 31, those first in the alphabet',
      '1 tags cannot be host tags (no text, no name, or with characters that cannot be searched for)',
    ]);
    const before = await writes();
    await engine.sync('first', { vm1: { broken: 1, ...Object.fromEntries(Object.entries(forty).reverse()) } });
    expect(await writes()).toBe(before);
  });

  test('a machine that no list names has none, and one that is no longer named keeps those it had', async () => {
    await engine.sync('first', { vm1: { env: 'prod' }, vm2: undefined });
    await engine.sync('first', { vm1: undefined, vm2: undefined });
    expect((await tagsOfItems()).links).toEqual({ 'first/vm1': ['env: prod'], 'first/vm2': [] });
  });
});

describe('a tag that is gone', () => {
  test('leaves the list and loses its link; links of other items and the tag itself stay', async () => {
    await allowDeletes();
    await engine.sync('first', { vm1: { env: 'prod', owner: 'web' }, vm2: { env: 'prod' } });
    await engine.sync('second', { vm1: { env: 'prod' } });
    const notes = await engine.sync('first', { vm1: { owner: 'web' }, vm2: { env: 'prod' } });
    const expected = { 'first/vm1': ['owner: web'], 'first/vm2': ['env: prod'], 'second/vm1': ['env: prod'] };
    expect(await tagsOfItems()).toEqual({ list: expected, links: expected });
    expect(await tagNames()).toEqual(['env: prod', 'owner: web']);
    expect(notes).toEqual(['1 links to tags that are gone were removed']);
    // It comes back, and goes again.
    await engine.sync('first', { vm1: { owner: 'web', env: 'prod' }, vm2: { env: 'prod' } });
    expect((await tagsOfItems()).links['first/vm1']).toEqual(['env: prod', 'owner: web']);
    await engine.sync('first', { vm1: {}, vm2: { env: 'prod' } });
    expect(await tagsOfItems()).toMatchObject({ list: { 'first/vm1': [] }, links: { 'first/vm1': [] } });
    const before = await writes();
    await engine.sync('first', { vm1: {}, vm2: { env: 'prod' } });
    expect(await writes()).toBe(before);
  });

  test('a link that somebody else made is not removed', async () => {
    await allowDeletes();
    await engine.sync('first', { vm1: { env: 'prod' } });
    const [item] = await rows('sn_sec_cmn_src_ci');
    const [
      {
        rows: [added],
      },
    ] = [await started.admin('POST', '/servicenow/rows/sn_sec_cmn_host_tag', [{ name: 'by hand' }])];
    await started.admin('POST', '/servicenow/rows/sn_sec_cmn_m2m_src_ci_tag', [{ src_ci: item?.['sys_id'], host_tag: added?.['sys_id'] }]);
    await engine.sync('first', { vm1: { env: 'prod', 'by hand': '' } });
    await engine.sync('first', { vm1: {} });
    expect((await tagsOfItems()).links).toEqual({ 'first/vm1': ['by hand'] });
  });

  test('an instance that refuses deletes keeps the link: said once per run, tried again when it allows them', async () => {
    await started.admin('POST', '/servicenow/access', { table: 'sn_sec_cmn_m2m_src_ci_tag', operation: 'delete', roles: [] });
    await engine.sync('first', { vm1: { env: 'prod' } });
    const refused = [expect.stringMatching(/^1 links to tags that are gone could not be removed: ACL Exception Delete Failed.*role/)];
    expect(await engine.sync('first', { vm1: {} })).toEqual(refused);
    expect(await engine.sync('first', { vm1: {} })).toEqual(refused);
    expect(await tagsOfItems()).toEqual({ list: { 'first/vm1': [] }, links: { 'first/vm1': ['env: prod'] } });
    await allowDeletes();
    expect(await engine.sync('first', { vm1: {} })).toEqual(['1 links to tags that are gone were removed']);
    expect((await tagsOfItems()).links).toEqual({ 'first/vm1': [] });
  });

  test('a delete whose answer is lost is asked for again', async () => {
    await allowDeletes();
    await engine.sync('first', { vm1: { env: 'prod', owner: 'web' } });
    started.lab.faults.add({
      match: { pathPrefix: '/api/now/v1/batch', bodyIncludes: '"method":"DELETE"' },
      action: { dropConnection: 'after' },
      times: 1,
    });
    await engine.sync('first', { vm1: { owner: 'web' } });
    expect(started.lab.faults.list()[0]?.hits).toBe(1);
    expect((await tagsOfItems()).links).toEqual({ 'first/vm1': ['owner: web'] });
  });
});

describe('without host tags the items go out all the same', () => {
  test('the property is false', async () => {
    await engine.sync('first', { vm1: { env: 'prod' } });
    await started.admin('POST', '/servicenow/rows/sys_properties', [{ name: 'sn_vul.import_host_tags', value: 'false' }]);
    await started.admin('POST', '/servicenow/access', { table: 'sys_properties', operation: 'read', roles: ['itil'] });
    const notes = await engine.sync('first', { vm1: { owner: 'web' }, vm2: { env: 'test' } });
    expect(notes).toEqual(['host tags are not imported: the property sn_vul.import_host_tags of the instance is false']);
    expect(await tagNames()).toEqual(['env: prod']);
    expect((await tagsOfItems()).links).toEqual({ 'first/vm1': ['env: prod'], 'first/vm2': [] });
    expect(await rows('sn_vulc_result')).toHaveLength(2);
  });

  test('the table is hidden', async () => {
    await started.admin('POST', '/servicenow/access', { table: 'sn_sec_cmn_m2m_src_ci_tag', operation: 'read', roles: [] });
    started.lab.faults.add(hiddenTable);
    await expectNoTags(/^host tags are not imported: the table sn_sec_cmn_m2m_src_ci_tag is (hidden|absent)/);
  });

  test('the link table has no column for it', async () => {
    const isIt = (row: Record<string, string>): boolean => row['name'] === 'sn_sec_cmn_m2m_src_ci_tag' && row['element'] === 'host_tag';
    const column = (await rows('sys_dictionary')).find(isIt);
    await started.admin('DELETE', `/servicenow/rows/sys_dictionary/${column?.['sys_id'] ?? ''}`);
    await expectNoTags(/no column refers to sn_sec_cmn_host_tag/);
  });

  async function expectNoTags(said: RegExp): Promise<void> {
    expect(await engine.sync('first', { vm1: { env: 'prod' } })).toEqual([expect.stringMatching(said)]);
    expect(await tagNames()).toEqual([]);
    expect((await tagsOfItems()).list).toEqual({ 'first/vm1': [] });
  }
});

/** An instance that does not know the table says so wherever it is named. */
const hiddenTable = {
  match: { method: 'GET', pathPrefix: '/api/now/table/sn_sec_cmn_m2m_src_ci_tag' },
  action: { status: 400, body: { error: { message: 'Invalid table sn_sec_cmn_m2m_src_ci_tag', detail: null }, status: 'failure' } },
};

describe('tags in the CMDB', () => {
  const tagRows = async (): Promise<string[]> =>
    (await rows('cmdb_key_value')).map((row) => `${row['key'] ?? ''}=${row['value'] ?? ''} of ${row['configuration_item'] ?? ''}`).sort();

  test('come along with a CI of ours only where the rule of the class takes them', async () => {
    await engine.sync('first', { vm1: { env: 'prod' } });
    expect(await tagRows()).toEqual([]);
    const [rule] = (await rows('cmdb_identifier')).filter((row) => row['applies_to'] === 'cmdb_ci_cmp_resource');
    await started.admin('POST', '/servicenow/rows/cmdb_related_entry', [
      { identifier: rule?.['sys_id'], table: 'cmdb_key_value', referenced_field: 'configuration_item' },
    ]);
    await engine.sync('first', { vm1: { env: 'prod' }, vm2: { env: 'test', owner: 'web' } });
    const [ci] = (await rows('cmdb_ci_cmp_resource')).filter((row) => row['object_id'] === vm('vm2'));
    expect(await tagRows()).toEqual([`env=test of ${ci?.['sys_id'] ?? ''}`, `owner=web of ${ci?.['sys_id'] ?? ''}`]);
  });
});
