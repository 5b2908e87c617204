/**
 * The story of a resource that three deployments share (issue 2, done-when 5), told without a worker and held against what the lab's
 * instance has. Between the runs assessments change, and an administrator takes a right away, so that there is something to tell.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { withPostgres, withTemporal } from '../integration/servers.ts';
import { createEngine, startLab, type Engine, type Lab, type Row } from './harness.ts';

interface Write {
  readonly at: string;
  readonly run: string;
  readonly deployment: string;
  readonly what: string;
  readonly sysId: string | null;
  readonly reason: string | null;
}

interface Story {
  readonly ids: readonly string[];
  readonly ci: {
    readonly sysId: string;
    readonly className: string;
    readonly match: string;
    readonly createdByEngine: boolean;
    readonly history: readonly { readonly what: string; readonly deployment: string; readonly run: string; readonly evidence: string }[];
  };
  readonly seenBy: readonly {
    readonly deployment: string;
    readonly firstSeenAt: string;
    readonly lastSeenAt: string;
    readonly observed: readonly { readonly id: string; readonly body: Readonly<Record<string, string>> }[];
    readonly scans: readonly { readonly run: string; readonly readName: string; readonly state: string; readonly rows: number }[];
  }[];
  readonly records: readonly {
    readonly table: string;
    readonly sysId: string | null;
    readonly state: string;
    readonly reason: string | null;
    readonly owners: readonly string[];
    readonly writes: readonly Write[];
  }[];
}

interface Report {
  readonly deployment: string;
  readonly run: string;
  readonly outcome: string;
}

const postgres = withPostgres();
const temporal = withTemporal();
const prefix = `explain${process.pid}-`;
let lab: Lab;
let engine: Engine;
/** The three deployments, in configured order. */
let names: readonly string[];
/** A resource that all three see, as Discovery and people spell it, and what the lab holds of it. */
let shared: {
  readonly id: string;
  readonly spelled: string;
  readonly ci: Row;
  readonly items: readonly Row[];
  readonly results: readonly Row[];
};
let reports: readonly (readonly Report[])[];

beforeAll(async () => {
  lab = await startLab('generated:7:120');
  engine = await createEngine(
    lab,
    { ledgerUrl: postgres.url, temporalAddress: temporal.address, namespace: temporal.namespace, taskQueue: `${prefix}queue` },
    { deploymentPrefix: prefix },
  );
  names = [...engine.deployments, `${prefix}c`];
  await addThirdDeployment();
  const worker = await engine.startWorker();
  try {
    const first = await sync();
    await lab.admin('POST', '/azure/change', { flip: { percent: 60, seed: 3 } });
    const second = await sync();
    // A rule stops records; a right that is taken away would park the whole run.
    await lab.admin('POST', '/servicenow/policies', {
      kind: 'business-rule',
      table: 'sn_vulc_result',
      name: 'Frozen results',
      condition: 'source_idISNOTEMPTY',
    });
    await lab.admin('POST', '/azure/change', { flip: { percent: 100, seed: 4 } });
    reports = [first, second, await sync()];
  } finally {
    await worker.stop();
  }
  shared = await findShared();
}, 580_000);

afterAll(async () => {
  await engine.remove();
  await lab.stop();
});

/** The subscription that both others share, with the app registration of the first. */
async function addThirdDeployment(): Promise<void> {
  const [subscriptions, others] = lab.file.azure.tenants.map((tenant) => tenant.subscriptions);
  const common = (subscriptions ?? []).find((id) => others?.includes(id) === true);
  if (common === undefined) throw new Error('The deployments of the lab share no subscription.');
  const configuration = parse(await readFile(engine.configFile, 'utf8')) as { deployments: Record<string, unknown>[] };
  const [first] = configuration.deployments;
  configuration.deployments.push({ ...first, name: `${prefix}c`, scope: { subscriptions: [common] } });
  await writeFile(engine.configFile, stringify(configuration));
}

async function sync(): Promise<readonly Report[]> {
  const { stdout, stderr } = await engine.cli('sync', '--json');
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Report[];
}

/** Judged by the instance alone: the resource with an item of three sources and the most results. */
async function findShared(): Promise<typeof shared> {
  const items = await lab.rows('sn_sec_cmn_src_ci');
  const results = await lab.rows('sn_vulc_result');
  const byId = new Map<string, Row[]>();
  for (const item of items) byId.set(item['source_id'] ?? '', [...(byId.get(item['source_id'] ?? '') ?? []), item]);
  const candidates = [...byId].filter(([id, list]) => list.length === 3 && id.includes('/providers/'));
  const withResults = candidates.map(([id, list]) => ({ id, list, of: results.filter((row) => row['cmdb_ci'] === list[0]?.['cmdb_ci']) }));
  withResults.sort((left, right) => right.of.length - left.of.length || (left.id < right.id ? -1 : 1));
  const [best] = withResults;
  const ci = (await lab.rows('cmdb_ci')).find((row) => row['sys_id'] === best?.list[0]?.['cmdb_ci']);
  if (!best || !ci) throw new Error('No resource is seen by three deployments.');
  return { id: best.id, spelled: best.list[0]?.['resource_id'] ?? '', ci, items: best.list, results: best.of };
}

async function explain(what: string): Promise<Story> {
  const { code, stdout, stderr } = await engine.cli('explain', what, '--json');
  if (code !== 0) throw new Error(`explain ended with ${String(code)}: ${stderr}`);
  return JSON.parse(stdout) as Story;
}

/** Whose integration instance a row of the lab belongs to. */
async function deploymentOf(row: Row, column: string): Promise<string> {
  const instance = (await lab.rows('sn_sec_int_impl')).find((one) => one['sys_id'] === row[column]);
  return (instance?.['name'] ?? '').replace('defender-sync ', '');
}

describe('a resource that three deployments share', () => {
  test('is seen by all three, each first in its first run and last in its newest, with the state of the scans', async () => {
    const { seenBy } = await explain(shared.id);
    expect(seenBy.map(({ deployment }) => deployment)).toEqual(names);
    for (const { deployment, firstSeenAt, lastSeenAt, scans } of seenBy) {
      const runs = reports.map((round) => round.find((report) => report.deployment === deployment)?.run);
      const assessments = scans.filter(({ readName, rows }) => readName === 'assessments' && rows > 0);
      expect(assessments.map(({ run, state }) => [run, state])).toEqual([...runs].reverse().map((run) => [run, 'complete']));
      expect(Date.parse(firstSeenAt)).toBeLessThan(Date.parse(lastSeenAt));
    }
  });

  test('is the CI that the instance has, created once, by the deployment whose run the history names', async () => {
    const { ci } = await explain(shared.id);
    expect(ci).toMatchObject({
      sysId: shared.ci['sys_id'],
      className: shared.ci['sys_class_name'],
      match: 'created-by-ire',
      createdByEngine: true,
    });
    expect(ci.history).toHaveLength(1);
    const [matched] = ci.history;
    expect(matched).toMatchObject({ what: 'matched', evidence: 'identification engine: INSERT' });
    expect(reports[0]?.find(({ run }) => run === matched?.run)?.deployment).toBe(matched?.deployment);
  });

  test('has one discovered item per deployment and the results that the instance has, each with its owner', async () => {
    const { records } = await explain(shared.id);
    const told = (table: string): string[][] =>
      records.filter((record) => record.table === table && record.sysId !== null).map(({ sysId, owners }) => [sysId ?? '', ...owners]);
    const held = (rows: readonly Row[], column: string): Promise<string[][]> =>
      Promise.all(rows.map(async (row) => [row['sys_id'] ?? '', await deploymentOf(row, column)]));
    expect(told('sn_sec_cmn_src_ci').sort()).toEqual((await held(shared.items, 'source')).sort());
    expect(told('sn_vulc_result').sort()).toEqual((await held(shared.results, 'integration_instance')).sort());
    expect(shared.results.length).toBeGreaterThan(3);
  });

  test('every write is told with its run: created once, then updated as often as the instance counts', async () => {
    const { records } = await explain(shared.id);
    const runs = new Map(reports.flat().map(({ run, deployment }) => [run, deployment]));
    const rows = new Map([...shared.items, ...shared.results].map((row) => [row['sys_id'], row]));
    let updates = 0;
    for (const { table, sysId, writes } of records) {
      if (table !== 'sn_sec_cmn_src_ci' && table !== 'sn_vulc_result') continue;
      if (sysId === null) continue;
      const sent = writes.filter(({ what }) => what === 'created' || what === 'updated');
      expect(sent.map(({ what }) => what)).toEqual(['created', ...sent.slice(1).map(() => 'updated')]);
      for (const write of writes) expect(runs.get(write.run)).toBe(write.deployment);
      expect(sent.every((write) => write.sysId === sysId)).toBe(true);
      expect({ sysId, writes: String(sent.length - 1) }).toEqual({ sysId, writes: rows.get(sysId)?.['sys_mod_count'] });
      updates += sent.length - 1;
    }
    expect(updates).toBeGreaterThan(0);
  });

  test('what an administrator no longer allows is parked, told once, with the reason', async () => {
    const { records } = await explain(shared.id);
    const parked = records.filter(({ state }) => state === 'parked');
    expect(parked.length).toBeGreaterThan(0);
    for (const { table, reason, writes } of parked) {
      expect(table).toBe('sn_vulc_result');
      expect(reason).toMatch(/^business-rule: /);
      expect(writes.filter(({ what }) => what === 'parked')).toHaveLength(1);
    }
  });

  test('is found by any spelling, by an assessment, by its CI and by one of its results', async () => {
    const story = await explain(shared.id);
    const names = [
      shared.spelled,
      `${shared.id.toUpperCase()}/`,
      story.seenBy[0]?.observed.find(({ id }) => id.includes('/assessments/'))?.id ?? '',
      shared.ci['sys_id'] ?? '',
      shared.results[0]?.['sys_id'] ?? '',
    ];
    for (const name of names) expect({ name, story: await explain(name) }).toEqual({ name, story });
  });

  test('reads like a story', async () => {
    const { code, stdout } = await engine.cli('explain', shared.id);
    expect(code).toBe(0);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toContain(
      `is ${shared.ci['sys_class_name'] ?? ''} ${shared.ci['sys_id'] ?? ''} on ${lab.file.serviceNow.url}: created by this engine`,
    );
    const sections = [
      'Seen by (times are UTC)',
      'Which CI it is',
      'What was written for it',
      'On the instance now',
      'Parked or quarantined',
    ];
    expect(stdout.split('\n').filter((line) => sections.includes(line))).toEqual(sections);
    for (const name of names) expect(stdout).toContain(`  ${name}  first `);
    for (const { run } of reports.flat()) expect(stdout).toContain(`run ${run}`);
  });
});

describe('an id that nobody has seen', () => {
  test.each([
    ['cut off', () => shared.id.slice(0, -2)],
    ['of another subscription', () => shared.id.replace(/[0-9a-f]{8}-/, '00000000-')],
    ['of something below it', () => `${shared.id}/extensions/agent`],
    ['its name alone', () => shared.id.slice(shared.id.lastIndexOf('/') + 1)],
  ])('%s: exit code 2, a sentence, and what may have been meant', async (_, mistyped) => {
    const { code, stdout, stderr } = await engine.cli('explain', mistyped(), '--json');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/The ledger does not know ".*"\. /);
    const suggested = stderr.split('\n').filter((line) => line.startsWith('  /'));
    expect(suggested.length).toBeLessThanOrEqual(5);
    expect(suggested).toContain(`  ${shared.id}`);
  });

  test.each([
    ['a sys_id of nothing', () => 'f'.repeat(32), /no record that the ledger knows has the sys_id f/],
    ['a text that is no id', () => 'nothing like this', /The ledger does not know "nothing like this"/],
  ])('%s', async (_, typed, message) => {
    const { code, stderr } = await engine.cli('explain', typed());
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  test('the sys_id of a record that belongs to no resource says what it is', async () => {
    const [policy] = await lab.rows('sn_vulc_policy');
    const { code, stderr } = await engine.cli('explain', policy?.['sys_id'] ?? '');
    expect(code).toBe(2);
    expect(stderr).toContain('is sn_vulc_policy ');
  });
});
