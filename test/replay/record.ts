/**
 * Records the histories that the replay test plays against the current workflows: real runs against the labs, with everything left
 * out that belongs to the machine. Run it when a workflow has changed on purpose, and say in the commit why old runs may not go on:
 *
 *   node bootstrap/run.mjs run test/replay/record.ts [beginning of a name …]
 *
 * With names only those histories are written; the others stay as they were recorded.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { acquireEmbeddedPostgres } from '../../src/ledger/server/index.ts';
import { connectTemporal } from '../../src/temporal/connect.ts';
import { acquireTemporalDevServer } from '../../src/temporal/dev-server.ts';
import { ensureSearchAttributes } from '../../src/temporal/search-attributes.ts';
import {
  defaultTaskQueue,
  dispatchWorkflowId,
  integrationOrder,
  integrationWorkflowId,
  parkMessages,
  phaseParked,
  reconcileWorkflowId,
  searchAttributes,
  syncWorkflowId,
  workflowTypes,
  type ReconcileInput,
  type SyncInput,
} from '../../workflows/contract.ts';
import { createEngine, startLab, type Engine, type Lab } from '../e2e/harness.ts';
import { leaksIn, ledgerSecret, secretsOf } from '../e2e/leaks.ts';
import { historiesDir, type RecordedHistory } from './recorded.ts';

/** Of the histories to write; none: all. */
const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.some((beginning) => name.startsWith(beginning));

const projectDir = fileURLToPath(new URL('../../', import.meta.url));
const dir = await mkdtemp(join(tmpdir(), 'defender-sync-record-'));
const releases: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true })];
try {
  await record();
} finally {
  for (const release of releases.reverse()) await release();
}

interface Recorder {
  readonly client: Client;
  readonly lab: Lab;
  readonly engine: Engine;
  /** The deployment that runs, and the one that is refused. */
  readonly deployments: readonly [string, string];
  readonly save: (name: string, workflowId: string, runId?: string) => Promise<void>;
}

async function record(): Promise<void> {
  const postgres = await acquireEmbeddedPostgres({ dir: join(dir, 'postgresql') });
  releases.push(postgres.release);
  const preferredPorts = { frontend: 0, ui: 0 };
  const temporal = await acquireTemporalDevServer({ dir: join(dir, 'temporal'), environment: process.env, preferredPorts });
  releases.push(temporal.release);
  const { client, connection } = await connectTemporal(temporal);
  releases.push(() => connection.close());
  await ensureSearchAttributes(connection, temporal.namespace);
  // Large enough for a resource that is neither an account nor an image, so that there is a placeholder.
  const lab = await startLab('generated:7:120');
  releases.push(() => lab.stop());
  const engine = await createEngine(lab, {
    ledgerUrl: postgres.url,
    temporalAddress: temporal.address,
    namespace: temporal.namespace,
    taskQueue: defaultTaskQueue,
  });
  releases.push(() => engine.remove());
  const [first, second] = engine.deployments;
  if (first === undefined || second === undefined) throw new Error('The lab has no two deployments.');
  await writeFile(join(engine.dir, 'azure-1'), 'a wrong secret');
  const worker = await engine.startWorker();
  releases.push(() => worker.stop());
  await mkdir(historiesDir, { recursive: true });
  const forbidden = [dir, engine.dir, lab.dir, projectDir, hostname()];
  const secrets = [...(await secretsOf(lab)), ledgerSecret(postgres.url)];
  const save: Recorder['save'] = async (name, workflowId, runId) => {
    if (!isWanted(name)) return;
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const secretsDir = (text: string): string => text.replaceAll(engine.dir, '/etc/defender-sync');
    const recorded: RecordedHistory = { workflowId, history: scrubbed(JSON.parse(historyToJSON(history)) as object, secretsDir) };
    const text = JSON.stringify(recorded, null, 1);
    const plain = text.replace(/"data": ?"([A-Za-z0-9+/=]+)"/g, (_, data: string) => fromBase64(data));
    const found = [...forbidden.filter((one) => plain.includes(one)), ...leaksIn(plain, secrets)];
    if (found.length > 0) throw new Error(`${name} holds what is not meant for others: ${found.join(', ')}`);
    await writeFile(join(historiesDir, `${name}.json`), `${text}\n`);
    console.log(`${name}: ${history.events?.length ?? 0} events`);
  };
  const recorder: Recorder = { client, lab, engine, deployments: [first, second], save };
  await recordSuccess(recorder);
  await recordRefusal(recorder);
  await recordCancellation(recorder);
  await recordReconcile(recorder);
  await recordParked(recorder);
}

/** Started by a dispatcher; once throttled, so that there is a timer; a second dispatcher comes too late. */
async function recordSuccess({ client, lab, deployments: [deployment], save }: Recorder): Promise<void> {
  const throttle = { status: 429, headers: { 'Retry-After': '8' }, body: { error: { code: 'TooManyRequests', message: 'Slow down.' } } };
  await lab.admin('POST', '/azure/faults', { match: { pathIncludes: '/assessmentMetadata' }, action: throttle, times: 1 });
  for (const [name, time] of [
    ['dispatch-started', '02:00:00'],
    ['dispatch-already-running', '02:01:00'],
  ]) {
    const workflowId = `${dispatchWorkflowId(deployment)}-2026-11-22T${time ?? ''}Z`;
    await client.workflow.execute(workflowTypes.dispatch, { workflowId, taskQueue: defaultTaskQueue, args: [{ deployment }] });
    await save(name ?? '', workflowId);
  }
  const workflowId = syncWorkflowId(deployment);
  await client.workflow.getHandle(workflowId).result();
  await save('sync-succeeded', workflowId);
  for (const integration of integrationOrder) await save(`integration-${integration}`, integrationWorkflowId(deployment, integration));
}

/** A wrong secret: the run parks, is asked to look again, and is cancelled by a person who has something else to do. */
async function recordRefusal({ client, deployments: [, deployment], save }: Recorder): Promise<void> {
  const handle = await client.workflow.start(workflowTypes.syncDeployment, startOptions(deployment));
  await untilParked(handle);
  const dispatchId = `${dispatchWorkflowId(deployment)}-2026-11-25T02:00:00Z`;
  await client.workflow.execute(workflowTypes.dispatch, { workflowId: dispatchId, taskQueue: defaultTaskQueue, args: [{ deployment }] });
  await save('dispatch-already-parked', dispatchId);
  await handle.executeUpdate(parkMessages.recheck);
  await handle.cancel();
  await handle.result().catch(() => undefined);
  await save('sync-parked-by-preflight', syncWorkflowId(deployment));
}

/** A role that is lost in the middle: the integration is refused, the run parks, and starts it again. */
async function recordParked({ client, lab, deployments: [deployment], save }: Recorder): Promise<void> {
  const forbidden = { status: 403, body: { error: { code: 'AuthorizationFailed', message: 'The client does not have authorization.' } } };
  await lab.admin('POST', '/azure/faults', { match: { pathIncludes: '/assessmentMetadata' }, action: forbidden });
  const handle = await client.workflow.start(workflowTypes.syncDeployment, startOptions(deployment));
  await untilParked(handle);
  const child = client.workflow.getHandle(integrationWorkflowId(deployment, 'metadata'));
  await save('integration-blocked', child.workflowId);
  await lab.admin('DELETE', '/azure/faults');
  await handle.executeUpdate(parkMessages.recheck);
  await handle.result();
  await save('sync-parked-and-resumed', handle.workflowId, handle.firstExecutionRunId);
}

async function untilParked(handle: WorkflowHandle): Promise<void> {
  while ((await handle.describe()).typedSearchAttributes.get(searchAttributes.phase) !== phaseParked) await sleep(100);
}

async function recordCancellation({ client, lab, deployments: [deployment], save }: Recorder): Promise<void> {
  await lab.admin('POST', '/azure/faults', { match: { pathIncludes: '/assessmentMetadata' }, action: { delayMs: 4_000 } });
  const handle = await client.workflow.start(workflowTypes.syncDeployment, startOptions(deployment));
  const child = integrationWorkflowId(deployment, 'metadata');
  const isReading = async (): Promise<boolean> => {
    const description = await client.workflow.getHandle(child).describe();
    const activities = description.raw.pendingActivities ?? [];
    return description.status.name === 'RUNNING' && activities.some((activity) => activity.activityType?.name === 'observe');
  };
  while (!(await isReading())) await sleep(100);
  await handle.cancel();
  await handle.result().catch(() => undefined);
  await lab.admin('DELETE', '/azure/faults');
  await save('sync-cancelled', handle.workflowId, handle.firstExecutionRunId);
  await save('integration-cancelled', child);
}

/** A pair that is re-pointed under the lock of its deployment, and one whose lock a run holds. */
async function recordReconcile({ client, lab, engine, deployments: [deployment], save }: Recorder): Promise<void> {
  const [ci] = await lab.rows('cmdb_ci_cmp_resource');
  if (!ci) throw new Error('The lab has no placeholder.');
  await lab.admin('POST', '/servicenow/rows/cmdb_ci_vm_instance', { object_id: ci['object_id'], name: ci['name'] });
  const { stdout } = await engine.cli('cis', 'pairs', '--json');
  const request = { type: 'apply', setId: (JSON.parse(stdout) as { id: string }).id, only: null } as const;
  const input: ReconcileInput = { request, startedBy: 'script' };
  const options = { workflowId: reconcileWorkflowId(request), taskQueue: defaultTaskQueue, args: [input] };

  await lab.admin('POST', '/azure/faults', { match: { pathIncludes: '/assessmentMetadata' }, action: { delayMs: 4_000 } });
  const run = await client.workflow.start(workflowTypes.syncDeployment, startOptions(deployment));
  await client.workflow.execute(workflowTypes.reconcileCis, options);
  await save('reconcile-refused', options.workflowId);
  await run.cancel();
  await run.result().catch(() => undefined);
  await lab.admin('DELETE', '/azure/faults');

  await client.workflow.execute(workflowTypes.reconcileCis, options);
  await save('reconcile-succeeded', options.workflowId);
  await save('hold-released', syncWorkflowId(deployment));
}

function startOptions(deployment: string): { workflowId: string; taskQueue: string; args: [SyncInput]; memo: { mode: string } } {
  const input: SyncInput = { deployment, mode: 'sync', planId: null, startedBy: 'script' };
  return { workflowId: syncWorkflowId(deployment), taskQueue: defaultTaskQueue, args: [input], memo: { mode: input.mode } };
}

/**
 * Without what says where it was recorded: processes, host names, source paths in stack traces, and what `inPayloads` changes. A
 * replay looks at none of them.
 */
function scrubbed<Part>(part: Part, inPayloads: (text: string) => string): Part {
  if (Array.isArray(part)) return part.map((one: unknown) => scrubbed(one, inPayloads)) as Part;
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(
    Object.entries(part).map(([name, value]: [string, unknown]) => {
      if (name === 'identity') return [name, 'worker'];
      if (name === 'stackTrace') return [name, ''];
      if (name === 'name' && 'kind' in part && part.kind === 'TASK_QUEUE_KIND_STICKY') return [name, 'sticky'];
      if (name === 'data' && typeof value === 'string') return [name, Buffer.from(inPayloads(fromBase64(value))).toString('base64')];
      return [name, scrubbed(value, inPayloads)];
    }),
  ) as Part;
}

function fromBase64(data: string): string {
  return Buffer.from(data, 'base64').toString('utf8');
}
