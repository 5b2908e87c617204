/** Issue "the whole line, thin": two deployments that share a subscription, all five integrations, then a second run. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { touchedDataTables } from './data-tables.ts';
import { createEngine, startLab, type Engine, type Lab, type Row, type WorkerProcess } from './harness.ts';

interface Report {
  readonly deployment: string;
  readonly outcome: string;
  readonly integrations: readonly {
    readonly name: string;
    readonly outcome: string;
    readonly read: number;
    readonly parked: number;
    readonly closed: number;
  }[];
  readonly calls: { readonly serviceNowWrites: number; readonly serviceNowBookkeeping: number };
}

interface Estate {
  readonly deployments: Readonly<
    Record<string, { readonly assessments: { readonly results: number }; readonly resources: { readonly inScope: number } }>
  >;
  readonly union: {
    readonly assessments: { readonly keysWithoutMetadata: number };
    readonly resources: { readonly inScope: number };
    readonly policies: { readonly inMappingScope: number };
    readonly policySets: { readonly inMappingScope: number };
    readonly metadata: { readonly keys: number; readonly dynamic: number };
    readonly standards: { readonly regulatory: number; readonly triples: number };
    readonly containers: { readonly images: number; readonly packages: number; readonly findings: number; readonly cves: number };
  };
}

const integrationsInOrder = ['policies', 'metadata', 'standards', 'assessments', 'container-images'];
const postgres = withPostgres();
const temporal = withTemporal();
let lab: Lab;
let engine: Engine;
let worker: WorkerProcess | undefined;
let estate: Estate;
let first: Report[];
let second: Report[];
let afterFirst: Awaited<ReturnType<Lab['summary']>>;

beforeAll(async () => {
  lab = await startLab('generated:7:500');
  estate = (await lab.admin('GET', '/azure/estate')) as Estate;
  engine = await createEngine(lab, {
    ledgerUrl: postgres.url,
    temporalAddress: temporal.address,
    namespace: temporal.namespace,
    taskQueue: 'two-deployments',
  });
  worker = await engine.startWorker();
  first = await syncBoth();
  afterFirst = await lab.summary();
  second = await syncBoth();
}, 580_000);

afterAll(async () => {
  await worker?.stop();
  await engine.remove();
  await lab.stop();
});

async function syncBoth(): Promise<Report[]> {
  const { code, stdout, stderr } = await engine.cli('sync', '--json');
  if (code !== 0) throw new Error(`sync ended with ${code}:\n${stderr}\n${stdout}`);
  return JSON.parse(stdout) as Report[];
}

describe('the reports', () => {
  test('both deployments succeed, five integrations in order, each of which read something', () => {
    for (const report of [...first, ...second]) {
      expect(report.outcome).toBe('succeeded');
      expect(report.integrations.map((one) => one.name)).toEqual(integrationsInOrder);
      for (const integration of report.integrations) {
        expect(integration).toMatchObject({ outcome: 'succeeded', parked: 0, closed: 0 });
        expect(integration.read).toBeGreaterThan(0);
      }
    }
  });

  test('the second runs write nothing but their own run records', () => {
    for (const report of second) {
      expect(report.calls.serviceNowWrites).toBe(0);
      expect(report.calls.serviceNowBookkeeping).toBe(5);
    }
  });
});

describe('the instance, read without the engine', () => {
  test('no data row was touched by the second runs: rows and versions of every table are the same', async () => {
    expect(touchedDataTables(afterFirst, await lab.summary())).toEqual([]);
  });

  test('one policy, test, source and citation per key, as many as the estate has', async () => {
    const { policies, policySets, metadata, assessments } = estate.union;
    await expectDistinct('sn_vulc_policy', ['source_id'], policies.inMappingScope + policySets.inMappingScope);
    await expectDistinct('sn_vulc_test', ['source_id'], metadata.keys - metadata.dynamic + assessments.keysWithoutMetadata);
    await expectDistinct('sn_vulc_auth_src', ['source_id']);
    await expectDistinct('sn_vulc_citation', ['auth_src', 'control', 'section']);
  });

  test('one CI per distinct resource, whatever the case of its id', async () => {
    const resources = (await lab.rows('cmdb_ci_cmp_resource')).filter((row) => row['sys_class_name'] === 'cmdb_ci_cmp_resource');
    const accounts = await lab.rows('cmdb_ci_cloud_service_account');
    const ids = new Set(resources.map((row) => (row['object_id'] ?? '').toLowerCase()));
    expect(ids.size).toBe(resources.length);
    const items = await lab.rows('sn_sec_cmn_src_ci');
    const cisOfItems = new Set(items.map((row) => row['cmdb_ci']));
    const known = new Set([...resources, ...accounts].map((row) => row['sys_id']));
    expect([...cisOfItems].filter((ci) => !known.has(ci))).toEqual([]);
    expect(new Set(items.map((row) => row['source_id'])).size).toBe(estate.union.resources.inScope);
    expect(cisOfItems.size).toBe(estate.union.resources.inScope);
  });

  test('one discovered item per deployment and resource, one result per integration instance, CI and test', async () => {
    const deployments = Object.values(estate.deployments);
    const sum = (pick: (one: (typeof deployments)[number]) => number): number => deployments.reduce((total, one) => total + pick(one), 0);
    await expectDistinct(
      'sn_sec_cmn_src_ci',
      ['source', 'source_id'],
      sum((one) => one.resources.inScope),
    );
    await expectDistinct(
      'sn_vulc_result',
      ['integration_instance', 'cmdb_ci', 'control'],
      sum((one) => one.assessments.results),
    );
  });

  test('images, packages, findings and CVEs are those of the estate', async () => {
    const { containers } = estate.union;
    const images = await lab.rows('cmdb_ci_docker_image');
    expect(new Set(images.map((row) => row['image_id'])).size).toBe(images.length);
    expect(images.length).toBe(containers.images);
    await expectDistinct('sn_vul_container_image', ['integration_instance', 'repository', 'image_digest']);
    await expectDistinct('sn_vul_container_image_package', ['container_image', 'name', 'version']);
    await expectDistinct('sn_vul_container_image_findings', ['discovered_container_image', 'vulnerability', 'source_id']);
    await expectDistinct('sn_vul_container_image_vulnerable_item', ['discovered_container_image', 'vulnerability']);
    await expectDistinct('sn_vul_container_finding_m2m_vul_item', ['finding', 'vulnerable_item']);
    await expectDistinct('sn_vul_nvd_entry', ['id']);
  });

  test('no vulnerable item is without its Docker image CI, and every link points at something', async () => {
    const known = new Set((await lab.rows('cmdb_ci_docker_image')).map((row) => row['sys_id']));
    const items = await lab.rows('sn_vul_container_image_vulnerable_item');
    expect(items.filter((row) => !known.has(row['docker_image'] ?? ''))).toEqual([]);
    for (const link of await lab.rows('sn_vulc_policy_test'))
      expect(`${link['policy'] ?? ''} ${link['test'] ?? ''}`).toMatch(/^[0-9a-f]{32} [0-9a-f]{32}$/);
    const results = await lab.rows('sn_vulc_result');
    for (const column of ['control', 'cmdb_ci', 'src_ci', 'integration_instance']) {
      expect(results.filter((row) => (row[column] ?? '') === '')).toEqual([]);
    }
  });

  test('the five integration records of each deployment run as VR.System and are inactive', async () => {
    const [user] = (await lab.rows('sys_user')).filter((row) => row['user_name'] === 'VR.System');
    const records = (await lab.rows('sn_vul_integration')).filter((row) => (row['name'] ?? '').startsWith('defender-sync'));
    expect(records).toHaveLength(5 * engine.deployments.length);
    for (const record of records) expect(record).toMatchObject({ run_as: user?.['sys_id'], active: 'false' });
  });
});

async function expectDistinct(table: string, columns: readonly string[], count?: number): Promise<void> {
  const rows = await lab.rows(table);
  const keyOf = (row: Row): string => columns.map((column) => (row[column] ?? '').toLowerCase()).join('|');
  expect({ table, distinct: new Set(rows.map(keyOf)).size }).toEqual({ table, distinct: rows.length });
  expect(rows.length).toBeGreaterThan(0);
  if (count !== undefined) expect({ table, rows: rows.length }).toEqual({ table, rows: count });
}
