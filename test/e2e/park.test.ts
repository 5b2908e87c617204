/**
 * "Missing required roles", as people meet it, and a permission that is lost in the middle of a run: the run parks, shows what it
 * waits for, and goes on by itself once an administrator has put it right.
 */
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import { searchAttributes, syncWorkflowId } from '../../workflows/contract.ts';
import { createTestAuthority, type TestAuthority } from '../integration/azure-client/test-server.ts';
import { withPostgres } from '../integration/servers.ts';
import { createEngine, startLab, type Engine, type Lab, type WorkerProcess } from './harness.ts';
import { withOwnNamespace } from './own-namespace.ts';

const postgres = withPostgres();
const temporal = withOwnNamespace('park');
let lab: Lab;
let engine: Engine;
let worker: WorkerProcess;

interface Finding {
  readonly check: string;
  readonly verdict: string;
  readonly evidence: string;
  readonly remedy: string | null;
}

beforeAll(async () => {
  lab = await startLab('generated:7:60');
  engine = await createEngine(
    lab,
    { ledgerUrl: postgres.url, temporalAddress: temporal.address, namespace: temporal.namespace, taskQueue: 'park' },
    { incidents: true, park: { recheckSeconds: 2 } },
  );
  worker = await engine.startWorker();
}, 120_000);

afterAll(async () => {
  await worker.stop();
  await engine.remove();
  await lab.stop();
});

const change = (what: object): Promise<unknown> => lab.admin('POST', '/azure/change', what);
const tenant = () => lab.file.azure.tenants[0]!;

async function blockedBy(deployment: string): Promise<readonly string[]> {
  const { typedSearchAttributes } = await temporal.client.workflow.getHandle(syncWorkflowId(deployment)).describe();
  return typedSearchAttributes.get(searchAttributes.phase) === 'parked'
    ? (typedSearchAttributes.get(searchAttributes.blockedBy) ?? [])
    : [];
}

async function untilBlockedBy(deployment: string, check: string): Promise<void> {
  while (!(await blockedBy(deployment)).includes(check)) await new Promise((resolve) => setTimeout(resolve, 100));
}

async function parkedRecords(): Promise<number> {
  const ledger = new pg.Client({ connectionString: postgres.url });
  await ledger.connect();
  try {
    const { rows } = await ledger.query<{ count: number }>('SELECT count(*)::int AS count FROM record WHERE parked');
    return rows[0]!.count;
  } finally {
    await ledger.end();
  }
}

describe('permissions that were added as Delegated', () => {
  const [readAll, readWriteAll] = ['45cc0394-e837-488b-a098-1918f48d186c', '34bf0e97-1971-4929-b999-9e2442d941d7'];

  test('doctor names them in its first line, with the way to grant and to consent', async () => {
    const [deployment = ''] = engine.deployments;
    await change({ consent: { clientId: tenant().clientId, state: 'delegated-only', directoryReader: true } });
    const doctor = await engine.cli('doctor', deployment);
    expect(doctor.code).toBe(1);
    const [first = ''] = doctor.stdout.split('\n');
    expect(first).toContain('Delegated instead of Application');
    for (const word of ['SecurityIncident.Read.All', 'SecurityIncident.ReadWrite.All']) expect(first).toContain(word);
    for (const word of [readAll, readWriteAll, `az ad app permission admin-consent --id ${tenant().clientId}`])
      expect(doctor.stdout).toContain(word);
  });

  test('the run parks; sync says so and leaves it with exit code 4', async () => {
    const [deployment = ''] = engine.deployments;
    const sync = await engine.cli('sync', deployment, '--json');
    expect(sync.code).toBe(4);
    const report = JSON.parse(sync.stdout) as { outcome: string; because: string; waitsFor: Finding[] };
    expect(report).toMatchObject({ deployment, outcome: 'parked' });
    expect(report.waitsFor.map(({ check }) => check)).toEqual(['graph.incident-permissions']);
    expect(report.waitsFor[0]!.remedy).toContain('admin-consent');
    const status = JSON.parse((await engine.cli('status', '--json')).stdout) as { deployment: string; outcome: string; phase: string }[];
    expect(status.find((one) => one.deployment === deployment)).toMatchObject({
      outcome: 'parked',
      phase: 'parked: waits for graph.incident-permissions',
    });
    const recheck = await engine.cli('recheck', deployment);
    expect(recheck.code).toBe(4);
    expect(recheck.stdout).toContain('still waits');
    expect(recheck.stdout).toContain('Delegated instead of Application');
  });

  test('after the administrator has granted and consented, it ends succeeded with no other command', async () => {
    const [deployment = ''] = engine.deployments;
    await change({ consent: { clientId: tenant().clientId, state: 'granted' } });
    const result = await temporal.client.workflow.getHandle(syncWorkflowId(deployment)).result();
    expect(result).toMatchObject({ deployment, outcome: 'succeeded', because: null });
  });
});

const start = (deployment: string): Promise<WorkflowHandle> =>
  temporal.client.workflow.start('syncDeployment', {
    workflowId: syncWorkflowId(deployment),
    taskQueue: 'park',
    args: [{ deployment, mode: 'sync', planId: null, startedBy: 'test' }],
    memo: { mode: 'sync', planId: null },
  });

/** Starts a run whose assessments are read slowly, and returns when it has come to them: preflight is long over then. */
async function startUntilAssessments(deployment: string): Promise<WorkflowHandle> {
  await lab.admin('POST', '/azure/faults', {
    match: { pathIncludes: '/providers/Microsoft.Security/assessments' },
    action: { delayMs: 3_000 },
  });
  const handle = await start(deployment);
  const reached = async (): Promise<boolean> =>
    (await handle.describe()).typedSearchAttributes.get(searchAttributes.phase) === 'assessments';
  while (!(await reached())) await new Promise((resolve) => setTimeout(resolve, 50));
  return handle;
}

describe('a role that is lost in the middle of a run', () => {
  test('on Azure: parks it; restored, it reads on where it stopped and ends like any other', async () => {
    const [, deployment = ''] = engine.deployments;
    const { clientId } = lab.file.azure.tenants[1]!;
    const { deployments } = (await lab.admin('GET', '/azure/estate')) as {
      deployments: Record<string, { subscriptions: readonly string[] }>;
    };
    const subscriptions = Object.values(deployments)[1]!.subscriptions;
    const handle = await startUntilAssessments(deployment);
    for (const subscription of subscriptions) await change({ revoke: { clientId, subscription } });
    await lab.admin('DELETE', '/azure/faults');
    await untilBlockedBy(deployment, 'azure.scopes');
    const citations = (await lab.rows('sn_vulc_citation')).length;
    for (const subscription of subscriptions) await change({ restore: { clientId, subscription } });
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
    // What was done before is not done again.
    expect(await lab.rows('sn_vulc_citation')).toHaveLength(citations);
    expect((await lab.rows('sn_vulc_result')).length).toBeGreaterThan(0);
  }, 120_000);

  test('on ServiceNow: no record is parked for it, the run is; restored, it writes on where it stopped', async () => {
    const [deployment = ''] = engine.deployments;
    // It contains sn_vulc.write, without which no result can be written.
    const role = { user: 'defender.sync', role: 'sn_vulc.import_admin' };
    await change({ flip: { percent: 40, seed: 3 } });
    const handle = await startUntilAssessments(deployment);
    await lab.admin('POST', '/servicenow/play/administrator/revoke-role', role);
    await lab.admin('DELETE', '/azure/faults');
    await untilBlockedBy(deployment, 'servicenow.roles');
    expect(await parkedRecords()).toBe(0);
    await lab.admin('POST', '/servicenow/play/administrator/grant-role', role);
    expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
  }, 120_000);
});

describe('a secret that no longer works', () => {
  test.each([
    ['of the app registration', 'azure-1', 'entra.sign-in'],
    ['of the OAuth client of the instance', 'servicenow', 'servicenow.sign-in'],
  ])(
    '%s parks the run; with another one in its file it ends succeeded, without a restart',
    async (_, name, check) => {
      const [, deployment = ''] = engine.deployments;
      const file = join(engine.dir, name);
      const right = await readFile(file, 'utf8');
      await writeFile(file, 'canary~wrong.Secret-0123');
      const handle = await start(deployment);
      await untilBlockedBy(deployment, check);
      // While it is being replaced there may be none.
      await rm(file);
      const recheck = await engine.cli('recheck', deployment);
      expect(recheck).toMatchObject({ code: 4, stdout: expect.stringContaining(`The secret in the file ${file} cannot be read`) });
      await writeFile(file, right);
      expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
    },
    120_000,
  );
});

describe('a certificate that is no longer trusted, in the middle of a run', () => {
  let other: TestAuthority;
  beforeAll(async () => {
    other = await createTestAuthority();
  });
  afterAll(() => other.remove());

  test.each([
    // The worker still has tokens, so that it is not Entra where it is noticed.
    ['of Azure', 'azure-ca.pem', 'azure.scopes'],
    ['of the instance', 'servicenow-ca.pem', 'servicenow.sign-in'],
  ])(
    '%s parks it; trusted again, it goes on where it stopped',
    async (_, name, check) => {
      const [, deployment = ''] = engine.deployments;
      const file = join(engine.dir, name);
      const right = await readFile(file);
      await change({ flip: { percent: 40, seed: 5 } });
      const handle = await startUntilAssessments(deployment);
      await copyFile(other.caFile, file);
      await lab.admin('DELETE', '/azure/faults');
      await untilBlockedBy(deployment, check);
      const recheck = await engine.cli('recheck', deployment);
      expect(recheck).toMatchObject({
        code: 4,
        stdout: expect.stringMatching(/certificate .*not trusted[^]*→ Whoever keeps the configuration/),
      });
      expect(await parkedRecords()).toBe(0);
      await writeFile(file, right);
      expect(await handle.result()).toMatchObject({ outcome: 'succeeded' });
    },
    120_000,
  );
});

test('an application that the instance does not have is nothing to wait for: the run leaves out what needs it, and says so', async () => {
  const [deployment = ''] = engine.deployments;
  await lab.admin('POST', '/servicenow/play/administrator/uninstall', { scope: 'sn_vul_container' });
  const { outcome, integrations } = (await (await start(deployment)).result()) as {
    outcome: string;
    integrations: { integration: string; outcome: string; read: number; scopes: { complete: number; notApplicable: number } }[];
  };
  expect(outcome).toBe('succeeded');
  const images = integrations.find(({ integration }) => integration === 'container-images');
  expect(images).toMatchObject({ outcome: 'succeeded', read: 0, scopes: { complete: 0 } });
  expect(images?.scopes.notApplicable).toBeGreaterThan(0);
  const report = await engine.cli('report', deployment);
  expect(report.stdout).toContain('container-images: ');
  expect(report.stdout).toContain('the instance has no sn_vul_container_image');
  const doctor = await engine.cli('doctor', deployment);
  expect(doctor).toMatchObject({ code: 3, stdout: expect.stringContaining('the run leaves out: container images') });
}, 120_000);
