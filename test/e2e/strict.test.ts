/**
 * A whole estate against an instance of profile `strict` (servicenow.md §5.3): what it refuses is parked and named, nothing of it is
 * written each night, and when the administrator has acted the next run follows by itself. Counted is what the lab holds.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Report } from '../../src/model.ts';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { openScenario, type Scenario } from './scenario.ts';

const servers = { postgres: withPostgres(), temporal: withTemporal() };
let strict: Scenario;
const outcomes: string[][] = [];
const reports: Report[][] = [];
const summaries: Awaited<ReturnType<Scenario['lab']['summary']>>[] = [];
/** Accepted writes over REST so far, by table: the platform's own jobs write too, and are not meant. */
const accepted: Record<string, number>[] = [];

beforeAll(async () => {
  strict = await openScenario(servers, ['--profile', 'strict']);
  await strict.startWorker();
  await run();
  await run();
  await strict.lab.admin('POST', '/servicenow/profile', { profile: 'plain' });
  await run();
}, 580_000);
afterAll(() => strict.close());

async function run(): Promise<void> {
  const runs = await strict.startRuns();
  outcomes.push((await Promise.all(runs.map(({ result }) => result))).map(({ outcome }) => outcome));
  const { stdout } = await strict.engine.cli('report', '--json');
  reports.push(JSON.parse(stdout) as Report[]);
  summaries.push(await strict.lab.summary());
  accepted.push(await acceptedWrites());
}

async function acceptedWrites(): Promise<Record<string, number>> {
  const { counters } = (await strict.lab.admin('GET', '/servicenow/requests')) as {
    counters: { method: string; pattern: string; byStatus: Record<string, number> }[];
  };
  const writes: Record<string, number> = {};
  for (const { method, pattern, byStatus } of counters) {
    const table = /\/table\/(\w+)/.exec(pattern)?.[1];
    if (table === undefined || method === 'GET') continue;
    for (const status of ['200', '201', '204']) writes[table] = (writes[table] ?? 0) + (byStatus[status] ?? 0);
  }
  return writes;
}

const items = 'sn_vul_container_image_vulnerable_item';
const rows = (of: number, table: string): number => summaries[of]?.[table]?.rows ?? 0;

describe('the first run', () => {
  test('is degraded: CVEs that the instance does not know are parked with the remedy, and what hangs on them', () => {
    expect(outcomes[0]).toContain('degraded');
    const parked = reports[0]?.flatMap(({ parkedRecords = [] }) => parkedRecords) ?? [];
    expect(parked).toContainEqual(
      expect.objectContaining({
        table: 'sn_vul_nvd_entry',
        because: expect.stringContaining('ACL Exception Insert Failed'),
        remedy: expect.stringContaining('NIST National Vulnerability Database Integration'),
        keys: expect.arrayContaining([expect.stringMatching(/^cve-/)]),
      }),
    );
    expect(parked).toContainEqual(
      expect.objectContaining({ table: items, because: expect.stringMatching(/^its vulnerability \(sn_vul_nvd_entry\) is parked/) }),
    );
    expect(rows(0, items)).toBe(0);
  });

  test('writes the rest, without the columns that the instance does not keep, which it names', () => {
    expect(rows(0, 'sn_vulc_result')).toBeGreaterThan(100);
    const skipped = reports[0]?.flatMap(({ skippedColumns = [] }) => skippedColumns) ?? [];
    expect(skipped).toContainEqual(expect.objectContaining({ table: 'sn_vulc_result', column: 'source_risk_score', behaviour: 'skipped' }));
    expect(skipped).toContainEqual(expect.objectContaining({ table: 'sn_sec_cmn_src_ci', column: 'matching_type' }));
  });
});

test('the second run tries what is parked once, and writes nothing', () => {
  expect(accepted[0]?.['sn_vulc_result']).toBeGreaterThan(100);
  const written = Object.keys(accepted[1] ?? {}).filter((table) => accepted[1]?.[table] !== accepted[0]?.[table]);
  expect(written.filter((table) => table !== 'sn_vul_integration_run')).toEqual([]);
  expect(outcomes[1]).toEqual(outcomes[0]);
});

test('the third, after the administrator has acted, follows by itself', () => {
  expect(new Set(outcomes[2])).toEqual(new Set(['succeeded']));
  expect(reports[2]?.flatMap(({ parkedRecords = [] }) => parkedRecords)).toEqual([]);
  expect(rows(2, items)).toBeGreaterThan(0);
  expect(rows(2, 'sn_vul_nvd_entry')).toBeGreaterThan(0);
  expect(rows(2, 'sn_vulc_result')).toBe(rows(0, 'sn_vulc_result'));
});
