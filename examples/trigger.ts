/**
 * What a client script looks like: starts a run of a deployment, or attaches to the one that is under way, and prints what became of it.
 *
 *   node bootstrap/run.mjs run examples/trigger.ts <deployment>
 *
 * Temporal is where TEMPORAL_ADDRESS says (and TEMPORAL_NAMESPACE); without it, where `defender-sync up` or the demo runs in this folder.
 */
import { readFileSync } from 'node:fs';
import { Client, Connection, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { defaultTaskQueue, searchAttributes, syncDetails, syncSummary, syncWorkflowId, workflowTypes } from '../workflows/contract.ts';
import type { SyncInput, SyncMemo, SyncResult } from '../workflows/contract.ts';

const deployment = process.argv[2] ?? 'a';
const memo: SyncMemo = { mode: 'sync', planId: null };
const input: SyncInput = { deployment, ...memo, startedBy: 'script' };
const workflowId = syncWorkflowId(deployment);

const { address, namespace } = whereTemporalIs();
const connection = await Connection.connect({ address });
const client = new Client({ connection, namespace });
try {
  await startUnlessRunning();
  const result = await client.workflow.getHandle<(input: SyncInput) => Promise<SyncResult>>(workflowId).result();
  console.log(`${deployment}: ${result.outcome}${result.because === null ? '' : ` (${result.because})`}, run ${result.run}`);
  console.table(
    result.integrations.map(({ integration, outcome, read, created, updated }) => ({ integration, outcome, read, created, updated })),
  );
  process.exitCode = result.outcome === 'succeeded' ? 0 : 1;
} finally {
  await connection.close();
}

/** The workflow id is the lock: whoever comes second joins, but only a run that does the same. */
async function startUnlessRunning(): Promise<void> {
  try {
    await client.workflow.start(workflowTypes.syncDeployment, {
      workflowId,
      taskQueue: defaultTaskQueue,
      args: [input],
      workflowIdConflictPolicy: 'FAIL',
      memo: { ...memo },
      staticSummary: syncSummary(input),
      staticDetails: syncDetails(deployment),
      typedSearchAttributes: [{ key: searchAttributes.deployment, value: deployment }],
    });
    console.log(`Started ${workflowId}.`);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    // The server keeps no null, so a run without a plan has no planId in its memo.
    const running = (await client.workflow.getHandle(workflowId).describe()).memo as Partial<SyncMemo> | undefined;
    if (running?.mode !== memo.mode || (running.planId ?? null) !== memo.planId)
      throw new Error(`${workflowId} is running and does something else.`, { cause: error });
    console.log(`${workflowId} is already running; waiting for it.`);
  }
}

function whereTemporalIs(): { readonly address: string; readonly namespace: string } {
  const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE = 'default' } = process.env;
  if (TEMPORAL_ADDRESS) return { address: TEMPORAL_ADDRESS, namespace: TEMPORAL_NAMESPACE };
  return JSON.parse(readFileSync('.defender-sync/temporal.json', 'utf8')) as { address: string; namespace: string };
}
