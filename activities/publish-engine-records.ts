import type { CheckFinding, RunRef } from '../workflows/contract.ts';
import { commitEngineRecords, countBookkeeping, ledgerId, openRun, ownedSysIds, type RunHandle } from '../src/ledger/index.ts';
import { integrationNames, type IntegrationReport, type SysId } from '../src/model.ts';
import { query, valueOf, type ServiceNowClient } from '../src/servicenow/index.ts';
import type { ActivityContext } from './context.ts';
import { engineRecords, engineTables, integrationRecordKey, runRecord, runRecordTable } from './engine-records.ts';
import { lookupRuleFindings } from './lookup-rules.ts';
import { publishTables } from './publish.ts';
import type { Publisher } from './publisher.ts';
import type { StepScope } from './run-step.ts';

/**
 * Makes sure that the engine's own records exist, and that the five integration records run as VR.System: any other user
 * leaves attachments behind that every later run transforms again (servicenow.md §6). Drift is put back, or reported.
 */
export async function prepareInstance(context: ActivityContext, ref: RunRef, step: StepScope): Promise<CheckFinding[]> {
  const run = await openRun(context.ledger.database, ref.run, ref.fence);
  const { serviceNow } = await context.clientsOf(run);
  const { user } = context.config.serviceNow.runAs;
  const [row] = await serviceNow.table.list(
    'sys_user',
    { query: query().equals('user_name', user), fields: ['sys_id', 'active'], limit: 1 },
    step.signal,
  );
  if (!row) return [missingUser(user)];
  const runAs = valueOf(row, 'sys_id') as SysId;
  const { database, words } = context.ledger;
  await commitEngineRecords(database, words, run, 'engine', engineRecords(run.deployment, runAs, await ledgerId(database)));
  const publisher: Publisher = { context, run, integration: 'policies', client: serviceNow, step };
  for (let round = 0; round < 20; round += 1) {
    const { left, readyInMs } = await publishTables(publisher, engineTables);
    if (left === 0) break;
    await new Promise((resolve) => setTimeout(resolve, Math.min(readyInMs, 5_000) + 100));
  }
  const { ciRules } = await context.instanceModelOf(run);
  return [...(await enforceRunAs(context, run, serviceNow, runAs, step)), ...lookupRuleFindings(ciRules)];
}

function missingUser(user: string): CheckFinding {
  return {
    check: 'run-as.user',
    verdict: 'blocking',
    evidence: `The user ${user}, as whom integration records must run, does not exist on the instance or is not readable.`,
    remedy: `In ServiceNow, User Administration › Users: create or activate ${user} with the role sn_vul.vr_import_admin, or let the integration user read sys_user.`,
  };
}

async function enforceRunAs(
  context: ActivityContext,
  run: RunHandle,
  client: ServiceNowClient,
  runAs: SysId,
  step: StepScope,
): Promise<CheckFinding[]> {
  const { database, words } = context.ledger;
  const { mode, user } = context.config.serviceNow.runAs;
  const keys = integrationNames.map((name) => integrationRecordKey(run.deployment, name));
  const sysIds = await ownedSysIds(database, words, run, 'sn_vul_integration', keys);
  const findings: CheckFinding[] = [];
  for (const [index, key] of keys.entries()) {
    const sysId = sysIds.get(key);
    const name = integrationNames[index] ?? '';
    if (sysId === undefined) {
      findings.push({
        check: 'run-as.record',
        verdict: 'warning',
        evidence: `The integration record of ${name} could not be written; its run-as cannot be checked and its runs are not recorded.`,
        remedy:
          'Give the integration user the right to create sn_vul_integration records (role sn_vul.vr_import_admin or sn_sec_cmn.admin).',
      });
      continue;
    }
    const row = await client.table.get('sn_vul_integration', sysId, ['run_as', 'sys_updated_by', 'sys_updated_on'], step.signal);
    const current = row === undefined ? '' : valueOf(row, 'run_as');
    if (current === runAs) continue;
    const evidence = `The integration record of ${name} (${sysId}) ran as ${current === '' ? 'nobody' : current} instead of ${user}; changed by ${row ? valueOf(row, 'sys_updated_by') : 'unknown'} at ${row ? valueOf(row, 'sys_updated_on') : 'unknown'} UTC.`;
    if (mode === 'report') {
      findings.push({
        check: 'run-as.drift',
        verdict: 'blocking',
        evidence,
        remedy: `Set "Run as" of that record to ${user}, or set serviceNow.runAs.mode to enforce.`,
      });
      continue;
    }
    await client.table.update('sn_vul_integration', sysId, { run_as: runAs }, 'serviceNowBookkeeping', step.signal);
    await countBookkeeping(database, run, 1);
    findings.push({ check: 'run-as.drift', verdict: 'warning', evidence: `${evidence} It was put back.`, remedy: null });
  }
  return findings;
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
