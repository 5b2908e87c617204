import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { tableSpecs } from '../../../src/integrations/tables.ts';
import type { SysId } from '../../../src/model.ts';
import {
  classifyWrite,
  createServiceNowConnection,
  mapTable,
  query,
  valueOf,
  type InstanceDictionary,
  type ServiceNowAuth,
  type ServiceNowClient,
  type ServiceNowConnection,
} from '../../../src/servicenow/index.ts';
import { createCountingGate, rejection, type CountingGate } from '../azure-client/test-server.ts';
import { ENGINE_SOURCE, startLab, type StartedLab } from '../lab-servicenow/start.ts';

const tables = [...tableSpecs.map(({ name }) => name), 'cmdb_ci_cmp_resource', 'cmdb_ci', 'no_such_table'];

let lab: StartedLab;
let gate: CountingGate;
let dictionary: InstanceDictionary;
let client: ServiceNowClient;
const connections: ServiceNowConnection[] = [];

beforeAll(async () => {
  lab = await startLab({ batchQuotaMs: 1_500 });
  gate = createCountingGate();
  const bare = connect('defender.sync').through(gate);
  dictionary = await bare.probeDictionary(tables);
  client = bare.withDictionary(dictionary);
});
afterEach(() => lab.lab.faults.clear());
afterAll(async () => {
  for (const connection of connections) connection.close();
  await lab.stop();
});

function connect(userName: string, type: Exclude<ServiceNowAuth['type'], 'unreadable'> = 'basic'): ServiceNowConnection {
  const user = lab.lab.users.find((candidate) => candidate.userName === userName)!;
  const oauth = lab.lab.oauthClients.find((candidate) => candidate.userName === userName)!;
  const auth: ServiceNowAuth =
    type === 'basic'
      ? { type, userName, password: user.password }
      : type === 'password'
        ? { type, clientId: oauth.clientId, clientSecret: oauth.clientSecret, userName, password: user.password }
        : { type, clientId: oauth.clientId, clientSecret: oauth.clientSecret };
  const connection = createServiceNowConnection({ url: lab.lab.url, auth, caFile: `${lab.dir}/ca.pem` });
  connections.push(connection);
  return connection;
}

describe('probeDictionary', () => {
  test('finds tables, inherited columns, references, lengths and choices in a few requests', () => {
    expect(dictionary.readable).toEqual({ tables: true, columns: true, choices: true });
    expect(gate.passed.length).toBeLessThanOrEqual(30);
    const result = dictionary.tables['sn_vulc_result']!;
    expect(result.state).toBe('present');
    expect(result.columns['control']).toMatchObject({ type: 'reference', reference: 'sn_vulc_test' });
    expect(result.columns['result']!.choices).toEqual(expect.arrayContaining([{ value: 'passed', label: 'Passed' }]));
    expect(result.columns['source_id']!.maxLength).toBeGreaterThan(0);
    const resource = dictionary.tables['cmdb_ci_cmp_resource']!;
    expect(resource.superClasses).toContain('cmdb_ci');
    expect(resource.columns).toHaveProperty('object_id');
    expect(resource.columns).toHaveProperty('operational_status');
    expect(dictionary.tables['cmdb_ci']!.columns['discovery_source']!.choices?.map(({ value }) => value)).toContain(ENGINE_SOURCE);
  });

  test('a table that does not exist is absent, not hidden', () => {
    expect(dictionary.tables['no_such_table']).toMatchObject({ state: 'absent', columns: {} });
  });

  test('every table that the engine writes maps with all its required columns', () => {
    const missing = tableSpecs.flatMap((spec) => mapTable(spec, dictionary).missingRequired.map(({ column }) => `${spec.name}.${column}`));
    expect(missing).toEqual([]);
  });

  test('a dictionary that is hidden reads as hidden, never as absent', async () => {
    const hidden = await connect('defender.noroles').through(createCountingGate()).probeDictionary(['sn_vulc_result', 'no_such_table']);
    expect(hidden.readable.columns).toBe(false);
    expect(hidden.readable.choices).toBe(false);
    expect(hidden.tables['sn_vulc_result']).toMatchObject({ state: 'hidden' });
    expect(hidden.tables['no_such_table']).toMatchObject({ state: 'absent' });
  });

  test('survives JSON', () => {
    expect(JSON.parse(JSON.stringify(dictionary)).tables.sn_vulc_test.columns).toEqual(
      JSON.parse(JSON.stringify(dictionary.tables['sn_vulc_test']!.columns)),
    );
  });
});

describe('signing in', () => {
  test.each(['basic', 'password', 'client-credentials'] as const)('%s', async (type) => {
    const roles = await connect('defender.sync', type).through(createCountingGate()).roles.readOwnRoles();
    expect(roles.user?.userName).toBe('defender.sync');
    expect(roles.roles).toEqual(expect.arrayContaining(['itil', 'sn_vul.vr_import_admin', 'sn_vulc.read']));
  });

  test('a wrong client secret is explained', async () => {
    const { clientId } = lab.lab.oauthClients[0]!;
    const wrong = createServiceNowConnection({
      url: lab.lab.url,
      auth: { type: 'client-credentials', clientId, clientSecret: 'wrong-canary-secret' },
      caFile: `${lab.dir}/ca.pem`,
    });
    connections.push(wrong);
    const error = await rejection(wrong.through(createCountingGate()).roles.readOwnRoles());
    expect(error).toMatchObject({ kind: 'unauthenticated', remedy: expect.stringContaining('client secret is wrong') });
  });
});

describe('writing and reading back', () => {
  const spec = tableSpecs.find(({ name }) => name === 'sn_vulc_test')!;
  const fields = { source: 'Lab test', source_id: 'Key-1', short_description: 'Schlüssel ^ = "quoted" 😀', description: 'line 1\nline 2' };

  test('what was shaped is what the instance says afterwards', async () => {
    const mapped = mapTable(spec, dictionary);
    const { values } = mapped.shape(fields, { create: true });
    const created = await client.table.create('sn_vulc_test', values, 'serviceNowWrites');
    const row = await client.table.get('sn_vulc_test', created.sysId, Object.keys(values));
    expect(mapped.sameOnInstance(row!, values)).toBe(true);
    const changed = mapped.shape({ ...fields, description: 'other' }, { create: false }).values;
    expect(mapped.sameOnInstance(row!, changed)).toBe(false);
    const updated = await client.table.update('sn_vulc_test', created.sysId, changed, 'serviceNowWrites');
    expect(mapped.sameOnInstance(updated.row, changed)).toBe(true);
    const found = await client.table.list('sn_vulc_test', {
      query: query().equals('source_id', 'Key-1').equals('source', 'Lab test'),
      fields: ['source_id'],
    });
    expect(found.map((one) => valueOf(one, 'sys_id'))).toEqual([created.sysId]);
  });

  test('a batch answers item by item: written, refused, gone', async () => {
    const outcomes = await client.batch.sendBatch(
      [
        client.table.createItem('1', 'sn_vulc_policy', { source_id: 'batch-1', short_description: 'x' }),
        { id: '2', method: 'POST', path: '/api/now/table/sys_user', body: { user_name: 'intruder' } },
        client.table.updateItem('3', 'sn_vulc_policy', 'f'.repeat(32) as SysId, { short_description: 'x' }),
        { id: '4', method: 'POST', path: '/api/now/table/no_such_table', body: {} },
      ],
      { kind: 'serviceNowWrites', effect: 'write' },
    );
    expect(outcomes.map((outcome) => classifyWrite(outcome))).toEqual([
      expect.objectContaining({ result: 'written' }),
      expect.objectContaining({ result: 'refused', kind: 'acl' }),
      { result: 'gone' },
      expect.objectContaining({ result: 'refused', kind: 'invalid', reason: expect.stringContaining('no_such_table') }),
    ]);
  });

  test('items at and behind the quota are unknown: the one that was running has done its work', async () => {
    lab.lab.faults.add({ match: { pathPrefix: '/api/now/table/', bodyIncludes: 'slow-2' }, action: { delayMs: 1_800 }, times: 1 });
    const items = ['slow-1', 'slow-2', 'slow-3'].map((id) =>
      client.table.createItem(id, 'sn_vulc_policy', { source_id: id, short_description: id }),
    );
    const outcomes = await client.batch.sendBatch(items, { kind: 'serviceNowWrites', effect: 'write' });
    expect(outcomes.map((outcome) => classifyWrite(outcome).result)).toEqual(['written', 'unknown', 'unknown']);
    const options = { query: query().startsWith('source_id', 'slow-'), fields: ['source_id'] };
    const found = await client.table.list('sn_vulc_policy', options);
    expect(found.map((row) => valueOf(row, 'source_id')).sort()).toEqual(['slow-1', 'slow-2']);
  });

  test('a connection that is cut after the work leaves the outcome unknown, and a look-up finds the record', async () => {
    lab.lab.faults.add({
      match: { method: 'POST', pathPrefix: '/api/now/table/sn_vulc_policy' },
      action: { dropConnection: 'after' },
      times: 1,
    });
    const writing = client.table.create('sn_vulc_policy', { source_id: 'cut-1', short_description: 'x' }, 'serviceNowWrites');
    expect(await rejection(writing)).toMatchObject({ kind: 'outcome-unknown' });
    expect(await client.aggregate.count('sn_vulc_policy', query().equals('source_id', 'cut-1'))).toBe(1);
  });

  test('listAll reads every row over many pages', async () => {
    const items = Array.from({ length: 57 }, (_, index) =>
      client.table.createItem(String(index), 'sn_vulc_auth_src', { source_id: `page-${index}`, short_description: 'x' }),
    );
    await client.batch.sendBatch(items, { kind: 'serviceNowWrites', effect: 'write' });
    const found = new Set<string>();
    const options = { query: query().startsWith('source_id', 'page-'), fields: ['source_id'], limit: 10 };
    for await (const row of client.table.listAll('sn_vulc_auth_src', options)) found.add(valueOf(row, 'source_id'));
    expect(found.size).toBe(57);
    const groups = await client.aggregate.countBy('sn_vulc_auth_src', query().startsWith('source_id', 'page-'), 'short_description');
    expect(groups).toEqual(new Map([['x', 57]]));
  });

  test('one who may only read is refused with the ACL’s text', async () => {
    const reader = connect('defender.readonly').through(createCountingGate(), dictionary);
    expect(await rejection(reader.table.create('sn_vulc_policy', { source_id: 'no' }, 'serviceNowWrites'))).toMatchObject({
      kind: 'forbidden',
      code: 'acl',
    });
  });

  test('429 of a rate rule', async () => {
    lab.lab.faults.add({
      match: { pathPrefix: '/api/now/table/' },
      action: { status: 429, headers: { 'retry-after': '3' }, body: {} },
      times: 1,
    });
    expect(await rejection(client.table.list('sn_vulc_test', { query: query(), fields: [], limit: 1 }))).toMatchObject({
      kind: 'throttled',
      retryAfterMs: 3_000,
    });
    expect(gate.heldBackMs.at(-1)).toBe(3_000);
  });
});

describe('identify', () => {
  const chain = (objectId: string) => ({
    items: [
      {
        className: 'cmdb_ci_cloud_service_account',
        internal_id: 'account',
        values: { name: 'sub', account_id: 'sub-1', object_id: 'sub-1', datacenter_type: 'cmdb_ci_azure_datacenter' },
      },
      {
        className: 'cmdb_ci_azure_datacenter',
        internal_id: 'datacenter',
        values: { name: 'East US', object_id: 'eastus', region: 'eastus' },
      },
      {
        className: 'cmdb_ci_cmp_resource',
        internal_id: 'resource',
        values: { name: 'vm', object_id: objectId, resource_type: 'microsoft.compute/disks' },
      },
    ],
    relations: [
      { parent: 2, child: 1, type: 'Hosted on::Hosts' },
      { parent: 1, child: 0, type: 'Hosted on::Hosts' },
    ],
  });
  const options = { dataSource: ENGINE_SOURCE, kind: 'serviceNowWrites' } as const;

  test('simulates without a trace, inserts once, matches afterwards', async () => {
    const payload = chain('/subscriptions/sub-1/resourceGroups/rg/providers/Microsoft.Compute/disks/d1');
    const simulated = await client.identifyReconcile.identify(payload, { ...options, simulate: true });
    expect(simulated.items.map(({ outcome }) => outcome)).toEqual(['inserted', 'inserted', 'inserted']);
    expect(await client.aggregate.count('cmdb_ci_cmp_resource', query().equals('object_id', payload.items[2]!.values.object_id))).toBe(0);
    const first = await client.identifyReconcile.identify(payload, options);
    expect(first.items.map(({ outcome }) => outcome)).toEqual(['inserted', 'inserted', 'inserted']);
    const second = await client.identifyReconcile.identify(payload, options);
    expect(second.items.every(({ outcome }) => outcome === 'matched' || outcome === 'updated')).toBe(true);
    expect(second.items.map((item) => 'sysId' in item && item.sysId)).toEqual(first.items.map((item) => 'sysId' in item && item.sysId));
  });

  test('a resource without its chain is refused, with the code and what to do', async () => {
    const { items } = chain('/subscriptions/sub-1/x');
    const { items: outcomes } = await client.identifyReconcile.identify({ items: [items[2]!] }, options);
    expect(outcomes).toEqual([
      expect.objectContaining({ outcome: 'refused', code: 'MISSING_DEPENDENCY', remedy: expect.stringMatching(/.+/) }),
    ]);
  });

  test('a data source that the instance lacks is refused', async () => {
    const answer = await client.identifyReconcile.identify(chain('/x'), { ...options, dataSource: 'Nobody' });
    expect(answer.items[2]).toMatchObject({ outcome: 'refused', code: 'INVALID_INPUT_DATA' });
  });

  test('a lock that timed out is to be tried again', async () => {
    lab.lab.faults.add({
      match: { method: 'IRE', bodyIncludes: 'locked' },
      action: { errorCode: 'LOCK_TIMEOUT' },
      times: 1,
    });
    const answer = await client.identifyReconcile.identify(chain('/subscriptions/sub-1/locked'), options);
    expect(answer.items.some((item) => item.outcome === 'retry' && item.code === 'LOCK_TIMEOUT')).toBe(true);
  });
});

test('users and integration records', async () => {
  expect(await client.roles.findUser('VR.System')).toMatchObject({ userName: 'VR.System', active: true, lockedOut: false });
  expect(await client.roles.findUser('nobody')).toBeUndefined();
  const user = await client.roles.findUser('defender.sync');
  const created = await client.table.create(
    'sn_vul_integration',
    { name: 'Run-as test', active: 'false', run_as: user!.sysId },
    'serviceNowBookkeeping',
  );
  expect(await client.roles.readIntegrationRecords(query().equals('name', 'Run-as test'))).toEqual([
    expect.objectContaining({ sysId: created.sysId, active: false, runAs: { sysId: user!.sysId, userName: 'defender.sync' } }),
  ]);
});
