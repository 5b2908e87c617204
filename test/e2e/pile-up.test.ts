/**
 * The pile-up (servicenow.md §6): ServiceNow's own plugin runs as somebody who may not delete the attachments of its data source. They stay,
 * grow with each run, and every run transforms the old pages again. Shown under `report`, deleted on command, and ended by `enforce`.
 * Proofs read the lab's rows.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { withPostgres } from '../integration/servers.ts';
import { createEngine, startLab, type Engine, type Lab, type Row, type WorkerProcess } from './harness.ts';
import { withOwnNamespace } from './own-namespace.ts';

const postgres = withPostgres();
const temporal = withOwnNamespace('pile-up');
const assessments = 'Microsoft Defender for Cloud Assessment Integration';
let lab: Lab;
let engine: Engine;
let worker: WorkerProcess;
let deployment: string;
let integration: string;
let dataSource: string;

interface Finding {
  readonly check: string;
  readonly verdict: string;
  readonly cause: string;
  readonly evidence: string;
  readonly remedy: string | null;
}
interface Run {
  readonly transformed: number;
  readonly updated: number;
  readonly left: number;
}
interface Listed {
  readonly id: string | null;
  readonly surplus: number;
  readonly dataSources: readonly {
    readonly sysId: string;
    readonly attachments: readonly { readonly sysId: string; readonly surplus: boolean }[];
  }[];
}
interface Deleted {
  readonly dataSources: readonly {
    readonly dataSource: { readonly sysId: string };
    readonly deleted: readonly { readonly sysId: string }[];
    readonly left: readonly { readonly because: string }[];
    readonly refused: string | null;
  }[];
}

const play = (what: string, body: object): Promise<unknown> => lab.admin('POST', `/servicenow/play/${what}`, body);
const sysIdOf = async (table: string, column: string, value: string): Promise<string> =>
  (await lab.rows(table)).find((row) => row[column] === value)?.['sys_id'] ?? '';
const attachments = async (): Promise<readonly Row[]> =>
  (await lab.rows('sys_attachment')).filter((row) => row['table_sys_id'] === dataSource);
const testNamed = async (sourceId: string): Promise<Row | undefined> =>
  (await lab.rows('sn_vulc_test')).find((row) => row['source_id'] === sourceId);

/** A run of the plugin that reads one test. */
async function runPlugin(sourceId: string, title: string): Promise<Run> {
  const records = [{ table: 'sn_vulc_test', values: { source_id: sourceId, short_description: title } }];
  return (await play('plugin/run', { integration, pages: [{ records }] })) as Run;
}

async function json<Result>(code: number, ...args: string[]): Promise<Result> {
  const { code: was, stdout, stderr } = await engine.cli(...args, '--json');
  expect({ was, stderr: was === code ? '' : stderr }).toEqual({ was: code, stderr: '' });
  return JSON.parse(stdout) as Result;
}

async function doctor(): Promise<readonly Finding[]> {
  const { stdout } = await engine.cli('doctor', deployment, '--json');
  return (JSON.parse(stdout) as { findings: readonly Finding[] }).findings.filter(
    ({ check }) => check === 'servicenow.attachments' || check === 'servicenow.run-as',
  );
}

const sync = (): Promise<{
  readonly outcome: string;
  readonly integrations: readonly { readonly name: string; readonly notes?: readonly string[] }[];
}> => json(0, 'sync', deployment);

async function runAs(userName: string): Promise<void> {
  const sysId = await sysIdOf('sys_user', 'user_name', userName);
  await play('administrator/edit', { table: 'sn_vul_integration', sys_id: integration, values: { run_as: sysId } });
}

async function restartWith(mode: 'report' | 'enforce'): Promise<void> {
  await worker.stop();
  const configuration = parse(await readFile(engine.configFile, 'utf8')) as { serviceNow: object };
  await writeFile(engine.configFile, stringify({ ...configuration, serviceNow: { ...configuration.serviceNow, runAs: { mode } } }));
  worker = await engine.startWorker();
}

beforeAll(async () => {
  lab = await startLab('generated:7:30');
  engine = await createEngine(
    lab,
    { ledgerUrl: postgres.url, temporalAddress: temporal.address, namespace: temporal.namespace, taskQueue: 'pile-up' },
    { deploymentPrefix: 'pile-', park: { recheckSeconds: 2 }, serviceNow: { runAs: { mode: 'report' } } },
  );
  [deployment = ''] = engine.deployments;
  worker = await engine.startWorker();
  const installed = (await play('plugin/install', { tenantId: '99999999-0000-4000-8000-000000000000' })) as {
    integrations: readonly { integration: string; name: string; dataSource: string }[];
  };
  ({ integration = '', dataSource = '' } = installed.integrations.find(({ name }) => name === assessments) ?? {});
}, 180_000);

afterAll(async () => {
  await worker.stop();
  await engine.remove();
  await lab.stop();
});

test('without surplus, the list says so and what to do, and there is nothing to delete', async () => {
  const { code, stdout } = await engine.cli('attachments', 'list');
  expect(code).toBe(0);
  expect(stdout).toContain('No attachments: 6 data sources of the plugin, all of them empty.');
  expect(await json<Listed>(0, 'attachments', 'list')).toMatchObject({ id: null, surplus: 0 });
  const unnamed = await engine.cli('attachments', 'delete', '--yes');
  expect(unnamed.code).toBe(2);
  expect(unnamed.stderr).toContain('defender-sync attachments list');
});

describe('under report', () => {
  test('three runs as somebody who may not delete: the pages stay, one more each time, and old ones are transformed again', async () => {
    await lab.admin('POST', '/servicenow/rows/sys_user', { user_name: 'helper', active: 'true' });
    await play('administrator/grant-role', { user: 'helper', role: 'import_admin' });
    await runAs('helper');
    const runs: Run[] = [];
    for (const [sourceId, title] of [
      ['one', 'first'],
      ['two', 'second'],
      ['three', 'third'],
    ] as const) {
      runs.push(await runPlugin(sourceId, title));
      // What somebody corrects is overwritten by the page that should be gone.
      const changed = await testNamed('one');
      await play('administrator/edit', { table: 'sn_vulc_test', sys_id: changed?.['sys_id'], values: { short_description: 'corrected' } });
      expect((await sync()).outcome).toBe('succeeded');
      expect(await attachments()).toHaveLength(runs.length);
    }
    expect(runs).toMatchObject([
      { transformed: 1, left: 1 },
      { transformed: 2, left: 2, updated: 1 },
      { transformed: 3, left: 3, updated: 1 },
    ]);
  });

  test('growth is measured and named, with the record that runs wrong and who changed it; the field is left alone', async () => {
    const found = await doctor();
    const drift = found.find(({ check }) => check === 'servicenow.run-as');
    expect(drift).toMatchObject({ verdict: 'warning', cause: 'run-as-drift' });
    expect(drift?.evidence).toContain(`"${assessments}" (${integration})`);
    expect(drift?.evidence).toContain('as helper, last changed by admin');
    const pile = found.find(({ check }) => check === 'servicenow.attachments');
    expect(pile).toMatchObject({ verdict: 'warning', cause: 'attachments-pile-up' });
    expect(pile?.evidence).toMatch(new RegExp(`"${assessments}" \\(${dataSource}\\): 1 → 2 → 3( → 3)?\\. One run leaves 1 at most`));
    const helper = await sysIdOf('sys_user', 'user_name', 'helper');
    expect((await lab.rows('sn_vul_integration')).find((row) => row['sys_id'] === integration)?.['run_as']).toBe(helper);
  });
});

describe('on command', () => {
  test('a list that is no longer what is there deletes nothing, and says what is different', async () => {
    const listed = await json<Listed>(0, 'attachments', 'list');
    expect(listed.surplus).toBe(2);
    await runPlugin('four', 'fourth');
    const result = await json<Deleted>(3, 'attachments', 'delete', listed.id ?? '', '--yes');
    expect(result.dataSources).toMatchObject([{ dataSource: { sysId: dataSource }, deleted: [], left: [] }]);
    expect(result.dataSources[0]?.refused).toContain('new since it was shown');
    expect(await attachments()).toHaveLength(4);
    const again = await engine.cli('attachments', 'delete', listed.id ?? '', '--yes');
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('has been used');
  });

  test('a script has to say that it means it', async () => {
    const { id } = await json<Listed>(0, 'attachments', 'list');
    const { code, stderr } = await engine.cli('attachments', 'delete', id ?? '');
    expect(code).toBe(2);
    expect(stderr).toContain('Nothing was deleted');
    expect(await attachments()).toHaveLength(4);
  });

  test('where the instance refuses, what is left is named with the reason', async () => {
    const { id } = await json<Listed>(0, 'attachments', 'list');
    await lab.admin('POST', '/servicenow/access', { table: 'sys_attachment', operation: 'delete', roles: ['nobody'] });
    const { dataSources } = await json<Deleted>(3, 'attachments', 'delete', id ?? '', '--yes');
    expect(dataSources[0]?.deleted).toEqual([]);
    expect(dataSources[0]?.left.map(({ because }) => because)).toEqual(Array.from({ length: 3 }, () => expect.stringContaining('403')));
    expect(await attachments()).toHaveLength(4);
    await lab.admin('POST', '/servicenow/access', { table: 'sys_attachment', operation: 'delete', roles: ['sn_vul.vr_import_admin'] });
  });

  test('exactly what was shown is deleted, and nothing else; the newest stays', async () => {
    const strange = await lab.admin('POST', '/servicenow/rows/sys_attachment', {
      table_name: 'sys_data_source',
      table_sys_id: '0'.repeat(32),
      file_name: 'of somebody else.json',
    });
    expect(strange).toBeDefined();
    const before = (await lab.rows('sys_attachment')).map((row) => row['sys_id'] ?? '');
    const { id, dataSources: listed } = await json<Listed>(0, 'attachments', 'list');
    const surplus = listed.flatMap((source) => source.attachments.filter((one) => one.surplus)).map(({ sysId }) => sysId);
    expect(surplus).toHaveLength(3);
    const { stdout, stderr, code } = await engine.cli('attachments', 'delete', id ?? '', '--yes');
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('Deletes 3 attachments of 1 data source') });
    for (const sysId of surplus) expect(stdout).toContain(sysId);
    const after = (await lab.rows('sys_attachment')).map((row) => row['sys_id'] ?? '');
    expect(before.filter((sysId) => !after.includes(sysId)).sort()).toEqual([...surplus].sort());
    expect(await attachments()).toHaveLength(1);
  });
});

describe('under enforce', () => {
  test('where the instance refuses the field the run parks, and goes on once it takes it: the report says what was put back', async () => {
    await lab.admin('POST', '/servicenow/access', { table: 'sn_vul_integration', operation: 'write', column: 'run_as', roles: ['nobody'] });
    await restartWith('enforce');
    const parked = await json<{ readonly outcome: string; readonly waitsFor: readonly Finding[] }>(4, 'sync', deployment);
    expect(parked.waitsFor).toMatchObject([{ check: 'servicenow.run-as', verdict: 'blocking', cause: 'run-as-not-put-back' }]);
    expect(parked.waitsFor[0]?.evidence).toContain(integration);
    expect(parked.waitsFor[0]?.remedy).toContain('sn_vul_msft_tvm.configure_integration');
    await lab.admin('POST', '/servicenow/access', { table: 'sn_vul_integration', operation: 'write', column: 'run_as', roles: ['*'] });
    const { integrations } = await json<Awaited<ReturnType<typeof sync>>>(0, 'sync', deployment, '--wait');
    const notes = integrations.find(({ name }) => name === 'policies')?.notes ?? [];
    expect(notes.join('\n')).toContain(`run-as put back to VR.System: "${assessments}" (${integration}) ran as helper`);
    const system = await sysIdOf('sys_user', 'user_name', 'VR.System');
    const ours = (await lab.rows('sn_vul_integration')).filter((row) => row['sys_id'] === integration);
    expect(ours).toMatchObject([{ run_as: system, active: 'true', name: assessments }]);
  });

  test('the next runs of the plugin leave nothing behind, each transforms its own page once, and doctor finds nothing', async () => {
    // The page that the list left is transformed a last time, and removed with the run's own.
    expect(await runPlugin('five', 'fifth')).toMatchObject({ transformed: 2, left: 0 });
    expect(await runPlugin('six', 'sixth')).toMatchObject({ transformed: 1, left: 0 });
    expect(await attachments()).toHaveLength(0);
    expect((await doctor()).map(({ check, verdict }) => `${check} ${verdict}`)).toEqual([
      'servicenow.run-as ok',
      'servicenow.attachments ok',
    ]);
  });
});
