import type { CheckFinding } from '../workflows/contract.ts';
import { addRunAsChange, countBookkeeping, ownedSysIds } from '../src/ledger/index.ts';
import { isSyncError, type SyncError } from '../src/errors.ts';
import { integrationNames, type SysId } from '../src/model.ts';
import { integrationsOf, describeRunAs } from '../src/preflight/index.ts';
import { hasColumns, readIntegrations, valueOf, writeRights, type Integration } from '../src/servicenow/index.ts';
import { integrationRecordKey } from './engine-records.ts';
import type { Publisher } from './publisher.ts';

const table = 'sn_vul_integration';
const check = 'servicenow.run-as';

/**
 * Integration records that do not run as VR.System leave attachments behind that every later run transforms again (servicenow.md §6). Where
 * the configuration says `enforce`, that one field is put back: on the engine's records of the deployment, and on those of the plugin for
 * Defender for Cloud. Under `report` preflight names it, and nothing is touched.
 */
export async function putRunAsBack(publisher: Publisher, runAs: SysId): Promise<CheckFinding[]> {
  const { context, run, client, step } = publisher;
  const missing = await missingRecords(publisher);
  const { dictionary } = await context.instanceModelOf(run);
  if (context.config.serviceNow.runAs.mode === 'report' || !hasColumns(dictionary, table, 'name', 'active', 'run_as')) return missing;
  const records = integrationsOf(await readIntegrations(client, dictionary, step.signal), run.deployment);
  const changed: Integration[] = [];
  const refused: (Integration & { readonly because: string })[] = [];
  for (const record of records.filter((one) => one.runAs.sysId !== runAs)) {
    const because = await putBack(publisher, record, runAs);
    if (because === undefined) changed.push(record);
    else refused.push({ ...record, because });
  }
  const { user } = context.config.serviceNow.runAs;
  return [
    ...missing,
    ...(changed.length === 0 ? [] : [putBackFinding(changed, user)]),
    ...(refused.length === 0 ? [] : [refusedFinding(refused, user)]),
  ];
}

/** Undefined once it is done; else why the instance does not take it. */
async function putBack({ context, run, client, step }: Publisher, record: Integration, runAs: SysId): Promise<string | undefined> {
  const { database } = context.ledger;
  try {
    const { row } = await client.table.update(table, record.sysId, { run_as: runAs }, 'serviceNowBookkeeping', step.signal);
    await countBookkeeping(database, run, 1);
    // A field ACL leaves a column out without a word (servicenow.md §5.2).
    if (valueOf(row, 'run_as') !== runAs) return 'the field was left out of the write, as a field ACL does';
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error.message;
  }
  await addRunAsChange(
    database,
    run,
    `run-as put back to ${context.config.serviceNow.runAs.user}: "${record.name}" (${record.sysId}) ran ${describeRunAs(record)}`,
  );
  return undefined;
}

function isRefusal(error: unknown): error is SyncError {
  return isSyncError(error, 'forbidden', 'rejected', 'not-found', 'misconfigured');
}

function putBackFinding(changed: readonly Integration[], user: string): CheckFinding {
  const records = changed.map((record) => `"${record.name}" (${record.sysId}) ran ${describeRunAs(record)}`);
  return {
    check,
    verdict: 'warning',
    cause: 'run-as-put-back',
    evidence: `Run as was put back to ${user} on ${changed.length} integration record${changed.length === 1 ? '' : 's'}: ${records.join('; ')}.`,
    follows: 'The run goes on. Attachments that were left behind stay until they are deleted on command (servicenow.attachments).',
    fixedBy: null,
    remedy: null,
  };
}

function refusedFinding(refused: readonly (Integration & { readonly because: string })[], user: string): CheckFinding {
  const records = refused.map((record) => `"${record.name}" (${record.sysId}) runs ${describeRunAs(record)}: ${record.because}`);
  return {
    check,
    verdict: 'blocking',
    cause: 'run-as-not-put-back',
    evidence: `Run as could not be put back to ${user}: ${records.join('; ')}.`,
    follows: 'The run parks before it reads or writes anything else, and goes on by itself once this is right.',
    fixedBy: 'A ServiceNow administrator',
    remedy: `${table}.list › open each record (/${table}.do?sys_id=<sys_id>) › Run as = ${user} › Update; or give the integration user the role ${writeRights.integrations.roles.join(' or ')} (User Administration › Users › the user › Roles › Edit); or set serviceNow.runAs.mode to report, and the drift is only named.`,
  };
}

/** Records of the engine that could not be written: their runs are not recorded. */
async function missingRecords({ context, run }: Publisher): Promise<CheckFinding[]> {
  const { database, words } = context.ledger;
  const keys = integrationNames.map((name) => integrationRecordKey(run.deployment, name));
  const sysIds = await ownedSysIds(database, words, run, table, keys);
  const names = integrationNames.filter((_, index) => !sysIds.has(keys[index] ?? ''));
  if (names.length === 0) return [];
  return [
    {
      check,
      verdict: 'warning',
      cause: 'record-missing',
      evidence: `The integration records of ${names.join(', ')} could not be written; their run-as cannot be checked and their runs are not recorded.`,
      follows: 'A run goes on without these records.',
      fixedBy: 'A ServiceNow administrator',
      remedy: `Give the integration user the right to create ${table} records: role ${writeRights.integrations.roles.join(' or ')}.`,
    },
  ];
}
