import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckFinding, RunRef } from '../workflows/contract.ts';
import { commitEngineRecords, ledgerId, openRun, type RunHandle } from '../src/ledger/index.ts';
import type { IntegrationReport, SysId } from '../src/model.ts';
import { query, valueOf, type ServiceNowClient } from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';
import { engineRecords, engineTables, runRecord, runRecordTable } from './engine-records.ts';
import { lookupRuleFindings } from './lookup-rules.ts';
import { publishTables } from './publish.ts';
import type { Publisher } from './publisher.ts';
import { putRunAsBack } from './put-run-as-back.ts';
import type { StepScope } from './run-step.ts';

/**
 * Makes sure that the engine's own records exist, and that the five integration records run as VR.System: any other user
 * leaves attachments behind that every later run transforms again (servicenow.md §6). Drift is put back where that is configured.
 */
export async function prepareInstance(context: ActivityContext, ref: RunRef, step: StepScope): Promise<CheckFinding[]> {
  const run = await openRun(context.ledger.database, ref.run, ref.fence);
  const { serviceNow } = await context.clientsOf(run);
  const { ciRules, dictionary } = await context.instanceModelOf(run);
  const { user } = context.config.serviceNow.runAs;
  const runAs = await findUser(serviceNow, user, step.signal);
  // Without Vulnerability Response there is no record that could run as somebody, and no such user either.
  if (runAs === undefined && dictionary.tables['sn_vul_integration']?.state !== 'absent') return [missingUser(user)];
  const { database, words } = context.ledger;
  await commitEngineRecords(database, words, run, 'engine', engineRecords(run.deployment, runAs ?? '', await ledgerId(database)));
  const publisher: Publisher = { context, run, integration: 'policies', client: serviceNow, step };
  for (let round = 0; round < 20; round += 1) {
    const { left, readyInMs } = await publishTables(publisher, engineTables);
    if (left === 0) break;
    await sleep(Math.min(readyInMs, 5_000) + 100, undefined, { signal: step.signal });
  }
  return [...(runAs === undefined ? [] : await putRunAsBack(publisher, runAs)), ...lookupRuleFindings(ciRules)];
}

async function findUser({ table }: ServiceNowClient, name: string, signal: AbortSignal): Promise<SysId | undefined> {
  const [row] = await table.list('sys_user', { query: query().equals('user_name', name), fields: ['sys_id'], limit: 1 }, signal);
  return row === undefined ? undefined : (valueOf(row, 'sys_id') as SysId);
}

/** Preflight says why, and stops a run where the user is really missing; where it cannot see users, the run stops here. */
function missingUser(user: string): CheckFinding {
  return {
    check: 'servicenow.run-as-user',
    verdict: 'blocking',
    cause: 'users-not-readable',
    evidence: `The user ${user}, as whom integration records must run, does not exist on the instance or is not readable.`,
    follows: 'The run parks before it reads or writes anything else, and goes on by itself once this is right.',
    fixedBy: 'A ServiceNow administrator',
    remedy: `In ServiceNow, User Administration › Users: create or activate ${user} with the role sn_vul.vr_import_admin, or let the integration user read sys_user.`,
  };
}

/** One record per run and integration, written once, at its end. */
export async function publishRunRecord(
  context: ActivityContext,
  run: RunHandle,
  report: IntegrationReport,
  step: StepScope,
): Promise<void> {
  const { serviceNow } = await context.clientsOf(run);
  const { database, words } = context.ledger;
  const counts = `read ${report.read}, created ${report.created}, updated ${report.updated}, unchanged ${report.unchanged}, parked ${report.parked}, quarantined ${report.quarantined}, excluded ${report.excluded}.`;
  const record = runRecord({
    deployment: run.deployment,
    integration: report.name,
    runId: run.runId,
    sequence: run.sequence,
    startedAt: instantOf(run.startedAtMs),
    endedAt: instantOf(context.clock.nowMs()),
    succeeded: report.outcome !== 'failed',
    notes: report.because === null ? counts : `${counts} ${report.because}`,
    source: (await context.instanceModelOf(run)).source,
  });
  await commitEngineRecords(database, words, run, `run/${run.runId}/${report.name}`, [record]);
  await publishTables({ context, run, integration: report.name, client: serviceNow, step }, [runRecordTable]);
}

/** `YYYY-MM-DD HH:mm:ss` in UTC, as the platform writes instants. */
function instantOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}
